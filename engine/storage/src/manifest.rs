//! What an output tells about itself: the manifest beside its parts, which traces a result back to
//! the plugins, parameters and inputs it was made from, and the rejects of the job.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use mr_model::{
    Counters, Failure, InputFormat, InputKey, JobId, OutputFormat, Partitioning, Place, Role, StageTypes,
    limit, path_serde,
};
use serde::{Deserialize, Serialize};

use crate::part::Part;

/// File name of the manifest in an output.
pub const MANIFEST_NAME: &str = "_manifest.json";
/// File name of the rejects in an output.
pub const REJECTS_NAME: &str = "_rejects.jsonl";

/// How an output came about. Written as JSON, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the engine.
    pub engine: String,
    /// The job.
    pub job: JobId,
    /// Components that ran.
    pub plugins: Vec<ManifestPlugin>,
    /// Parameters that they saw, by name.
    pub params: BTreeMap<String, String>,
    /// Files that were read, in order.
    pub inputs: Vec<ManifestInput>,
    /// How input became records.
    pub input_format: InputFormat,
    /// What keys of text input told.
    pub input_key: InputKey,
    /// How records became output.
    pub output_format: OutputFormat,
    /// Types of the output records, as far as declared.
    pub output_types: StageTypes,
    /// How keys were spread over the reducers.
    pub partitioning: Partitioning,
    /// Number of reducers, 0 for a map-only job.
    pub reducers: u32,
    /// Parts, in order.
    pub parts: Vec<Part>,
    /// Sums that the plugins counted.
    pub counters: Counters,
    /// Number of records that the plugins rejected; they are in `_rejects.jsonl`.
    pub rejects: u64,
}

/// A component in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPlugin {
    /// What it did.
    pub roles: Vec<Role>,
    /// Its name.
    pub name: String,
    /// BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// An input file in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestInput {
    /// Path as the job named it; as bytes where it is not UTF-8.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// Length in bytes.
    pub bytes: u64,
}

impl Manifest {
    /// Writes the manifest into `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Failure> {
        write_file(dir, MANIFEST_NAME, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })
    }
}

/// A record that a plugin gave up on.
#[derive(Debug, Clone, Copy)]
pub struct Reject<'a> {
    /// Where it came from, if known.
    pub place: Option<&'a Place>,
    /// What the plugin said.
    pub reason: &'a str,
    /// The record, or its beginning; what is over [`limit::RECORD_SAMPLE_BYTES_MAX`] is cut.
    pub sample: &'a [u8],
}

/// Writes `_rejects.jsonl` into the staging folder `dir`, one JSON object with `path`, `offset`, `reason`
/// and the escaped `sample` on each line. Answers how many there were; without any there is no file.
///
/// # Errors
/// [`Failure::Disk`] if it cannot be written.
pub fn write_rejects<'a>(dir: &Path, rejects: impl IntoIterator<Item = Reject<'a>>) -> Result<u64, Failure> {
    let mut rejects = rejects.into_iter().peekable();
    let mut count = 0;
    if rejects.peek().is_none() {
        return Ok(count);
    }
    write_file(dir, REJECTS_NAME, |out| {
        for reject in rejects {
            count += 1;
            let sample = &reject.sample[..reject.sample.len().min(limit::RECORD_SAMPLE_BYTES_MAX)];
            let line = RejectLine {
                path: reject.place.map(|place| place.path.to_string_lossy().into_owned()),
                offset: reject.place.map(|place| place.offset),
                reason: reject.reason,
                sample: sample.escape_ascii().to_string(),
            };
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    })?;
    Ok(count)
}

#[derive(Serialize)]
struct RejectLine<'a> {
    path: Option<String>,
    offset: Option<u64>,
    reason: &'a str,
    sample: String,
}

fn write_file(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let path = dir.join(name);
    let write = || {
        let mut out = BufWriter::new(File::create(&path)?);
        fill(&mut out)?;
        out.flush()
    };
    write().map_err(|error| Failure::disk(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_are_lines_of_json() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write_rejects(dir.path(), []), Ok(0));
        assert!(!dir.path().join(REJECTS_NAME).exists());
        let place = Place { path: "in".into(), offset: 7 };
        let rejects = [
            Reject { place: Some(&place), reason: "no \"number\"", sample: b"a\xff\n" },
            Reject { place: None, reason: "group", sample: &[b'x'; 1000] },
        ];
        assert_eq!(write_rejects(dir.path(), rejects), Ok(2));
        let text = std::fs::read_to_string(dir.path().join(REJECTS_NAME)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"path":"in","offset":7,"reason":"no \"number\"","sample":"a\\xff\\n"}"#);
        let cut = "x".repeat(limit::RECORD_SAMPLE_BYTES_MAX);
        assert_eq!(lines[1], format!(r#"{{"path":null,"offset":null,"reason":"group","sample":"{cut}"}}"#));
    }
}
