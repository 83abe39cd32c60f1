//! One simulated worker machine: the process that runs now, its attempts and its map outputs. Keeps
//! the worker's side of the protocol as `Action` and `LossCause` tell it.

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{AttemptId, Failure, Incarnation, JobId, PluginFault, Role, Stage, WorkerId};
use mr_scheduler::{AttemptReport, Event, Lease, MapOutput, Progress};

use crate::data::{self, Counts};
use crate::rng::Rng;

/// Lease of a worker, in milliseconds.
pub const LEASE_MILLIS: u64 = 2_000;

pub type AttemptKey = (JobId, AttemptId);

/// How an attempt will end if nothing comes between.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a few for each simulated attempt")]
pub enum Fate {
    Succeeds,
    Fails(Failure),
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a few for each simulated attempt")]
pub enum Phase {
    Running,
    /// Its file is written; it asks until it is told something.
    AwaitsCommit,
    /// The word with which it ended, if it has one to repeat.
    Ended(Event),
}

#[derive(Debug, Clone)]
pub struct SimAttempt {
    pub lease: Lease,
    pub reducers: u32,
    pub phase: Phase,
    pub fate: Fate,
    pub inputs: Vec<MapOutput>,
    /// What a reduce has read.
    pub read: Option<Counts>,
    pub started: u64,
    pub duration: u64,
}

/// Output of a map attempt on a disk.
#[derive(Debug)]
pub struct SimOutput {
    pub intact: bool,
    pub partitions: Vec<Counts>,
}

#[derive(Debug)]
pub struct Machine {
    pub id: WorkerId,
    pub incarnation: u64,
    pub slots: u32,
    pub host: Option<String>,
    /// The process runs.
    pub up: bool,
    /// Nothing that it says arrives.
    pub mute: bool,
    /// Nothing that it is told arrives.
    pub deaf: bool,
    /// Its outputs cannot be fetched, and it can fetch none.
    pub apart: bool,
    /// It is stopped until then, but does not know it.
    pub frozen_until: u64,
    pub disk_full: bool,
    /// Most of what it runs fails.
    pub lemon: bool,
    /// How much longer than others it takes.
    pub slowness: u64,
    /// The coordinator has answered this incarnation.
    pub joined: bool,
    pub draining: bool,
    /// End of the lease as the worker counts it.
    pub lease_end: u64,
    pub attempts: BTreeMap<AttemptKey, SimAttempt>,
    /// Attempts that it was told to cancel before it knew them.
    unborn: BTreeSet<AttemptKey>,
    pub outputs: BTreeMap<AttemptKey, SimOutput>,
}

/// What a task reports, the same for each of its attempts.
pub fn report_of(job: &JobId, attempt: AttemptId, reducers: u32) -> AttemptReport {
    let is_map = attempt.task.stage == Stage::Map && reducers > 0;
    let mut report = AttemptReport {
        records_in: u64::from(attempt.task.index) + 1,
        bytes_out: 1_000 + u64::from(attempt.task.stage.number()),
        partition_bytes: if is_map {
            data::partition_bytes(job, attempt.task.index, reducers)
        } else {
            Vec::new()
        },
        ..AttemptReport::default()
    };
    report.counters.add("tasks", 1).unwrap();
    report
}

impl Machine {
    pub fn new(rng: &mut Rng, id: u64) -> Self {
        Self {
            id: WorkerId(id),
            incarnation: 1,
            slots: rng.within_u32(1, 4),
            host: rng.percent(80).then(|| format!("host-{}", id % 3)),
            up: true,
            mute: false,
            deaf: false,
            apart: false,
            frozen_until: 0,
            disk_full: false,
            lemon: rng.percent(12),
            slowness: if rng.percent(15) { rng.within(2, 6) } else { 1 },
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

    /// Slots that it offers: every other machine takes nothing while its disk is full.
    pub fn slots_offered(&self) -> u32 {
        if self.disk_full && self.id.0.is_multiple_of(2) { 0 } else { self.slots }
    }

    /// Takes a launch: a new attempt and how long it takes, or the word to repeat.
    #[expect(clippy::result_large_err, reason = "the event is what the scheduler is told, not an error")]
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

/// Draws how an attempt ends.
pub fn draw_fate(rng: &mut Rng, faults: bool, fatal: bool, machine: &Machine, lease: &Lease) -> Fate {
    let role = if lease.attempt.task.stage == Stage::Map { Role::Mapper } else { Role::Reducer };
    let plugin = |fault| Failure::Plugin {
        fault,
        role,
        message: lease.attempt.to_string(),
        place: None,
        words: mr_model::LastWords::default(),
    };
    let disk = |full| Failure::Disk { path: "work".into(), reason: "disk".into(), full };
    if faults && machine.disk_full {
        return Fate::Fails(disk(true));
    }
    if faults && machine.lemon && rng.percent(60) {
        return Fate::Fails(if rng.percent(50) { disk(false) } else { Failure::internal("lemon") });
    }
    if fatal && rng.percent(5) {
        return Fate::Fails(plugin(PluginFault::Fatal));
    }
    if faults && rng.percent(6) {
        return Fate::Fails(match rng.within(0, 3) {
            0 => plugin(PluginFault::Transient),
            1 => disk(true),
            2 => disk(false),
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
