//! A folder in the staging folder that is one attempt's alone, for a process that may write nowhere else.
//! What it made there is looked at and moved to where attempts leave it otherwise; the rest goes with the
//! folder. Must not be used while that process runs, nor read what it wrote.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use mr_model::{AttemptId, Failure};
use serde::{Deserialize, Serialize};

use crate::names::{PartNames, attempt_file, attempt_file_at};
use crate::part::Part;
use crate::parts::{PendingParts, ReadyParts};
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

/// What an attempt says of a file that it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPart {
    /// The output that it is of, 0 for the main one.
    pub port: u32,
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

    /// Moves the parts of the attempt to the staging folder; told in the order in which it began them. Their names
    /// follow from the outputs that they are of. That their bytes have the hash that they are said to have is not
    /// checked: whoever reads the output can.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] if no attempt can have made so many files of these outputs, or what lies there
    /// are not files of these lengths, [`Failure::Disk`] if one cannot be moved. None of them is left then.
    pub fn take_parts(&self, told: Vec<ToldPart>, names: &PartNames) -> Result<ReadyParts, Failure> {
        let all = names.all(self.attempt.task, told.iter().map(|told| told.port));
        let all = all.ok_or_else(|| Failure::Corrupt {
            path: self.path.clone(),
            reason: format!("no attempt leaves {} files of these outputs", told.len()),
            map_task: None,
        })?;
        let mut taken = PendingParts::found(&self.staging, self.attempt);
        for ((place, told), name) in told.into_iter().enumerate().zip(all) {
            let ToldPart { rows, bytes, blake3, .. } = told;
            let is_hash = blake3.len() == 64 && blake3.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_it = |metadata: &Metadata| is_hash && metadata.len() == bytes;
            let file = attempt_file_at(self.attempt, place);
            self.take(&file, &format!("it is no part of {bytes} bytes"), is_it)?;
            taken.add(Part { name, rows, bytes, blake3 });
        }
        Ok(taken.hand_over())
    }

    /// Moves the rejects of the attempt to the staging folder; they are counted when they are put together.
    ///
    /// # Errors
    /// As for [`AttemptFolder::take_parts`].
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
    use mr_model::{OutputFormat, OutputSpec, Port, StageTypes, TaskId};

    use super::*;
    use crate::parts::PartsWriter;
    use crate::rejects::{Reject, write_rejects};

    #[test]
    fn only_what_was_told_is_moved() {
        let staging = tempfile::tempdir().unwrap();
        let attempt = AttemptId { task: TaskId::reduce(7), attempt: 2 };
        let folder = AttemptFolder::create(staging.path(), attempt).unwrap();
        let port = Port { name: "errors".into(), names: None, types: StageTypes::default() };
        let names = PartNames::of(&OutputSpec { ports: vec![port], ..OutputSpec::of(OutputFormat::Text) });
        let mut writer = PartsWriter::new(folder.path(), attempt, names.clone());
        for port in [0, 1] {
            let mut part = writer.begin(port).unwrap();
            part.write(b"a\t1\n", 1).unwrap();
            writer.end(part).unwrap();
        }
        let made = std::mem::ManuallyDrop::new(writer.finish().unwrap());
        let told: Vec<ToldPart> = (0..2)
            .map(|port| ToldPart { port, rows: 1, bytes: 4, blake3: made.parts()[0].blake3.clone() })
            .collect();
        let at = |name: &str| staging.path().join(name);
        let refused = |told: Vec<ToldPart>| {
            let refused = folder.take_parts(told, &names).unwrap_err();
            assert!(matches!(refused, Failure::Corrupt { .. }), "{refused}");
            assert!(!at("_attempt-r-00007-2").exists() && !at("_attempt-r-00007-2.1").exists());
        };
        let [main, error] = [&told[0], &told[1]];
        refused(vec![]);
        refused(vec![error.clone()]);
        refused(vec![main.clone(), main.clone()]);
        refused(vec![main.clone(), ToldPart { port: 2, ..error.clone() }]);
        refused(vec![ToldPart { bytes: 5, ..main.clone() }]);
        refused(vec![ToldPart { blake3: "no hash".into(), ..main.clone() }]);
        let place = folder.path().join("_attempt-r-00007-2");
        fs::hard_link(&place, folder.path().join("other")).unwrap();
        refused(told.clone());
        fs::remove_file(folder.path().join("other")).unwrap();
        let ready = folder.take_parts(told.clone(), &names).unwrap();
        assert!(ready.is_of(attempt, &names));
        assert_eq!(ready.parts[1].name, "errors/part-r-00007");
        for place in [0, 1] {
            assert_eq!(fs::read(at(&ready.file(place))).unwrap(), b"a\t1\n");
            fs::remove_file(at(&ready.file(place))).unwrap();
        }
        refused(told.clone());
        // What was moved before something is refused goes, too.
        fs::write(&place, b"a\t1\n").unwrap();
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
