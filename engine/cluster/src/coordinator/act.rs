//! What the scheduler wants done.

use mr_model::{Incarnation, JobId, WorkerId};
use mr_scheduler::{Action, Event, Lease, Outcome};

use super::core::{Core, Effect, OutputWork};
use super::record::{JobStage, TaskRecord, task_key};
use super::words::Telling;
use crate::protocol::{Order, Refused, SubmitReply};

impl Core {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Launch { lease } => {
                if let Some(live) = self.jobs.get_mut(&lease.job) {
                    live.started.entry(lease.attempt).or_insert(self.now);
                }
                let worker = lease.worker;
                self.order(worker, Order::Launch { lease });
            }
            Action::Cancel { lease } => {
                // One whose parts are being committed goes on to that end.
                if let Some(live) = self.jobs.get_mut(&lease.job) {
                    live.waiting.remove(&lease.attempt);
                }
                let worker = lease.worker;
                self.order(worker, Order::Cancel { lease });
            }
            Action::GrantCommit { lease } => self.commit_parts(lease),
            Action::Renew { worker, .. } => {
                let sequence = self.heartbeat;
                self.order(worker, Order::Heard { sequence });
            }
            Action::Fence { worker, incarnation } => self.fence(worker, incarnation),
            Action::TaskFinished { lease } => self.task_finished(&lease),
            Action::MapOutputsLost { job, maps, .. } => {
                if let Some(live) = self.jobs.get_mut(&job) {
                    live.lose(&maps);
                    live.record.maps_rerun += maps.len() as u64;
                }
                self.save(&job);
                self.touch(&job);
            }
            Action::JobRefused { job, refusal } => {
                let Some(live) = self.jobs.remove(&job) else { return };
                let refused = Refused::Job { sentence: refusal.to_string() };
                self.answer(&live.tickets, &SubmitReply::Refused(refused));
                self.effects.push(Effect::Output { job, work: OutputWork::Discard });
            }
            Action::JobFinished { job, outcome, .. } => self.job_finished(&job, outcome),
        }
    }

    fn fence(&mut self, worker: WorkerId, incarnation: Incarnation) {
        // Where a later life of the worker is here, this is the word of an earlier one; whether its
        // process is another one was said when it registered.
        self.order(worker, Order::Fenced { incarnation, replaced: false });
    }

    /// Lets the parts of an attempt that was granted it be committed, unless that is under way.
    fn commit_parts(&mut self, lease: Lease) {
        let Some(live) = self.jobs.get_mut(&lease.job) else { return };
        let Some(waiting) = live.waiting.get(&lease.attempt) else {
            // It is being committed, or the worker will say again what it has.
            return;
        };
        if !live.committing.insert(lease.attempt) {
            return;
        }
        let parts = waiting.parts.clone();
        let job = lease.job.clone();
        self.effects.push(Effect::Output { job, work: OutputWork::Commit { lease, parts } });
    }

    /// Notes what the winner of a task told.
    fn task_finished(&mut self, lease: &Lease) {
        let Some(telling) = self.telling.take_if(|telling| telling.lease == *lease) else { return };
        let Telling { report, facts, parts, uploads, log, .. } = telling;
        self.remember(lease, None, Some(report.clone()), log);
        let won = TaskRecord { attempt: lease.attempt.attempt, report, facts, parts, uploads };
        let Some(live) = self.jobs.get_mut(&lease.job) else { return };
        live.keep(lease.attempt.task, &won, self.now);
        self.batch.tasks.push((task_key(live.record.number, lease.attempt.task), won));
        let passed = live.tally.fault();
        self.forget_attempt(lease);
        self.touch(&lease.job);
        if let Some(failure) = passed {
            // Handled after this event, so that the task counts as finished.
            self.following.push_back(Event::JobAborted { job: lease.job.clone(), failure });
        }
    }

    /// The scheduler is done with a job. What follows waits until its last attempt has ended.
    fn job_finished(&mut self, job: &JobId, outcome: Outcome) {
        let Some(live) = self.jobs.get_mut(job) else { return };
        live.waiting.clear();
        // The last task may have passed a limit: what follows from that comes too late for a job that has ended.
        let judged = || live.tally.fault().or_else(|| live.tally.verdict()).map_or(Ok(()), Err);
        let outcome = match (outcome, live.check_conservation().and_then(|()| judged())) {
            (Outcome::Succeeded, Err(failure)) => Outcome::Aborted { failure },
            (outcome, _) => outcome,
        };
        live.record.stage = JobStage::Closing(outcome);
        self.save(job);
        self.touch(job);
    }
}
