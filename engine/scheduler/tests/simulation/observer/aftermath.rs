//! What must have come of an event once its actions are in: wins, charged failures, lost outputs, the
//! end of a job.

use mr_model::{AttemptId, JobId, Stage, TaskId};
use mr_scheduler::{Action, Event, JobTotals, Lease, Outcome};

use super::{Expected, Node, Observer, Won};
use crate::machine::report_of;
use crate::tally::Tally;

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
                    let report = report_of(id, AttemptId { task, attempt: 0 }, job.plan.reducers);
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
        let lost = actions.iter().any(|action| matches!(action, Action::MapOutputsLost { .. }));
        match &expected.upheld {
            None => assert!(!lost, "an output is lost for no reason"),
            Some(output) => {
                let job = &self.jobs[&lease.job];
                let kept = job.done.get(&output.attempt.task).is_some_and(|won| won.lease == *output);
                assert!(!kept || job.ended.is_some(), "the lost output still counts");
            }
        }
        let told = Outcome::Failed { attempt: lease.attempt, failure: failure.clone() };
        assert_eq!(ended(&lease.job), expected.fatal.then_some(&told), "{event:?}");
    }

    /// Counts what kinds of trouble there were.
    pub(super) fn note(&self, event: &Event, actions: &[Action], tally: &mut Tally) {
        let words = matches!(
            event,
            Event::AttemptFinished { .. } | Event::AttemptFailed { .. } | Event::Committed { .. }
        );
        if matches!(event, Event::CommitRequested { .. }) && actions.is_empty() {
            tally.see("grant awaited");
        }
        for action in actions {
            match action {
                Action::Launch { .. } if matches!(event, Event::BackupDue { .. }) => tally.see("backup"),
                Action::Fence { .. } => tally.see("fenced"),
                Action::MapOutputsLost { .. } => tally.see("map rerun"),
                Action::GrantCommit { .. } if !matches!(event, Event::CommitRequested { .. }) => {
                    tally.see("grant passed");
                }
                Action::Cancel { .. } if words && actions.len() == 1 => tally.see("late word"),
                _ => {}
            }
        }
    }
}
