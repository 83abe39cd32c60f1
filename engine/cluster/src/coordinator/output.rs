//! Does work on the outputs of jobs, off the coordinator's thread: file systems may be slow. Works on
//! one output are done one after the other, in the order in which the core asked for them.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    /// Does the work, and tells what came of it, also where it panics: a job must not wait for ever.
    /// Blocks.
    pub fn run(self) -> (JobId, OutputDone) {
        let (job, failed) = (self.job.clone(), self.work.failed());
        // What the work left is seen by later work of this output alone, which removes it.
        let done = catch_unwind(AssertUnwindSafe(|| self.done()));
        (job, done.unwrap_or(failed))
    }

    fn done(self) -> OutputDone {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match self.work {
            OutputWork::Create { output: wanted } => {
                OutputDone::Created(create(&mut output, &wanted, &self.job))
            }
            OutputWork::Resume { output: wanted, parts } => {
                OutputDone::Resumed(resume(&mut output, &wanted, &self.job, &parts))
            }
            OutputWork::Commit { lease, parts } => {
                let committed = match output.as_ref() {
                    Some(output) => output.commit_ready(&parts),
                    None => Err(closed()),
                };
                OutputDone::Committed { lease, parts: committed }
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
        done
    }
}

impl OutputWork {
    /// What is answered where the work panicked; the reason is in the log.
    fn failed(&self) -> OutputDone {
        let sentence = "a fault of the engine; the coordinator's log has more";
        let failure = || Failure::internal(sentence);
        match self {
            OutputWork::Create { .. } => OutputDone::Created(Err(sentence.into())),
            OutputWork::Resume { .. } => OutputDone::Resumed(Err(failure())),
            OutputWork::Commit { lease, .. } => {
                OutputDone::Committed { lease: lease.clone(), parts: Err(failure()) }
            }
            OutputWork::Publish { .. } => OutputDone::Published(Err(OutputFault::Failed(failure()))),
            OutputWork::Discard => OutputDone::Discarded,
        }
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use mr_storage::step;

    use super::*;

    thread_local! {
        static PANICS: Cell<bool> = const { Cell::new(false) };
    }

    /// Work on an output, on a thread of its own as ever, that panics at its first step.
    fn run_panicking(task: Task) -> OutputDone {
        step::install(|_| assert!(!PANICS.get(), "as a fault of the engine would"));
        let thread = std::thread::spawn(move || {
            PANICS.set(true);
            task.run().1
        });
        thread.join().unwrap()
    }

    #[test]
    fn work_that_panics_is_answered_and_the_next_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobId::new("job").unwrap();
        let output = OutputRequest { path: dir.path().join("out"), overwrite: false, sync: false };
        let mut outputs = Outputs::default();
        let create = || OutputWork::Create { output: output.clone() };
        let task = outputs.add(job.clone(), create()).unwrap();
        assert!(outputs.add(job.clone(), create()).is_none(), "one after the other");
        let done = run_panicking(task);
        assert!(
            matches!(&done, OutputDone::Created(Err(why)) if why.contains("fault of the engine")),
            "{done:?}"
        );
        let (_, done) = outputs.done(&job).unwrap().run();
        assert!(matches!(&done, OutputDone::Created(Ok(staging)) if staging.is_dir()), "{done:?}");
        assert!(outputs.done(&job).is_none());
        let task = outputs.add(job.clone(), OutputWork::Discard).unwrap();
        assert!(matches!(run_panicking(task), OutputDone::Discarded));
    }
}
