//! What must have come of an event once its actions are in: wins, charged failures, lost outputs, the
//! end of a job.

use mr_model::{AttemptId, Failure, JobId, Retry, Stage, TaskId};
use mr_scheduler::{Action, Event, JobTotals, Lease, Outcome};

use super::{Expected, Node, Observer, Won};
use crate::machine::report_of;

impl Observer {
    pub(super) fn check_end(&mut self, id: &JobId, outcome: &Outcome, totals: &JobTotals) {
        let open = self.nodes.values().any(Node::is_open);
        let job = self.jobs.get_mut(id).unwrap();
        assert!(job.ended.is_none(), "{id} ended twice");
        job.ended = Some(outcome.clone());
        match outcome {
            Outcome::Succeeded => {
                assert!(job.is_complete());
                let mut reference = JobTotals::default();
                let maps = (0..job.maps()).map(TaskId::map);
                for task in maps.chain((0..job.plan.reducers).map(TaskId::reduce)) {
                    let report = report_of(AttemptId { task, attempt: 0 });
                    let sum = match task.stage {
                        Stage::Map => &mut reference.maps,
                        Stage::Reduce => &mut reference.reduces,
                    };
                    sum.records_in += report.records_in;
                    sum.bytes_out += report.bytes_out;
                    sum.counters.merge(&report.counters).unwrap();
                }
                assert_eq!(*totals, reference, "totals of {id}");
            }
            Outcome::NoWorkers { .. } => assert!(!open, "there were workers"),
            Outcome::Failed { .. } | Outcome::Cancelled | Outcome::Aborted { .. } => {}
        }
        let left: Vec<&Lease> = self.running().filter(|lease| lease.job == *id).collect();
        assert!(left.is_empty(), "{id} ended with {left:?}");
    }

    /// What must have come of the event, now that its actions are in.
    pub(super) fn settle(&mut self, event: &Event, actions: &[Action], expected: &Expected) {
        let ended = |id: &JobId| {
            actions.iter().find_map(|action| match action {
                Action::JobFinished { job, outcome, .. } if job == id => Some(outcome),
                _ => None,
            })
        };
        if let Some(winner) = &expected.winner {
            assert!(actions.contains(&Action::TaskFinished { lease: winner.clone() }), "{event:?}: no win");
        }
        if let Some(worker) = expected.lost {
            let incarnation = self.nodes[&worker].incarnation;
            for job in self.jobs.values().filter(|job| job.ended.is_none() && job.plan.reducers > 0) {
                let gone = |won: &Won| {
                    won.lease.worker == worker
                        && (won.lease.incarnation < incarnation || !self.nodes[&worker].live)
                };
                let kept = job.done.iter().find(|(task, won)| task.stage == Stage::Map && gone(won));
                assert!(kept.is_none(), "output of a lost worker kept: {kept:?}");
            }
        }
        let Some((lease, failure)) = &expected.failed else {
            let failed = actions
                .iter()
                .find(|action| matches!(action, Action::JobFinished { outcome: Outcome::Failed { .. }, .. }));
            assert!(failed.is_none(), "{event:?}: {failed:?}");
            return;
        };
        let fatal = self.charge(lease, failure, expected.upheld, actions);
        let told = Outcome::Failed { attempt: lease.attempt, failure: failure.clone() };
        assert_eq!(ended(&lease.job), fatal.then_some(&told), "{event:?}");
    }

    /// Counts a failure; true when the job has to end.
    fn charge(&mut self, lease: &Lease, failure: &Failure, upheld: bool, actions: &[Action]) -> bool {
        let job = self.jobs.get_mut(&lease.job).unwrap();
        let task = lease.attempt.task;
        let charged = match failure.retry() {
            Retry::Never => return true,
            Retry::AfterMap(map) if task.stage == Stage::Reduce => {
                let lost = |action: &Action| matches!(action, Action::MapOutputsLost { .. });
                if !upheld {
                    assert!(!actions.iter().any(lost), "a stale complaint was upheld");
                    return false;
                }
                let holder = actions.iter().find_map(|action| match action {
                    Action::MapOutputsLost { worker, .. } => Some(*worker),
                    _ => None,
                });
                job.failed_on.entry(map).or_default().extend(holder);
                job.failed_on.entry(task).or_default().insert(lease.worker);
                let current = job.done.contains_key(&map);
                assert!(!current || job.ended.is_some(), "the lost output still counts");
                map
            }
            _ => {
                let failed_on = job.failed_on.entry(task).or_default();
                failed_on.insert(lease.worker);
                let elsewhere = self.nodes.iter().any(|(id, node)| node.is_open() && !failed_on.contains(id));
                if elsewhere && matches!(failure, Failure::Disk { full: true, .. }) {
                    return false;
                }
                task
            }
        };
        let failures = job.failures.entry(charged).or_default();
        *failures += 1;
        *failures >= job.plan.attempts_max.max(1)
    }
}
