//! The journal: an embedded database (redb) with everything that has to outlive the coordinator.
//!
//! One [`Batch`] is one transaction, forced to disk: the scheduler's durable events and what follows
//! from them for jobs, tasks and workers are there together or not at all. A snapshot of the scheduler
//! replaces the events before it, so that a restart replays little. Must not know what events mean.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use mr_model::WorkerId;
use mr_scheduler::{Event, Scheduler, Time};
use mr_storage::step;
use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{AttemptKey, JobRecord, TaskKey, TaskRecord, WorkerRecord};
use crate::protocol::AttemptRecord;

/// Events after which a snapshot is due: replaying them takes well under a second.
const SNAPSHOT_EVENTS: u64 = 100_000;
/// Stored bytes of attempts that make one answer; one attempt has far less.
const PAGE_BYTES: usize = 2 << 20;
/// Memory of the database's page cache, in bytes.
const CACHE_BYTES: usize = 64 << 20;
/// Version of what is stored. Another one is refused.
const FORMAT: u64 = 2;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
const JOBS: TableDefinition<u64, &[u8]> = TableDefinition::new("jobs");
const NAMES: TableDefinition<&str, u64> = TableDefinition::new("names");
const PLANS: TableDefinition<u64, &[u8]> = TableDefinition::new("plans");
const TASKS: TableDefinition<TaskKey, &[u8]> = TableDefinition::new("tasks");
const ATTEMPTS: TableDefinition<AttemptKey, &[u8]> = TableDefinition::new("attempts");
const WORKERS: TableDefinition<u64, &[u8]> = TableDefinition::new("workers");

const FORMAT_KEY: &str = "format";
const SNAPSHOT_KEY: &str = "snapshot";

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database failed.
    #[error("the journal cannot be used: {0}")]
    Database(Box<redb::Error>),
    /// It holds something else than this version writes.
    #[error("the journal holds {what} that this version cannot read: {reason}")]
    Content {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// It was written by another version.
    #[error(
        "the journal has format {found}, and this version reads {FORMAT}; use the version that wrote it, or another --data-dir"
    )]
    Format {
        /// The format found.
        found: u64,
    },
}

macro_rules! database_errors {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for JournalError {
            fn from(error: redb::$error) -> Self {
                JournalError::Database(Box::new(error.into()))
            }
        })*
    };
}

database_errors!(DatabaseError, TransactionError, TableError, StorageError, CommitError, SetDurabilityError);

/// What is written in one transaction, in this order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Durable events, with their times.
    pub events: Vec<(Time, Event)>,
    /// Jobs as they are now.
    pub jobs: Vec<JobRecord>,
    /// Encoded plans of new jobs.
    pub plans: Vec<(u64, Vec<u8>)>,
    /// Winners of tasks.
    pub tasks: Vec<(TaskKey, TaskRecord)>,
    /// Attempts that ended.
    pub attempts: Vec<(AttemptKey, AttemptRecord)>,
    /// Workers as they are now.
    pub workers: Vec<(WorkerId, WorkerRecord)>,
    /// Jobs that leave the history.
    pub forgotten: Vec<JobRecord>,
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        redb::Error::Io(error).into()
    }
}

impl From<redb::Error> for JournalError {
    fn from(error: redb::Error) -> Self {
        JournalError::Database(Box::new(error))
    }
}

impl Batch {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.jobs.is_empty()
            && self.plans.is_empty()
            && self.tasks.is_empty()
            && self.attempts.is_empty()
            && self.workers.is_empty()
            && self.forgotten.is_empty()
    }
}

/// What a journal holds of the scheduler.
#[derive(Debug)]
pub struct Replay {
    /// The scheduler as it was at some time.
    pub snapshot: Option<Scheduler>,
    /// What happened since.
    pub events: Vec<(Time, Event)>,
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    database: Database,
    /// Number of the next event.
    next: u64,
    /// Events since the last snapshot.
    unsnapped: u64,
}

impl Journal {
    /// Opens the journal at `path`, or makes an empty one.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::open_with(path, |path| {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            FileBackend::new(file).map_err(|error| io::Error::other(error.to_string()))
        })
    }

    /// Opens the journal at `path` on storage of the caller's, as tests of crashes do. A new one gets
    /// its name when it is complete: a database that was cut short in its making cannot be opened.
    pub fn open_with<B: StorageBackend>(
        path: &Path,
        backend: impl Fn(&Path) -> io::Result<B>,
    ) -> Result<Self, JournalError> {
        let open = |path: &Path| {
            Self::prepare(
                Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend(path)?)?,
            )
        };
        if !path.try_exists()? {
            let partial = path.with_extension("partial");
            match fs::remove_file(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            drop(open(&partial)?);
            step::reached("before renaming the journal");
            fs::rename(&partial, path)?;
            step::reached("after renaming the journal");
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        open(path)
    }

    fn prepare(database: Database) -> Result<Self, JournalError> {
        let mut journal = Self { database, next: 0, unsnapped: 0 };
        let write = journal.begin()?;
        let found = {
            let mut meta = write.open_table(META)?;
            let found = meta.get(FORMAT_KEY)?.map(|stored| decode::<u64>("its format", stored.value()));
            if found.is_none() {
                meta.insert(FORMAT_KEY, encode(&FORMAT)?.as_slice())?;
            }
            found.transpose()?.unwrap_or(FORMAT)
        };
        if found != FORMAT {
            return Err(JournalError::Format { found });
        }
        {
            // All tables exist from here on.
            let events = write.open_table(EVENTS)?;
            let first = events.first()?.map(|(number, _)| number.value());
            let last = events.last()?.map(|(number, _)| number.value());
            journal.next = last.map_or(0, |last| last + 1);
            journal.unsnapped = journal.next - first.unwrap_or(journal.next);
            write.open_table(JOBS)?;
            write.open_table(NAMES)?;
            write.open_table(PLANS)?;
            write.open_table(TASKS)?;
            write.open_table(ATTEMPTS)?;
            write.open_table(WORKERS)?;
        }
        write.commit()?;
        Ok(journal)
    }

    /// Writes a batch. When this returns it is on disk; when it fails nothing of it is.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let write = self.begin()?;
        put_all(&write, self.next, batch)?;
        write.commit()?;
        self.next += batch.events.len() as u64;
        self.unsnapped += batch.events.len() as u64;
        Ok(())
    }

    /// Whether so many events have gathered that a snapshot is due.
    pub fn wants_snapshot(&self) -> bool {
        self.unsnapped >= SNAPSHOT_EVENTS
    }

    /// Replaces all events by the state that they led to.
    pub fn snapshot(&mut self, scheduler: &Scheduler) -> Result<(), JournalError> {
        let write = self.begin()?;
        {
            write.open_table(META)?.insert(SNAPSHOT_KEY, encode(scheduler)?.as_slice())?;
            let mut events = write.open_table(EVENTS)?;
            events.retain(|_, _| false)?;
        }
        write.commit()?;
        self.unsnapped = 0;
        Ok(())
    }

    /// What is needed to build the scheduler again.
    pub fn replay(&self) -> Result<Replay, JournalError> {
        let read = self.read()?;
        let meta = read.open_table(META)?;
        let snapshot = meta.get(SNAPSHOT_KEY)?.map(|stored| decode("a snapshot", stored.value()));
        let mut events = Vec::new();
        for entry in read.open_table(EVENTS)?.iter()? {
            events.push(decode("an event", entry?.1.value())?);
        }
        Ok(Replay { snapshot: snapshot.transpose()?, events })
    }

    /// Jobs with numbers below `before`, newest first, at most `limit`.
    pub fn jobs(&self, before: Option<u64>, limit: usize) -> Result<Vec<JobRecord>, JournalError> {
        let jobs = self.read()?.open_table(JOBS)?;
        let range = jobs.range(..before.unwrap_or(u64::MAX))?;
        range.rev().take(limit).map(|entry| decode("a job", entry?.1.value())).collect()
    }

    /// The oldest jobs of the history, at most `limit`.
    pub fn oldest_jobs(&self, limit: usize) -> Result<Vec<JobRecord>, JournalError> {
        let jobs = self.read()?.open_table(JOBS)?;
        jobs.iter()?.take(limit).map(|entry| decode("a job", entry?.1.value())).collect()
    }

    /// A job by its name.
    pub fn job(&self, name: &str) -> Result<Option<JobRecord>, JournalError> {
        let read = self.read()?;
        let Some(number) = read.open_table(NAMES)?.get(name)?.map(|number| number.value()) else {
            return Ok(None);
        };
        let stored = read.open_table(JOBS)?.get(number)?;
        stored.map(|stored| decode("a job", stored.value())).transpose()
    }

    /// The encoded plan of a job.
    pub fn plan(&self, number: u64) -> Result<Option<Vec<u8>>, JournalError> {
        let stored = self.read()?.open_table(PLANS)?.get(number)?;
        Ok(stored.map(|stored| stored.value().to_vec()))
    }

    /// Winners of a job's tasks: number of the stage, of the task, and what is known of it.
    pub fn tasks(&self, number: u64) -> Result<Vec<(u32, u32, TaskRecord)>, JournalError> {
        let tasks = self.read()?.open_table(TASKS)?;
        let range = tasks.range((number, 0, 0)..=(number, u32::MAX, u32::MAX))?;
        range
            .map(|entry| {
                let (key, stored) = entry?;
                let (_, stage, index) = key.value();
                Ok((stage, index, decode("a task", stored.value())?))
            })
            .collect()
    }

    /// Ended attempts of a job, maps first: at most `limit`, and no more than fit in an answer.
    pub fn attempts(
        &self,
        number: u64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<AttemptRecord>, JournalError> {
        let attempts = self.read()?.open_table(ATTEMPTS)?;
        let range = attempts.range((number, 0, 0, 0)..=(number, u32::MAX, u32::MAX, u32::MAX))?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for entry in range.skip(skip).take(limit) {
            let (_, stored) = entry?;
            bytes += stored.value().len();
            if bytes > PAGE_BYTES && !records.is_empty() {
                break;
            }
            records.push(decode("an attempt", stored.value())?);
        }
        Ok(records)
    }

    /// All workers that were seen.
    pub fn workers(&self) -> Result<Vec<(WorkerId, WorkerRecord)>, JournalError> {
        let workers = self.read()?.open_table(WORKERS)?;
        workers
            .iter()?
            .map(|entry| {
                let (id, stored) = entry?;
                Ok((WorkerId(id.value()), decode("a worker", stored.value())?))
            })
            .collect()
    }

    fn read(&self) -> Result<ReadTransaction, JournalError> {
        Ok(self.database.begin_read()?)
    }

    /// A transaction that is on disk when it is committed. With one forced write, not the two that
    /// would spare reading the file once after a crash: a slot waits for each of them.
    fn begin(&self) -> Result<WriteTransaction, JournalError> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        Ok(write)
    }
}

fn put_all(write: &WriteTransaction, next: u64, batch: &Batch) -> Result<(), JournalError> {
    let mut events = write.open_table(EVENTS)?;
    for (number, event) in (next..).zip(&batch.events) {
        events.insert(number, encode(event)?.as_slice())?;
    }
    let mut jobs = write.open_table(JOBS)?;
    let mut names = write.open_table(NAMES)?;
    for job in &batch.jobs {
        jobs.insert(job.number, encode(job)?.as_slice())?;
        names.insert(job.job.as_str(), job.number)?;
    }
    let mut plans = write.open_table(PLANS)?;
    for (number, plan) in &batch.plans {
        plans.insert(number, plan.as_slice())?;
    }
    let mut tasks = write.open_table(TASKS)?;
    for (key, task) in &batch.tasks {
        tasks.insert(key, encode(task)?.as_slice())?;
    }
    let mut attempts = write.open_table(ATTEMPTS)?;
    for (key, attempt) in &batch.attempts {
        attempts.insert(key, encode(attempt)?.as_slice())?;
    }
    let mut workers = write.open_table(WORKERS)?;
    for (id, worker) in &batch.workers {
        workers.insert(id.0, encode(worker)?.as_slice())?;
    }
    for job in &batch.forgotten {
        let number = job.number;
        jobs.remove(number)?;
        names.remove(job.job.as_str())?;
        plans.remove(number)?;
        tasks.retain_in((number, 0, 0)..=(number, u32::MAX, u32::MAX), |_, _| false)?;
        let all = (number, 0, 0, 0)..=(number, u32::MAX, u32::MAX, u32::MAX);
        attempts.retain_in(all, |_, _| false)?;
    }
    Ok(())
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, JournalError> {
    postcard::to_stdvec(value)
        .map_err(|error| JournalError::Content { what: "a record", reason: error.to_string() })
}

fn decode<T: DeserializeOwned>(what: &'static str, stored: &[u8]) -> Result<T, JournalError> {
    postcard::from_bytes(stored).map_err(|error| JournalError::Content { what, reason: error.to_string() })
}
