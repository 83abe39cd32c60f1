//! Map output of workers on the same machine: linked and read where it lies, not fetched.
//!
//! A worker that is asked by one on its own machine also tells where its run files lie. The one who asks
//! makes a hard link in its own folder, so that the file stays as long as it is needed, and checks that
//! it is the run it should be. Whatever does not work out (another file system, another user, a
//! container) is no failure: the segment is fetched. Blocks are checked when they are read, as always.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mr_model::AttemptId;
use mr_shuffle::reader::RunReader;
use mr_shuffle::run::IndexEntry;
use mr_shuffle::{RunId, StoredSegment};

use crate::protocol::SegmentMeta;

/// Where Linux tells which boot of which machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What tells this machine, since it was started, from all others; none where the system does not say.
pub(super) fn machine() -> Option<String> {
    let id = fs::read_to_string(BOOT_ID).ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The segment where it lies, if it can be had so. `attempt` is the reduce attempt that asks. Links stay
/// in the job's folder and go with it.
pub(super) async fn adopt(
    dir: &Path,
    attempt: AttemptId,
    id: RunId,
    meta: &SegmentMeta,
) -> Option<StoredSegment> {
    let SegmentMeta { codec, entry, near, .. } = meta;
    let (source, codec, entry, dir) = (near.as_ref()?.path.clone(), *codec, *entry, dir.to_owned());
    let linked = tokio::task::spawn_blocking(move || {
        let path = link(&source, &dir, attempt, &id, &entry)?;
        Ok::<_, io::Error>(StoredSegment { path, at: entry.offset, id, codec, entry })
    });
    match linked.await {
        Ok(Ok(segment)) => Some(segment),
        Ok(Err(error)) => {
            tracing::debug!(%error, "map output of this machine is fetched: it cannot be linked");
            None
        }
        Err(_) => None,
    }
}

/// Links a run file into `dir` under a name of the run, unless an earlier attempt did. It gets that name
/// when it was found to be the run.
fn link(
    source: &Path,
    dir: &Path,
    attempt: AttemptId,
    id: &RunId,
    entry: &IndexEntry,
) -> io::Result<PathBuf> {
    let AttemptId { task, attempt: number } = id.attempt;
    let name = format!("near-{:06}-{number}-{:05}", task.index, id.sequence);
    let path = dir.join(&name);
    if path.try_exists()? {
        return Ok(path);
    }
    let partial = dir.join(format!("{name}.{}-{}", attempt.task.index, attempt.attempt));
    fs::hard_link(source, &partial)?;
    let checked = RunReader::open(&partial, id).map_err(|failure| failure.to_string());
    let is_it = checked.and_then(|run| {
        run.index().contains(entry).then_some(()).ok_or_else(|| "it is another run".to_owned())
    });
    match is_it {
        Ok(()) => fs::rename(&partial, &path).map(|()| path),
        Err(reason) => {
            fs::remove_file(&partial)?;
            Err(io::Error::new(io::ErrorKind::InvalidData, reason))
        }
    }
}
