//! One attempt from its order to its end: waits for a slot, gets description and input, runs, reports.
//!
//! Everything that can be wrong with what the coordinator or another worker sent ends here as a failure
//! of the attempt. Must not touch the worker's state: what came of it goes to the owner as a
//! [`Finished`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mr_executor::{AttemptOrder, Done, Executors, Made, Stop};
use mr_model::{AttemptId, Failure, Stage};
use mr_runtime::{Progress, TaskInput, run_attempt};
use mr_scheduler::Lease;
use mr_scheduler::config::PARTITION_BYTES_REDUCERS_MAX;
use mr_shuffle::MapOutput;
use mr_storage::remote::is_remote;
use mr_storage::remote_output::{ship, ship_rejects};
use mr_storage::{RemoteInputs, RemoteOutputs, RemotePlace, Split, copy_in};
use tokio::sync::Semaphore;

use super::ask::Asker;
use super::cancel::Cancel;
use super::data;
use super::fetch::{Input, Wanted, gather};
use super::jobs::{Apart, Jobs, Ready, Shared, decode};
use super::lines::Lines;
use super::outputs::Outputs;
use super::share::Share;
use super::source::Fetcher;
use super::tenants::{Places, ROOM_PATIENCE, Tenancy, Tenants, UNWRITTEN_BYTES_MAX};
use super::thread::on_thread;
use crate::protocol::{AttemptEnd, CoordinatorKey, TaskOrder};

/// Largest end of an attempt, in bytes as sent: the rest of a message is its log.
const END_BYTES_MAX: usize = mr_net::limits::CONTROL_BYTES_MAX - 2 * crate::protocol::LOG_BYTES_MAX;

/// What the attempts of one life share.
pub(super) struct Shop {
    /// Asks the coordinator.
    pub asker: Asker,
    /// Jobs that are ready.
    pub jobs: Jobs,
    /// Processes that attempts run in; none where they are threads.
    pub executors: Option<Executors>,
    /// Map outputs of this worker.
    pub outputs: Outputs,
    /// Connections to other workers.
    pub fetcher: Arc<Fetcher>,
    /// One permit for each attempt that may run at once.
    pub slots: Semaphore,
    /// Attempts that fill the data folder's disk.
    pub tenants: Tenants,
    /// Stores that inputs may come from.
    pub remote: Option<Arc<dyn RemoteInputs>>,
    /// Stores that output may go to.
    pub remote_outputs: Option<Arc<dyn RemoteOutputs>>,
    /// This machine, if outputs of other workers on it are read where they lie.
    pub machine: Option<String>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Finished {
    /// Which, where.
    pub lease: Lease,
    /// How it ended.
    pub end: AttemptEnd,
    /// Its plugin's last log lines.
    pub log: Vec<String>,
    /// Its map output, to be kept.
    pub output: Option<MapOutput>,
}

/// Runs an attempt to its end.
pub(super) async fn attend(shop: Arc<Shop>, lease: Lease, cancel: Cancel, share: Arc<Share>) -> Finished {
    let lines = Lines::default();
    let tenancy = shop.tenants.enter(lease.job.clone(), lease.attempt, cancel.clone());
    let (end, output) = match shop.work(&lease, &cancel, &share, &lines, &tenancy).await {
        Ok(done) => done,
        Err(Failure::Cancelled) if cancel.is_cancelled() => (AttemptEnd::Cancelled, None),
        Err(failure) => (AttemptEnd::Failed(tenancy.evicted().unwrap_or(failure)), None),
    };
    drop(tenancy);
    Finished { lease, end, log: lines.take(), output }
}

impl Shop {
    async fn work(
        &self,
        lease: &Lease,
        cancel: &Cancel,
        share: &Arc<Share>,
        lines: &Lines,
        tenancy: &Tenancy,
    ) -> Result<(AttemptEnd, Option<MapOutput>), Failure> {
        let slot = cancel.unless_cancelled(self.slots.acquire()).await.ok_or(Failure::Cancelled)?;
        let _slot = slot.map_err(|_| Failure::internal("the worker's slots are closed"))?;
        let prepared = cancel.unless_cancelled(self.prepare(lease, share, tenancy));
        let (ready, input, held) = prepared.await.ok_or(Failure::Cancelled)??;
        let (attempt, progress) = (lease.attempt, Progress::of_attempt(&input));
        share.begun(progress.clone());
        let upload = ready.store.clone().map(|place| (place, ready.part_dir.clone()));
        let (log, running, name) = (lines.forward(), cancel.running().clone(), name(attempt));
        let done = match (ready.job, self.executors.clone()) {
            (Shared::Here(job), _) => {
                on_thread(name, move || {
                    let done = run_attempt(&job, attempt, &input, &progress, Some(log), &running);
                    // What was fetched is there until here, whoever waits.
                    drop(held);
                    done.map(Done::from)
                })
                .await?
            }
            (Shared::Apart(job), Some(executors)) => {
                let (stop, stopped) = (Stop::default(), cancel.clone());
                let stopping = stop.clone();
                let run = on_thread(name.clone(), move || {
                    let order = order(&job, attempt, input, ready.dir.join(name))?;
                    let run_dir = order.run_dir.clone();
                    let done = executors.run(order, &progress, &log, &stop);
                    drop(held);
                    clean(done, &run_dir)
                });
                let stopping = async {
                    stopped.stopped().await;
                    stopping.stop();
                    std::future::pending().await
                };
                tokio::select! {
                    done = run => done?,
                    never = stopping => never,
                }
            }
            (Shared::Apart(_), None) => return Err(Failure::internal("the worker has no processes")),
        };
        finish(self.upload(upload, attempt, done, cancel).await?)
    }

    /// Uploads what an attempt made, if it goes to a store. Who drops this has the uploading stopped.
    async fn upload(
        &self,
        to: Option<(RemotePlace, PathBuf)>,
        attempt: AttemptId,
        done: Done,
        cancel: &Cancel,
    ) -> Result<Done, Failure> {
        let Some((place, dir)) = to else { return Ok(done) };
        let Some(stores) = self.remote_outputs.clone() else {
            return Err(Failure::internal("the worker has no stores to upload output to"));
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopper = Stopped(stop.clone());
        let mut uploading = tokio::task::spawn_blocking(move || {
            let stopped = || stop.load(Ordering::Relaxed);
            ship_rejects(&*stores, &place, &dir, attempt, &stopped)?;
            let made = match done.made {
                Made::Parts(ready) => Made::Parts(ship(&*stores, &place, &dir, ready, &stopped)?),
                runs => runs,
            };
            Ok(Done { made, ..done })
        });
        let uploaded = tokio::select! {
            uploaded = &mut uploading => uploaded,
            () = cancel.stopped() => {
                drop(stopper);
                // The slot is free once what was begun is given up: then the output may be cleaned up.
                uploading.await
            }
        };
        uploaded.map_err(|error| Failure::internal(error.to_string()))?
    }

    /// Gets everything that the attempt needs onto this machine.
    async fn prepare(
        &self,
        lease: &Lease,
        share: &Arc<Share>,
        tenancy: &Tenancy,
    ) -> Result<(Ready, TaskInput, Input), Failure> {
        tenancy.room(0).await?;
        let ready = self.jobs.ready(&lease.job, &self.asker, tenancy).await?;
        tenancy.writes(Places { job_dir: ready.dir.clone(), part_dir: ready.part_dir.clone() });
        let what = format!("the order for {} of job {}", lease.attempt, lease.job);
        let key = CoordinatorKey::Task { job: lease.job.clone(), attempt: lease.attempt };
        let order: TaskOrder = decode(&self.asker.description(&key, &what).await?, &what)?;
        let wrong = |reason: &str| Err(Failure::internal(format!("{what} {reason}")));
        match (order, lease.attempt.task.stage) {
            (TaskOrder::Map(split), Stage::Map) if split.index == lease.attempt.task.index => {
                let split = self.jobs.check_split(split).await?;
                let (split, held) = self.copy_in(lease.attempt, &ready, split).await?;
                Ok((ready, TaskInput::Map(split), held))
            }
            (TaskOrder::Reduce { sources, outputs }, Stage::Reduce) => {
                if lease.attempt.task.index >= ready.reducers {
                    return wrong("names a partition that the job does not have");
                }
                let wanted = Wanted {
                    job: lease.job.clone(),
                    attempt: lease.attempt,
                    us: (lease.worker, lease.incarnation),
                    sources,
                    outputs,
                    dir: ready.dir.clone(),
                    machine: self.machine.clone(),
                };
                let mut held = gather(&self.fetcher, &self.outputs, wanted, share, tenancy).await?;
                let segments = std::mem::take(&mut held.segments);
                Ok((ready, TaskInput::Reduce(segments), held))
            }
            _ => wrong("is for another task"),
        }
    }
}

impl Shop {
    /// Copies what a split needs of remote objects to this machine. Who drops this has the copying stopped.
    async fn copy_in(
        &self,
        attempt: AttemptId,
        ready: &Ready,
        mut split: Split,
    ) -> Result<(Split, Input), Failure> {
        if !is_remote(&split) {
            return Ok((split, Input::default()));
        }
        let Some(remote) = self.remote.clone() else {
            return Err(Failure::internal("the worker has no stores to get remote input from"));
        };
        let (inputs, dir) = (ready.inputs.clone(), ready.dir.clone());
        let record_bytes_max = ready.record_bytes_max;
        let stop = Arc::new(AtomicBool::new(false));
        let _stopped = Stopped(stop.clone());
        let copying = tokio::task::spawn_blocking(move || {
            let input = inputs.get(split.input as usize);
            let input = input.ok_or_else(|| Failure::internal("the split is of no input of the job"))?;
            let (name, stopped) = (name(attempt), || stop.load(Ordering::Relaxed));
            let place = (dir.as_path(), name.as_str());
            let copies = copy_in(&mut split, input, record_bytes_max, place, &*remote, &stopped)?;
            Ok((split, Input::of_copies(copies)))
        });
        copying.await.map_err(|error| Failure::internal(error.to_string()))?
    }
}

/// Says stop when it is dropped.
struct Stopped(Arc<AtomicBool>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Name of an attempt's thread and folder; those of its files hold it.
pub(super) fn name(attempt: AttemptId) -> String {
    let AttemptId { task, attempt } = attempt;
    format!("{}-{:06}-{attempt}", task.stage, task.index)
}

/// The order for a process, which gets a folder of its own for run files.
fn order(
    job: &Apart,
    attempt: AttemptId,
    input: TaskInput,
    run_dir: PathBuf,
) -> Result<AttemptOrder, Failure> {
    data::make(&run_dir).map_err(|error| Failure::disk(&run_dir, &error))?;
    Ok(AttemptOrder {
        description: job.description.clone(),
        attempt,
        input,
        memory: job.memory,
        codec: job.codec,
        room_patience: ROOM_PATIENCE,
        unwritten_bytes_max: UNWRITTEN_BYTES_MAX,
        run_dir,
        sides: job.sides.iter().map(|side| side.path().to_owned()).collect(),
        plugins: job.plugins.clone(),
    })
}

/// Removes the folder of an attempt that left nothing in it that is needed.
fn clean(done: Result<Done, Failure>, run_dir: &Path) -> Result<Done, Failure> {
    if !matches!(&done, Ok(Done { made: Made::Runs(_), .. })) {
        // What cannot be removed now goes with the job's folder.
        let _ = data::remove(run_dir);
    }
    done
}

/// Turns what an attempt left behind into what is said of it.
fn finish(done: Done) -> Result<(AttemptEnd, Option<MapOutput>), Failure> {
    let Done { made, mut report, facts } = done;
    let (end, output) = match made {
        Made::Runs(output) => {
            if output.bytes.len() <= PARTITION_BYTES_REDUCERS_MAX as usize {
                report.partition_bytes.clone_from(&output.bytes);
            }
            (AttemptEnd::Output { report, facts }, Some(output))
        }
        Made::Parts(parts) => (AttemptEnd::Parts { report, facts, parts }, None),
    };
    match postcard::to_stdvec(&end) {
        Ok(bytes) if bytes.len() <= END_BYTES_MAX => Ok((end, output)),
        Ok(bytes) => Err(Failure::internal(format!(
            "the report of the attempt has {} bytes, and {END_BYTES_MAX} are allowed",
            bytes.len()
        ))),
        Err(error) => Err(Failure::internal(format!("the report of the attempt cannot be sent: {error}"))),
    }
}
