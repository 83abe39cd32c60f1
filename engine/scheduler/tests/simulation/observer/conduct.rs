//! Failures that are charged to tasks and held against workers, counted naively.

use mr_model::{Failure, Incarnation, Retry, Stage, WorkerId};
use mr_scheduler::Lease;
use mr_scheduler::config::{ASIDE_MIN, WORKER_FAILURES_MAX, WORKER_FAILURES_WINDOW};

use super::{Node, Observer};
use crate::tally::Tally;

impl Observer {
    /// Counts a failure; true when the job has to end.
    pub(super) fn charge(
        &mut self,
        lease: &Lease,
        failure: &Failure,
        upheld: Option<&Lease>,
        tally: &mut Tally,
    ) -> bool {
        let task = lease.attempt.task;
        match failure {
            Failure::Disk { .. }
            | Failure::Internal { .. }
            | Failure::InputLost { .. }
            | Failure::Corrupt { map_task: None, .. } => self.blame(lease.worker, tally),
            _ => {}
        }
        if let Some(output) = upheld {
            self.blame(output.worker, tally);
        }
        let job = self.jobs.get_mut(&lease.job).unwrap();
        let charged = match failure.retry() {
            Retry::Never => return true,
            Retry::AfterMap(map) if task.stage == Stage::Reduce => {
                let Some(output) = upheld else { return false };
                job.failed_on.entry(map).or_default().insert(output.worker);
                job.failed_on.entry(task).or_default().insert(lease.worker);
                map
            }
            _ => {
                let failed_on = job.failed_on.entry(task).or_default();
                failed_on.insert(lease.worker);
                let elsewhere = self.nodes.iter().any(|(id, node)| node.is_open() && !failed_on.contains(id));
                if elsewhere && matches!(failure, Failure::Disk { full: true, .. }) {
                    tally.see("full disk forgiven");
                    return false;
                }
                task
            }
        };
        let failures = job.failures.entry(charged).or_default();
        *failures += 1;
        *failures >= job.plan.attempts_max.max(1)
    }

    fn blame(&mut self, worker: WorkerId, tally: &mut Tally) {
        let others = self.nodes.iter().any(|(id, node)| *id != worker && node.is_open());
        let now = self.now;
        let window = u64::try_from(WORKER_FAILURES_WINDOW.as_millis()).unwrap();
        let node = self.nodes.get_mut(&worker).unwrap();
        if node.aside.is_some() {
            return;
        }
        node.failures.push(now);
        node.failures.retain(|failed| failed + window > now);
        if node.failures.len() >= WORKER_FAILURES_MAX && others {
            tally.see("set aside");
            node.aside = Some(now);
            node.failures.clear();
        }
    }

    pub(super) fn reinstate(&mut self, worker: WorkerId, incarnation: Incarnation, tally: &mut Tally) {
        let now = self.now;
        let Some(node) = self.node(worker, incarnation) else { return };
        if let Some(since) = node.aside.take() {
            tally.see("reinstated");
            assert!(u128::from(now - since) >= ASIDE_MIN.as_millis(), "back too early");
        }
    }

    /// Nobody is set aside where nobody else takes attempts.
    pub(super) fn reinstate_if_last(&mut self) {
        if !self.nodes.values().any(Node::is_open) {
            self.nodes.values_mut().for_each(|node| node.aside = None);
        }
    }
}
