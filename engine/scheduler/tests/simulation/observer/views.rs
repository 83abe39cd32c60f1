//! The scheduler's own views against the reference, after every event.

use mr_model::Stage;
use mr_scheduler::Scheduler;

use super::{Observer, Standing};

impl Observer {
    pub(super) fn compare(&self, scheduler: &Scheduler) {
        let mut all_have_room = true;
        for (id, status) in scheduler.workers() {
            let node = &self.nodes[&id];
            assert_eq!((status.incarnation, status.live), (node.incarnation, node.live));
            let count = |standing| {
                self.leases.iter().filter(|(lease, s)| lease.worker == id && **s == standing).count()
            };
            let (running, cancelled) = (count(Standing::Running), count(Standing::Cancelled));
            assert_eq!((status.running, status.cancelled), (running, cancelled), "{id:?}");
            let open = node.live && !node.draining && !status.set_aside;
            all_have_room &= !open || running + cancelled < node.slots as usize;
        }
        let open = self.nodes.values().any(|node| node.live && !node.draining);
        for (id, job) in &self.jobs {
            let status = scheduler.job(id);
            assert_eq!(status.is_none(), job.ended.is_some(), "{id}");
            let Some(status) = status else { continue };
            let attempts = self.running().filter(|lease| lease.job == *id).count();
            assert_eq!(status.attempts, attempts);
            for (stage, counts) in [(Stage::Map, status.maps), (Stage::Reduce, status.reduces)] {
                assert_eq!(counts.pending + counts.running + counts.done, counts.total, "{id} {counts:?}");
                assert_eq!(counts.done, job.done_in(stage));
            }
            // Slots never lie idle while a task could use them.
            let below_cap = job.plan.slots_max.is_none_or(|cap| attempts < cap as usize);
            if open && all_have_room && below_cap {
                assert_eq!(status.maps.pending, 0, "{id}: a map waits beside free slots");
                let maps_done = status.maps.done == status.maps.total;
                assert!(!maps_done || status.reduces.pending == 0, "{id}: a reduce waits beside free slots");
            }
            for (task, won) in job.done.iter().filter(|(task, _)| !job.commits(**task)) {
                let output = scheduler.map_output(id, task.index).unwrap();
                assert_eq!(output.attempt, won.lease.attempt);
                assert!(job.ever_done.contains(&output.attempt));
                let node = &self.nodes[&output.worker];
                assert!(node.live && node.incarnation == output.incarnation, "output of a dead worker");
            }
        }
    }
}
