//! Why an attempt or a job failed: one closed enum, structured from the place where it happened to
//! the person who reads it. What is retried follows from the variant ([`Failure::retry`]).

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::id::{Role, TaskId};
use crate::limit::REJECTS_MAX;
use crate::path_serde;
use crate::quantity::percent;

/// A position in an input, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The input file.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// Byte offset of the record (or chunk of records) in it.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.path.display(), self.offset)
    }
}

/// How a plugin failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginFault {
    /// It trapped (a panic is a trap).
    Trap,
    /// It answered `invalid-input`.
    InvalidInput,
    /// It answered `transient`.
    Transient,
    /// It answered `fatal`.
    Fatal,
    /// It broke the interface's contract: a malformed batch, a bad port, a bad partition.
    Contract,
    /// It made other output from the same input than before.
    Nondeterministic,
}

impl PluginFault {
    /// The fault as a verb phrase.
    fn verb(self) -> &'static str {
        match self {
            PluginFault::Trap => "trapped",
            PluginFault::InvalidInput => "refused its input",
            PluginFault::Transient => "asked for another attempt",
            PluginFault::Fatal => "failed for good",
            PluginFault::Contract => "broke the plugin interface",
            PluginFault::Nondeterministic => "is not deterministic",
        }
    }
}

/// What is left of a plugin that failed, for whoever wrote it: all of it bounded and without control
/// characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWords {
    /// Its last log lines, oldest first.
    pub log: Vec<String>,
    /// Names of the functions that it was in, innermost first.
    pub stack: Vec<String>,
    /// The first bytes of the record (or the key of the group) that it failed on, escaped, if known.
    pub record: Option<String>,
}

impl From<Vec<String>> for LastWords {
    /// Log lines alone.
    fn from(log: Vec<String>) -> Self {
        Self { log, ..Self::default() }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The plugin is at fault.
    Plugin {
        /// What it did.
        fault: PluginFault,
        /// In which role.
        role: Role,
        /// Its message, or the trap's.
        message: String,
        /// Where its input came from, if known.
        place: Option<Place>,
        /// What it said and where it was.
        words: LastWords,
    },
    /// The plugin passed a limit.
    Limit {
        /// In which role.
        role: Role,
        /// What is limited, for example `guest memory`.
        limit: String,
        /// What it asked for or used, with unit.
        value: String,
        /// The cap, with unit.
        cap: String,
        /// The option that sets the cap, for example `--guest-memory`; empty where it is fixed.
        option: String,
        /// Where its input came from, if known.
        place: Option<Place>,
        /// What it said and where it was.
        words: LastWords,
    },
    /// An input cannot be read.
    InputLost {
        /// The file.
        #[serde(with = "path_serde")]
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// An input is not what it was when the job was planned.
    InputChanged {
        /// The file.
        #[serde(with = "path_serde")]
        path: PathBuf,
        /// What changed.
        reason: String,
    },
    /// An input record is longer than the job allows, or malformed for its format.
    InputRecord {
        /// Where it begins.
        place: Place,
        /// What is wrong and what to do.
        reason: String,
    },
    /// More rows were rejected than the job allows.
    Rejects {
        /// How many the job allows.
        allowed: u64,
        /// Reason that the plugin gave for the last one.
        reason: String,
        /// Where the last one came from, if known.
        place: Option<Place>,
    },
    /// A larger share of the input was rejected than the job allows.
    RejectsShare {
        /// How many were rejected.
        rejects: u64,
        /// How many records the input has.
        records: u64,
        /// Rejects allowed of a million records.
        per_million_max: u32,
        /// Reason that the plugin gave for the last one.
        reason: String,
        /// Where the last one came from, if known.
        place: Option<Place>,
    },
    /// The job is as a condition says that fails it.
    Condition {
        /// The condition.
        condition: Condition,
        /// What its counter came to.
        value: i64,
    },
    /// Map output could not be had from a worker.
    Fetch {
        /// Whose output.
        map_task: TaskId,
        /// What went wrong.
        reason: String,
    },
    /// Map output on disk is not what was written.
    Corrupt {
        /// The file.
        #[serde(with = "path_serde")]
        path: PathBuf,
        /// What does not match.
        reason: String,
        /// Whose output it was, if known.
        map_task: Option<TaskId>,
    },
    /// Local or output storage failed.
    Disk {
        /// The file or folder.
        #[serde(with = "path_serde")]
        path: PathBuf,
        /// The system's reason.
        reason: String,
        /// The storage is full: another machine may do better.
        full: bool,
    },
    /// The policy of the worker does not allow the job; another worker's may.
    Refused {
        /// What is not allowed, as a sentence.
        sentence: String,
    },
    /// The job or the attempt was cancelled.
    Cancelled,
    /// A fault of the engine.
    Internal {
        /// What happened.
        message: String,
    },
}

/// What to do about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    /// Another attempt would fail the same way: the job fails.
    Never,
    /// Another attempt, on another worker where there is one.
    Elsewhere,
    /// The map task whose output was lost runs again, then this one.
    AfterMap(TaskId),
}

impl Failure {
    /// What is retried, from the variant alone.
    pub fn retry(&self) -> Retry {
        match self {
            Failure::Plugin { fault: PluginFault::Transient, .. }
            | Failure::InputLost { .. }
            | Failure::Disk { .. }
            | Failure::Refused { .. }
            | Failure::Internal { .. } => Retry::Elsewhere,
            Failure::Fetch { map_task, .. } | Failure::Corrupt { map_task: Some(map_task), .. } => {
                Retry::AfterMap(*map_task)
            }
            Failure::Corrupt { map_task: None, .. } => Retry::Elsewhere,
            Failure::Plugin { .. }
            | Failure::Limit { .. }
            | Failure::InputChanged { .. }
            | Failure::InputRecord { .. }
            | Failure::Rejects { .. }
            | Failure::RejectsShare { .. }
            | Failure::Condition { .. }
            | Failure::Cancelled => Retry::Never,
        }
    }

    /// A disk failure from an I/O error at `path`.
    pub fn disk(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Failure::Disk {
            path: path.into(),
            reason: error.to_string(),
            full: matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded),
        }
    }

    /// A fault of the engine itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Failure::Internal { message: message.into() }
    }

    /// The plugin's last log lines, where the failure carries them.
    pub fn log(&self) -> &[String] {
        self.words().map_or(&[], |words| &words.log)
    }

    /// The same failure with where the plugin's input came from, for whoever knows it; what is known
    /// already stays.
    #[must_use]
    pub fn at(mut self, found: Option<Place>) -> Self {
        if let Failure::Plugin { place, .. } | Failure::Limit { place, .. } | Failure::Rejects { place, .. } =
            &mut self
            && place.is_none()
        {
            *place = found;
        }
        self
    }

    /// What the plugin left, to be added to.
    pub fn words_mut(&mut self) -> Option<&mut LastWords> {
        match self {
            Failure::Plugin { words, .. } | Failure::Limit { words, .. } => Some(words),
            _ => None,
        }
    }

    /// What the plugin left, where the failure carries it.
    pub fn words(&self) -> Option<&LastWords> {
        match self {
            Failure::Plugin { words, .. } | Failure::Limit { words, .. } => Some(words),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Plugin { fault, role, message, place, .. } => {
                write!(f, "the {role} {}", fault.verb())?;
                if let Some(place) = place {
                    write!(f, " on {place}")?;
                }
                write!(f, ": {message}")
            }
            Failure::Limit { role, limit, value, cap, option, place, .. } => {
                write!(f, "the {role} went over its limit of {limit}")?;
                if let Some(place) = place {
                    write!(f, " on {place}")?;
                }
                write!(f, ": {value}, and {cap} are allowed")?;
                if option.is_empty() { Ok(()) } else { write!(f, " (raise it with {option})") }
            }
            Failure::InputLost { path, reason } => {
                write!(f, "input {} cannot be read: {reason}", path.display())
            }
            Failure::InputChanged { path, reason } => {
                write!(f, "input {} changed while the job ran: {reason}", path.display())
            }
            Failure::InputRecord { place, reason } => write!(f, "input {place}: {reason}"),
            Failure::Rejects { allowed, reason, place } => {
                write!(f, "the job rejected a record")?;
                if let Some(place) = place {
                    write!(f, " of {place}")?;
                }
                write!(f, " ({reason}), and {allowed} rejects are allowed")?;
                match *allowed < REJECTS_MAX {
                    true => write!(f, " (raise it with --max-rejects)"),
                    false => write!(f, " in any job, also where --max-rejects is a share"),
                }
            }
            Failure::RejectsShare { rejects, records, per_million_max, reason, place } => {
                write!(f, "{rejects} of {records} records were rejected, the last one")?;
                if let Some(place) = place {
                    write!(f, " of {place}")?;
                }
                let allowed = percent(*per_million_max);
                write!(f, " ({reason}), and {allowed} are allowed (raise it with --max-rejects)")
            }
            Failure::Condition { condition, value } => write!(
                f,
                "the job fails by its condition --fail-if \"{condition}\": {} is {value}; nothing is published",
                condition.counter()
            ),
            Failure::Fetch { map_task, reason } => {
                write!(f, "output of {map_task} could not be fetched: {reason}")
            }
            Failure::Corrupt { path, reason, .. } => {
                write!(f, "{} is corrupt: {reason}", path.display())
            }
            Failure::Disk { path, reason, full: true } => {
                write!(
                    f,
                    "no space left for {}: {reason}; free some or choose another folder with --work-dir or --output",
                    path.display()
                )
            }
            Failure::Disk { path, reason, full: false } => {
                write!(f, "{} cannot be used: {reason}", path.display())
            }
            Failure::Refused { sentence } => write!(f, "a worker refuses the job: {sentence}"),
            Failure::Cancelled => f.write_str("cancelled"),
            Failure::Internal { message } => write!(f, "internal fault: {message}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn every_variant() -> Vec<Failure> {
        let path = PathBuf::from(OsString::from_vec(b"not \xff UTF-8".to_vec()));
        let place = Place { path: path.clone(), offset: 7 };
        let reason = "because".to_owned();
        let words = LastWords {
            log: vec!["line".into()],
            stack: vec!["function".into()],
            record: Some("record".into()),
        };
        let (message, role) = (reason.clone(), Role::Combiner);
        let map_task = TaskId::map(3);
        vec![
            Failure::Plugin {
                fault: PluginFault::Contract,
                role,
                message: message.clone(),
                place: Some(place.clone()),
                words: words.clone(),
            },
            Failure::Limit {
                role,
                limit: "a".into(),
                value: "b".into(),
                cap: "c".into(),
                option: "--d".into(),
                place: Some(place.clone()),
                words,
            },
            Failure::InputLost { path: path.clone(), reason: reason.clone() },
            Failure::InputChanged { path: path.clone(), reason: reason.clone() },
            Failure::InputRecord { place: place.clone(), reason: reason.clone() },
            Failure::Rejects { allowed: 1, reason: reason.clone(), place: Some(place) },
            Failure::RejectsShare {
                rejects: 3,
                records: 4,
                per_million_max: 500_000,
                reason: reason.clone(),
                place: None,
            },
            Failure::Condition { condition: "a/b >= -7".parse().unwrap(), value: i64::MIN },
            Failure::Fetch { map_task, reason: reason.clone() },
            Failure::Corrupt { path: path.clone(), reason: reason.clone(), map_task: Some(map_task) },
            Failure::Disk { path, reason, full: true },
            Failure::Refused { sentence: message.clone() },
            Failure::Cancelled,
            Failure::Internal { message },
        ]
    }

    /// Failures travel between machines and into journals, whatever the names of files.
    #[test]
    fn every_failure_survives_serialisation() {
        for failure in every_variant() {
            let bytes = postcard::to_stdvec(&failure).unwrap();
            assert_eq!(postcard::from_bytes::<Failure>(&bytes).unwrap(), failure);
            let json = serde_json::to_string(&failure).unwrap();
            assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), failure);
        }
    }
}
