//! What the scheduler is told. Events are plain data, so that they can be journaled and replayed.

use std::collections::BTreeMap;

use mr_model::limit::ATTEMPTS_MAX;
use mr_model::{AttemptId, Counters, Failure, Incarnation, JobId, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::config::{QUEUE_DEFAULT, QueueConfig};

/// One attempt on one slot of one life of a worker. Words about an attempt carry its whole lease,
/// so that those of a fenced attempt are recognised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The worker that holds it.
    pub worker: WorkerId,
    /// The life of that worker.
    pub incarnation: Incarnation,
}

/// What the scheduler needs to know of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Bytes of each split, in split order; as many map tasks as entries. Sizes only tell what is
    /// slow: maps start in split order, so that output streams early.
    pub split_bytes: Vec<u64>,
    /// Hosts that have a copy of each split, in split order; empty where storage does not say.
    pub split_hosts: Vec<Vec<String>>,
    /// Number of reducers; 0 for a map-only job, whose maps commit.
    pub reducers: u32,
    /// Failed attempts of a task that end the job; 0 means 1.
    pub attempts_max: u32,
    /// Jobs of higher priority get free slots first.
    pub priority: i32,
    /// The queue in which it waits; [`crate::Refusal::Queue`] where there is none of that name.
    pub queue: String,
    /// Share of the slots relative to other jobs of the same priority and queue; 0 means 1.
    pub weight: u32,
    /// Most slots that attempts of the job use at once, if it is capped; 0 means 1.
    pub slots_max: Option<u32>,
    /// Whether stragglers get a backup attempt.
    pub speculation: bool,
}

impl JobPlan {
    /// A plan with the usual number of attempts, weight 1, priority 0, in the default queue, with no
    /// cap, and with backups.
    pub fn new(split_bytes: Vec<u64>, reducers: u32) -> Self {
        Self {
            split_bytes,
            split_hosts: Vec::new(),
            reducers,
            attempts_max: ATTEMPTS_MAX,
            priority: 0,
            queue: QUEUE_DEFAULT.to_owned(),
            weight: 1,
            slots_max: None,
            speculation: true,
        }
    }
}

/// What an attempt did. Only those of winning attempts are added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// Records read.
    pub records_in: u64,
    /// Bytes of input read.
    pub bytes_in: u64,
    /// Records written: map output after combining, or records of a part.
    pub records_out: u64,
    /// Bytes of output written.
    pub bytes_out: u64,
    /// Bytes spilled to disk on the way.
    pub bytes_spilled: u64,
    /// Records that the plugin rejected.
    pub rejects: u64,
    /// Processor time in milliseconds.
    pub cpu_millis: u64,
    /// The plugin's counters.
    pub counters: Counters,
    /// Of a map: bytes of its output for each reducer. Empty where that is not told, as in jobs of
    /// more than [`crate::config::PARTITION_BYTES_MAPS_MAX`] maps or
    /// [`crate::config::PARTITION_BYTES_REDUCERS_MAX`] reducers, and in sums.
    pub partition_bytes: Vec<u64>,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Share of the work done, in millionths.
    pub parts_per_million: u32,
}

/// How a worker was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossCause {
    /// It is known to have ended and does nothing any more. A cut connection is no such proof: the
    /// worker may go on and be back in a moment.
    Left,
    /// Its lease lapsed. Only [`crate::Scheduler::due`] finds that out. The worker may not know it and go
    /// on: what it says is refused from now on, and it cannot commit, because the driver does that.
    Expired,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A worker offers its slots. One that was lost or restarted comes with a higher incarnation,
    /// and only after everything of the earlier one has ended.
    WorkerJoined {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// Attempts that it runs at once.
        slots: u32,
        /// The host that it runs on, under the name that storage has for it, if that is known.
        host: Option<String>,
    },
    /// A live worker runs another number of attempts at once from now on. It keeps what it has. The
    /// latest word counts, so a driver hands on only what differs from
    /// [`crate::WorkerStatus::slots`], in the order in which the worker said it.
    WorkerResized {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// Attempts that it runs at once; 0 takes nothing for now, for example with its disk full.
        slots: u32,
    },
    /// A worker that was set aside because too much failed on it takes attempts again. Comes from
    /// [`crate::Scheduler::due`]; a driver may also tell it when a person says so.
    WorkerReinstated {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A worker is gone, with its attempts and map outputs.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
        /// The life that is over.
        incarnation: Incarnation,
        /// How that is known.
        cause: LossCause,
    },
    /// A worker finishes what it has and takes nothing new. Its map outputs stay until it leaves.
    WorkerDraining {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A worker is alive. Renews its lease; names everything that it runs, so that lost messages
    /// are noticed and sent again.
    Heartbeat {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// All attempts that it runs.
        progress: Vec<Progress>,
    },
    /// The driver was away and has replayed its journal: leases and waits begin anew.
    Resumed,
    /// The queues are these now. Comes from [`crate::Scheduler::due`] where they are not those of the
    /// [`crate::Config`], so that a replay shares slots as it was done the first time.
    QueuesChanged {
        /// The queues by name.
        queues: BTreeMap<String, QueueConfig>,
    },
    /// A job is to run. Submitting a known name again changes nothing.
    JobSubmitted {
        /// Its name.
        job: JobId,
        /// What is to be scheduled.
        plan: JobPlan,
    },
    /// Somebody wants the job to stop.
    JobCancelled {
        /// The job.
        job: JobId,
    },
    /// The driver found a reason to fail the job that no attempt reported.
    JobAborted {
        /// The job.
        job: JobId,
        /// The reason.
        failure: Failure,
    },
    /// The job waited too long for a worker. Comes from [`crate::Scheduler::due`].
    JobStarved {
        /// The job.
        job: JobId,
        /// How long it waited, in milliseconds.
        waited_millis: u64,
    },
    /// A straggler should get a backup attempt. Comes from [`crate::Scheduler::due`].
    BackupDue {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
    },
    /// A map attempt has its output ready on its worker. Only of jobs with reducers: all other
    /// tasks commit.
    AttemptFinished {
        /// Which attempt, where.
        lease: Lease,
        /// What it did.
        report: AttemptReport,
    },
    /// An attempt failed and has ended.
    AttemptFailed {
        /// Which attempt, where.
        lease: Lease,
        /// Why.
        failure: Failure,
    },
    /// An attempt has ended because it was told to, or was never begun for that reason.
    AttemptCancelled {
        /// Which attempt, where.
        lease: Lease,
    },
    /// An attempt has its part ready under a name of its own and asks whether to publish it. May be
    /// asked again while there is no answer.
    CommitRequested {
        /// Which attempt, where.
        lease: Lease,
    },
    /// The part of an attempt that was granted the commit is published, and the attempt has ended.
    Committed {
        /// Which attempt, where.
        lease: Lease,
        /// What it did.
        report: AttemptReport,
    },
}

impl Event {
    /// Whether a journal must hold the event. Heartbeats renew leases and tell progress; what
    /// follows from that comes out of [`crate::Scheduler::due`] as durable events.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Event::Heartbeat { .. })
    }
}
