//! What the scheduler tells its driver to do. Messages to workers may be lost, doubled or come out
//! of order: each is safe to send again, and heartbeats bring up what got lost.

use std::fmt;

use mr_model::{AttemptId, Failure, Incarnation, JobId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::config::{JOBS_MAX, MAPS_MAX};
use crate::event::{AttemptReport, Lease};

/// Sums over the winning attempts of a job. A map that ran again because its output was lost
/// counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTotals {
    /// Sums of the map stage.
    pub maps: AttemptReport,
    /// Sums of the reduce stage.
    pub reduces: AttemptReport,
    /// Counters left out because there were too many names: the sums of others still hold.
    pub counters_refused: u64,
}

impl JobTotals {
    /// Adds the report of a winner.
    pub(crate) fn add(&mut self, reduce: bool, report: &AttemptReport) {
        let sum = if reduce { &mut self.reduces } else { &mut self.maps };
        let fields = [
            (&mut sum.records_in, report.records_in),
            (&mut sum.bytes_in, report.bytes_in),
            (&mut sum.records_out, report.records_out),
            (&mut sum.bytes_out, report.bytes_out),
            (&mut sum.bytes_spilled, report.bytes_spilled),
            (&mut sum.rejects, report.rejects),
            (&mut sum.cpu_millis, report.cpu_millis),
        ];
        for (total, value) in fields {
            *total = total.saturating_add(value);
        }
        for (name, delta) in report.counters.iter() {
            if sum.counters.add(name, delta).is_err() {
                self.counters_refused = self.counters_refused.saturating_add(1);
            }
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every part is published.
    Succeeded,
    /// An attempt failed in a way that another would not mend, or was the last one allowed.
    Failed {
        /// The attempt that reported the failure.
        attempt: AttemptId,
        /// The failure.
        failure: Failure,
    },
    /// The driver gave the job up.
    Aborted {
        /// Its reason.
        failure: Failure,
    },
    /// There was no worker to run on.
    NoWorkers {
        /// How long the job waited, in milliseconds.
        waited_millis: u64,
    },
    /// Somebody cancelled it.
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Succeeded => f.write_str("succeeded"),
            Outcome::Failed { attempt, failure } => write!(f, "{attempt} failed: {failure}"),
            Outcome::Aborted { failure } => write!(f, "{failure}"),
            Outcome::NoWorkers { waited_millis } => write!(
                f,
                "no worker took tasks for {} seconds; start workers and submit the job again",
                waited_millis / 1_000
            ),
            Outcome::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// Why a job was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Too many jobs wait or run already.
    #[error("{JOBS_MAX} jobs wait or run already: submit it again when some have ended")]
    Jobs,
    /// Too many map tasks.
    #[error("it has {maps} splits and {MAPS_MAX} are allowed: raise the size of a split")]
    Maps {
        /// How many it has.
        maps: usize,
    },
    /// Too many reducers.
    #[error("it has {reducers} reducers and {max} are allowed", max = mr_model::limit::REDUCERS_MAX)]
    Reducers {
        /// How many it has.
        reducers: u32,
    },
    /// Too many parts: five digits are what keeps their names in order.
    #[error(
        "it would write {parts} parts and {max} are allowed: raise the size of a split or give it reducers",
        max = mr_model::limit::REDUCERS_MAX
    )]
    Parts {
        /// How many it would write.
        parts: usize,
    },
    /// There is no such queue.
    #[error("there is no queue {queue:?}: choose one of {}", known.join(", "))]
    Queue {
        /// The queue that it names.
        queue: String,
        /// The queues that there are.
        known: Vec<String>,
    },
}

/// Something for the driver to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Tell the worker to run the attempt. A worker that runs it already does nothing; one where it
    /// has ended repeats the word with which it ended. A reduce attempt that cannot have some map
    /// output fails with that; it never waits for it in its slot.
    Launch {
        /// Which attempt, where.
        lease: Lease,
    },
    /// Tell the worker to stop the attempt and say `AttemptCancelled`, also when it does not know
    /// the attempt or it has ended; one that it does not know must not begin later.
    Cancel {
        /// Which attempt, where.
        lease: Lease,
    },
    /// The attempt may publish its part: tell it to, or publish the part in its place, and then say
    /// [`crate::Event::Committed`]. Not revoked as long as the worker holds its lease. A driver that
    /// does not have what it needs for that (after a restart) waits until the attempt asks again.
    GrantCommit {
        /// Which attempt, where.
        lease: Lease,
    },
    /// Tell the worker that its heartbeat renewed its lease.
    Renew {
        /// The worker.
        worker: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// Tell the worker that this life of it is over or unknown: it ends everything, then joins with
    /// a higher incarnation.
    Fence {
        /// The worker.
        worker: WorkerId,
        /// The life that is refused.
        incarnation: Incarnation,
    },
    /// Note that a task is done: map output is ready on the worker, or the part is published.
    TaskFinished {
        /// The attempt that won.
        lease: Lease,
    },
    /// Note that finished map outputs are lost; those maps run again.
    MapOutputsLost {
        /// The job.
        job: JobId,
        /// Where they were.
        worker: WorkerId,
        /// The life of that worker.
        incarnation: Incarnation,
        /// Numbers of the map tasks, ascending.
        maps: Vec<u32>,
    },
    /// Tell whoever submitted it that the job is not taken.
    JobRefused {
        /// The job.
        job: JobId,
        /// Why.
        refusal: Refusal,
    },
    /// The job has ended: told once. Its attempts were told to stop; they hold their slots until
    /// they say so.
    JobFinished {
        /// The job.
        job: JobId,
        /// How it ended.
        outcome: Outcome,
        /// What its winning attempts did.
        totals: Box<JobTotals>,
    },
}
