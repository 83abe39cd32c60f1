//! What the journal keeps beside the scheduler's events: jobs, winners of tasks, ended attempts,
//! workers. Plain data.

use mr_model::{AttemptId, Incarnation, JobId, TaskId};
use mr_runtime::Facts;
use mr_scheduler::{AttemptReport, Outcome};
use mr_storage::{Part, Upload};
use serde::{Deserialize, Serialize};

use crate::protocol::{ComponentHash, JobEnd, OutputRequest};

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its name.
    pub job: JobId,
    /// Number of its submission, from 1.
    pub number: u64,
    /// What makes it the same job when it is submitted again.
    pub digest: [u8; 32],
    /// Its components.
    pub components: Vec<ComponentHash>,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_unix_millis: u64,
    /// Where its output goes.
    pub output: OutputRequest,
    /// Bytes of input.
    pub input_bytes: u64,
    /// Map tasks.
    pub maps: u32,
    /// Reduce tasks.
    pub reducers: u32,
    /// Attempts that failed so far.
    pub attempts_failed: u64,
    /// Map tasks that ran again because their output was lost.
    pub maps_rerun: u64,
    /// How far it is.
    pub stage: JobStage,
}

/// How far a job is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum JobStage {
    /// The scheduler has it.
    Running,
    /// The scheduler is done with it. Its last attempts end, then its output is published or removed.
    Closing(Outcome),
    /// It is history.
    Ended {
        /// When, in milliseconds since 1970.
        unix_millis: u64,
        /// How.
        end: JobEnd,
    },
}

/// The winner of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The attempt that won.
    pub attempt: u32,
    /// What it did.
    pub report: AttemptReport,
    /// The rest of what it told.
    pub facts: Facts,
    /// Its parts, where the task commits some.
    pub parts: Vec<Part>,
    /// Where their bytes are, in the same order, if they are on a store.
    pub uploads: Vec<Upload>,
}

/// A worker that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Its name.
    pub name: String,
    /// Its latest life.
    pub incarnation: Incarnation,
    /// The process that lives it.
    pub instance: u64,
    /// Where it serves segments.
    pub address: String,
}

/// Key of a task in the journal: number of the job, of the stage, of the task.
pub type TaskKey = (u64, u32, u32);

/// Key of an attempt in the journal: that of its task, and its number.
pub type AttemptKey = (u64, u32, u32, u32);

/// The key of a task.
pub fn task_key(number: u64, task: TaskId) -> TaskKey {
    (number, task.stage.number(), task.index)
}

/// The key of an attempt.
pub fn attempt_key(number: u64, attempt: AttemptId) -> AttemptKey {
    let (number, stage, index) = task_key(number, attempt.task);
    (number, stage, index, attempt.attempt)
}
