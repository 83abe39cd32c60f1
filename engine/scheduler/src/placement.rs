//! Which task launches next on the free slots, and where. Whose turn it is says [`crate::queue`];
//! here is what a job launches then: tasks that failed before first, then in order, near their input
//! where that costs nothing.

use std::collections::BTreeMap;

use mr_model::{JobId, Stage, TaskId, WorkerId};

use crate::action::Action;
use crate::config::{MAPS_SCANNED_MAX, NEAR_BYTES_PERCENT_MIN, RETRIES_SCANNED_MAX};
use crate::free::FreeSlots;
use crate::job::Job;
use crate::scheduler::Scheduler;

impl Scheduler {
    /// Launches what can be launched.
    pub(crate) fn fill_slots(&mut self, actions: &mut Vec<Action>) {
        // For queues with jobs whose waiting tasks no worker with a free slot may take, the last of
        // those. Launching others only takes slots away, so they need no second look in this round.
        let mut passed = BTreeMap::new();
        while self.workers.slots().has_free() {
            let Some((queue, key, id)) = self.queues.next(&passed) else { return };
            match self.jobs.get(id).and_then(|job| job.next_placement(self.workers.slots())) {
                Some((task, worker)) => {
                    let id = id.clone();
                    self.launch(&id, task, worker, actions);
                }
                None => {
                    passed.insert(queue.to_owned(), key);
                }
            }
        }
    }

    /// Launches one attempt on a worker that has a free slot.
    pub(crate) fn launch(&mut self, id: &JobId, task: TaskId, worker: WorkerId, actions: &mut Vec<Action>) {
        let Some(incarnation) = self.workers.incarnation(worker) else { return };
        let Some(job) = self.jobs.get_mut(id) else { return };
        let Some(lease) = job.start(task, worker, incarnation, self.now, self.stamp) else { return };
        self.workers.hold(&lease);
        actions.push(Action::Launch { lease });
        self.reindex(id);
    }

    /// Tells a job's queue what has changed of the job.
    pub(crate) fn reindex(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let wanted = job.wanted_seat();
        self.queues.reseat(&job.queue, &job.id, &mut job.seat, wanted);
    }
}

impl Job {
    /// The next task to launch that some worker with a free slot can take, and that worker.
    fn next_placement(&self, slots: &FreeSlots) -> Option<(TaskId, WorkerId)> {
        let stage = self.launchable_stage()?;
        let tasks = self.stage(stage);
        let retry = tasks.retries().take(RETRIES_SCANNED_MAX).find_map(|(index, failed_on)| {
            let task = TaskId { stage, index };
            let worker = self.place_near(task, slots, failed_on).or_else(|| slots.place(failed_on))?;
            Some((task, worker))
        });
        retry.or_else(|| self.place_fresh(stage, slots))
    }

    /// A task that nobody has failed: the first of the next few whose input is near, else the first.
    fn place_fresh(&self, stage: Stage, slots: &FreeSlots) -> Option<(TaskId, WorkerId)> {
        let mut fresh = self.stage(stage).fresh().map(|index| TaskId { stage, index });
        let first = fresh.next()?;
        let others = if stage == Stage::Map { MAPS_SCANNED_MAX - 1 } else { 0 };
        let near = std::iter::once(first)
            .chain(fresh.take(others))
            .find_map(|task| Some((task, self.place_near(task, slots, &[])?)));
        near.or_else(|| Some((first, slots.place(&[])?)))
    }

    /// A worker with a free slot, not one of `avoid`, that has the task's input or enough of it.
    fn place_near(&self, task: TaskId, slots: &FreeSlots, avoid: &[WorkerId]) -> Option<WorkerId> {
        match task.stage {
            Stage::Map if self.split_hosts.is_empty() || !slots.knows_hosts() => None,
            Stage::Map => self.split_hosts.of(task.index).find_map(|host| slots.place_on_host(host, avoid)),
            Stage::Reduce => {
                let mut near = self.partition_bytes.near(task.index, NEAR_BYTES_PERCENT_MIN);
                near.find(|worker| slots.is_free(*worker) && avoid.binary_search(worker).is_err())
            }
        }
    }
}
