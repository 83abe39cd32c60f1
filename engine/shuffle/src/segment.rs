//! A segment as plain data: one partition of one run file, wherever its bytes lie now. A run file is
//! used in place, or a copy of its partition lies anywhere in any file; the block checksums stay bound
//! to where the blocks lay first. Must not trust what it is told: another machine may have told it.

use std::path::PathBuf;

use mr_model::{Failure, TaskId, path_serde};
use serde::{Deserialize, Serialize};

use crate::run::{Codec, IndexEntry, RunId, corrupt};

/// One partition of one run file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSegment {
    /// The file that holds its bytes now.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// Where they begin in it; `entry.offset` in the run file itself.
    pub at: u64,
    /// The run.
    pub id: RunId,
    /// How its blocks are stored.
    pub codec: Codec,
    /// The partition's entry in the index of the run file.
    pub entry: IndexEntry,
}

impl StoredSegment {
    /// The task that emitted its records.
    pub fn task(&self) -> TaskId {
        self.id.attempt.task
    }

    /// Refuses places that no file has.
    pub(crate) fn check_place(&self) -> Result<(), Failure> {
        let ends = [self.at, self.entry.offset].map(|begin| begin.checked_add(self.entry.length));
        if ends.iter().all(Option::is_some) {
            return Ok(());
        }
        Err(corrupt(&self.path, &self.id, "its place is past the end of any file"))
    }
}
