//! The local runner: drives the scheduler with one thread for each slot, in this process.
//!
//! The thread that calls [`run_local`] owns all state of the job: it feeds events to the scheduler and
//! does what it answers. Workers only run attempts and send back what came of them.

use std::collections::BTreeMap;
use std::io::{self, Stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mr_model::{AttemptId, Failure, Incarnation, JobId, Stage, TaskId, WorkerId};
use mr_sandbox::{CancelToken, LogForward};
use mr_scheduler::{Action, AttemptReport, Config, Event, JobPlan, Lease, Outcome, Scheduler, Time};
use mr_shuffle::MapOutput;
use mr_storage::remote_output::ship;
use mr_storage::{
    Delivery, OutputDir, OutputError, Part, PendingParts, ReadyParts, RemoteInputs, RemoteOutputs,
    RemotePlace, Split, StdoutParts, StoreOutput,
};

use crate::attempt::{AttemptDone, Input, Product, run};
use crate::facts::Facts;
use crate::job::{Attempt, Job};
use crate::plan::Plan;
use crate::progress::{Phase, Progress};
use crate::record::PlanRecord;
use crate::report::{JobReport, Times, millis};
use crate::request::OutputTarget;
use crate::tally::Tally;
use crate::workdir::WorkDir;

/// How often the driver looks whether somebody cancelled the job.
const CANCEL_POLL: Duration = Duration::from_millis(20);
/// Longest wait for attempts to stop after the job has ended; then the process ends without them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a job did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The output cannot be made or published.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// An attempt failed for good.
    #[error("{attempt} failed: {failure}")]
    Attempt {
        /// The attempt.
        attempt: AttemptId,
        /// Why.
        failure: Failure,
    },
    /// The keys could not be sampled for range partitioning.
    #[error("sampling keys for range partitioning failed: {0}")]
    Sample(Failure),
    /// The job failed outside of any attempt.
    #[error("{0}")]
    Job(Failure),
    /// Somebody cancelled it.
    #[error("the job was cancelled; no output was left")]
    Cancelled,
}

impl JobError {
    /// The failure behind it, if there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            JobError::Attempt { failure, .. } | JobError::Sample(failure) | JobError::Job(failure) => {
                Some(failure)
            }
            JobError::Output(OutputError::Failed(failure)) => Some(failure),
            JobError::Output(_) | JobError::Cancelled => None,
        }
    }
}

/// Runs a planned job to its end on `plan.workers` threads.
pub fn run_local(
    plan: &Plan,
    progress: &Arc<Progress>,
    cancel: &CancelToken,
    log: Option<LogForward>,
) -> Result<JobReport, JobError> {
    let begun = Instant::now();
    progress.enter(Phase::Plan);
    let work_dir = WorkDir::create(&plan.work_dir, &plan.spec.id).map_err(JobError::Job)?;
    let target = Target::open(plan, &work_dir)?;
    let part_dir = match &target {
        Target::Dir(dir) => dir.staging().to_owned(),
        Target::Store(_) | Target::Stdout(_) => work_dir.path().to_owned(),
    };
    let spread = match plan.boundaries(cancel) {
        Err(Failure::Cancelled) => return Err(JobError::Cancelled),
        spread => spread.map_err(JobError::Sample)?,
    };
    let resources = plan.resources(work_dir.path().to_owned());
    let job = Job::new(plan.describe(spread, part_dir), plan.stages.clone(), resources);
    let job = job.map_err(JobError::Job)?;
    let upload = match &plan.output {
        OutputTarget::Store { address, stores, .. } => {
            Some((stores.clone(), place(address, &plan.spec.id), work_dir.path().to_owned()))
        }
        _ => None,
    };
    let shared = Shared { job, progress: progress.clone(), log, remote: plan.remote.clone(), upload };
    Driver::new(plan, shared, target, cancel.clone(), begun).run()
}

/// Where committed parts go.
enum Target {
    Dir(OutputDir),
    Store(StoreOutput),
    Stdout(StdoutParts<Stdout>),
}

/// Finished parts of an attempt.
enum Parts {
    Files(PendingParts),
    Uploaded(ReadyParts),
}

impl Parts {
    fn list(&self) -> &[Part] {
        match self {
            Parts::Files(pending) => pending.parts(),
            Parts::Uploaded(ready) => &ready.parts,
        }
    }

    fn sum(&self, of: impl Fn(&Part) -> u64) -> u64 {
        self.list().iter().fold(0, |sum, part| sum.saturating_add(of(part)))
    }
}

fn place(address: &str, job: &JobId) -> RemotePlace {
    RemotePlace { address: address.to_owned(), job: job.clone() }
}

impl Target {
    fn open(plan: &Plan, work_dir: &WorkDir) -> Result<Self, JobError> {
        Ok(match &plan.output {
            OutputTarget::Dir { path, overwrite, .. } => {
                Target::Dir(OutputDir::create(path, *overwrite, &plan.spec.id)?)
            }
            OutputTarget::Store { address, overwrite, stores } => {
                let (place, scratch) = (place(address, &plan.spec.id), work_dir.path().to_owned());
                Target::Store(StoreOutput::create(stores.clone(), place, *overwrite, scratch)?)
            }
            OutputTarget::Stdout => Target::Stdout(StdoutParts::new(io::stdout())),
        })
    }

    fn commit(&mut self, parts: Parts) -> Result<(Vec<Part>, Delivery), Failure> {
        match (self, parts) {
            (Target::Dir(dir), Parts::Files(pending)) => Ok((dir.commit(pending)?, Delivery::Open)),
            (Target::Store(store), Parts::Uploaded(ready)) => {
                Ok((store.commit_ready(&ready)?, Delivery::Open))
            }
            (Target::Stdout(stream), Parts::Files(pending)) => stream.commit(pending),
            _ => Err(Failure::internal("parts are not where the output takes them from")),
        }
    }
}

/// An attempt for a worker.
struct Order {
    lease: Lease,
    cancel: CancelToken,
    work: Work,
}

enum Work {
    Map(Split),
    Reduce(Vec<Arc<MapOutput>>),
}

/// What all attempts share.
#[derive(Clone)]
struct Shared {
    job: Arc<Job>,
    progress: Arc<Progress>,
    log: Option<LogForward>,
    remote: Option<Arc<dyn RemoteInputs>>,
    /// Where finished parts are uploaded to, and the folder that they lie in until then.
    upload: Option<Upload>,
}

type Upload = (Arc<dyn RemoteOutputs>, RemotePlace, PathBuf);

/// What came of an attempt.
struct Done {
    made: Made,
    report: AttemptReport,
    facts: Facts,
}

enum Made {
    Runs(MapOutput),
    Parts(Parts),
}

type Answer = (Lease, Result<Done, Failure>);

/// A finished attempt that waits for its commit, and what will be told of it.
struct Waiting {
    parts: Parts,
    report: AttemptReport,
    facts: Facts,
}

/// The owner of a job's state while it runs.
struct Driver<'a> {
    plan: &'a Plan,
    record: PlanRecord,
    target: Target,
    progress: Arc<Progress>,
    cancel: CancelToken,
    begun: Instant,
    scheduler: Scheduler,
    orders: Vec<Sender<Order>>,
    answers: Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
    running: BTreeMap<AttemptId, CancelToken>,
    waiting: BTreeMap<AttemptId, Waiting>,
    /// Output of finished map attempts; the scheduler knows which of them count.
    outputs: BTreeMap<AttemptId, Arc<MapOutput>>,
    tally: Tally,
    closed: bool,
    outcome: Option<Outcome>,
    times: Times,
}

impl<'a> Driver<'a> {
    fn new(plan: &'a Plan, shared: Shared, target: Target, cancel: CancelToken, begun: Instant) -> Self {
        let (answer, answers) = channel();
        let mut orders = Vec::new();
        let mut threads = Vec::new();
        for number in 0..plan.workers {
            let (order, inbox) = channel();
            let (shared, answer) = (shared.clone(), answer.clone());
            let thread = std::thread::Builder::new().name(format!("worker-{number}"));
            if let Ok(thread) = thread.spawn(move || work(&shared, &inbox, &answer)) {
                orders.push(order);
                threads.push(thread);
            }
        }
        let scheduler = Scheduler::new(Config::local());
        let record = plan.record();
        Self {
            tally: Tally::new(&record),
            plan,
            record,
            target,
            progress: shared.progress,
            cancel,
            begun,
            scheduler,
            orders,
            answers,
            threads,
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            outputs: BTreeMap::new(),
            closed: false,
            outcome: None,
            times: Times::default(),
        }
    }

    fn run(mut self) -> Result<JobReport, JobError> {
        if self.orders.is_empty() {
            return Err(JobError::Job(Failure::internal("the system gives no threads")));
        }
        self.start();
        let outcome = self.drive();
        self.drain();
        let finished = self.finish(outcome);
        self.orders.clear();
        if self.running.is_empty() {
            for thread in std::mem::take(&mut self.threads) {
                let _ = thread.join();
            }
        }
        finished
    }

    /// Announces workers and job to the scheduler.
    fn start(&mut self) {
        use std::sync::atomic::Ordering::Relaxed;
        self.times.plan = millis(self.begun.elapsed());
        self.progress.map_bytes_total.store(self.plan.input_bytes(), Relaxed);
        self.progress.map_tasks_total.store(self.plan.splits.len() as u64, Relaxed);
        self.progress.reduce_tasks_total.store(u64::from(self.plan.spec.reducers), Relaxed);
        self.progress.enter(Phase::Map);
        for worker in 0..self.orders.len() as u64 {
            self.handle(Event::WorkerJoined {
                worker: WorkerId(worker),
                incarnation: Incarnation(0),
                slots: 1,
                host: None,
            });
        }
        let split_bytes = self.plan.splits.iter().map(|split| split.bytes).collect();
        let mut plan = JobPlan::new(split_bytes, self.plan.spec.reducers);
        plan.attempts_max = self.plan.spec.attempts_max;
        plan.speculation = false;
        self.handle(Event::JobSubmitted { job: self.plan.spec.id.clone(), plan });
    }

    /// Runs until the scheduler says that the job has ended.
    fn drive(&mut self) -> Outcome {
        let mut cancelled = false;
        loop {
            if let Some(outcome) = self.outcome.take() {
                return outcome;
            }
            if self.cancel.is_cancelled() && !cancelled {
                cancelled = true;
                self.handle(Event::JobCancelled { job: self.plan.spec.id.clone() });
                continue;
            }
            match self.answers.recv_timeout(CANCEL_POLL) {
                Ok((lease, done)) => self.take(lease, done),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Outcome::Aborted { failure: Failure::internal("all workers ended") };
                }
            }
        }
    }

    /// Waits until no attempt runs any more: the job is over when it holds no slot.
    fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while !self.running.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((lease, done)) = self.answers.recv_timeout(left) else { return };
            drop(done);
            self.running.remove(&lease.attempt);
            self.handle(Event::AttemptCancelled { lease });
        }
    }

    fn handle(&mut self, event: Event) {
        let now = Time(millis(self.begun.elapsed()));
        for action in self.scheduler.handle(now, event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Launch { lease } => self.launch(lease),
            Action::Cancel { lease } => match self.running.get(&lease.attempt) {
                Some(cancel) => cancel.cancel(),
                None => {
                    self.waiting.remove(&lease.attempt);
                    self.handle(Event::AttemptCancelled { lease });
                }
            },
            Action::GrantCommit { lease } => self.commit(lease),
            Action::TaskFinished { lease } => self.note_finished(lease.attempt.task.stage),
            Action::JobFinished { outcome, .. } => self.outcome = Some(outcome),
            Action::JobRefused { refusal, .. } => {
                let failure = Failure::internal(refusal.to_string());
                self.outcome = Some(Outcome::Aborted { failure });
            }
            // Threads have no leases to renew and are never fenced; lost outputs are looked up anew at
            // every launch of a reduce.
            Action::Renew { .. } | Action::Fence { .. } | Action::MapOutputsLost { .. } => {}
        }
    }

    fn launch(&mut self, lease: Lease) {
        let TaskId { stage, index } = lease.attempt.task;
        let work = match stage {
            Stage::Map => self.plan.splits.get(index as usize).cloned().map(Work::Map),
            Stage::Reduce => self.map_outputs().map(Work::Reduce),
        };
        let Some(work) = work else {
            let failure = Failure::internal(format!("{} has nothing to work on", lease.attempt));
            return self.handle(Event::AttemptFailed { lease, failure });
        };
        let cancel = CancelToken::default();
        self.running.insert(lease.attempt, cancel.clone());
        let order = Order { lease: lease.clone(), cancel, work };
        let worker = usize::try_from(lease.worker.0).ok().and_then(|worker| self.orders.get(worker));
        if worker.is_none_or(|worker| worker.send(order).is_err()) {
            self.running.remove(&lease.attempt);
            let failure = Failure::internal("a worker thread ended");
            self.handle(Event::AttemptFailed { lease, failure });
        }
    }

    /// The valid output of every map task, in task order.
    fn map_outputs(&self) -> Option<Vec<Arc<MapOutput>>> {
        let maps = 0..u32::try_from(self.plan.splits.len()).ok()?;
        maps.map(|index| {
            let output = self.scheduler.map_output(&self.plan.spec.id, index)?;
            self.outputs.get(&output.attempt).cloned()
        })
        .collect()
    }

    /// Tells the scheduler what came of an attempt.
    fn take(&mut self, lease: Lease, done: Result<Done, Failure>) {
        self.running.remove(&lease.attempt);
        match done {
            Ok(Done { made: Made::Runs(output), report, facts }) => {
                self.outputs.insert(lease.attempt, Arc::new(output));
                self.keep(lease.attempt, facts, Vec::new());
                self.handle(Event::AttemptFinished { lease, report });
            }
            Ok(Done { made: Made::Parts(parts), report, facts }) => {
                self.waiting.insert(lease.attempt, Waiting { parts, report, facts });
                self.handle(Event::CommitRequested { lease });
            }
            Err(Failure::Cancelled) => self.handle(Event::AttemptCancelled { lease }),
            Err(failure) => {
                self.tally.count_failed();
                self.handle(Event::AttemptFailed { lease, failure });
            }
        }
    }

    fn commit(&mut self, lease: Lease) {
        let Some(waiting) = self.waiting.remove(&lease.attempt) else {
            let failure = Failure::internal(format!("{} has no parts to commit", lease.attempt));
            return self.handle(Event::AttemptFailed { lease, failure });
        };
        let (bytes, rows) = (waiting.parts.sum(|part| part.bytes), waiting.parts.sum(|part| part.rows));
        if let Err(failure) = self.tally.check_output(bytes, rows) {
            return self.handle(Event::JobAborted { job: self.plan.spec.id.clone(), failure });
        }
        match self.target.commit(waiting.parts) {
            Ok((parts, delivery)) => {
                self.keep(lease.attempt, waiting.facts, parts);
                self.handle(Event::Committed { lease, report: waiting.report });
                if delivery == Delivery::Closed && !self.closed {
                    self.closed = true;
                    self.handle(Event::JobCancelled { job: self.plan.spec.id.clone() });
                }
            }
            // What went out on a stream cannot be taken back, so no other attempt could do better.
            Err(failure) if matches!(self.target, Target::Stdout(_)) => {
                self.handle(Event::JobAborted { job: self.plan.spec.id.clone(), failure });
            }
            Err(failure) => self.handle(Event::AttemptFailed { lease, failure }),
        }
    }

    /// Keeps what a task told, and ends the job where its tasks together are over a limit.
    fn keep(&mut self, attempt: AttemptId, facts: Facts, parts: Vec<Part>) {
        self.tally.keep(attempt, facts, parts);
        if let Some(failure) = self.tally.fault() {
            self.handle(Event::JobAborted { job: self.plan.spec.id.clone(), failure });
        }
    }

    fn note_finished(&mut self, stage: Stage) {
        let counter = match stage {
            Stage::Map => &self.progress.map_tasks,
            Stage::Reduce => &self.progress.reduce_tasks,
        };
        self.progress.add(counter, 1);
        if stage == Stage::Map && self.tally.all_maps_done() {
            self.times.map = millis(self.begun.elapsed()) - self.times.plan;
            let bytes = self.tally.shuffle().1;
            self.progress.shuffle_bytes_total.store(bytes, std::sync::atomic::Ordering::Relaxed);
            self.progress.enter(Phase::Reduce);
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Result<JobReport, JobError> {
        match outcome {
            Outcome::Succeeded => {
                self.check_no_leases()?;
                self.tally.verdict().map_or(Ok(()), |failure| Err(JobError::Job(failure)))?;
            }
            Outcome::Cancelled if self.closed => {}
            Outcome::Cancelled => return Err(JobError::Cancelled),
            Outcome::Failed { attempt, failure } => return Err(JobError::Attempt { attempt, failure }),
            Outcome::Aborted { failure } => return Err(JobError::Job(failure)),
            Outcome::NoWorkers { .. } => return Err(JobError::Job(Failure::internal(outcome.to_string()))),
        }
        let spent = self.times.plan + self.times.map;
        self.times.reduce = millis(self.begun.elapsed()).saturating_sub(spent);
        self.progress.enter(Phase::Publish);
        let publishing = Instant::now();
        self.publish()?;
        self.times.publish = millis(publishing.elapsed());
        self.times.total = millis(self.begun.elapsed());
        Ok(self.tally.report(&self.record, self.times, self.closed))
    }

    fn check_no_leases(&self) -> Result<(), JobError> {
        match self.scheduler.slots_held(&self.plan.spec.id) {
            0 => Ok(()),
            held => Err(JobError::Job(Failure::internal(format!("the job ended and holds {held} slots")))),
        }
    }

    fn publish(&mut self) -> Result<(), JobError> {
        let target = std::mem::replace(&mut self.target, Target::Stdout(StdoutParts::new(io::stdout())));
        match (target, &self.plan.output) {
            (Target::Dir(dir), OutputTarget::Dir { durability, .. }) => {
                dir.collect_rejects(&self.tally.rejecting()).map_err(JobError::Job)?;
                dir.publish(&self.tally.manifest(&self.record), *durability)?;
            }
            (Target::Store(store), OutputTarget::Store { .. }) => {
                store.collect_rejects(&self.tally.rejecting()).map_err(JobError::Job)?;
                store.publish(&self.tally.manifest(&self.record))?;
            }
            (Target::Stdout(stream), _) => {
                let delivery = stream.finish().map_err(JobError::Job)?;
                self.closed |= delivery == Delivery::Closed;
            }
            (Target::Dir(_) | Target::Store(_), _) => {
                return Err(JobError::Job(Failure::internal("the output is not the one that was planned")));
            }
        }
        Ok(())
    }
}

/// A worker: runs orders until there are no more.
fn work(shared: &Shared, orders: &Receiver<Order>, answers: &Sender<Answer>) {
    while let Ok(Order { lease, cancel, work }) = orders.recv() {
        let Shared { job, progress, log, remote, .. } = shared;
        let attempt = Attempt::new(job, lease.attempt, progress, log.clone(), &cancel);
        let done = match work {
            Work::Map(mut split) => attempt
                .copy_in(&mut split, remote.as_deref())
                .and_then(|_copies| run(&attempt, Input::Split(&split))),
            Work::Reduce(outputs) => run(&attempt, Input::Outputs(&outputs)),
        };
        let done = done.and_then(|done| hand_over(shared, &attempt, done));
        if answers.send((lease, done)).is_err() {
            return;
        }
    }
}

/// What an attempt made, its parts uploaded where they go to a store.
fn hand_over(shared: &Shared, attempt: &Attempt, done: AttemptDone) -> Result<Done, Failure> {
    let AttemptDone { product, report, facts } = done;
    let made = match (product, &shared.upload) {
        (Product::Runs(output), _) => Made::Runs(output),
        (Product::Parts(pending), None) => Made::Parts(Parts::Files(pending)),
        (Product::Parts(pending), Some((stores, place, dir))) => {
            let stop = || attempt.cancel.is_cancelled();
            let ready = ship(&**stores, place, dir, pending.hand_over(), &stop)?;
            Made::Parts(Parts::Uploaded(ready))
        }
    };
    Ok(Done { made, report, facts })
}
