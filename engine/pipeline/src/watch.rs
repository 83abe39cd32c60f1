//! Runs of new files, each file exactly once. Run `n` puts its output into `run-000001` and so on of one
//! folder; the files that it read are those that its manifest lists. What a manifest lists is done, and
//! nothing else is: so no crash loses a file, and none has it read twice.
//!
//! Before a run begins its files are written down in `.run-000001.json` (the *intent*). That decides nothing
//! here; on a cluster, where a job goes on without whoever submitted it, the next life asks for the same
//! job again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mr_model::path_serde;
use mr_storage::InputFile;
use serde::{Deserialize, Serialize};

/// Time between two looks at a folder that is watched.
pub const WATCH_POLL: Duration = Duration::from_secs(1);
/// A file that was changed less than this ago may still be written to, and is left for later.
pub const SETTLE_DEFAULT: Duration = Duration::from_secs(5);
/// Digits of the number of a run.
const DIGITS: usize = 6;
/// Largest manifest or intent that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;
const MANIFEST: &str = "_manifest.json";
/// File that is locked while somebody counts runs in a folder.
const LOCK: &str = ".watch-lock";

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileMark {
    /// Its path, as the run named it.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// Its length, in bytes.
    pub bytes: u64,
    /// When it was changed last, in nanoseconds since 1970; 0 for a remote one.
    pub modified_ns: i64,
    /// What tells a remote one from a later one under the same name.
    #[serde(default)]
    pub tag: Option<String>,
}

/// A run that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Its number, from 1.
    pub number: u32,
    /// Name of its job.
    pub job: String,
    /// What it reads, in order.
    pub files: Vec<FileMark>,
}

/// How it is known which runs were committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// By the manifests of the outputs, which are in the folder.
    Outputs,
    /// By notes in the folder: for runs that may be done again to the same effect.
    Notes,
}

/// The runs in a folder.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    committed: Committed,
    done: HashSet<FileMark>,
    last: u32,
    pending: Option<Intent>,
    _lock: File,
}

/// The folder of runs cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct WatchError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl Intent {
    /// Its name: `run-000001`.
    pub fn name(&self) -> String {
        name(self.number)
    }
}

impl From<&InputFile> for FileMark {
    fn from(file: &InputFile) -> Self {
        Self {
            path: file.path.clone(),
            bytes: file.bytes,
            modified_ns: file.modified_ns,
            tag: file.tag.clone(),
        }
    }
}

impl Watch {
    /// Takes up the runs in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Another process is at it, the system refuses, or a manifest cannot be understood.
    pub fn open(folder: &Path, committed: Committed) -> Result<Self, WatchError> {
        fs::create_dir_all(folder).map_err(|error| fault(folder, &error))?;
        let path = folder.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| fault(&path, &error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => fault(&path, &"another process watches for new files, too"),
            fs::TryLockError::Error(error) => fault(&path, &error),
        })?;
        let mut watch = Self {
            folder: folder.to_owned(),
            committed,
            done: HashSet::new(),
            last: 0,
            pending: None,
            _lock: lock,
        };
        let mut intents = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| fault(folder, &error))? {
            let name = entry.map_err(|error| fault(folder, &error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_intent = name.starts_with('.');
            let Some(number) = number_of(name.trim_start_matches('.').trim_end_matches(".json")) else {
                continue;
            };
            if is_intent {
                intents.push(number);
            } else {
                watch.last = watch.last.max(number);
                watch.add_done(number)?;
            }
        }
        for number in intents {
            let path = watch.intent_path(number);
            if number <= watch.last {
                let _ = fs::remove_file(path);
            } else if let Ok(intent) = read::<Intent>(&path) {
                // One that was cut short was never begun.
                watch.pending = Some(intent).filter(|intent| intent.number == number);
            }
        }
        Ok(watch)
    }

    /// A run that was begun, and of which it is not known that it was committed.
    pub fn pending(&self) -> Option<&Intent> {
        self.pending.as_ref()
    }

    /// Gives a run up that was begun.
    pub fn forget(&mut self) {
        if let Some(intent) = self.pending.take() {
            let _ = fs::remove_file(self.intent_path(intent.number));
        }
    }

    /// Whether all files of a run are as they were, as far as these tell.
    pub fn is_unchanged(intent: &Intent, listed: &[InputFile]) -> bool {
        let listed: HashSet<FileMark> = listed.iter().map(FileMark::from).collect();
        intent.files.iter().all(|file| listed.contains(file))
    }

    /// The files that are new, or changed since they were read. `now_ns` is the time in nanoseconds since
    /// 1970; what was changed less than `settle` ago is left out.
    pub fn fresh(&self, listed: &[InputFile], now_ns: i64, settle: Duration) -> Vec<FileMark> {
        let settle = u128::from(u64::try_from(settle.as_nanos()).unwrap_or(u64::MAX));
        // A time that lies ahead is that of a machine with another clock.
        let settled = |file: &&InputFile| u128::from(now_ns.abs_diff(file.modified_ns)) >= settle;
        let marks = listed.iter().filter(settled).map(FileMark::from);
        marks.filter(|mark| !self.done.contains(mark)).collect()
    }

    /// Writes down what the next run reads. `job` names it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn intend(&mut self, job: String, files: Vec<FileMark>) -> Result<Intent, WatchError> {
        let intent = Intent { number: self.last + 1, job, files };
        let path = self.intent_path(intent.number);
        let fresh = path.with_extension("new");
        let text = serde_json::to_vec(&intent).map_err(|error| fault(&path, &error))?;
        fs::write(&fresh, text).map_err(|error| fault(&fresh, &error))?;
        fs::rename(&fresh, &path).map_err(|error| fault(&path, &error))?;
        self.pending = Some(intent.clone());
        Ok(intent)
    }

    /// The run has ended well: what it read is done.
    ///
    /// # Errors
    /// The system refuses, or there is no output that says so.
    pub fn commit(&mut self, intent: &Intent) -> Result<(), WatchError> {
        let path = self.intent_path(intent.number);
        if self.committed == Committed::Notes {
            let note = self.folder.join(format!("{}.json", intent.name()));
            fs::rename(&path, &note).map_err(|error| fault(&note, &error))?;
        }
        self.add_done(intent.number)?;
        self.last = self.last.max(intent.number);
        self.pending = None;
        let _ = fs::remove_file(path);
        Ok(())
    }

    fn add_done(&mut self, number: u32) -> Result<(), WatchError> {
        #[derive(Deserialize)]
        struct Manifest {
            files: Vec<FileMark>,
        }
        let files = match self.committed {
            Committed::Outputs => read::<Manifest>(&self.folder.join(name(number)).join(MANIFEST))?.files,
            Committed::Notes => read::<Intent>(&self.folder.join(format!("{}.json", name(number))))?.files,
        };
        self.done.extend(files);
        Ok(())
    }

    fn intent_path(&self, number: u32) -> PathBuf {
        self.folder.join(format!(".{}.json", name(number)))
    }
}

/// The name of the run behind all that are in a folder, whatever they were.
///
/// # Errors
/// The system refuses.
pub fn next_run(folder: &Path) -> Result<String, WatchError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name(1)),
        entries => entries.map_err(|error| fault(folder, &error))?,
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let last = names.filter_map(|name| number_of(name.to_str()?)).max();
    Ok(name(last.unwrap_or(0) + 1))
}

fn name(number: u32) -> String {
    format!("run-{number:0DIGITS$}")
}

fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("run-")?;
    let is_number = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, WatchError> {
    let file = File::open(path).map_err(|error| fault(path, &error))?;
    serde_json::from_reader(BufReader::new(file.take(MANIFEST_BYTES_MAX)))
        .map_err(|error| fault(path, &error))
}

fn fault(path: &Path, error: &dyn std::fmt::Display) -> WatchError {
    WatchError { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn file(name: &str, modified: i64) -> InputFile {
        InputFile { path: name.into(), bytes: 1, modified_ns: modified * SECOND, tag: None }
    }

    fn paths(marks: &[FileMark]) -> Vec<&str> {
        marks.iter().map(|mark| mark.path.to_str().unwrap()).collect()
    }

    /// Publishes an output that read these files.
    fn publish(folder: &Path, intent: &Intent) {
        let output = folder.join(intent.name());
        fs::create_dir(&output).unwrap();
        let manifest = serde_json::json!({ "job": intent.job, "files": intent.files });
        fs::write(output.join(MANIFEST), manifest.to_string()).unwrap();
    }

    /// A crash at any step loses nothing and repeats nothing.
    #[test]
    fn every_file_is_read_exactly_once() {
        let dir = tempfile::tempdir().unwrap();
        let listed = [file("a", 1), file("b", 2), file("c", 98)];
        let settle = Duration::from_secs(5);
        let open = || Watch::open(dir.path(), Committed::Outputs).unwrap();
        let mut watch = open();
        let fresh = watch.fresh(&listed, 100 * SECOND, settle);
        assert_eq!(paths(&fresh), ["a", "b"], "c may still grow");
        let intent = watch.intend("job".into(), fresh).unwrap();
        assert_eq!(intent.name(), "run-000001");
        // Died before it was published.
        drop(watch);
        let watch = open();
        let other = Watch::open(dir.path(), Committed::Outputs).unwrap_err().to_string();
        assert!(other.ends_with(".watch-lock: another process watches for new files, too"), "{other}");
        assert_eq!(watch.pending(), Some(&intent));
        assert!(Watch::is_unchanged(&intent, &listed));
        assert!(!Watch::is_unchanged(&intent, &[file("a", 1), file("b", 3)]));
        assert_eq!(paths(&watch.fresh(&listed, 100 * SECOND, settle)), ["a", "b"]);
        // Died when it was published, before anybody said so.
        publish(dir.path(), &intent);
        drop(watch);
        let mut watch = open();
        assert_eq!(watch.pending(), None);
        let changed = [file("a", 1), file("b", 3), file("c", 98)];
        let fresh = watch.fresh(&changed, 103 * SECOND, settle);
        assert_eq!(paths(&fresh), ["b", "c"]);
        let intent = watch.intend("job-2".into(), fresh).unwrap();
        publish(dir.path(), &intent);
        watch.commit(&intent).unwrap();
        assert_eq!(watch.fresh(&changed, 200 * SECOND, settle), []);
        drop(watch);
        assert_eq!(open().fresh(&changed, 200 * SECOND, settle), []);
    }

    #[test]
    fn notes_stand_for_runs_without_one_output() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::open(dir.path(), Committed::Notes).unwrap();
        let fresh = watch.fresh(&[file("a", 1)], 100 * SECOND, Duration::ZERO);
        let intent = watch.intend("job".into(), fresh).unwrap();
        watch.commit(&intent).unwrap();
        drop(watch);
        assert_eq!(next_run(dir.path()).unwrap(), "run-000001", "notes are no outputs");
        fs::create_dir(dir.path().join("run-000041")).unwrap();
        assert_eq!(next_run(dir.path()).unwrap(), "run-000042");
        fs::remove_dir(dir.path().join("run-000041")).unwrap();
        let mut watch = Watch::open(dir.path(), Committed::Notes).unwrap();
        assert_eq!(watch.fresh(&[file("a", 1)], 100 * SECOND, Duration::ZERO), []);
        let intent = watch.intend("job".into(), Vec::new()).unwrap();
        assert_eq!(intent.number, 2);
        watch.forget();
        drop(watch);
        assert_eq!(Watch::open(dir.path(), Committed::Notes).unwrap().pending(), None);
    }
}
