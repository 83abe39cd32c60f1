//! Any part of a journal from its beginning is a state that a crash may leave: each has to be sound,
//! and to lead to the end of all its jobs.

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{Incarnation, JobId, Stage, TaskId, WorkerId};
use mr_scheduler::{Action, AttemptReport, Config, Event, Lease, LossCause, Scheduler, StageStatus, Time};

use crate::cluster::Step;
use crate::rng::Rng;

/// Looks at so many states on the way.
const STATES: usize = 12;

/// Replays a journal, looks at states on the way, and ends one of them well.
pub fn check(journal: &[Step], rng: &mut Rng) {
    let stride = journal.len() / STATES + 1;
    let finished_from = usize::try_from(rng.within(0, journal.len() as u64)).unwrap();
    let mut scheduler = Scheduler::new(Config::default());
    let mut facts = Facts::default();
    for (number, (now, event, actions)) in journal.iter().enumerate() {
        if number == finished_from {
            finish(scheduler.clone(), facts.clone(), *now);
        }
        assert_eq!(&scheduler.handle(*now, event.clone()), actions, "replay of {event:?}");
        facts.note(event, actions);
        if number % stride == 0 {
            facts.check(&scheduler);
        }
    }
    facts.check(&scheduler);
}

/// What follows from events and actions alone.
#[derive(Debug, Clone, Default)]
struct Facts {
    winners: BTreeMap<(JobId, TaskId), Lease>,
    /// Most slots that each worker ever offered.
    slots: BTreeMap<WorkerId, u32>,
    ended: BTreeSet<JobId>,
}

impl Facts {
    fn note(&mut self, event: &Event, actions: &[Action]) {
        if let Event::WorkerJoined { worker, slots, .. } | Event::WorkerResized { worker, slots, .. } = event
        {
            let most = self.slots.entry(*worker).or_default();
            *most = (*most).max(*slots);
        }
        for action in actions {
            match action {
                Action::TaskFinished { lease } => {
                    let task = (lease.job.clone(), lease.attempt.task);
                    let earlier = self.winners.insert(task, lease.clone());
                    assert_eq!(earlier, None, "two winners, the second is {lease:?}");
                }
                Action::MapOutputsLost { job, maps, .. } => {
                    for map in maps {
                        self.winners.remove(&(job.clone(), TaskId::map(*map)));
                    }
                }
                Action::JobFinished { job, .. } => {
                    assert!(self.ended.insert(job.clone()), "{job} ended twice")
                }
                _ => {}
            }
        }
    }

    /// Compares the scheduler's counts with what is counted here.
    fn check(&self, scheduler: &Scheduler) {
        let mut running: BTreeMap<WorkerId, usize> = BTreeMap::new();
        let mut outputs: BTreeMap<WorkerId, usize> = BTreeMap::new();
        let mut queues: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (id, status) in scheduler.jobs() {
            let leases = scheduler.leases(id);
            assert_eq!(leases.len(), status.attempts);
            leases.iter().for_each(|lease| *running.entry(lease.worker).or_default() += 1);
            let queue = queues.entry(status.queue).or_default();
            *queue = (queue.0 + 1, queue.1 + leases.len());
            for (stage, counts) in [(Stage::Map, status.maps), (Stage::Reduce, status.reduces)] {
                self.check_stage(id, stage, counts, &leases);
            }
            for index in 0..status.maps.total {
                if let Some(output) = scheduler.map_output(id, index) {
                    *outputs.entry(output.worker).or_default() += 1;
                }
            }
        }
        for (id, status) in scheduler.workers() {
            let most = self.slots.get(&id).copied().unwrap_or(0) as usize;
            assert!(status.running + status.cancelled <= most, "{id:?} holds too much");
            assert_eq!(status.running, running.remove(&id).unwrap_or(0));
            assert_eq!(status.outputs, outputs.remove(&id).unwrap_or(0));
        }
        assert!(running.is_empty() && outputs.is_empty());
        let counted = scheduler.queues().map(|(name, queue)| (name.to_owned(), (queue.jobs, queue.attempts)));
        assert_eq!(counted.collect::<BTreeMap<_, _>>(), queues);
    }

    fn check_stage(&self, id: &JobId, stage: Stage, counts: StageStatus, leases: &[Lease]) {
        let won = self.winners.keys().filter(|(job, task)| job == id && task.stage == stage).count();
        assert_eq!(counts.done as usize, won);
        let mut tasks: Vec<TaskId> = leases.iter().map(|lease| lease.attempt.task).collect();
        tasks.retain(|task| task.stage == stage);
        tasks.dedup();
        assert_eq!(counts.running as usize, tasks.len());
        assert_eq!(counts.pending + counts.running + counts.done, counts.total);
    }
}

/// Goes on from a state as after a crash in which all workers died: one good worker must be enough
/// for every job to end.
fn finish(mut scheduler: Scheduler, mut facts: Facts, now: Time) {
    let mut tell = |scheduler: &mut Scheduler, event: Event| {
        let actions = scheduler.handle(now, event.clone());
        facts.note(&event, &actions);
        actions
    };
    tell(&mut scheduler, Event::Resumed);
    let live: Vec<_> = scheduler.workers().filter(|(_, status)| status.live).collect();
    for (worker, status) in live {
        let (incarnation, cause) = (status.incarnation, LossCause::Left);
        tell(&mut scheduler, Event::WorkerLost { worker, incarnation, cause });
    }
    let (worker, incarnation) = (WorkerId(1_000), Incarnation(1));
    tell(&mut scheduler, Event::WorkerJoined { worker, incarnation, slots: 3, host: None });
    loop {
        let jobs: Vec<JobId> = scheduler.jobs().map(|(id, _)| id.clone()).collect();
        let leases: Vec<Lease> = jobs.iter().flat_map(|job| scheduler.leases(job)).collect();
        let Some(lease) = leases.into_iter().next() else {
            assert!(jobs.is_empty(), "nothing runs of {jobs:?}");
            return facts.check(&scheduler);
        };
        let reducers = scheduler.job(&lease.job).unwrap().reduces.total;
        let report = AttemptReport::default();
        if lease.attempt.task.stage == Stage::Map && reducers > 0 {
            tell(&mut scheduler, Event::AttemptFinished { lease, report });
        } else {
            let granted = tell(&mut scheduler, Event::CommitRequested { lease: lease.clone() });
            assert_eq!(granted, [Action::GrantCommit { lease: lease.clone() }]);
            tell(&mut scheduler, Event::Committed { lease, report });
        }
    }
}
