//! The oracle: a naive reference that sees only events and actions, and what is published. It keeps
//! its own leases, winners, grants and failure counts in plain maps and asserts after every event
//! that the scheduler's actions and views agree with them.

mod aftermath;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{AttemptId, Failure, Incarnation, JobId, Retry, Stage, TaskId, WorkerId};
use mr_scheduler::{Action, Event, JobPlan, Lease, Outcome, Scheduler};

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
    /// It was set aside before the event.
    aside: bool,
}

impl Node {
    fn is_open(&self) -> bool {
        self.live && !self.draining && self.slots > 0 && !self.aside
    }
}

#[derive(Debug)]
struct Won {
    lease: Lease,
    step: u64,
}

#[derive(Debug)]
struct ObservedJob {
    plan: JobPlan,
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
    published: BTreeMap<TaskId, Vec<Lease>>,
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
    nodes: BTreeMap<WorkerId, Node>,
    leases: BTreeMap<Lease, Standing>,
    jobs: BTreeMap<JobId, ObservedJob>,
}

/// What the event by itself asks of the actions.
#[derive(Debug, Default)]
struct Expected {
    winner: Option<Lease>,
    failed: Option<(Lease, Failure)>,
    /// The failure complains about a map output that counted and that the attempt knew.
    upheld: bool,
    lost: Option<WorkerId>,
}

impl Observer {
    pub fn outcome(&self, job: &JobId) -> Option<&Outcome> {
        self.jobs.get(job)?.ended.as_ref()
    }

    /// Takes in one event with its actions and the scheduler's state after it.
    pub fn observe(&mut self, event: &Event, actions: &[Action], scheduler: &Scheduler) {
        self.step += 1;
        let expected = self.before(event);
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
        self.compare(scheduler);
        for (id, status) in scheduler.workers() {
            self.nodes.get_mut(&id).unwrap().aside = status.set_aside;
        }
    }

    /// A worker publishes a part at this moment: as long as the job goes on, only with the grant.
    pub fn publish(&mut self, lease: &Lease) {
        let job = self.jobs.get_mut(&lease.job).unwrap();
        let task = lease.attempt.task;
        if job.ended.is_none() {
            assert_eq!(job.granted.get(&task), Some(lease), "published without the grant");
        }
        job.published.entry(task).or_default().push(lease.clone());
    }

    /// Final checks, when everything has come to rest.
    pub fn finish(&self) {
        assert_eq!(self.leases.len(), 0, "leases left: {:?}", self.leases);
        for (id, job) in &self.jobs {
            let outcome = job.ended.as_ref().unwrap_or_else(|| panic!("job {id} did not end"));
            if *outcome != Outcome::Succeeded {
                continue;
            }
            for (task, won) in job.done.iter().filter(|(task, _)| job.commits(**task)) {
                assert!(job.published[task].contains(&won.lease), "{id} {task}: winner did not publish");
            }
        }
    }

    fn running(&self) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(|(_, standing)| **standing == Standing::Running).map(|(lease, _)| lease)
    }

    fn before(&mut self, event: &Event) -> Expected {
        let mut expected = Expected::default();
        match event {
            Event::WorkerJoined { worker, incarnation, slots, .. } => {
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
                        aside: false,
                    };
                    self.nodes.insert(*worker, node);
                }
            }
            Event::WorkerLost { worker, incarnation, .. } => {
                let node = self.nodes.get_mut(worker);
                if let Some(node) = node.filter(|node| node.live && node.incarnation == *incarnation) {
                    node.live = false;
                    expected.lost = Some(*worker);
                    self.drop_leases(*worker);
                }
            }
            Event::WorkerDraining { worker, incarnation } => {
                let node = self.nodes.get_mut(worker);
                if let Some(node) = node.filter(|node| node.live && node.incarnation == *incarnation) {
                    node.draining = true;
                }
            }
            Event::JobSubmitted { job, plan } => self.submit(job, plan),
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
                    let known = |won: &Won| won.step <= job.launched[&lease.attempt];
                    expected.upheld = job.done.get(&map).is_some_and(known);
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

    fn submit(&mut self, id: &JobId, plan: &JobPlan) {
        self.jobs.entry(id.clone()).or_insert_with(|| ObservedJob {
            plan: plan.clone(),
            done: BTreeMap::new(),
            ever_done: BTreeSet::new(),
            launched: BTreeMap::new(),
            asked: BTreeSet::new(),
            granted: BTreeMap::new(),
            failures: BTreeMap::new(),
            failed_on: BTreeMap::new(),
            backups: BTreeSet::new(),
            published: BTreeMap::new(),
            ended: None,
        });
    }

    fn drop_leases(&mut self, worker: WorkerId) {
        self.leases.retain(|lease, _| lease.worker != worker);
    }

    fn act(&mut self, event: &Event, action: &Action, expected: &Expected) {
        match action {
            Action::Launch { lease } if matches!(event, Event::Heartbeat { .. }) => {
                assert_eq!(self.leases.get(lease), Some(&Standing::Running), "resent {lease:?}");
            }
            Action::Launch { lease } => self.check_launch(event, lease),
            Action::Cancel { lease } => {
                if let Some(standing) = self.leases.get_mut(lease) {
                    *standing = Standing::Cancelled;
                }
            }
            Action::GrantCommit { lease } => {
                assert_eq!(self.leases.get(lease), Some(&Standing::Running), "granted {lease:?}");
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
                job.ever_done.insert(lease.attempt);
                job.failed_on.remove(&task);
                let earlier = job.done.insert(task, Won { lease: lease.clone(), step: self.step });
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
            Action::JobRefused { .. } => panic!("{action:?}"),
        }
    }

    fn check_launch(&mut self, event: &Event, lease: &Lease) {
        let node = &self.nodes[&lease.worker];
        assert!(node.live && !node.draining && node.incarnation == lease.incarnation, "{lease:?} {node:?}");
        let held = self.leases.keys().filter(|held| held.worker == lease.worker).count();
        assert!(held < node.slots as usize, "worker {:?} is full", lease.worker);
        let task = lease.attempt.task;
        let siblings: Vec<Lease> =
            self.running().filter(|l| l.job == lease.job && l.attempt.task == task).cloned().collect();
        let used = self.running().filter(|l| l.job == lease.job).count();
        let job = self.jobs.get_mut(&lease.job).unwrap();
        assert!(job.ended.is_none() && !job.done.contains_key(&task));
        assert!(job.plan.slots_max.is_none_or(|cap| used < cap as usize), "over the job's cap");
        assert!(job.launched.insert(lease.attempt, self.step).is_none(), "{:?} used twice", lease.attempt);
        let failures = job.failures.get(&task).copied().unwrap_or(0);
        assert!(failures < job.attempts_max(), "{task} had its attempts");
        if task.stage == Stage::Reduce {
            assert_eq!(job.done_in(Stage::Map), job.maps(), "reduce before its maps");
        }
        match (siblings.as_slice(), event) {
            ([], _) => {}
            ([other], Event::BackupDue { job: named, task: straggler }) => {
                assert_eq!((named, straggler), (&lease.job, &task));
                assert_ne!(other.worker, lease.worker, "backup beside the straggler");
                assert!(job.backups.insert(task) && job.plan.speculation, "second backup");
            }
            _ => panic!("{lease:?} beside {siblings:?}"),
        }
        self.leases.insert(lease.clone(), Standing::Running);
    }
}
