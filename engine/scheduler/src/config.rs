//! Settings of a scheduler, and the limits that bound what it keeps.

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

/// Settings of a [`crate::Scheduler`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Silence after which a worker is lost; `None` where workers cannot be cut off (threads).
    pub worker_lease: Option<Duration>,
    /// Longest time that a job waits with nothing running and no worker that takes tasks.
    pub no_worker_timeout: Duration,
}

impl Config {
    /// For workers that are threads of the driver: no leases, and no need for heartbeats or
    /// [`crate::Scheduler::due`].
    pub fn local() -> Self {
        Self { worker_lease: None, no_worker_timeout: NO_WORKER_TIMEOUT_DEFAULT }
    }
}

impl Default for Config {
    /// For a cluster.
    fn default() -> Self {
        Self { worker_lease: Some(WORKER_LEASE_DEFAULT), no_worker_timeout: NO_WORKER_TIMEOUT_DEFAULT }
    }
}
