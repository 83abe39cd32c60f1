//! What the word of an attempt changes. A word counts only while its lease is in force; the late
//! words of others are answered with `Cancel` at most. `AttemptCancelled` is never answered, because
//! it is itself the answer to a `Cancel`.

use mr_model::{Failure, Retry, TaskId};

use crate::action::{Action, Outcome};
use crate::conduct;
use crate::event::{AttemptReport, Lease};
use crate::job::{Attempt, Complaint, Job};
use crate::scheduler::Scheduler;
use crate::task::Output;
use crate::worker::{Standing, Workers};

impl Scheduler {
    pub(crate) fn attempt_finished(
        &mut self,
        lease: &Lease,
        report: &AttemptReport,
        actions: &mut Vec<Action>,
    ) {
        let Some(attempt) = self.conclude(lease, actions) else { return };
        let commits = self.jobs.get(&lease.job).is_some_and(|job| job.commits(lease.attempt.task.stage));
        if commits {
            let failure = Failure::internal("the attempt ended without asking to commit");
            return self.fail(lease, &attempt, failure, actions);
        }
        self.win(lease, &attempt, report, actions);
    }

    pub(crate) fn committed(&mut self, lease: &Lease, report: &AttemptReport, actions: &mut Vec<Action>) {
        let granted = self.jobs.get(&lease.job).is_some_and(|job| job.is_granted(lease.attempt));
        let Some(attempt) = self.conclude(lease, actions) else { return };
        if !granted {
            let failure = Failure::internal("the attempt committed without being granted it");
            return self.fail(lease, &attempt, failure, actions);
        }
        self.win(lease, &attempt, report, actions);
    }

    pub(crate) fn attempt_failed(&mut self, lease: &Lease, failure: Failure, actions: &mut Vec<Action>) {
        let Some(attempt) = self.conclude(lease, actions) else { return };
        self.fail(lease, &attempt, failure, actions);
    }

    pub(crate) fn attempt_cancelled(&mut self, lease: &Lease, actions: &mut Vec<Action>) {
        if self.workers.release(lease) != Some(Standing::Running) {
            return;
        }
        // Nobody told it to stop, so it is charged: else a worker that drops whatever it is given
        // would be given it for ever.
        let attempt = self.jobs.get_mut(&lease.job).and_then(|job| job.live.remove(&lease.attempt));
        if let Some(attempt) = attempt {
            self.fail(lease, &attempt, Failure::Cancelled, actions);
        }
    }

    pub(crate) fn commit_requested(&mut self, lease: Lease, actions: &mut Vec<Action>) {
        if self.workers.standing(&lease) != Some(Standing::Running) {
            return actions.push(Action::Cancel { lease });
        }
        let granted = self.jobs.get_mut(&lease.job).is_some_and(|job| job.request_commit(lease.attempt));
        if granted {
            actions.push(Action::GrantCommit { lease });
        }
    }

    /// Frees the slot of an attempt that says it has ended. The attempt, if its word counts.
    fn conclude(&mut self, lease: &Lease, actions: &mut Vec<Action>) -> Option<Attempt> {
        match self.workers.release(lease) {
            Some(Standing::Running) => self.jobs.get_mut(&lease.job)?.live.remove(&lease.attempt),
            Some(Standing::Cancelled) => None,
            None => {
                actions.push(Action::Cancel { lease: lease.clone() });
                None
            }
        }
    }

    fn win(&mut self, lease: &Lease, attempt: &Attempt, report: &AttemptReport, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get_mut(&lease.job) else { return };
        actions.push(Action::TaskFinished { lease: lease.clone() });
        for loser in job.win(lease.attempt, attempt, report, self.now, self.stamp) {
            self.workers.cancel(&loser);
            actions.push(Action::Cancel { lease: loser });
        }
        if job.is_complete() {
            return self.end_job(&lease.job, Outcome::Succeeded, actions);
        }
        self.reindex(&lease.job);
    }

    /// Charges the failure to whom it belongs, then ends the job or runs the task again.
    fn fail(&mut self, lease: &Lease, attempt: &Attempt, failure: Failure, actions: &mut Vec<Action>) {
        if conduct::is_of_the_worker(&failure) {
            self.workers.blame(lease.worker, lease.incarnation, self.now);
        }
        let Some(job) = self.jobs.get_mut(&lease.job) else { return };
        let charged = charge(job, lease, attempt, &failure, &self.workers, actions);
        if let Some(output) = charged.upheld {
            self.workers.blame(output.worker, output.incarnation, self.now);
        }
        if !charged.goes_on {
            let outcome = Outcome::Failed { attempt: lease.attempt, failure };
            return self.end_job(&lease.job, outcome, actions);
        }
        actions.extend(job.drop_attempt(lease.attempt).map(|lease| Action::GrantCommit { lease }));
        self.reindex(&lease.job);
    }
}

/// What came of charging a failure.
struct Charged {
    /// False when the job fails with it.
    goes_on: bool,
    /// The output that was complained about with reason.
    upheld: Option<Output>,
}

/// Charges a failure to the task that it belongs to.
fn charge(
    job: &mut Job,
    lease: &Lease,
    attempt: &Attempt,
    failure: &Failure,
    workers: &Workers,
    actions: &mut Vec<Action>,
) -> Charged {
    let task = lease.attempt.task;
    let goes_on = |goes_on| Charged { goes_on, upheld: None };
    match failure.retry() {
        Retry::Never if *failure != Failure::Cancelled => goes_on(false),
        Retry::AfterMap(map) if is_input(job, task, map) => match job.complain(attempt, map.index) {
            Complaint::Stale => goes_on(true),
            Complaint::Exhausted(output) => Charged { goes_on: false, upheld: Some(output) },
            Complaint::Upheld(output) => {
                let Output { worker, incarnation, .. } = output;
                let (job_id, maps) = (job.id.clone(), vec![map.index]);
                actions.push(Action::MapOutputsLost { job: job_id, worker, incarnation, maps });
                job.stage_mut(task.stage).avoid(task.index, lease.worker);
                Charged { goes_on: true, upheld: Some(output) }
            }
        },
        // A complaint about anything but a map that the task reads is the task's own trouble.
        Retry::Never | Retry::Elsewhere | Retry::AfterMap(_) => {
            let attempts_max = job.attempts_max;
            let tasks = job.stage_mut(task.stage);
            tasks.avoid(task.index, lease.worker);
            // A full disk is not the task's fault, and each worker can have one only once.
            let moves_on = matches!(failure, Failure::Disk { full: true, .. })
                && workers.is_machine(lease.worker)
                && workers.slots().has_open_elsewhere(tasks.failed_on(task.index));
            goes_on(moves_on || !tasks.charge(task.index, attempts_max))
        }
    }
}

/// Whether `map` is a map task whose output `task` reads.
fn is_input(job: &Job, task: TaskId, map: TaskId) -> bool {
    use mr_model::Stage::{Map, Reduce};
    task.stage == Reduce && map.stage == Map && job.stage(Map).task(map.index).is_some()
}
