//! Read-only views of a scheduler, for people, progress and drivers that must know where map
//! outputs are. Nothing here changes state.

use std::collections::BTreeMap;

use mr_model::{AttemptId, Incarnation, JobId, Stage, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::config::QueueConfig;
use crate::event::Lease;
use crate::job::Job;
use crate::scheduler::Scheduler;
use crate::worker::Standing;

/// Tasks of a stage by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStatus {
    /// All tasks.
    pub total: u32,
    /// Tasks that wait for a slot, or for the stage before.
    pub pending: u32,
    /// Tasks with a running attempt.
    pub running: u32,
    /// Tasks that are done.
    pub done: u32,
}

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// The map stage.
    pub maps: StageStatus,
    /// The reduce stage.
    pub reduces: StageStatus,
    /// Running attempts, backups included.
    pub attempts: usize,
    /// The queue that it is in.
    pub queue: String,
}

/// A queue with jobs that have not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    /// Its settings.
    pub config: QueueConfig,
    /// Its jobs.
    pub jobs: usize,
    /// Their running attempts, backups included.
    pub attempts: usize,
}

/// A worker, live or lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerStatus {
    /// Its latest life.
    pub incarnation: Incarnation,
    /// Whether it is live.
    pub live: bool,
    /// Whether it takes nothing new.
    pub draining: bool,
    /// Attempts that it runs at once.
    pub slots: u32,
    /// Attempts that run on it and count.
    pub running: usize,
    /// Cancelled attempts that still hold a slot.
    pub cancelled: usize,
    /// Map outputs on it that jobs which have not ended still hold.
    pub outputs: usize,
    /// Whether it takes nothing new for a while because too much failed on it.
    pub set_aside: bool,
}

/// Where the output of a finished map task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MapOutput {
    /// The attempt that made it.
    pub attempt: AttemptId,
    /// The worker that has it.
    pub worker: WorkerId,
    /// The life of that worker.
    pub incarnation: Incarnation,
}

impl Scheduler {
    /// Jobs that have not ended, in the order of their names.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobId, JobStatus)> {
        self.jobs.iter().map(|(id, job)| (id, job_status(job)))
    }

    /// A job that has not ended.
    pub fn job(&self, id: &JobId) -> Option<JobStatus> {
        self.jobs.get(id).map(job_status)
    }

    /// Workers, live and lost, in the order of their ids.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, WorkerStatus)> {
        let mut outputs: BTreeMap<WorkerId, usize> = BTreeMap::new();
        for (worker, maps) in self.jobs.values().flat_map(Job::outputs) {
            *outputs.entry(worker).or_default() += maps;
        }
        self.workers.iter().map(move |(id, worker)| {
            let running = worker.leases.values().filter(|standing| **standing == Standing::Running).count();
            let status = WorkerStatus {
                incarnation: worker.incarnation,
                live: worker.live,
                draining: worker.draining,
                slots: worker.slots,
                running,
                cancelled: worker.leases.len() - running,
                outputs: outputs.get(&id).copied().unwrap_or(0),
                set_aside: worker.is_aside(),
            };
            (id, status)
        })
    }

    /// Queues with jobs that have not ended, in the order of their names.
    pub fn queues(&self) -> impl Iterator<Item = (&str, QueueStatus)> {
        self.queues.lines().map(|(name, line)| {
            let config = line.config.clone();
            (name, QueueStatus { config, jobs: line.jobs, attempts: line.running })
        })
    }

    /// Running attempts of a job that has not ended, in order.
    pub fn leases(&self, id: &JobId) -> Vec<Lease> {
        let Some(job) = self.jobs.get(id) else { return Vec::new() };
        job.live.iter().map(|(attempt, running)| job.lease(*attempt, running)).collect()
    }

    /// Slots that attempts of a job hold, also of one that has ended: 0 when nothing of it runs.
    pub fn slots_held(&self, id: &JobId) -> usize {
        let first = AttemptId { task: TaskId::map(0), attempt: 0 };
        self.workers
            .iter()
            .map(|(_, worker)| {
                let leases = worker.leases.range((id.clone(), first)..);
                leases.take_while(|((job, _), _)| job == id).count()
            })
            .sum()
    }

    /// Where the output of map task `index` is; none while there is none, and in a map-only job.
    pub fn map_output(&self, id: &JobId, index: u32) -> Option<MapOutput> {
        let job = self.jobs.get(id).filter(|job| !job.commits(Stage::Map))?;
        let output = job.stage(Stage::Map).task(index)?.output?;
        Some(MapOutput {
            attempt: AttemptId { task: TaskId::map(index), attempt: output.attempt },
            worker: output.worker,
            incarnation: output.incarnation,
        })
    }
}

fn job_status(job: &Job) -> JobStatus {
    JobStatus {
        maps: stage_status(job, Stage::Map),
        reduces: stage_status(job, Stage::Reduce),
        attempts: job.live.len(),
        queue: job.queue.clone(),
    }
}

fn stage_status(job: &Job, stage: Stage) -> StageStatus {
    let tasks = job.stage(stage);
    let mut running = 0;
    let mut last = None;
    for id in job.live.keys().filter(|id| id.task.stage == stage) {
        running += u32::from(last.replace(id.task) != Some(id.task));
    }
    StageStatus {
        total: tasks.total(),
        pending: u32::try_from(tasks.queued()).unwrap_or(u32::MAX),
        running,
        done: tasks.done(),
    }
}
