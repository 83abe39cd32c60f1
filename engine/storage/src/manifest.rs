//! What an output tells about itself: the manifest beside its parts, which traces a result back to
//! the plugins, parameters and inputs it was made from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use mr_model::{Counters, Failure, InputSpec, JobId, OutputSpec, Partitioning, Role, Side, path_serde};
use serde::{Deserialize, Serialize};

use crate::file;
use crate::part::Part;
use crate::step::step;

/// File name of the manifest in an output.
pub const MANIFEST_NAME: &str = "_manifest.json";
/// Largest manifest that is read, in bytes: inputs and parts of the largest job take less.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

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
    /// Inputs, in order: how they became records.
    pub inputs: Vec<InputSpec>,
    /// Files that were read, in order.
    pub files: Vec<ManifestInput>,
    /// Side inputs that the plugins could read, in the order of their names.
    #[serde(default)]
    pub sides: Vec<Side>,
    /// How records became output, and which named outputs there are.
    pub output: OutputSpec,
    /// How keys were spread over the reducers.
    pub partitioning: Partitioning,
    /// Number of reducers, 0 for a map-only job.
    pub reducers: u32,
    /// Parts, in order: those of the main output, then those of each named one.
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
    /// Number of the input that it is of.
    pub input: u32,
    /// Time of its last change, in nanoseconds since 1970; 0 for a remote one.
    pub modified_ns: i64,
    /// What tells a remote object from a later one under the same name.
    pub tag: Option<String>,
}

impl Manifest {
    /// Writes the manifest into `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(MANIFEST_NAME);
        let write = || {
            let mut out = step!("create the manifest", BufWriter::new(File::create(&path)?));
            self.render(&mut out)?;
            step!("write the manifest", out.flush())
        };
        write().map_err(|error: io::Error| Failure::disk(&path, &error))
    }

    /// The manifest as its file holds it.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.render(&mut bytes).map_err(|error| Failure::internal(format!("the manifest: {error}")))?;
        Ok(bytes)
    }

    fn render(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// The job that the folder `dir` is an output of, if it says so.
    pub(crate) fn job_of(dir: &Path) -> Option<JobId> {
        /// What every version of the engine writes.
        #[derive(Deserialize)]
        struct Named {
            job: JobId,
        }
        let (file, metadata) = file::open(&dir.join(MANIFEST_NAME)).ok()?;
        if !metadata.is_file() || metadata.len() > MANIFEST_BYTES_MAX {
            return None;
        }
        serde_json::from_reader::<_, Named>(BufReader::new(file)).ok().map(|named| named.job)
    }
}
