//! What runs before made, kept beside the output between stages: one JSON object a line, in
//! `ledger.jsonl` of the pipeline's work folder. A line that a crash cut short says nothing. A lock keeps
//! two runs of one pipeline apart.
//!
//! A stage that began and of which no end is written down may still have published its output: then
//! the output's own manifest names the job, and counts.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use mr_model::{Counters, is_address, path_serde};
use serde::{Deserialize, Serialize};

/// Largest ledger that is read, in bytes: tens of thousands of rounds.
const LEDGER_BYTES_MAX: u64 = 256 << 20;
/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
const LEDGER: &str = "ledger.jsonl";
const LOCK: &str = "lock";
const MANIFEST: &str = "_manifest.json";
const SUCCESS: &str = "_SUCCESS";

/// A part of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFact {
    /// Its file.
    pub name: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// What a stage made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its parts, in order.
    pub parts: Vec<PartFact>,
    /// What its plugins counted.
    pub counters: Counters,
}

/// A stage that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Where the output was put.
    #[serde(with = "path_serde")]
    pub folder: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub made: Made,
}

/// Why the work folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process runs the pipeline.
    #[error("another run of this pipeline is under way (it has {} locked); wait for its end", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}: {reason}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        reason: io::Error,
    },
}

/// What is read of an output's manifest.
#[derive(Deserialize)]
pub(crate) struct Manifest {
    job: String,
    #[serde(flatten)]
    pub made: Made,
}

impl Manifest {
    /// That of the output in a folder, if there is one.
    pub fn read(folder: &Path) -> Option<Self> {
        let file = File::open(folder.join(MANIFEST)).ok()?;
        serde_json::from_reader(BufReader::new(file.take(MANIFEST_BYTES_MAX))).ok()
    }

    /// A manifest that was read elsewhere.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What a stage left that was begun as `job`, if it published this output in `place`.
    pub fn of_job(&self, job: &str, place: &Path) -> Option<Made> {
        (self.job == job && (is_address(place) || self.made.is_in(place))).then(|| self.made.clone())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    Started {
        key: String,
        job: String,
    },
    Finished {
        key: String,
        #[serde(flatten)]
        entry: Entry,
    },
    Failed {
        key: String,
    },
}

/// The ledger of one pipeline, locked as long as this lives.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    /// None where nothing is to be written.
    file: Option<File>,
    started: HashMap<String, String>,
    entries: HashMap<String, Entry>,
    used: HashSet<String>,
    _lock: Option<File>,
}

impl Made {
    /// Stands for all of its bytes.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in &self.parts {
            hasher.update(part.name.as_bytes()).update(&[0]);
            hasher.update(&part.bytes.to_le_bytes()).update(part.blake3.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Whether all of it is in a folder, as far as lengths tell.
    pub fn is_in(&self, folder: &Path) -> bool {
        let is_there = |part: &PartFact| {
            fs::metadata(folder.join(&part.name)).is_ok_and(|file| file.is_file() && file.len() == part.bytes)
        };
        folder.join(SUCCESS).is_file() && self.parts.iter().all(is_there)
    }
}

impl Ledger {
    /// Opens the ledger in a work folder, which is made where it is missing.
    ///
    /// # Errors
    /// Another process has it, or the system refuses.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |reason: io::Error| LedgerError::Disk { path, reason }
        };
        fs::create_dir_all(folder).map_err(disk(folder))?;
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(&path).map_err(disk(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LedgerError::Busy { path }),
            Err(fs::TryLockError::Error(error)) => return Err(disk(&path)(error)),
        }
        let path = folder.join(LEDGER);
        let file =
            OpenOptions::new().create(true).append(true).read(true).open(&path).map_err(disk(&path))?;
        let mut ledger = Self { file: Some(file), _lock: Some(lock), ..Self::empty(folder) };
        ledger.read(&path).map_err(disk(&path))?;
        Ok(ledger)
    }

    /// Reads the ledger in a work folder, which need not be there, and changes nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn peek(folder: &Path) -> Result<Self, LedgerError> {
        let (path, mut ledger) = (folder.join(LEDGER), Self::empty(folder));
        match ledger.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => read.map_err(|reason| LedgerError::Disk { path, reason })?,
        }
        Ok(ledger)
    }

    fn empty(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
            started: HashMap::new(),
            entries: HashMap::new(),
            used: HashSet::new(),
            _lock: None,
        }
    }

    /// The work folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the stage of this key made, into whatever folder.
    pub(crate) fn entry(&mut self, key: &str) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        self.used.insert(key.to_owned());
        Some(entry)
    }

    /// Whether what is in a place, and says `there` of itself, was put there by a stage of this pipeline.
    pub(crate) fn is_own(&self, place: &Path, there: Option<&Manifest>) -> bool {
        self.entries.values().any(|entry| entry.folder == place)
            || there.is_some_and(|there| self.started.values().any(|job| *job == there.job))
    }

    /// The job that the stage of this key was begun as, if its end is not known.
    pub(crate) fn started(&self, key: &str) -> Option<&str> {
        self.started.get(key).map(String::as_str)
    }

    pub(crate) fn note_started(&mut self, key: &str, job: &str) -> Result<(), LedgerError> {
        self.started.insert(key.to_owned(), job.to_owned());
        self.append(&Line::Started { key: key.to_owned(), job: job.to_owned() })
    }

    pub(crate) fn note_finished(&mut self, key: &str, entry: Entry) -> Result<(), LedgerError> {
        self.started.remove(key);
        self.used.insert(key.to_owned());
        self.entries.insert(key.to_owned(), entry.clone());
        self.append(&Line::Finished { key: key.to_owned(), entry })
    }

    pub(crate) fn note_failed(&mut self, key: &str) -> Result<(), LedgerError> {
        self.started.remove(key);
        self.append(&Line::Failed { key: key.to_owned() })
    }

    /// Forgets what this run had no use for, and what `keep` does not want kept of the data.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn tidy(&mut self, keep: bool) -> Result<(), LedgerError> {
        let disk = |path: PathBuf| move |reason| LedgerError::Disk { path, reason };
        if !keep {
            let data = self.folder.join("data");
            match fs::remove_dir_all(&data) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(disk(data))?,
            }
        }
        self.entries.retain(|key, _| self.used.contains(key));
        let (path, fresh) = (self.folder.join(LEDGER), self.folder.join("ledger.new"));
        let mut text = Vec::new();
        for (key, entry) in &self.entries {
            push(&mut text, &Line::Finished { key: key.clone(), entry: entry.clone() });
        }
        fs::write(&fresh, text).map_err(disk(fresh.clone()))?;
        fs::rename(&fresh, &path).map_err(disk(path.clone()))?;
        self.file = Some(OpenOptions::new().append(true).read(true).open(&path).map_err(disk(path))?);
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), LedgerError> {
        let mut text = Vec::new();
        push(&mut text, line);
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&text).map_err(|reason| LedgerError::Disk { path: self.folder.join(LEDGER), reason })
    }

    fn read(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BufReader::new(File::open(path)?.take(LEDGER_BYTES_MAX));
        let mut text = Vec::new();
        let mut is_whole = true;
        while lines.read_until(b'\n', &mut text)? > 0 {
            is_whole = text.ends_with(b"\n");
            match serde_json::from_slice(&text) {
                Ok(Line::Started { key, job }) => drop(self.started.insert(key, job)),
                Ok(Line::Finished { key, entry }) => {
                    self.started.remove(&key);
                    self.entries.insert(key, entry);
                }
                Ok(Line::Failed { key }) => drop(self.started.remove(&key)),
                // Whatever it said: its stage runs again.
                Err(_) => {}
            }
            text.clear();
        }
        // The next line must not become part of one that was cut short.
        match &mut self.file {
            Some(file) if !is_whole => file.write_all(b"\n"),
            _ => Ok(()),
        }
    }
}

fn push(text: &mut Vec<u8>, line: &Line) {
    // What is in it can always be written as JSON.
    if serde_json::to_writer(&mut *text, line).is_ok() {
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(folder: &Path) -> Entry {
        let part = PartFact { name: "part-r-00000".into(), bytes: 3, blake3: "x".into() };
        Entry { folder: folder.to_owned(), made: Made { parts: vec![part], counters: Counters::default() } }
    }

    #[test]
    fn what_was_noted_is_known_after_any_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (entry(Path::new("one")), entry(Path::new("two")));
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.note_started("a", "job-a").unwrap();
        ledger.note_finished("a", one.clone()).unwrap();
        ledger.note_started("b", "job-b").unwrap();
        ledger.note_finished("b", two.clone()).unwrap();
        assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::Busy { .. })));
        drop(ledger);
        let path = dir.path().join(LEDGER);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut ledger = Ledger::open(dir.path()).unwrap();
            // The newline at the end of a line is not missed.
            let lines = ends.iter().filter(|end| **end <= cut + 1).count();
            assert_eq!(ledger.entry("a").cloned(), (lines > 1).then(|| one.clone()), "{cut}");
            assert_eq!(ledger.entry("b").cloned(), (lines > 3).then(|| two.clone()), "{cut}");
            assert_eq!(ledger.started("b"), (lines == 3).then_some("job-b"), "{cut}");
            ledger.note_finished("c", one.clone()).unwrap();
            drop(ledger);
            assert_eq!(Ledger::open(dir.path()).unwrap().entry("c"), Some(&one), "{cut}");
        }
    }

    #[test]
    fn tidying_keeps_what_was_used() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        for key in ["a", "b"] {
            ledger.note_finished(key, entry(Path::new(key))).unwrap();
        }
        drop(ledger);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert!(ledger.entry("b").is_some() && ledger.is_own(Path::new("a"), None));
        ledger.tidy(false).unwrap();
        ledger.note_finished("c", entry(Path::new("c"))).unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(["a", "b", "c"].map(|key| ledger.entry(key).is_some()), [false, true, true]);
    }

    fn published(job: &str, folder: &Path) -> Option<Made> {
        Manifest::read(folder)?.of_job(job, folder)
    }

    #[test]
    fn an_output_is_there_with_its_lengths() {
        let dir = tempfile::tempdir().unwrap();
        let Entry { made, .. } = entry(dir.path());
        let part = dir.path().join("part-r-00000");
        fs::write(&part, "abc").unwrap();
        assert!(!made.is_in(dir.path()), "no _SUCCESS");
        fs::write(dir.path().join(SUCCESS), "").unwrap();
        assert!(made.is_in(dir.path()));
        let manifest = serde_json::json!({ "job": "j", "parts": made.parts, "counters": {}, "reducers": 1 });
        fs::write(dir.path().join(MANIFEST), manifest.to_string()).unwrap();
        assert_eq!(published("j", dir.path()), Some(made.clone()));
        assert_eq!(published("k", dir.path()), None);
        fs::write(&part, "abcd").unwrap();
        assert!(!made.is_in(dir.path()) && published("j", dir.path()).is_none());
    }
}
