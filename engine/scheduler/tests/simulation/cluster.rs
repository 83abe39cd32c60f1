//! The simulated world: coordinator, machines, network, faults, and one queue of what happens when.

mod attempts;
mod faults;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mr_model::{AttemptId, Incarnation, JobId, Stage, TaskId};
use mr_scheduler::{Action, Config, Event, JobPlan, Lease, MapOutput, Outcome, Scheduler, Time};

use crate::machine::{AttemptKey, LEASE_MILLIS, Machine, Phase};
use crate::observer::Observer;
use crate::rng::Rng;
use crate::tally::Tally;

/// Time between heartbeats, in milliseconds.
const HEARTBEAT_MILLIS: u64 = 400;
/// Time between looks at what is due, in milliseconds.
const DUE_MILLIS: u64 = 250;
/// How long after the last fault every job must have ended, in milliseconds.
const PATIENCE_MILLIS: u64 = 600_000;

/// A message to a machine.
#[derive(Debug, Clone)]
enum Message {
    Launch { lease: Lease, commits: bool, inputs: Vec<MapOutput> },
    Cancel(Lease),
    Grant(Lease),
    Renew { incarnation: Incarnation, sent: u64 },
    Fence(Incarnation),
}

/// Something that happens at a moment.
#[derive(Debug, Clone)]
enum Happening {
    /// A message to the coordinator's life `epoch`; `sent` is when the worker sent it.
    Word {
        event: Event,
        epoch: u64,
        sent: u64,
    },
    /// A message to a machine.
    Delivery {
        machine: usize,
        message: Message,
        epoch: u64,
    },
    /// A client's wish; clients try again until they reach the coordinator.
    Wish(Event),
    Due,
    Beat {
        machine: usize,
        incarnation: u64,
    },
    /// A reduce attempt reads its inputs.
    Read {
        machine: usize,
        incarnation: u64,
        key: AttemptKey,
    },
    /// An attempt is through with its work, or publishes, or asks again.
    Step {
        machine: usize,
        incarnation: u64,
        key: AttemptKey,
    },
    Fault,
    Restart {
        machine: usize,
    },
    Heal {
        machine: usize,
    },
}

pub struct Cluster {
    rng: Rng,
    now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    scheduler: Scheduler,
    epoch: u64,
    /// Every event with its actions, in order.
    log: Vec<(Time, Event, Vec<Action>)>,
    observer: Observer,
    machines: Vec<Machine>,
    jobs: BTreeMap<JobId, JobPlan>,
    fatal: Vec<JobId>,
    faults_end: u64,
    /// Second attempts publish slowly and often fail at it, so that stragglers wait for the grant.
    slow_commits: bool,
    tally: Tally,
}

impl Cluster {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let machines = (0..rng.within(1, 5)).map(|id| Machine::new(id, rng.within_u32(1, 4))).collect();
        let mut cluster = Self {
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            scheduler: Scheduler::new(config()),
            epoch: 0,
            log: Vec::new(),
            observer: Observer::default(),
            machines,
            jobs: BTreeMap::new(),
            fatal: Vec::new(),
            faults_end: rng.within(0, 60_000),
            slow_commits: rng.percent(40),
            tally: Tally::default(),
            rng,
        };
        for machine in 0..cluster.machines.len() {
            let at = cluster.rng.within(0, 3_000);
            cluster.at(at, Happening::Beat { machine, incarnation: 1 });
        }
        cluster.plan_jobs();
        cluster.at(0, Happening::Due);
        cluster.at(1, Happening::Fault);
        cluster
    }

    /// Lets the history run until everything has come to rest, then checks it.
    pub fn run(mut self) -> Tally {
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            self.happen(happening);
            let ended = self.jobs.keys().all(|job| self.observer.outcome(job).is_some());
            if ended && at > self.faults_end && self.is_at_rest() {
                break;
            }
            let patience = self.faults_end + PATIENCE_MILLIS;
            assert!(at < patience, "still waiting: {:?}", self.scheduler.jobs().collect::<Vec<_>>());
        }
        self.observer.finish();
        self.replay(|_| true);
        self.replay(Event::is_durable);
        for job in self.jobs.keys() {
            assert_eq!(self.scheduler.slots_held(job), 0);
            let name = match self.observer.outcome(job) {
                Some(Outcome::Succeeded) => "succeeded",
                Some(Outcome::Failed { .. }) => "failed",
                Some(Outcome::Cancelled) => "cancelled",
                Some(Outcome::NoWorkers { .. }) => "no-workers",
                Some(Outcome::Aborted { .. }) => "aborted",
                None => "open",
            };
            *self.tally.outcomes.entry(name).or_default() += 1;
        }
        self.tally
    }

    fn plan_jobs(&mut self) {
        for number in 0..self.rng.within(1, 5) {
            let job = JobId::new(format!("job-{number}")).unwrap();
            let maps = self.rng.within(0, 16);
            let split_bytes = (0..maps).map(|_| self.rng.within(0, 100)).collect();
            let reducers = if self.rng.percent(25) { 0 } else { self.rng.within_u32(1, 6) };
            let plan = JobPlan {
                attempts_max: self.rng.within_u32(0, 6),
                priority: i32::try_from(self.rng.within(0, 1)).unwrap(),
                weight: self.rng.within_u32(0, 3),
                slots_max: self.rng.percent(20).then(|| self.rng.within_u32(1, 3)),
                speculation: self.rng.percent(70),
                ..JobPlan::new(split_bytes, reducers)
            };
            if self.rng.percent(15) {
                self.fatal.push(job.clone());
            }
            for _ in 0..self.rng.within(1, 2) {
                let at = self.rng.within(0, 20_000);
                let event = Event::JobSubmitted { job: job.clone(), plan: plan.clone() };
                self.at(at, Happening::Wish(event));
            }
            if self.rng.percent(10) {
                let at = self.rng.within(1_000, 40_000);
                self.at(at, Happening::Wish(Event::JobCancelled { job: job.clone() }));
            }
            self.jobs.insert(job, plan);
        }
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    fn faults(&self) -> bool {
        self.now < self.faults_end
    }

    fn is_at_rest(&self) -> bool {
        self.jobs.keys().all(|job| self.scheduler.slots_held(job) == 0)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Word { event, epoch, sent } => {
                if epoch == self.epoch {
                    self.tell(event, sent);
                }
            }
            Happening::Delivery { machine, message, epoch } => {
                if epoch == self.epoch && self.machines[machine].up && !self.machines[machine].cut {
                    self.deliver(machine, message);
                }
            }
            Happening::Wish(event) => self.tell(event, self.now),
            Happening::Due => {
                for event in self.scheduler.due(Time(self.now)) {
                    self.tell(event, self.now);
                }
                self.at(self.now + DUE_MILLIS, Happening::Due);
            }
            Happening::Beat { machine, incarnation } => self.beat(machine, incarnation),
            Happening::Read { machine, incarnation, key } => self.read(machine, incarnation, &key),
            Happening::Step { machine, incarnation, key } => self.step(machine, incarnation, key),
            Happening::Fault => self.fault(),
            Happening::Restart { machine } => {
                self.machines[machine].begin_life();
                let incarnation = self.machines[machine].incarnation;
                self.at(self.now, Happening::Beat { machine, incarnation });
            }
            Happening::Heal { machine } => self.machines[machine].cut = false,
        }
    }

    /// Hands an event to the scheduler and carries out the actions.
    fn tell(&mut self, event: Event, sent: u64) {
        let now = Time(self.now);
        let actions = self.scheduler.handle(now, event.clone());
        self.observer.observe(&event, &actions, &self.scheduler);
        self.note(&event, &actions);
        for action in &actions {
            self.carry_out(action, sent);
        }
        self.log.push((now, event, actions));
    }

    fn note(&mut self, event: &Event, actions: &[Action]) {
        let words = matches!(
            event,
            Event::AttemptFinished { .. } | Event::AttemptFailed { .. } | Event::Committed { .. }
        );
        if matches!(event, Event::CommitRequested { .. }) && actions.is_empty() {
            self.tally.see("grant awaited");
        }
        for action in actions {
            match action {
                Action::Launch { .. } if matches!(event, Event::BackupDue { .. }) => self.tally.see("backup"),
                Action::Fence { .. } => self.tally.see("fenced"),
                Action::MapOutputsLost { .. } => self.tally.see("map rerun"),
                Action::GrantCommit { .. } if !matches!(event, Event::CommitRequested { .. }) => {
                    self.tally.see("grant passed");
                }
                Action::Cancel { .. } if words && actions.len() == 1 => self.tally.see("late word"),
                _ => {}
            }
        }
    }

    fn carry_out(&mut self, action: &Action, sent: u64) {
        let (worker, message) = match action {
            Action::Launch { lease } => (lease.worker, self.launch_message(lease)),
            Action::Cancel { lease } => (lease.worker, Message::Cancel(lease.clone())),
            Action::GrantCommit { lease } => (lease.worker, Message::Grant(lease.clone())),
            Action::Renew { worker, incarnation } => {
                (*worker, Message::Renew { incarnation: *incarnation, sent })
            }
            Action::Fence { worker, incarnation } => (*worker, Message::Fence(*incarnation)),
            Action::TaskFinished { .. }
            | Action::MapOutputsLost { .. }
            | Action::JobRefused { .. }
            | Action::JobFinished { .. } => return,
        };
        let machine = usize::try_from(worker.0).unwrap();
        for delay in self.delays() {
            let delivery = Happening::Delivery { machine, message: message.clone(), epoch: self.epoch };
            self.at(self.now + delay, delivery);
        }
    }

    fn launch_message(&self, lease: &Lease) -> Message {
        let plan = &self.jobs[&lease.job];
        let stage = lease.attempt.task.stage;
        let maps = if stage == Stage::Reduce { u32::try_from(plan.split_bytes.len()).unwrap() } else { 0 };
        // A launch that is sent again may name fewer outputs: the first to arrive counts, and what is
        // missing then is found missing when it is read.
        let output = |index| self.scheduler.map_output(&lease.job, index);
        let missing = |index| MapOutput {
            attempt: AttemptId { task: TaskId::map(index), attempt: u32::MAX },
            worker: lease.worker,
            incarnation: lease.incarnation,
        };
        let inputs = (0..maps).map(|index| output(index).unwrap_or_else(|| missing(index))).collect();
        let commits = stage == Stage::Reduce || plan.reducers == 0;
        Message::Launch { lease: lease.clone(), commits, inputs }
    }

    /// Delays of the copies of a message that arrive: none where it is lost.
    fn delays(&mut self) -> Vec<u64> {
        if self.faults() && self.rng.percent(3) {
            return Vec::new();
        }
        let copies = if self.rng.percent(4) { 2 } else { 1 };
        let rng = &mut self.rng;
        (0..copies).map(|_| if rng.percent(5) { rng.within(100, 4_000) } else { rng.within(1, 40) }).collect()
    }

    /// A machine sends a word; while it is cut off, the word is lost or comes far too late.
    fn say(&mut self, machine: usize, event: Event) {
        let cut = self.machines[machine].cut;
        if cut && self.rng.percent(70) {
            return;
        }
        for delay in self.delays() {
            let delay = if cut { delay + self.rng.within(500, 6_000) } else { delay };
            let word = Happening::Word { event: event.clone(), epoch: self.epoch, sent: self.now };
            self.at(self.now + delay, word);
        }
    }

    fn beat(&mut self, index: usize, incarnation: u64) {
        let now = self.now;
        let machine = &mut self.machines[index];
        if !machine.is_life(Incarnation(incarnation)) {
            return;
        }
        // Half of the machines notice by themselves that their lease is over, the others go on as
        // zombies until they are told.
        if machine.joined && now >= machine.lease_end && machine.id.0.is_multiple_of(2) {
            machine.begin_life();
        }
        let (worker, incarnation) = (machine.id, machine.life());
        let event = if machine.joined {
            Event::Heartbeat { worker, incarnation, progress: machine.progress(now) }
        } else {
            Event::WorkerJoined { worker, incarnation, slots: machine.slots, host: None }
        };
        if machine.draining {
            self.say(index, Event::WorkerDraining { worker, incarnation });
        }
        self.say(index, event);
        let incarnation = incarnation.0;
        self.at(now + HEARTBEAT_MILLIS, Happening::Beat { machine: index, incarnation });
    }

    fn deliver(&mut self, index: usize, message: Message) {
        match message {
            Message::Launch { lease, commits, inputs } => self.start(index, lease, commits, inputs),
            Message::Cancel(lease) => {
                if self.machines[index].is_life(lease.incarnation) {
                    let word = self.machines[index].cancel(&lease);
                    self.say(index, word);
                }
            }
            Message::Grant(lease) => {
                let machine = &mut self.machines[index];
                let key = (lease.job, lease.attempt);
                let attempt =
                    machine.attempts.get_mut(&key).filter(|a| a.lease.incarnation == lease.incarnation);
                let Some(attempt) = attempt.filter(|a| matches!(a.phase, Phase::AwaitsGrant)) else { return };
                attempt.phase = Phase::Publishing;
                let incarnation = machine.incarnation;
                let longest = if self.slow_commits && key.1.attempt > 0 { 15_000 } else { 300 };
                let at = self.now + self.rng.within(1, longest);
                self.at(at, Happening::Step { machine: index, incarnation, key });
            }
            Message::Renew { incarnation, sent } => {
                let machine = &mut self.machines[index];
                if machine.is_life(incarnation) {
                    machine.joined = true;
                    machine.lease_end = machine.lease_end.max(sent + LEASE_MILLIS);
                }
            }
            Message::Fence(incarnation) => {
                if self.machines[index].is_life(incarnation) {
                    self.at(self.now + 1, Happening::Restart { machine: index });
                }
            }
        }
    }

    /// Replays the log of the events that are `kept` and compares what comes out.
    fn replay(&self, kept: impl Fn(&Event) -> bool) -> Scheduler {
        let mut scheduler = Scheduler::new(config());
        let mut events: VecDeque<_> = self.log.iter().filter(|(_, event, _)| kept(event)).collect();
        while let Some((now, event, actions)) = events.pop_front() {
            assert_eq!(&scheduler.handle(*now, event.clone()), actions, "replay of {event:?}");
        }
        scheduler
    }
}

fn config() -> Config {
    Config {
        worker_lease: Some(Duration::from_millis(LEASE_MILLIS)),
        no_worker_timeout: Duration::from_millis(6_000),
        ..Config::default()
    }
}
