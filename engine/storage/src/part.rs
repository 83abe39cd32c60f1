//! Part files while they are written: one file for each attempt, under a name of its own, so that
//! attempts at the same task never meet. What is not committed removes itself.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mr_model::{AttemptId, Failure, Stage, TaskId};
use serde::{Deserialize, Serialize};

use crate::step::step;

/// Bytes written and hashed at a time: big enough for the hash to use all of a core's vector width.
const WRITE_BYTES: usize = 512 * 1024;
/// Names of files of attempts begin like this; the underscore hides them from jobs that read the
/// folder.
pub(crate) const ATTEMPT_PREFIX: &str = "_attempt-";

/// A committed part of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// File name in the output, for example `part-r-00000`.
    pub name: String,
    /// Records in it.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// Writes the output of one attempt.
#[derive(Debug)]
pub struct PartWriter {
    file: File,
    pending: PendingPart,
    buffer: Vec<u8>,
    hasher: blake3::Hasher,
    /// Bytes that may be on their way to the disk, and those that are.
    unwritten_max: u64,
    unwritten: u64,
}

impl PartWriter {
    /// Begins the part of an attempt in the staging folder `dir`. `index` is the partition of a
    /// reduce task, the split of a map task.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the file cannot be created, also if the attempt has one already.
    pub fn create(dir: &Path, stage: Stage, index: u32, attempt: u32) -> Result<Self, Failure> {
        let path = dir.join(attempt_file(AttemptId { task: TaskId { stage, index }, attempt }));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path);
        let file = file.map_err(|error| Failure::disk(&path, &error))?;
        let part = Part { name: part_name(stage, index), rows: 0, bytes: 0, blake3: String::new() };
        let pending = PendingPart { path, index, part, kept: false };
        let buffer = Vec::with_capacity(WRITE_BYTES);
        let (hasher, unwritten_max, unwritten) = (blake3::Hasher::new(), u64::MAX, 0);
        Ok(Self { file, pending, buffer, hasher, unwritten_max, unwritten })
    }

    /// The same, but with at most this many bytes, and one write, that the disk has not taken yet: more make
    /// the system hold up everybody on the machine who writes anything.
    #[must_use]
    pub fn with_unwritten_max(mut self, bytes: u64) -> Self {
        self.unwritten_max = bytes;
        self
    }

    /// Appends `rows` encoded records.
    ///
    /// # Errors
    /// [`Failure::Disk`]; the attempt is lost then.
    pub fn write(&mut self, encoded: &[u8], rows: u64) -> Result<(), Failure> {
        self.pending.part.rows += rows;
        if self.buffer.len() + encoded.len() > WRITE_BYTES {
            self.flush()?;
        }
        if encoded.len() >= WRITE_BYTES {
            return self.put(encoded);
        }
        self.buffer.extend_from_slice(encoded);
        Ok(())
    }

    /// Ends the part. Its bytes are with the operating system then, not yet safe from a power cut.
    ///
    /// # Errors
    /// [`Failure::Disk`]; the attempt is lost then.
    pub fn finish(mut self) -> Result<PendingPart, Failure> {
        self.flush()?;
        self.pending.part.blake3 = self.hasher.finalize().to_hex().to_string();
        Ok(self.pending)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let buffer = std::mem::take(&mut self.buffer);
        let put = self.put(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        put
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.hasher.update(bytes);
        self.pending.part.bytes += bytes.len() as u64;
        self.unwritten = self.unwritten.saturating_add(bytes.len() as u64);
        let mut written = self.file.write_all(bytes);
        if self.unwritten > self.unwritten_max {
            written = written.and_then(|()| self.file.sync_data());
            self.unwritten = 0;
        }
        written.map_err(|error| Failure::disk(&self.pending.path, &error))
    }
}

/// The finished part of an attempt. Dropped without a commit it removes its file.
#[derive(Debug)]
pub struct PendingPart {
    path: PathBuf,
    index: u32,
    part: Part,
    /// The file is no longer at `path` or no longer this value's to remove.
    kept: bool,
}

impl PendingPart {
    /// Records in it.
    pub fn rows(&self) -> u64 {
        self.part.rows
    }

    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.part.bytes
    }

    /// BLAKE3 of its bytes, in hex.
    pub fn blake3(&self) -> &str {
        &self.part.blake3
    }

    /// Where the attempt wrote it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Partition or split.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// What it is once committed.
    pub(crate) fn part(&self) -> &Part {
        &self.part
    }

    /// Leaves the file where it is, for [`crate::OutputDir::commit_ready`]: from now on only the owner
    /// of the folder removes it.
    pub fn hand_over(mut self) -> ReadyPart {
        self.kept = true;
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ReadyPart { file, index: self.index, part: self.part.clone() }
    }

    /// Gives it its final name in the same folder.
    pub(crate) fn rename(mut self) -> Result<Part, Failure> {
        let named = self.path.with_file_name(&self.part.name);
        let renamed = step!("rename the part", fs::rename(&self.path, &named));
        renamed.map_err(|error| Failure::disk(&self.path, &error))?;
        self.kept = true;
        Ok(self.part.clone())
    }
}

impl Drop for PendingPart {
    fn drop(&mut self) {
        if !self.kept {
            // Whatever stays is removed with the staging folder.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The finished part of an attempt as plain data, told by whoever ran it to whoever commits it. Nothing
/// in it is to be trusted before [`ReadyPart::attempt`] has an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPart {
    /// Name of the attempt's file in the staging folder.
    pub file: String,
    /// Partition of a reduce task, split of a map task.
    pub index: u32,
    /// What it is once committed.
    pub part: Part,
}

impl ReadyPart {
    /// The attempt that wrote it; none if the file is not named as that attempt's, or the part not as
    /// its task's.
    pub fn attempt(&self) -> Option<AttemptId> {
        let numbers = self.file.strip_prefix(ATTEMPT_PREFIX)?;
        let (stage, rest) = [Stage::Map, Stage::Reduce]
            .into_iter()
            .find_map(|stage| numbers.strip_prefix(stage_letter(stage)).map(|rest| (stage, rest)))?;
        let attempt = rest.rsplit_once('-')?.1.parse().ok()?;
        let attempt = AttemptId { task: TaskId { stage, index: self.index }, attempt };
        let named = attempt_file(attempt) == self.file && part_name(stage, self.index) == self.part.name;
        named.then_some(attempt)
    }
}

/// Name of the file of an attempt; other files of the attempt begin with it.
pub(crate) fn attempt_file(AttemptId { task, attempt }: AttemptId) -> String {
    format!("{ATTEMPT_PREFIX}{}-{:05}-{attempt}", stage_letter(task.stage), task.index)
}

/// Whether `name` is that of a part.
pub(crate) fn is_part_name(name: &str) -> bool {
    [Stage::Map, Stage::Reduce].into_iter().any(|stage| {
        let index = name.rsplit_once('-').and_then(|(_, index)| index.parse().ok());
        index.is_some_and(|index| part_name(stage, index) == name)
    })
}

fn stage_letter(stage: Stage) -> char {
    match stage {
        Stage::Map => 'm',
        Stage::Reduce => 'r',
    }
}

pub(crate) fn part_name(stage: Stage, index: u32) -> String {
    format!("part-{}-{index:05}", stage_letter(stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_rows_and_hash_are_of_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = PartWriter::create(dir.path(), Stage::Reduce, 7, 2).unwrap();
        let mut expected = Vec::new();
        for length in [1, WRITE_BYTES - 1, 1, 0, WRITE_BYTES, 3 * WRITE_BYTES + 5, 9] {
            let piece: Vec<u8> = (0..length).map(|i| (i % 251).to_le_bytes()[0]).collect();
            writer.write(&piece, 2).unwrap();
            expected.extend_from_slice(&piece);
        }
        let pending = writer.finish().unwrap();
        assert_eq!((pending.rows(), pending.bytes()), (14, expected.len() as u64));
        assert_eq!(pending.blake3(), blake3::hash(&expected).to_hex().as_str());
        assert_eq!(fs::read(pending.path()).unwrap(), expected);
        let part = pending.rename().unwrap();
        assert_eq!(part.name, "part-r-00007");
        assert_eq!(fs::read(dir.path().join(part.name)).unwrap(), expected);
    }

    #[test]
    fn what_is_not_committed_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let count = || fs::read_dir(dir.path()).unwrap().count();
        let unfinished = PartWriter::create(dir.path(), Stage::Map, 0, 0).unwrap();
        let finished = PartWriter::create(dir.path(), Stage::Map, 0, 1).unwrap().finish().unwrap();
        assert!(PartWriter::create(dir.path(), Stage::Map, 0, 1).is_err(), "attempt numbers are used once");
        assert_eq!(count(), 2);
        drop((unfinished, finished));
        assert_eq!(count(), 0);
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let mut writer = PartWriter {
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            pending: PendingPart {
                path: "/dev/full".into(),
                index: 0,
                part: Part { name: "p".into(), rows: 0, bytes: 0, blake3: String::new() },
                kept: true,
            },
            buffer: Vec::new(),
            hasher: blake3::Hasher::new(),
            unwritten_max: u64::MAX,
            unwritten: 0,
        };
        writer.write(b"x", 1).unwrap();
        assert!(matches!(writer.finish(), Err(Failure::Disk { full: true, .. })));
    }
}
