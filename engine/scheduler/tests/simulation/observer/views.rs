//! The scheduler's own views against the reference.

use mr_model::{Stage, WorkerId};
use mr_scheduler::{Scheduler, WorkerStatus};

use super::{Observer, Standing};

impl Observer {
    /// Compares everything that the scheduler shows after the events so far.
    pub fn compare(&self, scheduler: &Scheduler) {
        let mut all_have_room = true;
        for (id, status) in scheduler.workers() {
            self.compare_worker(id, &status);
            let held = status.running + status.cancelled;
            all_have_room &= !self.nodes[&id].is_open() || held < status.slots as usize;
        }
        let open = self.nodes.values().any(super::Node::is_open);
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
            if open && all_have_room && self.has_room(id) {
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
        let open_jobs = || self.jobs.values().filter(|job| job.ended.is_none());
        for (name, status) in scheduler.queues() {
            assert_eq!(status.attempts, self.used_by_queue(name), "queue {name}");
            assert_eq!(status.jobs, open_jobs().filter(|job| job.plan.queue == name).count());
            assert_eq!(status.config, self.queues.get(name).cloned().unwrap_or_default());
        }
    }

    fn compare_worker(&self, id: WorkerId, status: &WorkerStatus) {
        let node = &self.nodes[&id];
        assert_eq!((status.incarnation, status.live), (node.incarnation, node.live));
        assert_eq!((status.slots, status.set_aside), (node.slots, node.aside.is_some()), "{id:?} {node:?}");
        let count =
            |standing| self.leases.iter().filter(|(lease, s)| lease.worker == id && **s == standing).count();
        let (running, cancelled) = (count(Standing::Running), count(Standing::Cancelled));
        assert_eq!((status.running, status.cancelled), (running, cancelled), "{id:?}");
        let open = self.jobs.values().filter(|job| job.ended.is_none());
        let kept = open.flat_map(|job| job.done.iter().filter(|(task, _)| !job.commits(**task)));
        assert_eq!(status.outputs, kept.filter(|(_, won)| won.lease.worker == id).count(), "{id:?}");
    }
}
