//! The coordinator's state, and what changes it: inputs and the time in, effects out.
//!
//! The core does no I/O of its own but on its journal, and knows no sockets and no threads, so that a
//! test can drive it and kill it anywhere. Nothing leaves it before the journal has it: the effects of
//! a round are handed out when the round's batch is on disk. After a crash the scheduler is replayed,
//! and whatever an order or an answer got lost is said again by heartbeats and by the workers.
//!
//! What words of workers mean is in `words`, what the scheduler wants done in `act`, how a job ends
//! in `finish`, how the state comes back after a restart in `restore`, what is shown in `view`.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use mr_model::{AttemptId, Failure, Incarnation, JobId, WorkerId};
use mr_scheduler::{Action, Config, Event, Lease, Scheduler, Time};
use mr_storage::{Manifest, Part, ReadyParts, Upload};

use super::job::{LiveJob, schedule};
use super::journal::{Batch, Journal, JournalError};
use super::record::{JobRecord, JobStage, WorkerRecord};
use super::words::Telling;
use crate::protocol::{
    ComponentHash, ContentHash, Order, OutputRequest, Refused, Registration, SubmitHead, SubmitReply,
    SubmittedPlan, WorkerWord,
};

/// Settings of a core.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// Of the scheduler.
    pub scheduler: Config,
    /// Ended jobs that stay in the history.
    pub keep_jobs: u64,
}

/// What the core is told.
pub enum Input {
    /// A worker connected.
    Registered {
        /// Its id.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// What it says of itself.
        registration: Registration,
    },
    /// A worker's connection ended.
    Disconnected {
        /// The worker.
        worker: WorkerId,
        /// The process that was connected.
        instance: u64,
    },
    /// A worker said something.
    Word {
        /// The worker.
        worker: WorkerId,
        /// The life that it spoke in.
        incarnation: Incarnation,
        /// What it said.
        word: WorkerWord,
    },
    /// A client submitted a job; its components are stored already.
    Submit {
        /// Number that the answer carries.
        ticket: u64,
        /// What makes the job.
        head: SubmitHead,
        /// Its plan.
        plan: Box<SubmittedPlan>,
    },
    /// Somebody wants a job to stop.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// Somebody wants a worker to leave.
    Drain {
        /// The worker.
        worker: WorkerId,
    },
    /// Work on a job's output is done.
    Output {
        /// The job.
        job: JobId,
        /// What came of it.
        done: OutputDone,
    },
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Send an order to a worker, if it is connected.
    Order {
        /// The worker.
        worker: WorkerId,
        /// The order.
        order: Order,
    },
    /// Do work on a job's output; works on one output are done one after the other.
    Output {
        /// The job.
        job: JobId,
        /// The work.
        work: OutputWork,
    },
    /// Answer a submission.
    Submitted {
        /// Its number.
        ticket: u64,
        /// The answer.
        reply: SubmitReply,
    },
}

/// Work on the output of a job.
#[derive(Debug)]
pub enum OutputWork {
    /// Make the staging folder, or claim the place on a store.
    Create {
        /// Where the output goes.
        output: OutputRequest,
    },
    /// Take the staging folder of an earlier life of the coordinator again.
    Resume {
        /// Where the output goes.
        output: OutputRequest,
        /// Parts that are committed, with their uploads where they are on a store.
        parts: Vec<(Part, Option<Upload>)>,
    },
    /// Commit the parts of a task.
    Commit {
        /// The attempt that made them.
        lease: Lease,
        /// The parts.
        parts: ReadyParts,
    },
    /// Publish the output.
    Publish {
        /// The manifest.
        manifest: Box<Manifest>,
        /// Winners that rejected records, in task order, with how many.
        rejects: Vec<(AttemptId, u64)>,
        /// Whether it is forced to disk first.
        sync: bool,
    },
    /// Remove everything.
    Discard,
}

/// What came of work on an output.
#[derive(Debug)]
pub enum OutputDone {
    /// The staging folder is there, or the address on a store claimed, or the reason why not.
    Created(Result<PathBuf, String>),
    /// The staging folder is there again, or the output was published already, or the reason why not.
    Resumed(Result<Resumption, Failure>),
    /// The parts have their names, or why not.
    Committed {
        /// The attempt.
        lease: Lease,
        /// What came of it.
        parts: Result<Vec<Part>, Failure>,
    },
    /// The output is published, or the reason why not.
    Published(Result<(), OutputFault>),
    /// Everything is removed.
    Discarded,
}

/// What was found of an output after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// The staging folder with all committed parts.
    Open,
    /// The published output.
    Published,
}

/// Why an output was not published.
#[derive(Debug)]
pub enum OutputFault {
    /// In the job's way: the text says how.
    Refused(String),
    /// Something failed.
    Failed(Failure),
}

/// A worker, as far as the scheduler does not know it.
#[derive(Debug)]
pub(super) struct WorkerEntry {
    pub record: WorkerRecord,
    pub connected: bool,
    pub disk_free_bytes: u64,
    /// It was told to leave.
    pub leaving: bool,
}

/// A job whose staging folder is being made.
pub(super) struct Preparing {
    /// Submissions that wait for it.
    pub tickets: Vec<u64>,
    pub head: SubmitHead,
    pub plan: Box<SubmittedPlan>,
}

/// The coordinator's state.
pub struct Core {
    pub(super) settings: CoreSettings,
    pub(super) journal: Journal,
    pub(super) scheduler: Scheduler,
    /// Milliseconds since 1970 that never go back.
    pub(super) now: Time,
    pub(super) jobs: BTreeMap<JobId, LiveJob>,
    pub(super) preparing: BTreeMap<JobId, Preparing>,
    pub(super) workers: BTreeMap<WorkerId, WorkerEntry>,
    /// Number of the next job.
    pub(super) next_number: u64,
    /// Ended jobs in the history.
    pub(super) ended_jobs: u64,
    pub(super) revision: u64,
    pub(super) batch: Batch,
    pub(super) effects: Vec<Effect>,
    /// Events that follow from actions and are handled in this round.
    pub(super) following: VecDeque<Event>,
    /// What the attempt told whose end is being handled.
    pub(super) telling: Option<Telling>,
    /// Jobs in the journal that name a component.
    pub(super) named: BTreeMap<ComponentHash, u64>,
    /// A job is no more, or does not run any more, that named components or side inputs.
    pub(super) released: bool,
    /// Number of the heartbeat that is being handled.
    pub(super) heartbeat: u64,
}

impl Core {
    /// Takes a round of inputs, in order, and the time, which never goes back. What is to be done
    /// comes back when everything is in the journal. After an error the state is not to be used.
    pub fn handle(
        &mut self,
        now: Time,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<Vec<Effect>, JournalError> {
        let away = now.millis_since(self.now);
        self.now = self.now.max(now);
        if self.settings.scheduler.worker_lease.is_some_and(|lease| u128::from(away) * 2 > lease.as_millis())
        {
            // It was this process that was silent (stopped, or its disk hung): nobody is lost for that.
            self.event(Event::Resumed);
        }
        for event in self.scheduler.due(self.now) {
            self.event(event);
        }
        for input in inputs {
            self.input(input)?;
            self.follow();
        }
        self.settle();
        self.commit()?;
        Ok(std::mem::take(&mut self.effects))
    }

    fn input(&mut self, input: Input) -> Result<(), JournalError> {
        match input {
            Input::Registered { worker, name, registration } => self.register(worker, name, &registration),
            Input::Disconnected { worker, instance } => {
                let entry = self.workers.get_mut(&worker);
                if let Some(entry) = entry.filter(|entry| entry.record.instance == instance) {
                    entry.connected = false;
                }
            }
            Input::Word { worker, incarnation, word } => self.word(worker, incarnation, word),
            Input::Submit { ticket, head, plan } => self.submit(ticket, head, plan)?,
            Input::Cancel { job } => self.event(Event::JobCancelled { job }),
            Input::Drain { worker } => {
                if let Some(entry) = self.workers.get(&worker) {
                    let incarnation = entry.record.incarnation;
                    self.event(Event::WorkerDraining { worker, incarnation });
                }
            }
            Input::Output { job, done } => self.output_done(job, done)?,
        }
        Ok(())
    }

    /// Gives an event to the scheduler and carries out what it answers.
    pub(super) fn event(&mut self, event: Event) {
        self.following.push_back(event);
        self.follow();
    }

    fn follow(&mut self) {
        while let Some(event) = self.following.pop_front() {
            if event.is_durable() {
                self.batch.events.push((self.now, event.clone()));
            }
            let lost = match event {
                Event::WorkerLost { worker, incarnation, .. } => Some((worker, incarnation)),
                _ => None,
            };
            for action in self.scheduler.handle(self.now, event) {
                self.act(action);
            }
            if let Some((worker, incarnation)) = lost {
                self.tell_lost(worker, incarnation);
            }
        }
    }

    /// Carries out an action during a replay, where only its traces in memory count.
    pub(super) fn note_action(&mut self, action: &Action, at: Time) {
        if let Action::Launch { lease } = action
            && let Some(job) = self.jobs.get_mut(&lease.job)
        {
            job.started.insert(lease.attempt, at);
        }
    }

    fn register(&mut self, worker: WorkerId, name: String, registration: &Registration) {
        let Registration { incarnation, instance, slots, address, host } = registration;
        if self.is_outdated(worker, *incarnation) {
            return self.order(worker, Order::Fenced { incarnation: *incarnation, replaced: false });
        }
        let record =
            WorkerRecord { name, incarnation: *incarnation, instance: *instance, address: address.clone() };
        if let Some(former) = self.workers.get(&worker).map(|entry| entry.record.incarnation)
            && former < *incarnation
        {
            self.tell_lost(worker, former);
        }
        let disk_free_bytes = self.workers.get(&worker).map_or(0, |entry| entry.disk_free_bytes);
        let entry = WorkerEntry { record: record.clone(), connected: true, disk_free_bytes, leaving: false };
        let changed = self.workers.get(&worker).is_none_or(|former| former.record != record);
        self.workers.insert(worker, entry);
        if changed {
            self.batch.workers.push((worker, record));
        }
        let lease = self.settings.scheduler.worker_lease.unwrap_or(Duration::MAX);
        let jobs = self.jobs.keys().cloned().collect();
        let lease_millis = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        self.order(worker, Order::Welcome { worker, lease_millis, jobs });
        let host = Some(host.clone()).filter(|host| !host.is_empty());
        self.event(Event::WorkerJoined { worker, incarnation: *incarnation, slots: *slots, host });
    }

    /// Whether a later life of the worker is known.
    pub fn is_outdated(&self, worker: WorkerId, incarnation: Incarnation) -> bool {
        self.workers.get(&worker).is_some_and(|entry| entry.record.incarnation > incarnation)
    }

    /// Tells the other workers that a life of one is over, so that none waits for its map output.
    fn tell_lost(&mut self, worker: WorkerId, incarnation: Incarnation) {
        let others = self.workers.iter().filter(|(other, entry)| **other != worker && entry.connected);
        for other in others.map(|(other, _)| *other).collect::<Vec<_>>() {
            self.order(other, Order::Lost { worker, incarnation });
        }
    }

    fn submit(
        &mut self,
        ticket: u64,
        head: SubmitHead,
        plan: Box<SubmittedPlan>,
    ) -> Result<(), JournalError> {
        let job = head.job.clone();
        if let Some(preparing) = self.preparing.get_mut(&job) {
            if preparing.head.digest == head.digest {
                preparing.tickets.push(ticket);
            } else {
                self.reply(ticket, SubmitReply::Refused(Refused::Differs { job }));
            }
            return Ok(());
        }
        if let Some(reply) = self.known(&head)? {
            self.reply(ticket, reply);
            return Ok(());
        }
        if let Err(refusal) = self.scheduler.admit(&schedule(&plan)) {
            self.reply(ticket, SubmitReply::Refused(Refused::Job { sentence: refusal.to_string() }));
            return Ok(());
        }
        let output = plan.output.clone();
        self.preparing.insert(job.clone(), Preparing { tickets: vec![ticket], head, plan });
        self.effects.push(Effect::Output { job, work: OutputWork::Create { output } });
        Ok(())
    }

    /// The answer to a submission whose name is in the journal already.
    pub fn known(&self, head: &SubmitHead) -> Result<Option<SubmitReply>, JournalError> {
        let record = match self.jobs.get(&head.job) {
            Some(live) => Some(live.record.clone()),
            None => self.journal.job(head.job.as_str())?,
        };
        Ok(record.map(|record| {
            if record.digest == head.digest {
                SubmitReply::Accepted { known: true }
            } else {
                SubmitReply::Refused(Refused::Differs { job: head.job.clone() })
            }
        }))
    }

    /// The staging folder of a new job is there: the job is taken into the journal and scheduled.
    pub(super) fn admit(&mut self, job: JobId, staging: PathBuf) {
        let Some(Preparing { tickets, head, mut plan }) = self.preparing.remove(&job) else { return };
        self.released = true;
        plan.description.part_dir.clone_from(&staging);
        let (Ok(description), Ok(encoded)) =
            (postcard::to_stdvec(&plan.description), postcard::to_stdvec(&*plan))
        else {
            let reason = "its plan cannot be encoded".to_owned();
            self.answer(&tickets, &SubmitReply::Refused(Refused::Malformed { reason }));
            return self.effects.push(Effect::Output { job, work: OutputWork::Discard });
        };
        let record = JobRecord {
            job: job.clone(),
            number: self.next_number,
            digest: head.digest,
            components: head.components.iter().map(|(hash, _)| *hash).collect(),
            submitted_unix_millis: self.now.0,
            output: plan.output.clone(),
            input_bytes: plan.record.input_bytes,
            maps: u32::try_from(plan.splits.len()).unwrap_or(u32::MAX),
            reducers: plan.record.spec.reducers,
            attempts_failed: 0,
            maps_rerun: 0,
            stage: JobStage::Running,
        };
        let mut live = LiveJob::new(record, *plan, description, self.now);
        let schedule = schedule(&live.plan);
        live.tickets = tickets;
        self.jobs.insert(job.clone(), live);
        self.touch(&job);
        self.event(Event::JobSubmitted { job: job.clone(), plan: schedule });
        // A job that the scheduler refused is gone again by now and was answered.
        if let Some(live) = self.jobs.get_mut(&job) {
            self.next_number += 1;
            for component in &live.record.components {
                *self.named.entry(*component).or_default() += 1;
            }
            self.batch.plans.push((live.record.number, encoded));
            let tickets = std::mem::take(&mut live.tickets);
            self.save(&job);
            self.answer(&tickets, &SubmitReply::Accepted { known: false });
        }
    }

    /// Whether a job names a component: one in the journal, or one that is about to be.
    pub fn needs(&self, component: &ComponentHash) -> bool {
        let mut preparing = self.preparing.values().flat_map(|preparing| &preparing.head.components);
        self.named.contains_key(component) || preparing.any(|(hash, _)| hash == component)
    }

    /// Whether a job that runs, or is about to, names a side input.
    pub fn needs_side(&self, side: &ContentHash) -> bool {
        let running = self.jobs.values().flat_map(|live| &live.plan.record.spec.sides);
        let preparing = self.preparing.values().flat_map(|preparing| &preparing.head.sides);
        let hex = blake3::Hash::from_bytes(*side).to_hex();
        running.chain(preparing).any(|named| named.blake3 == hex.as_str())
    }

    /// Whether something may not be needed any more that was at the last time; [`Core::needs`] and
    /// [`Core::needs_side`] tell whether it still is.
    pub fn take_released(&mut self) -> bool {
        std::mem::take(&mut self.released)
    }

    /// Puts a job's record as it is now into the round's batch.
    pub(super) fn save(&mut self, job: &JobId) {
        if let Some(live) = self.jobs.get(job) {
            self.batch.jobs.push(live.record.clone());
        }
    }

    /// Writes the round into the journal.
    fn commit(&mut self) -> Result<(), JournalError> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.journal.commit(&batch)?;
        }
        if self.journal.wants_snapshot() {
            self.journal.snapshot(&self.scheduler)?;
        }
        Ok(())
    }

    pub(super) fn order(&mut self, worker: WorkerId, order: Order) {
        self.effects.push(Effect::Order { worker, order });
    }

    pub(super) fn reply(&mut self, ticket: u64, reply: SubmitReply) {
        self.effects.push(Effect::Submitted { ticket, reply });
    }

    pub(super) fn answer(&mut self, tickets: &[u64], reply: &SubmitReply) {
        for ticket in tickets {
            self.reply(*ticket, reply.clone());
        }
    }

    /// Says that what is shown of a job has changed.
    pub(super) fn touch(&mut self, job: &JobId) {
        self.revision += 1;
        if let Some(job) = self.jobs.get_mut(job) {
            job.revision = self.revision;
        }
    }
}
