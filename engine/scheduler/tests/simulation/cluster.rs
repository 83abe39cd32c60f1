//! The simulated world: coordinator, machines, network, faults, and one queue of what happens when.

mod attempts;
mod coordinator;
mod faults;
mod network;
mod plan;

use std::collections::BTreeMap;

use mr_model::{Incarnation, JobId};
use mr_scheduler::{AttemptReport, Event, JobPlan, Lease, MapOutput, Outcome};

use crate::data;
use crate::machine::{AttemptKey, Machine};
use crate::observer::Observer;
use crate::rng::Rng;
use crate::store::Store;
use crate::tally::Tally;
use coordinator::Coordinator;
pub use coordinator::Step;

/// Time between heartbeats, in milliseconds.
const HEARTBEAT_MILLIS: u64 = 400;
/// Time between looks at what is due, in milliseconds.
const DUE_MILLIS: u64 = 250;
/// Time after which a client tries again, in milliseconds.
const CLIENT_MILLIS: u64 = 1_000;
/// How long after the last fault every job must have ended, in milliseconds.
const PATIENCE_MILLIS: u64 = 2_000_000;

/// A message to the coordinator.
#[derive(Debug, Clone)]
enum Word {
    /// An event as it is.
    Plain(Event),
    /// An attempt asks to commit, and tells what it did.
    Ready { lease: Lease, report: AttemptReport },
    /// How many attempts the worker runs at once.
    Size { machine: usize, incarnation: Incarnation, slots: u32 },
}

/// A message to a machine.
#[derive(Debug, Clone)]
enum Message {
    Launch {
        lease: Lease,
        reducers: u32,
        inputs: Vec<MapOutput>,
    },
    Cancel(Lease),
    /// The part is published: the attempt is over.
    Done(Lease),
    Renew {
        incarnation: Incarnation,
        sent: u64,
    },
    Fence(Incarnation),
}

/// Something that happens at a moment.
#[derive(Debug, Clone)]
enum Happening {
    /// A message to the coordinator; `sent` is when the worker sent it.
    Word {
        word: Word,
        sent: u64,
    },
    /// A message to a machine from the coordinator's life `life`.
    Delivery {
        machine: usize,
        message: Message,
        life: u64,
    },
    /// A client's wish; clients try again until they know that it is fulfilled.
    Wish(Event),
    /// The coordinator looks at what is due.
    Due {
        life: u64,
    },
    /// The coordinator's journal reaches the disk.
    Flush {
        life: u64,
    },
    /// The coordinator has tried to rename an attempt's file.
    Renamed {
        life: u64,
        lease: Lease,
    },
    /// The coordinator comes back from its journal.
    Return,
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
    /// An attempt is through with its work, or asks again.
    Step {
        machine: usize,
        incarnation: u64,
        key: AttemptKey,
    },
    Fault,
    Restart {
        machine: usize,
    },
    /// Links and disk of a machine are well again.
    Heal {
        machine: usize,
    },
}

pub struct Cluster {
    rng: Rng,
    now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    coordinator: Coordinator,
    observer: Observer,
    machines: Vec<Machine>,
    store: Store,
    jobs: BTreeMap<JobId, JobPlan>,
    fatal: Vec<JobId>,
    faults_end: u64,
    /// Renaming takes long and often fails, so that stragglers wait for the grant.
    slow_commits: bool,
    traced: bool,
    tally: Tally,
}

impl Cluster {
    /// The history of that seed; `traced` prints it as it goes.
    pub fn new(seed: u64, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let machines = (0..rng.within(1, 5)).map(|id| Machine::new(&mut rng, id)).collect();
        let mut cluster = Self {
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            coordinator: Coordinator::new(&mut rng),
            observer: Observer::default(),
            machines,
            store: Store::default(),
            jobs: BTreeMap::new(),
            fatal: Vec::new(),
            faults_end: rng.within(0, 60_000),
            slow_commits: rng.percent(40),
            traced,
            tally: Tally::default(),
            rng,
        };
        for machine in 0..cluster.machines.len() {
            let late = cluster.rng.percent(15);
            let at = cluster.rng.within(0, if late { 40_000 } else { 3_000 });
            cluster.at(at, Happening::Beat { machine, incarnation: 1 });
        }
        cluster.plan_jobs();
        cluster.at(0, Happening::Due { life: 0 });
        cluster.at(1, Happening::Fault);
        cluster
    }

    /// Lets the history run until everything has come to rest, then checks it.
    pub fn run(mut self) -> Tally {
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            self.happen(happening);
            if at > self.faults_end && self.is_at_rest() {
                break;
            }
            let patience = self.faults_end + PATIENCE_MILLIS;
            let open = || self.coordinator.scheduler.jobs().collect::<Vec<_>>();
            assert!(at < patience, "still waiting: {:?}", open());
        }
        self.observer.finish();
        self.coordinator.check_replays(&mut self.rng);
        for (job, plan) in &self.jobs {
            assert_eq!(self.coordinator.scheduler.slots_held(job), 0);
            let name = match self.observer.outcome(job) {
                Some(Outcome::Succeeded) => {
                    self.check_output(job, plan);
                    "succeeded"
                }
                Some(Outcome::Failed { .. }) => "failed",
                Some(Outcome::Cancelled) => "cancelled",
                Some(Outcome::NoWorkers { .. }) => "no-workers",
                Some(Outcome::Aborted { .. }) => "aborted",
                None => "refused",
            };
            self.tally.end(name);
        }
        self.tally
    }

    /// The published parts are those of the winners, and together they are the naive count.
    fn check_output(&self, job: &JobId, plan: &JobPlan) {
        let mut counts = data::Counts::default();
        for winner in self.observer.winners(job) {
            let part = self.store.part(job, winner.attempt.task);
            let (lease, part) = part.unwrap_or_else(|| panic!("{job} {winner:?}: no part"));
            assert_eq!(lease, winner, "the part is not the winner's");
            data::add(&mut counts, part);
        }
        assert_eq!(counts, data::reference(job, plan), "output of {job}");
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    fn trace(&self, line: impl FnOnce() -> String) {
        if self.traced {
            eprintln!("{:>7} {}", self.now, line());
        }
    }

    fn faults(&self) -> bool {
        self.now < self.faults_end
    }

    fn is_at_rest(&self) -> bool {
        let scheduler = &self.coordinator.scheduler;
        self.coordinator.is_settled()
            && self.jobs.keys().all(|job| self.observer.is_over(job) && scheduler.slots_held(job) == 0)
    }

    fn happen(&mut self, happening: Happening) {
        let machine = match &happening {
            Happening::Delivery { machine, .. }
            | Happening::Beat { machine, .. }
            | Happening::Read { machine, .. }
            | Happening::Step { machine, .. } => Some(*machine),
            _ => None,
        };
        let thaw = machine.map_or(0, |machine| self.machines[machine].frozen_until);
        if self.now < thaw {
            return self.at(thaw, happening);
        }
        match happening {
            Happening::Word { word, sent } => self.hear(word, sent),
            Happening::Delivery { machine, message, life } => self.deliver(machine, message, life),
            Happening::Wish(event) => self.wish(event),
            Happening::Due { life } => self.look_at_due(life),
            Happening::Flush { life } => self.flush(life),
            Happening::Renamed { life, lease } => self.renamed(life, &lease),
            Happening::Return => self.come_back(),
            Happening::Beat { machine, incarnation } => self.beat(machine, incarnation),
            Happening::Read { machine, incarnation, key } => self.read(machine, incarnation, &key),
            Happening::Step { machine, incarnation, key } => self.step(machine, incarnation, key),
            Happening::Fault => self.fault(),
            Happening::Restart { machine } => {
                self.machines[machine].begin_life();
                let incarnation = self.machines[machine].incarnation;
                self.at(self.now, Happening::Beat { machine, incarnation });
            }
            Happening::Heal { machine } => self.heal(machine),
        }
    }
}
