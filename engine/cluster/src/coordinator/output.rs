//! Does work on the outputs of jobs, off the coordinator's thread: file systems and stores may be slow. Works on
//! one output are done one after the other, in the order in which the core asked for them.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mr_model::{AttemptId, Failure, JobId, is_address};
use mr_storage::{
    Durability, Manifest, OutputDir, OutputError, Part, ReadyParts, RemoteOutputs, RemotePlace,
    RemoteResumed, Resumed, StoreOutput, StoreResumed, Upload,
};

use super::core::{OutputDone, OutputFault, OutputWork, Resumption};
use crate::protocol::OutputRequest;

/// The outputs of jobs that have not ended.
#[derive(Default)]
pub struct Outputs {
    queues: BTreeMap<JobId, Queue>,
    reach: Arc<Reach>,
}

/// What outputs on stores take.
#[derive(Default)]
struct Reach {
    stores: Option<Arc<dyn RemoteOutputs>>,
    /// Folder for what is put together, with one for each job.
    scratch: PathBuf,
}

/// Where an output on a store goes, and whoever reaches it.
type OnStore = (Arc<dyn RemoteOutputs>, RemotePlace);

/// An output in the making.
enum Output {
    Dir(OutputDir),
    Store(StoreOutput),
}

/// Work on one output.
#[derive(Default)]
struct Queue {
    output: Arc<Mutex<Option<Output>>>,
    waiting: VecDeque<OutputWork>,
    busy: bool,
}

/// A piece of work that can be done now, on any thread.
pub struct Task {
    job: JobId,
    reach: Arc<Reach>,
    output: Arc<Mutex<Option<Output>>>,
    work: OutputWork,
}

impl Outputs {
    /// None yet. Those on stores take `stores`, and room in the folder `scratch`, which is theirs alone.
    pub fn new(stores: Option<Arc<dyn RemoteOutputs>>, scratch: PathBuf) -> Self {
        Self { queues: BTreeMap::new(), reach: Arc::new(Reach { stores, scratch }) }
    }

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
        Some(Task { job: job.clone(), reach: self.reach.clone(), output: queue.output.clone(), work })
    }
}

fn is_closed(output: &Mutex<Option<Output>>) -> bool {
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
        let Self { job, reach, output, work } = self;
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match work {
            OutputWork::Create { output: wanted } => {
                OutputDone::Created(reach.create(&wanted, &job).map(|made| made.place(&wanted, &mut output)))
            }
            OutputWork::Resume { output: wanted, parts } => {
                OutputDone::Resumed(reach.resume(&wanted, &job, &parts).map(|found| match found {
                    Some(resumed) => {
                        *output = Some(resumed);
                        Resumption::Open
                    }
                    None => Resumption::Published,
                }))
            }
            OutputWork::Commit { lease, parts } => {
                let committed = match output.as_ref() {
                    Some(output) => output.commit(&parts),
                    None => Err(closed()),
                };
                OutputDone::Committed { lease, parts: committed }
            }
            OutputWork::Publish { manifest, rejects, sync } => {
                let Some(output) = output.take() else {
                    return OutputDone::Published(Err(OutputFault::Failed(closed())));
                };
                let is_on_store = matches!(output, Output::Store(_));
                let published = output.publish(&manifest, &rejects, sync);
                if is_on_store {
                    reach.clean(&job);
                }
                OutputDone::Published(published)
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

impl Reach {
    fn create(&self, wanted: &OutputRequest, job: &JobId) -> Result<Output, String> {
        let made = match self.place(wanted, job).map_err(|failure| failure.to_string())? {
            None => OutputDir::create(&wanted.path, wanted.overwrite, job).map(Output::Dir),
            Some((stores, place)) => {
                // Claimed by a life of the coordinator that ended before it could take the job.
                if let Ok(RemoteResumed::Open(left)) = stores.resume(&place, wanted.overwrite) {
                    drop(left);
                }
                StoreOutput::create(stores, place, wanted.overwrite, self.clean(job)).map(Output::Store)
            }
        };
        made.map_err(|error| error.to_string())
    }

    /// The output as it was, nothing where it was published.
    fn resume(
        &self,
        wanted: &OutputRequest,
        job: &JobId,
        parts: &[(Part, Option<Upload>)],
    ) -> Result<Option<Output>, Failure> {
        let failed = |error: OutputError| match error {
            OutputError::Failed(failure) => failure,
            error => Failure::Disk { path: wanted.path.clone(), reason: error.to_string(), full: false },
        };
        let Some((stores, place)) = self.place(wanted, job)? else {
            return match OutputDir::resume(&wanted.path, wanted.overwrite, job).map_err(failed)? {
                Resumed::Open(dir) => {
                    parts.iter().try_for_each(|(part, _)| dir.adopt(part))?;
                    Ok(Some(Output::Dir(dir)))
                }
                Resumed::Published => Ok(None),
                Resumed::Lost => Err(lost(&wanted.path, "its staging folder was")),
            };
        };
        match StoreOutput::resume(stores, place, wanted.overwrite, self.clean(job)).map_err(failed)? {
            StoreResumed::Open(store) => {
                for (part, upload) in parts {
                    let upload = upload.as_ref().ok_or_else(|| {
                        Failure::internal(format!("{} was committed without an upload", part.name))
                    })?;
                    store.adopt(part, upload)?;
                }
                Ok(Some(Output::Store(store)))
            }
            StoreResumed::Published => Ok(None),
            StoreResumed::Lost => Err(lost(&wanted.path, "what was uploaded for it was")),
        }
    }

    /// Where an output on a store goes; none for a folder.
    fn place(&self, wanted: &OutputRequest, job: &JobId) -> Result<Option<OnStore>, Failure> {
        if !is_address(&wanted.path) {
            return Ok(None);
        }
        match (&self.stores, wanted.path.to_str()) {
            (Some(stores), Some(address)) => {
                Ok(Some((stores.clone(), RemotePlace { address: address.to_owned(), job: job.clone() })))
            }
            _ => Err(Failure::internal("the coordinator has no stores that output could go to")),
        }
    }

    /// The folder for what is put together for a job; nothing is in it.
    fn clean(&self, job: &JobId) -> PathBuf {
        let dir = self.scratch.join(job.as_str());
        // Where it cannot be removed it is not there, or whoever uses it says so.
        let _ = fs::remove_dir_all(&dir);
        dir
    }
}

impl Output {
    /// Where attempts leave their parts, or the address that they are uploaded to; the output is open from now
    /// on.
    fn place(self, wanted: &OutputRequest, output: &mut Option<Output>) -> PathBuf {
        let place = match &self {
            Output::Dir(dir) => dir.staging().to_owned(),
            Output::Store(_) => wanted.path.clone(),
        };
        *output = Some(self);
        place
    }

    fn commit(&self, parts: &ReadyParts) -> Result<Vec<Part>, Failure> {
        match self {
            Output::Dir(dir) => dir.commit_ready(parts),
            Output::Store(store) => store.commit_ready(parts),
        }
    }

    fn publish(
        self,
        manifest: &Manifest,
        rejects: &[(AttemptId, u64)],
        sync: bool,
    ) -> Result<(), OutputFault> {
        let durability = if sync { Durability::Synced } else { Durability::Written };
        let published = match self {
            Output::Dir(dir) => {
                dir.collect_rejects(rejects).map_err(OutputFault::Failed)?;
                dir.publish(manifest, durability)
            }
            Output::Store(store) => {
                store.collect_rejects(rejects).map_err(OutputFault::Failed)?;
                store.publish(manifest)
            }
        };
        published.map_err(|error| match error {
            OutputError::Failed(failure) => OutputFault::Failed(failure),
            error => OutputFault::Refused(error.to_string()),
        })
    }

    fn discard(self) {
        match self {
            Output::Dir(dir) => dir.discard(),
            Output::Store(store) => store.discard(),
        }
    }

    fn leave(self) {
        match self {
            Output::Dir(dir) => dir.leave(),
            Output::Store(store) => store.leave(),
        }
    }
}

fn lost(path: &Path, what: &str) -> Failure {
    Failure::Disk {
        path: path.to_owned(),
        reason: format!("{what} removed while the coordinator was away; submit the job again"),
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
