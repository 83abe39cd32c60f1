//! Which job launches next on the free slots, and where. Jobs of higher priority come first, then
//! those with the fewest running attempts for their weight, then those submitted first.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use mr_model::{JobId, TaskId, WorkerId};

use crate::action::Action;
use crate::scheduler::Scheduler;

/// Share of one running attempt at weight 1: fine enough to tell weights up to that apart.
const SHARE_SCALE: u64 = 1 << 32;

/// Where a job stands among those that could launch; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReadyKey {
    priority: Reverse<i32>,
    /// Running attempts for each unit of weight, scaled.
    share: u64,
    order: u64,
}

impl ReadyKey {
    pub fn new(priority: i32, running: usize, weight: u32, order: u64) -> Self {
        let running = u64::try_from(running).unwrap_or(u64::MAX);
        let share = running.saturating_mul(SHARE_SCALE) / u64::from(weight.max(1));
        Self { priority: Reverse(priority), share, order }
    }
}

impl Scheduler {
    /// Launches what can be launched.
    pub(crate) fn fill_slots(&mut self, actions: &mut Vec<Action>) {
        // Jobs whose waiting tasks no worker with a free slot may take. Launching others only takes
        // slots away, so they stay blocked for this round.
        let mut blocked = BTreeSet::new();
        while self.workers.has_free() {
            let next = self.ready.iter().find(|(key, _)| !blocked.contains(*key));
            let Some((&key, id)) = next else { return };
            let placement = self.jobs.get(id).and_then(|job| job.next_placement(&self.workers));
            match placement {
                Some((task, worker)) => {
                    let id = id.clone();
                    self.launch(&id, task, worker, actions);
                }
                None => {
                    blocked.insert(key);
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

    /// Brings the index of jobs that could launch up to date after a change of the job.
    pub(crate) fn reindex(&mut self, id: &JobId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let wanted = job.wanted_key();
        if wanted == job.ready_key {
            return;
        }
        if let Some(key) = job.ready_key.take() {
            self.ready.remove(&key);
        }
        if let Some(key) = wanted {
            self.ready.insert(key, id.clone());
        }
        job.ready_key = wanted;
    }
}
