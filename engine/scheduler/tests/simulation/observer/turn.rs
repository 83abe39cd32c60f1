//! Launches: whether one may be, whose turn it is, and where it belongs, worked out naively.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mr_model::{JobId, Stage, TaskId, WorkerId};
use mr_scheduler::config::NEAR_BYTES_PERCENT_MIN;
use mr_scheduler::{Event, Lease};

use super::{ObservedJob, Observer, Standing};

/// Where a job stands: what is least goes first.
type Rank = (Reverse<i32>, usize, usize, usize);

impl Observer {
    pub(super) fn check_launch(&mut self, event: &Event, lease: &Lease) {
        let node = &self.nodes[&lease.worker];
        assert!(node.is_open() && node.incarnation == lease.incarnation, "{lease:?} {node:?}");
        assert!(self.has_free(lease.worker), "worker {:?} is full", lease.worker);
        let is_backup = matches!(event, Event::BackupDue { .. });
        if !is_backup {
            self.check_turn(lease);
            self.check_place(lease);
        }
        let task = lease.attempt.task;
        let siblings: Vec<Lease> =
            self.running().filter(|l| l.job == lease.job && l.attempt.task == task).cloned().collect();
        assert!(self.has_room(&lease.job), "over a cap");
        let job = self.jobs.get_mut(&lease.job).unwrap();
        assert!(job.ended.is_none() && !job.done.contains_key(&task));
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

    fn has_free(&self, worker: WorkerId) -> bool {
        let held = self.leases.keys().filter(|held| held.worker == worker).count();
        self.nodes[&worker].is_open() && held < self.nodes[&worker].slots as usize
    }

    /// Whether the caps of the job and of its queue let another attempt run.
    pub(super) fn has_room(&self, id: &JobId) -> bool {
        let plan = &self.jobs[id].plan;
        let queue_max = self.queues.get(&plan.queue).and_then(|queue| queue.slots_max);
        let below = |used: usize, cap: Option<u32>| cap.is_none_or(|cap| used < cap.max(1) as usize);
        below(self.used(id), plan.slots_max) && below(self.used_by_queue(&plan.queue), queue_max)
    }

    fn used(&self, id: &JobId) -> usize {
        self.running().filter(|lease| lease.job == *id).count()
    }

    pub(super) fn used_by_queue(&self, queue: &str) -> usize {
        self.running().filter(|lease| self.jobs[&lease.job].plan.queue == queue).count()
    }

    fn rank(&self, id: &JobId) -> Rank {
        // Weights are 1, 2 or 3.
        let share = |used: usize, weight: u32| used * (6 / weight.max(1) as usize);
        let job = &self.jobs[id];
        let queue_weight = self.queues.get(&job.plan.queue).map_or(1, |queue| queue.weight);
        let queue_share = share(self.used_by_queue(&job.plan.queue), queue_weight);
        (Reverse(job.plan.priority), queue_share, share(self.used(id), job.plan.weight), job.order)
    }

    /// Tasks that the job could launch on any worker now, in order.
    fn fresh(&self, id: &JobId, job: &ObservedJob) -> Vec<TaskId> {
        let busy: Vec<TaskId> =
            self.running().filter(|lease| lease.job == *id).map(|lease| lease.attempt.task).collect();
        let waits = |task: &TaskId| !job.done.contains_key(task) && !busy.contains(task);
        let maps: Vec<TaskId> = (0..job.maps()).map(TaskId::map).filter(waits).collect();
        let reduces = (0..job.plan.reducers).map(TaskId::reduce).filter(waits);
        let queued = match maps.is_empty() {
            true if job.done_in(Stage::Map) == job.maps() => reduces.collect(),
            _ => maps,
        };
        queued.into_iter().filter(|task| !job.failed_on.contains_key(task)).collect()
    }

    /// No other job that could use the slot has more of a right to it.
    fn check_turn(&self, lease: &Lease) {
        let rank = self.rank(&lease.job);
        for (id, job) in self.jobs.iter().filter(|(id, job)| job.ended.is_none() && **id != lease.job) {
            if self.rank(id) < rank && self.has_room(id) {
                assert!(self.fresh(id, job).is_empty(), "it was the turn of {id}, not of {lease:?}");
            }
        }
    }

    /// The task runs near its input if it can.
    fn check_place(&self, lease: &Lease) {
        let job = &self.jobs[&lease.job];
        let task = lease.attempt.task;
        let failed_on = |task: TaskId| job.failed_on.get(&task);
        let free = |task, worker: &WorkerId| {
            self.has_free(*worker) && failed_on(task).is_none_or(|failed| !failed.contains(worker))
        };
        if task.stage == Stage::Reduce {
            let bytes = self.partition_bytes(job, task.index);
            let total: u64 = bytes.values().sum();
            let near = |(_, bytes): &(&WorkerId, &u64)| {
                **bytes > 0 && **bytes * 100 >= total * NEAR_BYTES_PERCENT_MIN
            };
            let most =
                bytes.iter().filter(near).filter(|(worker, _)| free(task, worker)).map(|(_, b)| *b).max();
            let here = bytes.get(&lease.worker).copied().unwrap_or(0);
            assert!(most.is_none_or(|most| here == most), "{lease:?} has {here} bytes, not {most:?}");
            return;
        }
        let is_near = |task: TaskId, worker: &WorkerId| {
            let hosts = job.plan.split_hosts.get(task.index as usize);
            let host = self.nodes[worker].host.as_ref();
            hosts.is_some_and(|hosts| host.is_some_and(|host| hosts.contains(host)))
        };
        let can_be_near = |task: TaskId| self.nodes.keys().any(|w| free(task, w) && is_near(task, w));
        if failed_on(task).is_some() {
            assert!(!can_be_near(task) || is_near(task, &lease.worker), "{lease:?} is far away");
            return;
        }
        // No simulated job has more maps than are looked at.
        let fresh = self.fresh(&lease.job, job);
        match fresh.iter().find(|task| can_be_near(**task)) {
            Some(first) => assert!(*first == task && is_near(task, &lease.worker), "not near: {lease:?}"),
            None => assert_eq!(fresh[0], task, "out of order"),
        }
    }

    /// Bytes of a partition by worker.
    fn partition_bytes(&self, job: &ObservedJob, partition: u32) -> BTreeMap<WorkerId, u64> {
        let mut bytes = BTreeMap::new();
        for won in job.done.values() {
            let of_map = won.partition_bytes.get(partition as usize).copied().unwrap_or(0);
            *bytes.entry(won.lease.worker).or_default() += of_map;
        }
        bytes
    }
}
