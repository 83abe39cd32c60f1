//! A folder in the staging folder that is one attempt's alone, for a process that may write nowhere else.
//! What it made there is looked at and moved to where attempts leave it otherwise; the rest goes with the
//! folder. Must not be used while that process runs, nor read what it wrote.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use mr_model::{AttemptId, Failure};

use crate::part::{Part, ReadyPart, attempt_file, part_name};
use crate::rejects;

/// Ends the names of these folders; they begin as the names of attempts' files.
const SUFFIX: &str = ".folder";

/// A folder of an attempt; it goes, with all that is in it, when this is dropped.
#[derive(Debug)]
pub struct AttemptFolder {
    staging: PathBuf,
    attempt: AttemptId,
    path: PathBuf,
}

/// What an attempt says of the part that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPart {
    /// Records in it.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// Bytes of what an attempt has written in `staging` so far: its files there, and those in its folder. What
/// cannot be looked at, and what goes away meanwhile, is nothing.
pub fn attempt_bytes(staging: &Path, attempt: AttemptId) -> u64 {
    let own = attempt_file(attempt);
    let is_own = |name: &str| {
        name.strip_prefix(&own).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
    };
    let sizes = |dir: &Path, wanted: &dyn Fn(&str) -> bool| -> Vec<(PathBuf, Metadata)> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let wanted = entries.filter(|entry| wanted(&entry.file_name().to_string_lossy()));
        wanted.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))).collect()
    };
    let mut bytes = 0_u64;
    for (path, metadata) in sizes(staging, &is_own) {
        let here = match metadata.is_dir() {
            true => sizes(&path, &|_| true).iter().map(|(_, metadata)| metadata.len()).sum(),
            false => metadata.len(),
        };
        bytes = bytes.saturating_add(here);
    }
    bytes
}

impl AttemptFolder {
    /// Makes the folder of an attempt in `staging`.
    ///
    /// # Errors
    /// [`Failure::Disk`] if it cannot be made, also if it is there already.
    pub fn create(staging: &Path, attempt: AttemptId) -> Result<Self, Failure> {
        let path = staging.join(attempt_file(attempt) + SUFFIX);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| Failure::disk(&path, &error))?;
        Ok(Self { staging: staging.to_owned(), attempt, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the part of the attempt to the staging folder. That its bytes have the hash that it is said
    /// to have is not checked: whoever reads the output can.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] if what lies there is not a file of that length, [`Failure::Disk`] if it
    /// cannot be moved.
    pub fn take_part(&self, told: ToldPart) -> Result<ReadyPart, Failure> {
        let ToldPart { rows, bytes, blake3 } = told;
        let file = attempt_file(self.attempt);
        let is_hash = blake3.len() == 64 && blake3.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_it = |metadata: &Metadata| is_hash && metadata.len() == bytes;
        self.take(&file, &format!("it is no part of {bytes} bytes"), is_it)?;
        let task = self.attempt.task;
        let part = Part { name: part_name(task.stage, task.index), rows, bytes, blake3 };
        Ok(ReadyPart { file, index: task.index, part })
    }

    /// Moves the rejects of the attempt to the staging folder; they are counted when they are put together.
    ///
    /// # Errors
    /// As for [`AttemptFolder::take_part`].
    pub fn take_rejects(&self) -> Result<(), Failure> {
        self.take(&rejects::file_name(self.attempt), "there are no rejects in it", |_| true)
    }

    fn take(&self, name: &str, wrong: &str, is_it: impl Fn(&Metadata) -> bool) -> Result<(), Failure> {
        let path = self.path.join(name);
        let refused =
            |reason: &str| Failure::Corrupt { path: path.clone(), reason: reason.to_owned(), map_task: None };
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refused(wrong)),
            Err(error) => return Err(Failure::disk(&path, &error)),
        };
        if !metadata.is_file() || metadata.nlink() != 1 || !is_it(&metadata) {
            return Err(refused(wrong));
        }
        fs::rename(&path, self.staging.join(name)).map_err(|error| Failure::disk(&path, &error))
    }
}

impl Drop for AttemptFolder {
    fn drop(&mut self) {
        // Whatever stays is removed with the staging folder.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use mr_model::{Stage, TaskId};

    use super::*;
    use crate::part::PartWriter;
    use crate::rejects::{Reject, write_rejects};

    #[test]
    fn only_what_was_told_is_moved() {
        let staging = tempfile::tempdir().unwrap();
        let attempt = AttemptId { task: TaskId::reduce(7), attempt: 2 };
        let folder = AttemptFolder::create(staging.path(), attempt).unwrap();
        let mut writer = PartWriter::create(folder.path(), Stage::Reduce, 7, 2).unwrap();
        writer.write(b"a\t1\n", 1).unwrap();
        let made = std::mem::ManuallyDrop::new(writer.finish().unwrap());
        let told = ToldPart { rows: 1, bytes: 4, blake3: made.blake3().to_owned() };
        let refused = |told: ToldPart| {
            let refused = folder.take_part(told).unwrap_err();
            assert!(matches!(refused, Failure::Corrupt { .. }), "{refused}");
        };
        refused(ToldPart { bytes: 5, ..told.clone() });
        refused(ToldPart { blake3: "no hash".into(), ..told.clone() });
        let place = folder.path().join("_attempt-r-00007-2");
        fs::hard_link(&place, folder.path().join("other")).unwrap();
        refused(told.clone());
        fs::remove_file(folder.path().join("other")).unwrap();
        let ready = folder.take_part(told.clone()).unwrap();
        assert_eq!(ready.attempt(), Some(attempt));
        assert_eq!(fs::read(staging.path().join(&ready.file)).unwrap(), b"a\t1\n");
        refused(told);
        assert!(folder.take_rejects().is_err());
        let reject = Reject { place: None, reason: "no", sample: b"x" };
        write_rejects(folder.path(), attempt, [reject]).unwrap();
        folder.take_rejects().unwrap();
        assert!(staging.path().join("_attempt-r-00007-2.rejects").exists());
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("_attempt-r-00007-2.rejects")).unwrap();
        assert!(folder.take_rejects().is_err());
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
