//! One simulated worker machine: the process that runs now, its attempts and its map outputs. Keeps
//! the worker's side of the protocol as `Action` and `LossCause` tell it.

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{AttemptId, Failure, Incarnation, JobId, PluginFault, Role, Stage, WorkerId};
use mr_scheduler::{AttemptReport, Event, Lease, MapOutput, Progress};

use crate::rng::Rng;

/// Lease of a worker, in milliseconds.
pub const LEASE_MILLIS: u64 = 2_000;

pub type AttemptKey = (JobId, AttemptId);

/// How an attempt will end if nothing comes between.
#[derive(Debug, Clone)]
pub enum Fate {
    Succeeds,
    Fails(Failure),
}

#[derive(Debug, Clone)]
pub enum Phase {
    Running,
    AwaitsGrant,
    Publishing,
    /// The word with which it ended.
    Ended(Event),
}

#[derive(Debug, Clone)]
pub struct SimAttempt {
    pub lease: Lease,
    pub commits: bool,
    pub phase: Phase,
    pub fate: Fate,
    pub inputs: Vec<MapOutput>,
    started: u64,
    duration: u64,
}

#[derive(Debug)]
pub struct Machine {
    pub id: WorkerId,
    pub incarnation: u64,
    pub slots: u32,
    /// The process runs.
    pub up: bool,
    /// No message comes or goes.
    pub cut: bool,
    /// The coordinator has answered this incarnation.
    pub joined: bool,
    pub draining: bool,
    /// End of the lease as the worker counts it.
    pub lease_end: u64,
    pub attempts: BTreeMap<AttemptKey, SimAttempt>,
    /// Attempts that it was told to cancel before it knew them.
    unborn: BTreeSet<AttemptKey>,
    /// Outputs of map attempts; false for a corrupt one.
    pub outputs: BTreeMap<AttemptKey, bool>,
}

/// What a task reports, the same for each of its attempts.
pub fn report_of(attempt: AttemptId) -> AttemptReport {
    let mut report = AttemptReport {
        records_in: u64::from(attempt.task.index) + 1,
        bytes_out: 1_000 + u64::from(attempt.task.stage.number()),
        ..AttemptReport::default()
    };
    report.counters.add("tasks", 1).unwrap();
    report
}

impl Machine {
    pub fn new(id: u64, slots: u32) -> Self {
        Self {
            id: WorkerId(id),
            incarnation: 1,
            slots,
            up: true,
            cut: false,
            joined: false,
            draining: false,
            lease_end: 0,
            attempts: BTreeMap::new(),
            unborn: BTreeSet::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// A new life, after a crash or because the old one was fenced.
    pub fn begin_life(&mut self) {
        self.incarnation += 1;
        self.up = true;
        self.joined = false;
        self.draining = false;
        self.lease_end = 0;
        self.attempts.clear();
        self.unborn.clear();
        self.outputs.clear();
    }

    pub fn life(&self) -> Incarnation {
        Incarnation(self.incarnation)
    }

    pub fn is_life(&self, incarnation: Incarnation) -> bool {
        self.up && self.life() == incarnation
    }

    /// Takes a launch: a new attempt and how long it takes, or the word to repeat.
    pub fn launch(&mut self, attempt: SimAttempt) -> Result<Option<u64>, Event> {
        let key = (attempt.lease.job.clone(), attempt.lease.attempt);
        if self.unborn.contains(&key) {
            return Err(Event::AttemptCancelled { lease: attempt.lease });
        }
        match self.attempts.get(&key) {
            Some(SimAttempt { phase: Phase::Ended(word), .. }) => Err(word.clone()),
            Some(_) => Ok(None),
            None => {
                let duration = attempt.duration;
                self.attempts.insert(key, attempt);
                Ok(Some(duration))
            }
        }
    }

    pub fn cancel(&mut self, lease: &Lease) -> Event {
        let key = (lease.job.clone(), lease.attempt);
        let word = Event::AttemptCancelled { lease: lease.clone() };
        match self.attempts.get_mut(&key) {
            Some(attempt) if !matches!(attempt.phase, Phase::Ended(_)) => {
                attempt.phase = Phase::Ended(word.clone());
            }
            Some(_) => {}
            None => {
                self.unborn.insert(key);
            }
        }
        word
    }

    pub fn end(&mut self, key: &AttemptKey, word: Event) -> Event {
        self.attempts.get_mut(key).unwrap().phase = Phase::Ended(word.clone());
        word
    }

    /// Everything that runs, as a heartbeat lists it.
    pub fn progress(&self, now: u64) -> Vec<Progress> {
        let running = self.attempts.values().filter(|attempt| !matches!(attempt.phase, Phase::Ended(_)));
        running
            .map(|attempt| Progress {
                job: attempt.lease.job.clone(),
                attempt: attempt.lease.attempt,
                parts_per_million: u32::try_from(
                    (now - attempt.started).min(attempt.duration) * 1_000_000 / attempt.duration.max(1),
                )
                .unwrap(),
            })
            .collect()
    }
}

impl SimAttempt {
    pub fn new(
        lease: Lease,
        commits: bool,
        inputs: Vec<MapOutput>,
        fate: Fate,
        now: u64,
        duration: u64,
    ) -> Self {
        Self { lease, commits, phase: Phase::Running, fate, inputs, started: now, duration }
    }

    /// The word of success of an attempt.
    pub fn success(&self) -> Event {
        let report = report_of(self.lease.attempt);
        let lease = self.lease.clone();
        if self.commits {
            Event::Committed { lease, report }
        } else {
            Event::AttemptFinished { lease, report }
        }
    }
}

/// Draws how an attempt ends.
pub fn draw_fate(rng: &mut Rng, faults: bool, fatal: bool, lease: &Lease) -> Fate {
    let role = if lease.attempt.task.stage == Stage::Map { Role::Mapper } else { Role::Reducer };
    let plugin = |fault| Failure::Plugin {
        fault,
        role,
        message: lease.attempt.to_string(),
        place: None,
        log: Vec::new(),
    };
    if fatal && rng.percent(5) {
        return Fate::Fails(plugin(PluginFault::Fatal));
    }
    if faults && rng.percent(6) {
        return Fate::Fails(match rng.within(0, 2) {
            0 => plugin(PluginFault::Transient),
            1 => Failure::Disk { path: "work".into(), reason: "full".into(), full: true },
            // Names a map that cannot be its input where the reporter is a map itself.
            _ => Failure::Corrupt {
                path: "run".into(),
                reason: "checksum".into(),
                map_task: (role == Role::Mapper).then_some(lease.attempt.task),
            },
        });
    }
    Fate::Succeeds
}
