//! The file that the fetched segments of one reduce attempt lie in, end to end. It goes with the value.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mr_model::{AttemptId, Failure};
use mr_shuffle::FullDisk;

/// A file of fetched segments. Cheap to clone; the last clone removes it.
#[derive(Debug, Clone)]
pub(super) struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: File,
    full: FullDisk,
}

impl Spool {
    /// Creates the file of an attempt in its job's folder. `full` says what is done on a full disk.
    pub async fn create(dir: &Path, attempt: AttemptId, full: FullDisk) -> Result<Self, Failure> {
        let AttemptId { task, attempt } = attempt;
        let path = dir.join(format!("spool-{}-{:06}-{attempt}", task.stage, task.index));
        blocking(move || match File::create_new(&path) {
            Ok(file) => Ok(Self(Arc::new(Shared { path, file, full }))),
            Err(error) => Err(Failure::disk(path, &error)),
        })
        .await
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Writes a piece at its place.
    pub async fn write(&self, piece: Vec<u8>, at: u64) -> Result<Vec<u8>, Failure> {
        let spool = self.0.clone();
        blocking(move || {
            let mut at = at;
            let written = spool.full.write_with(&piece, |left| {
                let taken = spool.file.write_at(left, at)?;
                at += taken as u64;
                Ok(taken)
            });
            match written {
                Ok(()) => Ok(piece),
                Err(error) => Err(Failure::disk(&spool.path, &error)),
            }
        })
        .await
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What cannot be removed now goes with the job's folder.
        let _ = fs::remove_file(&self.path);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::internal(format!("writing fetched segments failed: {error}"))))
}
