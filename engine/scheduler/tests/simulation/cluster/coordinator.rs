//! The coordinator: a scheduler, a journal that reaches the disk a little later, a snapshot now and
//! then, and the renaming of files into parts. Nothing that an event led to leaves the coordinator
//! before the event is on disk; a crash loses the rest, and all that was only in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use mr_model::{AttemptId, Incarnation, JobId, Stage, TaskId};
use mr_scheduler::{Action, AttemptReport, Config, Event, Lease, MapOutput, QueueConfig, Scheduler, Time};

use super::{Cluster, DUE_MILLIS, Happening, Message, Word};
use crate::machine::LEASE_MILLIS;
use crate::prefix;
use crate::rng::Rng;

/// An event, when it was taken, and what was to be done then.
pub type Step = (Time, Event, Vec<Action>);

pub struct Coordinator {
    pub scheduler: Scheduler,
    /// Number of its life.
    pub life: u64,
    up: bool,
    config: Config,
    /// Longest time until an event is on disk, in milliseconds.
    flush_millis: u64,
    /// Durable events on disk.
    journal: Vec<Step>,
    /// A scheduler as it was after so many of them.
    snapshot: Option<(usize, Vec<u8>)>,
    /// Events that are not on disk yet, with the time when their sender sent them.
    tail: Vec<(Step, u64)>,
    /// What attempts told that asked to commit.
    ready: BTreeMap<Lease, AttemptReport>,
    /// Files that are being renamed, one for each task; and the one that comes after.
    renaming: BTreeMap<(JobId, TaskId), (Lease, Option<Lease>)>,
    /// When the latest size was sent that each life of a machine told.
    sizes: BTreeMap<(usize, Incarnation), u64>,
    /// The scheduler at the beginning of this life, and everything since.
    born: Scheduler,
    steps: Vec<Step>,
}

impl Coordinator {
    pub fn new(rng: &mut Rng) -> Self {
        let config = draw_config(rng);
        let scheduler = Scheduler::new(config.clone());
        Self {
            born: scheduler.clone(),
            scheduler,
            life: 0,
            up: true,
            config,
            flush_millis: if rng.percent(50) { 0 } else { rng.within(1, 60) },
            journal: Vec::new(),
            snapshot: None,
            tail: Vec::new(),
            ready: BTreeMap::new(),
            renaming: BTreeMap::new(),
            sizes: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// Whether it is up with everything on disk and no renaming under way.
    pub fn is_settled(&self) -> bool {
        self.up && self.tail.is_empty() && self.renaming.is_empty()
    }

    /// This life again from its beginning, with a detour over a snapshot; and parts of the journal.
    pub fn check_replays(&self, rng: &mut Rng) {
        let pause = usize::try_from(rng.within(0, self.steps.len() as u64)).unwrap();
        let mut scheduler = self.born.clone();
        for (number, (now, event, actions)) in self.steps.iter().enumerate() {
            if number == pause {
                scheduler = thaw(&freeze(&scheduler));
            }
            assert_eq!(&scheduler.handle(*now, event.clone()), actions, "replay of {event:?}");
        }
        assert_eq!(scheduler, self.scheduler, "a replay leads elsewhere");
        prefix::check(&self.journal, rng);
    }

    /// The scheduler that the disk holds.
    fn restore(&self) -> Scheduler {
        let (from, mut scheduler) = match &self.snapshot {
            Some((from, bytes)) => (*from, thaw(bytes)),
            None => (0, Scheduler::new(self.config.clone())),
        };
        scheduler.set_config(self.config.clone());
        for (now, event, actions) in &self.journal[from..] {
            assert_eq!(&scheduler.handle(*now, event.clone()), actions, "replay of {event:?}");
        }
        scheduler
    }
}

impl Cluster {
    /// The coordinator hears a word; while it is down, the word is lost.
    pub(super) fn hear(&mut self, word: Word, sent: u64) {
        match word {
            Word::Plain(event) => self.tell(event, sent),
            Word::Ready { lease, report } => {
                if self.coordinator.up {
                    self.coordinator.ready.insert(lease.clone(), report);
                }
                self.tell(Event::CommitRequested { lease }, sent);
            }
            Word::Size { machine, incarnation, slots } => {
                if !self.coordinator.up {
                    return;
                }
                let latest = self.coordinator.sizes.entry((machine, incarnation)).or_default();
                if sent < *latest {
                    return;
                }
                *latest = sent;
                let worker = self.machines[machine].id;
                let known = self.coordinator.scheduler.workers().find(|(id, _)| *id == worker);
                let differs = known.is_some_and(|(_, status)| {
                    status.live && status.incarnation == incarnation && status.slots != slots
                });
                if differs {
                    self.tell(Event::WorkerResized { worker, incarnation, slots }, sent);
                }
            }
        }
    }

    /// Hands an event to the scheduler.
    pub(super) fn tell(&mut self, event: Event, sent: u64) {
        let life = self.coordinator.life;
        if !self.coordinator.up {
            return;
        }
        let now = Time(self.now);
        let actions = self.coordinator.scheduler.handle(now, event.clone());
        if !matches!(actions.as_slice(), [Action::Renew { .. }]) {
            self.trace(|| format!("{event:?} -> {actions:?}"));
        }
        self.coordinator.steps.push((now, event.clone(), actions.clone()));
        self.coordinator.tail.push(((now, event, actions), sent));
        match self.coordinator.flush_millis {
            0 => self.flush(life),
            longest if self.coordinator.tail.len() == 1 => {
                let at = self.now + self.rng.within(1, longest);
                self.at(at, Happening::Flush { life });
            }
            _ => {}
        }
    }

    pub(super) fn look_at_due(&mut self, life: u64) {
        if life != self.coordinator.life || !self.coordinator.up {
            return;
        }
        for event in self.coordinator.scheduler.due(Time(self.now)) {
            self.tell(event, self.now);
        }
        self.at(self.now + DUE_MILLIS, Happening::Due { life });
    }

    /// Everything so far is on disk: what it led to is done.
    pub(super) fn flush(&mut self, life: u64) {
        if life != self.coordinator.life {
            return;
        }
        let tail = std::mem::take(&mut self.coordinator.tail);
        for ((now, event, actions), _) in &tail {
            self.observer.observe(*now, event, actions, &mut self.tally);
            if event.is_durable() {
                self.coordinator.journal.push((*now, event.clone(), actions.clone()));
            }
        }
        self.observer.compare(&self.coordinator.scheduler);
        let few = self.faults() && self.rng.next().is_multiple_of(400);
        if few {
            self.tally.see("crash before the actions");
            return self.crash();
        }
        for ((_, _, actions), sent) in &tail {
            for action in actions {
                self.carry_out(action, *sent);
            }
        }
        if self.rng.percent(2) {
            let scheduler = freeze(&self.coordinator.scheduler);
            assert_eq!(thaw(&scheduler), self.coordinator.scheduler, "a snapshot is not what it shows");
            self.coordinator.snapshot = Some((self.coordinator.journal.len(), scheduler));
        }
    }

    fn carry_out(&mut self, action: &Action, sent: u64) {
        let (worker, message) = match action {
            Action::Launch { lease } => (lease.worker, self.launch_message(lease)),
            Action::Cancel { lease } => (lease.worker, Message::Cancel(lease.clone())),
            Action::GrantCommit { lease } => return self.publish(lease),
            Action::Renew { worker, incarnation } => {
                (*worker, Message::Renew { incarnation: *incarnation, sent })
            }
            Action::Fence { worker, incarnation } => (*worker, Message::Fence(*incarnation)),
            Action::TaskFinished { lease } if self.jobs[&lease.job].reducers == 0 => {
                (lease.worker, Message::Done(lease.clone()))
            }
            Action::TaskFinished { lease } if lease.attempt.task.stage == Stage::Reduce => {
                (lease.worker, Message::Done(lease.clone()))
            }
            Action::TaskFinished { .. }
            | Action::MapOutputsLost { .. }
            | Action::JobRefused { .. }
            | Action::JobFinished { .. } => return,
        };
        self.send(usize::try_from(worker.0).unwrap(), &message);
    }

    fn launch_message(&self, lease: &Lease) -> Message {
        let plan = &self.jobs[&lease.job];
        let is_reduce = lease.attempt.task.stage == Stage::Reduce;
        let maps = if is_reduce { u32::try_from(plan.split_bytes.len()).unwrap() } else { 0 };
        // A launch that is sent again may name fewer outputs: the first to arrive counts, and what is
        // missing then is found missing when it is read.
        let output = |index| self.coordinator.scheduler.map_output(&lease.job, index);
        let missing = |index| MapOutput {
            attempt: AttemptId { task: TaskId::map(index), attempt: u32::MAX },
            worker: lease.worker,
            incarnation: lease.incarnation,
        };
        let inputs = (0..maps).map(|index| output(index).unwrap_or_else(|| missing(index))).collect();
        Message::Launch { lease: lease.clone(), reducers: plan.reducers, inputs }
    }

    /// Begins to rename the file of an attempt that may commit. Files of one task go one after the
    /// other, so that the last one granted lies there in the end.
    fn publish(&mut self, lease: &Lease) {
        // Without its report, which is lost in a crash, the attempt has to ask again.
        if !self.coordinator.ready.contains_key(lease) {
            return self.tally.see("grant without a report");
        }
        let task = (lease.job.clone(), lease.attempt.task);
        match self.coordinator.renaming.get_mut(&task) {
            Some((current, next)) => *next = (current != lease).then(|| lease.clone()),
            None => {
                self.coordinator.renaming.insert(task, (lease.clone(), None));
                self.begin_rename(lease.clone());
            }
        }
    }

    fn begin_rename(&mut self, lease: Lease) {
        let longest = if self.slow_commits { 15_000 } else { 300 };
        let at = self.now + self.rng.within(1, longest);
        self.at(at, Happening::Renamed { life: self.coordinator.life, lease });
    }

    pub(super) fn renamed(&mut self, life: u64, lease: &Lease) {
        if life != self.coordinator.life {
            return;
        }
        let task = (lease.job.clone(), lease.attempt.task);
        let next = self.coordinator.renaming.remove(&task).and_then(|(_, next)| next);
        // Two attempts in a race are rare: then the first one fails often, so that the other gets on.
        let asked = self
            .coordinator
            .ready
            .keys()
            .filter(|other| (&other.job, other.attempt.task) == (&task.0, task.1));
        let percent = if asked.count() > 1 { 50 } else { 5 * u64::from(self.faults()) };
        let fails = self.rng.percent(percent);
        let event = if !fails && self.store.rename(lease) {
            let report = self.coordinator.ready[lease].clone();
            Event::Committed { lease: lease.clone(), report }
        } else {
            let failure = mr_model::Failure::Disk { path: "part".into(), reason: "no".into(), full: false };
            Event::AttemptFailed { lease: lease.clone(), failure }
        };
        if let Some(next) = next {
            self.tally.see("rename after rename");
            self.coordinator.renaming.insert(task, (next.clone(), None));
            self.begin_rename(next);
        }
        self.tell(event, self.now);
    }

    /// The coordinator dies. What it was renaming is renamed or not.
    pub(super) fn crash(&mut self) {
        if !self.coordinator.up {
            return;
        }
        self.tally.see("coordinator crash");
        self.trace(|| "the coordinator crashes".to_owned());
        self.coordinator.up = false;
        self.coordinator.life += 1;
        if !self.coordinator.tail.is_empty() {
            self.tally.see("crash with a tail");
        }
        self.coordinator.tail.clear();
        self.coordinator.ready.clear();
        self.coordinator.sizes.clear();
        for (lease, _) in std::mem::take(&mut self.coordinator.renaming).into_values() {
            if self.rng.percent(50) {
                self.tally.see("crash after a rename");
                self.store.rename(&lease);
            }
        }
        let longest = if self.rng.percent(20) { 8_000 } else { 800 };
        let back = self.now + self.rng.within(10, longest);
        self.at(back, Happening::Return);
    }

    pub(super) fn come_back(&mut self) {
        if self.rng.percent(30) {
            self.coordinator.config = draw_config(&mut self.rng);
        }
        let scheduler = self.coordinator.restore();
        self.trace(|| "the coordinator is back".to_owned());
        self.coordinator.born = scheduler.clone();
        self.coordinator.scheduler = scheduler;
        self.coordinator.steps.clear();
        self.coordinator.up = true;
        self.tell(Event::Resumed, self.now);
        self.look_at_due(self.coordinator.life);
    }
}

fn freeze(scheduler: &Scheduler) -> Vec<u8> {
    postcard::to_allocvec(scheduler).unwrap()
}

fn thaw(bytes: &[u8]) -> Scheduler {
    postcard::from_bytes(bytes).unwrap()
}

/// Settings of a life of the coordinator: queues come and go.
fn draw_config(rng: &mut Rng) -> Config {
    let mut queues = BTreeMap::new();
    for name in ["default", "nightly", "people"] {
        if rng.percent(if name == "default" { 20 } else { 90 }) {
            let slots_max = rng.percent(30).then(|| rng.within_u32(0, 4));
            queues.insert(name.to_owned(), QueueConfig { weight: rng.within_u32(0, 3), slots_max });
        }
    }
    Config {
        worker_lease: Some(Duration::from_millis(LEASE_MILLIS)),
        no_worker_timeout: Duration::from_millis(6_000),
        queues,
    }
}
