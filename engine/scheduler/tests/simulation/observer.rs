//! The oracle: a naive reference that sees only events and actions. It keeps its own leases,
//! winners, grants and failure counts in plain maps and asserts after every event that the
//! scheduler's actions and views agree with them.

mod aftermath;
mod conduct;
mod turn;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{AttemptId, Failure, Incarnation, JobId, Retry, Stage, TaskId, WorkerId};
use mr_scheduler::{Action, Event, JobPlan, Lease, Outcome, QueueConfig, Refusal, Time};

use crate::tally::Tally;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Running,
    Cancelled,
}

#[derive(Debug)]
struct Node {
    incarnation: Incarnation,
    live: bool,
    draining: bool,
    slots: u32,
    host: Option<String>,
    /// When failures of its own were, since it was last set aside.
    failures: Vec<u64>,
    /// Since when it is set aside.
    aside: Option<u64>,
}

impl Node {
    fn is_open(&self) -> bool {
        self.live && !self.draining && self.slots > 0 && self.aside.is_none()
    }
}

#[derive(Debug)]
struct Won {
    lease: Lease,
    step: u64,
    partition_bytes: Vec<u64>,
}

#[derive(Debug)]
struct ObservedJob {
    plan: JobPlan,
    /// Number of its submission.
    order: usize,
    done: BTreeMap<TaskId, Won>,
    ever_done: BTreeSet<AttemptId>,
    /// Attempts ever launched, with the step.
    launched: BTreeMap<AttemptId, u64>,
    asked: BTreeSet<AttemptId>,
    granted: BTreeMap<TaskId, Lease>,
    failures: BTreeMap<TaskId, u32>,
    /// Workers that failed a task which is not done.
    failed_on: BTreeMap<TaskId, BTreeSet<WorkerId>>,
    backups: BTreeSet<TaskId>,
    ended: Option<Outcome>,
}

impl ObservedJob {
    fn maps(&self) -> u32 {
        u32::try_from(self.plan.split_bytes.len()).unwrap()
    }

    fn commits(&self, task: TaskId) -> bool {
        task.stage == Stage::Reduce || self.plan.reducers == 0
    }

    fn done_in(&self, stage: Stage) -> u32 {
        u32::try_from(self.done.keys().filter(|task| task.stage == stage).count()).unwrap()
    }

    fn is_complete(&self) -> bool {
        match self.plan.reducers {
            0 => self.done_in(Stage::Map) == self.maps(),
            reducers => self.done_in(Stage::Reduce) == reducers,
        }
    }

    fn attempts_max(&self) -> u32 {
        self.plan.attempts_max.max(1)
    }
}

#[derive(Debug, Default)]
pub struct Observer {
    step: u64,
    now: u64,
    nodes: BTreeMap<WorkerId, Node>,
    leases: BTreeMap<Lease, Standing>,
    jobs: BTreeMap<JobId, ObservedJob>,
    refused: BTreeSet<JobId>,
    queues: BTreeMap<String, QueueConfig>,
}

/// What the event by itself asks of the actions.
#[derive(Debug, Default)]
struct Expected {
    winner: Option<Lease>,
    failed: Option<(Lease, Failure)>,
    /// The map output that the failure complains about, where it counted and the attempt knew it.
    upheld: Option<Lease>,
    /// The failure ends the job.
    fatal: bool,
    lost: Option<WorkerId>,
}

impl Observer {
    pub fn outcome(&self, job: &JobId) -> Option<&Outcome> {
        self.jobs.get(job)?.ended.as_ref()
    }

    /// Whether a client knows that the job was taken or not.
    pub fn was_submitted(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job) || self.refused.contains(job)
    }

    /// Whether nothing more comes of the job.
    pub fn is_over(&self, job: &JobId) -> bool {
        match self.jobs.get(job) {
            Some(job) => job.ended.is_some(),
            None => self.refused.contains(job),
        }
    }

    /// Winners of the tasks whose parts are the job's output.
    pub fn winners(&self, job: &JobId) -> impl Iterator<Item = &Lease> {
        let job = &self.jobs[job];
        job.done.iter().filter(|(task, _)| job.commits(**task)).map(|(_, won)| &won.lease)
    }

    /// Takes in one event with its actions.
    pub fn observe(&mut self, now: Time, event: &Event, actions: &[Action], tally: &mut Tally) {
        self.step += 1;
        self.now = now.0;
        let mut expected = self.before(event, actions, tally);
        if let Some((lease, failure)) = &expected.failed {
            expected.fatal = self.charge(lease, failure, expected.upheld.as_ref(), tally);
        }
        self.reinstate_if_last();
        let running: Vec<Lease> = self.running().cloned().collect();
        for action in actions {
            self.act(event, action, &expected);
        }
        self.settle(event, actions, &expected);
        for lease in running.iter().filter(|lease| self.leases.get(lease) == Some(&Standing::Cancelled)) {
            let job = &self.jobs[&lease.job];
            let beaten = job.done.contains_key(&lease.attempt.task);
            assert!(beaten || job.ended.is_some(), "{lease:?} was cancelled for no reason");
        }
        self.note(event, actions, tally);
    }

    /// Final checks, when everything has come to rest.
    pub fn finish(&self) {
        assert_eq!(self.leases.len(), 0, "leases left: {:?}", self.leases);
        for (id, job) in &self.jobs {
            assert!(job.ended.is_some(), "job {id} did not end");
        }
    }

    fn running(&self) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(|(_, standing)| **standing == Standing::Running).map(|(lease, _)| lease)
    }

    fn node(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Node> {
        self.nodes.get_mut(&worker).filter(|node| node.live && node.incarnation == incarnation)
    }

    fn before(&mut self, event: &Event, actions: &[Action], tally: &mut Tally) -> Expected {
        let mut expected = Expected::default();
        match event {
            Event::WorkerJoined { worker, incarnation, slots, host } => {
                let known = self.nodes.get(worker);
                if known.is_none_or(|node| node.incarnation < *incarnation) {
                    if known.is_some_and(|node| node.live) {
                        expected.lost = Some(*worker);
                    }
                    self.drop_leases(*worker);
                    let node = Node {
                        incarnation: *incarnation,
                        live: true,
                        draining: false,
                        slots: *slots,
                        host: host.clone(),
                        failures: Vec::new(),
                        aside: None,
                    };
                    self.nodes.insert(*worker, node);
                }
            }
            Event::WorkerLost { worker, incarnation, .. } => {
                if let Some(node) = self.node(*worker, *incarnation) {
                    node.live = false;
                    node.aside = None;
                    expected.lost = Some(*worker);
                    self.drop_leases(*worker);
                }
            }
            Event::WorkerDraining { worker, incarnation } => {
                if let Some(node) = self.node(*worker, *incarnation) {
                    node.draining = true;
                }
            }
            Event::WorkerResized { worker, incarnation, slots } => {
                if let Some(node) = self.node(*worker, *incarnation) {
                    tally.see("resized");
                    node.slots = *slots;
                }
            }
            Event::WorkerReinstated { worker, incarnation } => self.reinstate(*worker, *incarnation, tally),
            Event::QueuesChanged { queues } => {
                tally.see("queues changed");
                self.queues = queues.clone();
            }
            Event::JobSubmitted { job, plan } => self.submit(job, plan, actions),
            Event::AttemptFinished { lease, .. } | Event::Committed { lease, .. } => {
                let standing = self.leases.remove(lease);
                expected.winner = (standing == Some(Standing::Running)).then(|| lease.clone());
            }
            Event::AttemptFailed { lease, failure } => {
                if self.leases.remove(lease) != Some(Standing::Running) {
                    return expected;
                }
                let job = &self.jobs[&lease.job];
                expected.failed = Some((lease.clone(), failure.clone()));
                if let (Retry::AfterMap(map), Stage::Reduce) = (failure.retry(), lease.attempt.task.stage) {
                    let won = job.done.get(&map).filter(|won| won.step <= job.launched[&lease.attempt]);
                    expected.upheld = won.map(|won| won.lease.clone());
                }
            }
            Event::AttemptCancelled { lease } => {
                let standing = self.leases.remove(lease);
                assert_ne!(standing, Some(Standing::Running), "{lease:?} counted but was told to stop");
            }
            Event::CommitRequested { lease } => {
                if let Some(job) = self.jobs.get_mut(&lease.job) {
                    job.asked.insert(lease.attempt);
                }
            }
            _ => {}
        }
        expected
    }

    fn submit(&mut self, id: &JobId, plan: &JobPlan, actions: &[Action]) {
        let exists = plan.queue == "default" || self.queues.contains_key(&plan.queue);
        if self.jobs.contains_key(id) {
            return;
        }
        let refused = |action: &Action| match action {
            Action::JobRefused { job, refusal: Refusal::Queue { queue, known } } => {
                job == id && *queue == plan.queue && known.iter().any(|name| name == "default")
            }
            _ => false,
        };
        assert_eq!(!exists, actions.iter().any(refused), "{id} in {:?}", plan.queue);
        if !exists {
            self.refused.insert(id.clone());
            return;
        }
        let job = ObservedJob {
            plan: plan.clone(),
            order: self.jobs.len(),
            done: BTreeMap::new(),
            ever_done: BTreeSet::new(),
            launched: BTreeMap::new(),
            asked: BTreeSet::new(),
            granted: BTreeMap::new(),
            failures: BTreeMap::new(),
            failed_on: BTreeMap::new(),
            backups: BTreeSet::new(),
            ended: None,
        };
        self.jobs.insert(id.clone(), job);
    }

    fn drop_leases(&mut self, worker: WorkerId) {
        self.leases.retain(|lease, _| lease.worker != worker);
    }

    fn act(&mut self, event: &Event, action: &Action, expected: &Expected) {
        match action {
            Action::Launch { lease } if matches!(event, Event::Heartbeat { .. }) && self.holds(lease) => {}
            Action::Launch { lease } => self.check_launch(event, lease),
            Action::Cancel { lease } => {
                if let Some(standing) = self.leases.get_mut(lease) {
                    *standing = Standing::Cancelled;
                }
            }
            Action::GrantCommit { lease } => {
                assert!(self.holds(lease), "granted {lease:?}");
                let job = self.jobs.get_mut(&lease.job).unwrap();
                assert!(job.ended.is_none() && job.asked.contains(&lease.attempt));
                let earlier = job.granted.insert(lease.attempt.task, lease.clone());
                let still = earlier.filter(|earlier| {
                    earlier != lease && self.leases.get(earlier) == Some(&Standing::Running)
                });
                assert_eq!(still, None, "two grants, the second to {lease:?}");
            }
            Action::TaskFinished { lease } => {
                assert_eq!(expected.winner.as_ref(), Some(lease), "won without a word");
                let job = self.jobs.get_mut(&lease.job).unwrap();
                let task = lease.attempt.task;
                if job.commits(task) {
                    assert_eq!(job.granted.get(&task), Some(lease), "won without the grant");
                }
                let partition_bytes = match event {
                    Event::AttemptFinished { report, .. } => report.partition_bytes.clone(),
                    _ => Vec::new(),
                };
                job.ever_done.insert(lease.attempt);
                job.failed_on.remove(&task);
                let won = Won { lease: lease.clone(), step: self.step, partition_bytes };
                let earlier = job.done.insert(task, won);
                assert!(earlier.is_none(), "{task} was done twice: {earlier:?}");
            }
            Action::MapOutputsLost { job, worker, incarnation, maps } => {
                let job = self.jobs.get_mut(job).unwrap();
                assert!(job.plan.reducers > 0 && !job.is_complete());
                for map in maps {
                    let won = job.done.remove(&TaskId::map(*map)).expect("lost what was done");
                    assert_eq!((won.lease.worker, won.lease.incarnation), (*worker, *incarnation));
                }
            }
            Action::JobFinished { job, outcome, totals } => self.check_end(job, outcome, totals),
            Action::Renew { worker, incarnation } => {
                let node = &self.nodes[worker];
                assert!(node.live && node.incarnation == *incarnation);
            }
            Action::Fence { worker, incarnation } => {
                let node = self.nodes.get(worker);
                assert!(node.is_none_or(|node| !node.live || node.incarnation != *incarnation));
            }
            Action::JobRefused { job, .. } => assert!(self.refused.contains(job), "{action:?}"),
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.leases.get(lease) == Some(&Standing::Running)
    }
}
