//! Does work on the outputs of jobs, off the coordinator's thread: file systems may be slow. Works on
//! one output are done one after the other, in the order in which the core asked for them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mr_model::{AttemptId, Failure, JobId};
use mr_storage::{Durability, Manifest, OutputDir, OutputError, Part, Resumed};

use super::core::{OutputDone, OutputFault, OutputWork, Resumption};
use crate::protocol::OutputRequest;

/// The outputs of jobs that have not ended.
#[derive(Default)]
pub struct Outputs {
    queues: BTreeMap<JobId, Queue>,
}

/// Work on one output.
#[derive(Default)]
struct Queue {
    output: Arc<Mutex<Option<OutputDir>>>,
    waiting: VecDeque<OutputWork>,
    busy: bool,
}

/// A piece of work that can be done now, on any thread.
pub struct Task {
    job: JobId,
    output: Arc<Mutex<Option<OutputDir>>>,
    work: OutputWork,
}

impl Outputs {
    /// Takes work. What can be done now comes back.
    pub fn add(&mut self, job: JobId, work: OutputWork) -> Option<Task> {
        self.queues.entry(job.clone()).or_default().waiting.push_back(work);
        self.next(&job)
    }

    /// The work that was begun on an output is done. The next one comes back.
    pub fn done(&mut self, job: &JobId) -> Option<Task> {
        if let Some(queue) = self.queues.get_mut(job) {
            queue.busy = false;
        }
        let next = self.next(job);
        let is_over = |queue: &Queue| !queue.busy && is_closed(&queue.output);
        if self.queues.get(job).is_some_and(is_over) {
            self.queues.remove(job);
        }
        next
    }

    /// Lets go of all outputs without removing anything: a later life of the coordinator takes them up.
    pub fn leave(self) {
        for queue in self.queues.into_values() {
            let mut output = queue.output.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(output) = output.take() {
                output.leave();
            }
        }
    }

    fn next(&mut self, job: &JobId) -> Option<Task> {
        let queue = self.queues.get_mut(job)?;
        if queue.busy {
            return None;
        }
        let work = queue.waiting.pop_front()?;
        queue.busy = true;
        Some(Task { job: job.clone(), output: queue.output.clone(), work })
    }
}

fn is_closed(output: &Mutex<Option<OutputDir>>) -> bool {
    output.lock().unwrap_or_else(PoisonError::into_inner).is_none()
}

impl Task {
    /// Does the work, and tells what came of it. Blocks.
    pub fn run(self) -> (JobId, OutputDone) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match self.work {
            OutputWork::Create { output: wanted } => {
                OutputDone::Created(create(&mut output, &wanted, &self.job))
            }
            OutputWork::Resume { output: wanted, parts } => {
                OutputDone::Resumed(resume(&mut output, &wanted, &self.job, &parts))
            }
            OutputWork::Commit { lease, part } => {
                let committed = match output.as_ref() {
                    Some(output) => output.commit_ready(&part),
                    None => Err(closed()),
                };
                OutputDone::Committed { lease, part: committed }
            }
            OutputWork::Publish { manifest, rejects, sync } => {
                OutputDone::Published(publish(output.take(), &manifest, &rejects, sync))
            }
            OutputWork::Discard => {
                if let Some(output) = output.take() {
                    output.discard();
                }
                OutputDone::Discarded
            }
        };
        drop(output);
        (self.job, done)
    }
}

fn create(
    output: &mut Option<OutputDir>,
    wanted: &OutputRequest,
    job: &JobId,
) -> Result<std::path::PathBuf, String> {
    let made = OutputDir::create(&wanted.path, wanted.overwrite, job).map_err(|error| error.to_string())?;
    let staging = made.staging().to_owned();
    *output = Some(made);
    Ok(staging)
}

fn resume(
    output: &mut Option<OutputDir>,
    wanted: &OutputRequest,
    job: &JobId,
    parts: &[Part],
) -> Result<Resumption, Failure> {
    match OutputDir::resume(&wanted.path, wanted.overwrite, job) {
        Ok(Resumed::Open(dir)) => {
            for part in parts {
                dir.adopt(part)?;
            }
            *output = Some(dir);
            Ok(Resumption::Open)
        }
        Ok(Resumed::Published) => Ok(Resumption::Published),
        Ok(Resumed::Lost) => Err(lost(&wanted.path)),
        Err(OutputError::Failed(failure)) => Err(failure),
        Err(error) => {
            Err(Failure::Disk { path: wanted.path.clone(), reason: error.to_string(), full: false })
        }
    }
}

fn publish(
    output: Option<OutputDir>,
    manifest: &Manifest,
    rejects: &[(AttemptId, u64)],
    sync: bool,
) -> Result<(), OutputFault> {
    let output = output.ok_or_else(|| OutputFault::Failed(closed()))?;
    let durability = if sync { Durability::Synced } else { Durability::Written };
    output.collect_rejects(rejects).map_err(OutputFault::Failed)?;
    output.publish(manifest, durability).map_err(|error| match error {
        OutputError::Failed(failure) => OutputFault::Failed(failure),
        error => OutputFault::Refused(error.to_string()),
    })
}

fn lost(path: &Path) -> Failure {
    Failure::Disk {
        path: path.to_owned(),
        reason: "its staging folder was removed while the coordinator was away; submit the job again".into(),
        full: false,
    }
}

fn closed() -> Failure {
    Failure::internal("the output is closed already")
}
