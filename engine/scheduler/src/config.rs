//! Settings of a scheduler, and the limits that bound what it keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest silence of a worker in a cluster before it counts as lost: some missed heartbeats, and
/// short against the minutes that a task may run.
pub const WORKER_LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// Longest time that jobs wait with no worker to run on: enough to restart a small cluster.
pub const NO_WORKER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);

/// Most jobs that wait or run at once: each costs memory for its tasks.
pub const JOBS_MAX: usize = 10_000;
/// Names of ended jobs that are remembered, so that a late second submission starts nothing: some
/// MiB. The driver's history refuses names older than that.
pub const JOBS_ENDED_KEPT: usize = 100_000;
/// Most map tasks of a job: some 100 MiB of state, and 64 TiB of input in splits of 64 MiB.
pub const MAPS_MAX: usize = 1 << 20;
/// Most workers known, live or lost: each costs some hundred bytes and a look at each tick.
pub const WORKERS_MAX: usize = 16_384;
/// Most slots of one worker: more than any machine has cores.
pub const SLOTS_MAX: u32 = 4_096;
/// Tasks that wait for a worker which has not failed them yet, looked at in one placement: bounds
/// the cost of an event when one bad worker has failed thousands of tasks.
pub const RETRIES_SCANNED_MAX: usize = 64;

/// Share of a stage's tasks that may get a backup attempt, in per cent (at least one task may):
/// the extra work that stragglers may cost.
pub const BACKUPS_PERCENT_MAX: u32 = 5;
/// Share of a stage's tasks that must be done before backups are thought of, in per cent: with
/// fewer there is no telling what is slow.
pub const BACKUP_DONE_PERCENT_MIN: u32 = 50;
/// Age under which no attempt gets a backup, in milliseconds: a backup costs a start of its own.
pub const BACKUP_AGE_MILLIS_MIN: u64 = 5_000;
/// How long an attempt is expected to take in all before it counts as slow, in per cent of what
/// the finished tasks of the stage lead to expect.
pub const BACKUP_SLOW_PERCENT: u64 = 150;

/// Failures of a worker's own making within [`WORKER_FAILURES_WINDOW`] that set it aside: one or two
/// are bad luck, five are a broken machine.
pub const WORKER_FAILURES_MAX: usize = 5;
/// How long such a failure is held against a worker.
pub const WORKER_FAILURES_WINDOW: Duration = Duration::from_secs(600);
/// How long a worker is set aside the first time: enough for a passing trouble to pass.
pub const ASIDE_MIN: Duration = Duration::from_secs(60);
/// How long a worker is set aside at most; each time in a row lasts twice as long as the one before.
pub const ASIDE_MAX: Duration = Duration::from_secs(600);

/// Queued maps looked at for one whose input is near a free slot: bounds the cost of a placement,
/// and how far maps leave split order.
pub const MAPS_SCANNED_MAX: usize = 16;
/// Hosts of a split that are kept: storage has some three copies of a block.
pub const SPLIT_HOSTS_MAX: usize = 8;
/// Longest name of a host, in bytes, as in DNS; a longer one counts as not told.
pub const HOST_BYTES_MAX: usize = 255;
/// Most maps of a job whose reports tell the bytes of each partition: beyond that the sizes would
/// cost more than they save, and every worker has a small share of everything. Spark's limit, too.
pub const PARTITION_BYTES_MAPS_MAX: usize = 1_000;
/// Most reducers of a job whose reports tell the bytes of each partition.
pub const PARTITION_BYTES_REDUCERS_MAX: u32 = 1_000;
/// Sizes of partitions kept for all jobs together: 128 MiB. Jobs that would need more go without.
pub const PARTITION_BYTES_KEPT_MAX: usize = 16 << 20;
/// Share of a reduce task's bytes that draws it to the worker that has them, in per cent: below that
/// nearly everything is fetched anyway.
pub const NEAR_BYTES_PERCENT_MIN: u64 = 20;

/// Name of the queue that always exists.
pub const QUEUE_DEFAULT: &str = "default";

/// A queue of jobs. Queues of equal priority share the slots by weight, whatever number of jobs they
/// have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueConfig {
    /// Share of the slots relative to other queues; 0 means 1.
    pub weight: u32,
    /// Most slots that attempts of its jobs use at once, if it is capped; 0 means 1.
    pub slots_max: Option<u32>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { weight: 1, slots_max: None }
    }
}

/// Settings of a [`crate::Scheduler`]. A restarted driver may have others than those with which its
/// journal was written, because each takes effect only through events that
/// [`crate::Scheduler::due`] tells; only whether workers have leases at all must stay as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Silence after which a worker is lost; `None` where workers cannot be cut off (threads). Those
    /// are never set aside, and a full disk of one is full for all.
    pub worker_lease: Option<Duration>,
    /// Longest time that a job waits with nothing running and no worker that takes tasks.
    pub no_worker_timeout: Duration,
    /// Queues by name, beside or instead of the plain [`QUEUE_DEFAULT`]. A job whose queue is gone
    /// after a restart goes on as in a queue of weight 1.
    pub queues: BTreeMap<String, QueueConfig>,
}

impl Config {
    /// For workers that are threads of the driver: no leases, and no need for heartbeats or
    /// [`crate::Scheduler::due`].
    pub fn local() -> Self {
        Self { worker_lease: None, ..Self::default() }
    }
}

impl Default for Config {
    /// For a cluster.
    fn default() -> Self {
        Self {
            worker_lease: Some(WORKER_LEASE_DEFAULT),
            no_worker_timeout: NO_WORKER_TIMEOUT_DEFAULT,
            queues: BTreeMap::new(),
        }
    }
}
