//! What parent and child say to each other. Both are the same program, so there are no versions; but
//! only the child believes what it hears.

use std::path::PathBuf;

use mr_model::{AttemptId, Failure, Role, path_serde};
use mr_runtime::{Facts, JobDescription, MemoryPlan, Progress, TaskInput};
use mr_sandbox::{LogLevel, PluginFacts};
use mr_shuffle::Codec;
use mr_storage::ToldPart;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest order, in bytes: descriptions of a job and a task as large as a worker takes them.
pub(crate) const ORDER_BYTES_MAX: usize = 192 << 20;
/// Longest word, in bytes: what a plugin may say of itself, 512 attributes of two texts of 4 KiB each, and
/// some room.
pub(crate) const WORD_BYTES_MAX: usize = 5 << 20;
/// Files that go with an order at most: one of code for each role.
pub(crate) const FILES_MAX: usize = Role::ALL.len();

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// What it may use meanwhile.
    pub bounds: Bounds,
    /// The work.
    pub work: Work,
}

/// What a child may use beside files.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Memory that it may write to, in bytes.
    pub data_bytes_max: u64,
    /// Processor time of all its threads, in seconds; none for no bound.
    pub processor_seconds_max: Option<u64>,
    /// Longest file that it may write, in bytes; none for no bound.
    pub file_bytes_max: Option<u64>,
    /// Whether it refuses to work where the platform lacks a wall.
    pub required: bool,
}

/// The work of a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Run an attempt. The files are the code of its plugins, in their order.
    Attempt(Box<AttemptWork>),
    /// Compile the component in the first file into the second one.
    Compile,
    /// Try out the component whose code is the file.
    TryOut {
        /// BLAKE3 of the component.
        hash: [u8; 32],
        /// Size of the component, in bytes.
        bytes: u64,
    },
    /// Nothing but giving up its rights.
    Look,
}

/// An attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AttemptWork {
    /// Its job; parts go to a folder of the attempt.
    pub description: JobDescription,
    /// Which.
    pub attempt: AttemptId,
    /// What it works on.
    pub input: TaskInput,
    /// Memory of this attempt alone.
    pub memory: MemoryPlan,
    /// How run files are stored.
    pub codec: Codec,
    /// Longest wait for room on a full disk.
    pub room_patience: Duration,
    /// Bytes of a part that the disk may not have taken yet.
    pub unwritten_bytes_max: u64,
    /// Folder of the attempt's run files.
    #[serde(with = "path_serde")]
    pub run_dir: PathBuf,
    /// Copies of the job's side inputs, in their order.
    pub sides: Vec<SideCopy>,
    /// The components of the job, each once, in the order of the files.
    pub plugins: Vec<PluginFacts>,
}

/// A copy of a side input, whose content was checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SideCopy {
    /// Where it is.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It waits for its order.
    Ready,
    /// It has given up its rights; nothing of a stranger was looked at before.
    Entered(Walls),
    /// It lives.
    Pulse(Pulse),
    /// A plugin logs.
    Log {
        /// In which role.
        role: Role,
        /// How loud, 0 to 4.
        level: u8,
        /// What.
        text: String,
    },
    /// The attempt is done.
    Done(Box<DoneWord>),
    /// The attempt failed.
    Failed(Box<Failure>),
    /// The component is compiled.
    Compiled,
    /// The component was tried out.
    Facts(Box<PluginFacts>),
    /// The component is refused, or the child cannot work, for this reason.
    Refused(String),
}

/// Which walls of the platform stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walls {
    /// What the platform lacks, for people.
    pub missing: Vec<String>,
    /// Whether files are kept from it at all.
    pub landlock: bool,
    /// Whether calls of the system are.
    pub seccomp: bool,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pulse {
    pub map_bytes: u64,
    pub map_records: u64,
    pub shuffle_bytes: u64,
    pub shuffle_bytes_total: u64,
    pub reduce_groups: u64,
    pub output_bytes: u64,
    pub emitted_batches: u64,
    pub side_bytes: u64,
}

/// What an attempt says that it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneWord {
    /// What it counted.
    pub facts: Facts,
    /// What it made.
    pub made: MadeWord,
}

/// What lies in the folders of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MadeWord {
    /// So many run files.
    Runs(u32),
    /// Parts, in the order in which they were begun.
    Parts(Vec<ToldPart>),
}

impl Pulse {
    /// Of an attempt under way.
    pub fn of(progress: &Progress) -> Self {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            map_bytes: load(&progress.map_bytes),
            map_records: load(&progress.map_records),
            shuffle_bytes: load(&progress.shuffle_bytes),
            shuffle_bytes_total: load(&progress.shuffle_bytes_total),
            reduce_groups: load(&progress.reduce_groups),
            output_bytes: load(&progress.output_bytes),
            emitted_batches: load(&progress.emitted_batches),
            side_bytes: load(&progress.side_bytes),
        }
    }

    /// Shows it to whoever looks at `progress`.
    pub fn show(&self, progress: &Progress) {
        progress.map_bytes.store(self.map_bytes, Ordering::Relaxed);
        progress.map_records.store(self.map_records, Ordering::Relaxed);
        progress.shuffle_bytes.store(self.shuffle_bytes, Ordering::Relaxed);
        progress.shuffle_bytes_total.store(self.shuffle_bytes_total, Ordering::Relaxed);
        progress.reduce_groups.store(self.reduce_groups, Ordering::Relaxed);
        progress.output_bytes.store(self.output_bytes, Ordering::Relaxed);
        progress.emitted_batches.store(self.emitted_batches, Ordering::Relaxed);
        progress.side_bytes.store(self.side_bytes, Ordering::Relaxed);
    }
}

/// Log levels as they are sent, by their place.
const LEVELS: [LogLevel; 5] =
    [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

/// A level as it is sent.
pub(crate) fn level_number(level: LogLevel) -> u8 {
    let place = LEVELS.iter().position(|known| *known == level);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

/// The level that was sent; the loudest one for a number that is none.
pub(crate) fn level(number: u8) -> LogLevel {
    LEVELS.get(usize::from(number)).copied().unwrap_or(LogLevel::Error)
}
