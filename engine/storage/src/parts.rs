//! The files of one attempt: begun one after the other, several at once where a job has named outputs, each
//! under a name of the attempt, so that attempts at the same task never meet. What is not committed removes
//! itself.

use std::fs;
use std::path::{Path, PathBuf};

use mr_model::limit::{TASK_FILES_MAX, table};
use mr_model::{AttemptId, Failure, Role, Stage};
use serde::{Deserialize, Serialize};

use crate::names::{PartNames, attempt_file_at, parse};
use crate::part::{Part, PartWriter};
use crate::remote_output::Upload;
use crate::step::step;

/// Bytes of the main output written and hashed at a time: big enough for the hash to use all of a core's
/// vector width.
const WRITE_BYTES: usize = 512 * 1024;
/// Bytes of a named output written at a time: there may be many of them, of few records each.
const PORT_WRITE_BYTES: usize = 64 * 1024;

/// Begins and ends the files of an attempt. Dropped, it removes them.
#[derive(Debug)]
pub struct PartsWriter {
    pending: PendingParts,
    names: PartNames,
    /// Files begun of each output.
    numbers: Vec<u32>,
    /// Files that are written right now.
    open: usize,
    unwritten_max: u64,
    /// Bytes of ended files that the disk may not have taken yet.
    unwritten: u64,
}

impl PartsWriter {
    /// Writes the parts of an attempt in the staging folder `dir`. There is no file before the first is begun.
    pub fn new(dir: &Path, attempt: AttemptId, names: PartNames) -> Self {
        let pending = PendingParts { dir: dir.to_owned(), attempt, parts: Vec::new(), kept: 0 };
        let numbers = vec![0; names.outputs()];
        Self { pending, names, numbers, open: 0, unwritten_max: u64::MAX, unwritten: 0 }
    }

    /// The same, but with at most about this many bytes, and one write for each file, that the disk has not
    /// taken yet: more make the system hold up everybody on the machine who writes anything.
    #[must_use]
    pub fn with_unwritten_max(mut self, bytes: u64) -> Self {
        self.unwritten_max = bytes;
        self
    }

    /// Begins the next file of the output `port`. The first one of an attempt is the main output's.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the file cannot be created, also if the attempt has one already;
    /// [`Failure::Limit`] if the task has as many files as it may have.
    pub fn begin(&mut self, port: u32) -> Result<PartWriter, Failure> {
        let AttemptId { task, .. } = self.pending.attempt;
        let place = self.pending.parts.len();
        if place >= TASK_FILES_MAX as usize {
            let role = match task.stage {
                Stage::Map => Role::Mapper,
                Stage::Reduce => Role::Reducer,
            };
            return Err(table::TASK_FILES.passed(role, place as u64 + 1, u64::from(TASK_FILES_MAX)));
        }
        let number = self.numbers.get_mut(port as usize).filter(|_| place > 0 || port == 0);
        let number = number.ok_or_else(|| Failure::internal(format!("output {port} cannot be begun")))?;
        let name = self.names.name(task, port, *number);
        let name =
            name.ok_or_else(|| Failure::internal(format!("a second file of output {port} is begun")))?;
        *number += 1;
        let (buffer, share) = match port {
            0 => (WRITE_BYTES, 1),
            _ => (PORT_WRITE_BYTES, self.names.outputs() as u64),
        };
        let writer = PartWriter::create(self.pending.path(place), place, buffer, self.unwritten_max / share)?;
        self.pending.parts.push(Part { name, rows: 0, bytes: 0, blake3: String::new() });
        self.open += 1;
        Ok(writer)
    }

    /// Ends a file that was begun.
    ///
    /// # Errors
    /// [`Failure::Disk`]; the attempt is lost then.
    pub fn end(&mut self, writer: PartWriter) -> Result<(), Failure> {
        let place = writer.place;
        let written = writer.finish(self.unwritten_max.saturating_sub(self.unwritten))?;
        self.unwritten = self.unwritten.saturating_add(written.unwritten);
        self.open = self.open.saturating_sub(1);
        let part = self.pending.parts.get_mut(place);
        let part = part.ok_or_else(|| Failure::internal("a file of another attempt is ended"))?;
        (part.rows, part.bytes, part.blake3) = (written.rows, written.bytes, written.blake3);
        Ok(())
    }

    /// Hands over what was written.
    ///
    /// # Errors
    /// [`Failure::Internal`] if a file was not ended, or there is none.
    pub fn finish(self) -> Result<PendingParts, Failure> {
        if self.open > 0 || self.pending.parts.is_empty() {
            return Err(Failure::internal(format!("{} has no whole output", self.pending.attempt)));
        }
        Ok(self.pending)
    }
}

/// The finished parts of an attempt, in the order in which they were begun. Dropped without a commit they
/// remove their files.
#[derive(Debug)]
pub struct PendingParts {
    dir: PathBuf,
    attempt: AttemptId,
    parts: Vec<Part>,
    /// As many of the files, from the first, are no longer this value's to remove.
    kept: usize,
}

impl PendingParts {
    /// Files of an attempt that are there already, to be removed where they are not handed over.
    pub(crate) fn found(dir: &Path, attempt: AttemptId) -> Self {
        Self { dir: dir.to_owned(), attempt, parts: Vec::new(), kept: 0 }
    }

    /// Takes the next file, which is at its path.
    pub(crate) fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// The attempt that wrote them.
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// What they are once committed.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Records in them.
    pub fn rows(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.rows))
    }

    /// Their length in bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes))
    }

    /// Where the attempt wrote the file that it began as number `place`, from 0.
    pub fn path(&self, place: usize) -> PathBuf {
        self.dir.join(attempt_file_at(self.attempt, place))
    }

    /// The folder in which the attempt wrote them.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves the files where they are, for [`crate::OutputDir::commit_ready`]: from now on only the owner
    /// of the folder removes them.
    pub fn hand_over(mut self) -> ReadyParts {
        self.kept = self.parts.len();
        ReadyParts { attempt: self.attempt, parts: std::mem::take(&mut self.parts), uploads: Vec::new() }
    }

    /// Gives them their final names in the same folder. After an error some may have theirs.
    pub(crate) fn rename(mut self) -> Result<Vec<Part>, Failure> {
        for place in 0..self.parts.len() {
            let (path, name) = (self.path(place), &self.parts[place].name);
            make_folder(&self.dir, name)?;
            let renamed = step!("rename the part", fs::rename(&path, self.dir.join(name)));
            renamed.map_err(|error| Failure::disk(&path, &error))?;
            self.kept = place + 1;
        }
        Ok(std::mem::take(&mut self.parts))
    }
}

impl Drop for PendingParts {
    fn drop(&mut self) {
        for place in self.kept..self.parts.len() {
            // Whatever stays is removed with the staging folder.
            let _ = fs::remove_file(self.path(place));
        }
    }
}

/// Makes the folder of the output that a part is of, if it is a named one.
pub(crate) fn make_folder(dir: &Path, name: &str) -> Result<(), Failure> {
    let Some((folder, _)) = name.split_once('/') else { return Ok(()) };
    let path = dir.join(folder);
    match step!("create an output's folder", fs::create_dir(&path)) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|error| Failure::disk(&path, &error)),
    }
}

/// The finished parts of an attempt as plain data, told by whoever ran it to whoever commits them, in the order in
/// which they were begun. Nothing in it is to be trusted before [`ReadyParts::is_of`] says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyParts {
    /// The attempt that wrote them.
    pub attempt: AttemptId,
    /// What they are once committed.
    pub parts: Vec<Part>,
    /// Where their bytes are, in the same order, if they were uploaded to a store; none of files.
    pub uploads: Vec<Upload>,
}

impl ReadyParts {
    /// Whether an attempt at a job with these names can have made them.
    pub fn is_of(&self, attempt: AttemptId, names: &PartNames) -> bool {
        self.attempt == attempt
            && names.are_of(attempt.task, &self.parts)
            && (self.uploads.is_empty() || self.uploads.len() == self.parts.len())
    }

    /// Whether all names are those of parts of the attempt's task, whatever the job is: no path leads
    /// anywhere else.
    pub fn is_harmless(&self) -> bool {
        let is_of_task = |part: &Part| parse(&part.name).is_some_and(|(_, task)| task == self.attempt.task);
        (1..=TASK_FILES_MAX as usize).contains(&self.parts.len())
            && self.parts.iter().all(is_of_task)
            && (self.uploads.is_empty() || self.uploads.len() == self.parts.len())
    }

    /// Name of the file in the staging folder that the attempt began as number `place`, from 0.
    pub fn file(&self, place: usize) -> String {
        attempt_file_at(self.attempt, place)
    }
}

#[cfg(test)]
mod tests {
    use mr_model::{OutputFormat, OutputSpec, Port, StageTypes, TaskId};

    use super::*;

    fn names(part_bytes_max: Option<u64>) -> PartNames {
        let port = |name: &str| Port { name: name.into(), names: None, types: StageTypes::default() };
        let ports = vec![port("errors"), port("stats")];
        PartNames::of(&OutputSpec { part_bytes_max, ports, ..OutputSpec::of(OutputFormat::Text) })
    }

    fn listed(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn bytes_rows_and_hash_are_of_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let attempt = AttemptId { task: TaskId::reduce(7), attempt: 2 };
        let mut parts = PartsWriter::new(dir.path(), attempt, names(None));
        assert!(parts.begin(1).is_err(), "the main output is the first");
        let mut expected = Vec::new();
        let mut writers = [parts.begin(0).unwrap(), parts.begin(2).unwrap()];
        for length in [1, WRITE_BYTES - 1, 1, 0, WRITE_BYTES, 3 * WRITE_BYTES + 5, 9] {
            let piece: Vec<u8> = (0..length).map(|i| (i % 251).to_le_bytes()[0]).collect();
            expected.extend_from_slice(&piece);
            for writer in &mut writers {
                writer.write(&piece, 2).unwrap();
                assert_eq!(writer.bytes(), expected.len() as u64);
            }
        }
        assert!(parts.begin(2).is_err() && parts.begin(3).is_err());
        writers.into_iter().for_each(|writer| parts.end(writer).unwrap());
        let pending = parts.finish().unwrap();
        assert_eq!((pending.rows(), pending.bytes()), (28, 2 * expected.len() as u64));
        assert_eq!(listed(dir.path()), ["_attempt-r-00007-2", "_attempt-r-00007-2.1"]);
        let committed = pending.rename().unwrap();
        assert_eq!(listed(dir.path()), ["part-r-00007", "stats"]);
        for (part, name) in committed.iter().zip(["part-r-00007", "stats/part-r-00007"]) {
            assert_eq!((part.name.as_str(), part.rows), (name, 14));
            assert_eq!(part.blake3, blake3::hash(&expected).to_hex().as_str());
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_committed_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let attempt = |attempt| AttemptId { task: TaskId::map(0), attempt };
        let mut unfinished = PartsWriter::new(dir.path(), attempt(0), names(Some(9)));
        let open = [unfinished.begin(0).unwrap(), unfinished.begin(0).unwrap(), unfinished.begin(1).unwrap()];
        let mut finished = PartsWriter::new(dir.path(), attempt(1), names(Some(9)));
        let first = finished.begin(0).unwrap();
        finished.end(first).unwrap();
        let finished = finished.finish().unwrap();
        let twice = PartsWriter::new(dir.path(), attempt(1), names(None)).begin(0);
        assert!(twice.is_err(), "attempt numbers are used once");
        assert_eq!(listed(dir.path()).len(), 4);
        assert!(unfinished.finish().is_err(), "files are still open");
        drop((open, finished));
        assert_eq!(listed(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn files_of_a_task_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let attempt = AttemptId { task: TaskId::reduce(0), attempt: 0 };
        let mut parts = PartsWriter::new(dir.path(), attempt, names(Some(1)));
        for _ in 0..TASK_FILES_MAX {
            let writer = parts.begin(0).unwrap();
            parts.end(writer).unwrap();
        }
        let said = parts.begin(0).unwrap_err().to_string();
        assert_eq!(
            said,
            "the reducer went over its limit of output files of a task: 4001, and 4000 are allowed"
        );
    }
}
