//! How jobs end: their last attempts, the publishing or removal of their output, their place in the
//! history. And what came of work on outputs.

use mr_model::{Failure, JobId};
use mr_scheduler::{Event, Lease, Outcome};
use mr_storage::{Part, ReadyParts};

use super::core::{Core, Effect, OutputDone, OutputFault, OutputWork, Resumption};
use super::job::Waiting;
use super::journal::JournalError;
use super::record::{JobRecord, JobStage};
use super::words::Telling;
use crate::protocol::{JobEnd, Order, Refused, SubmitReply};

/// Jobs looked at in one go when the history is too long.
const FORGET_PAGE: usize = 64;

impl Core {
    /// Brings on whatever waits for nothing any more: outputs of jobs whose last attempt has ended,
    /// and workers that were drained.
    pub(super) fn settle(&mut self) {
        let closing = self.jobs.iter().filter(|(_, live)| live.closing().is_some() && !live.finishing);
        let quiet: Vec<JobId> = closing
            .filter(|(job, live)| live.committing.is_empty() && self.scheduler.slots_held(job) == 0)
            .map(|(job, _)| job.clone())
            .collect();
        for job in quiet {
            self.close(&job);
        }
        let drained = self.scheduler.workers().filter(|(_, status)| {
            status.live && status.draining && status.running + status.cancelled == 0 && status.outputs == 0
        });
        let drained: Vec<_> = drained.map(|(worker, _)| worker).collect();
        for worker in drained {
            let entry = self.workers.get_mut(&worker);
            if let Some(entry) = entry.filter(|entry| entry.connected && !entry.leaving) {
                entry.leaving = true;
                self.order(worker, Order::Leave);
            }
        }
    }

    fn close(&mut self, job: &JobId) {
        let Some(live) = self.jobs.get_mut(job) else { return };
        let Some(outcome) = live.closing().cloned() else { return };
        live.finishing = true;
        if outcome == Outcome::Succeeded {
            let work = OutputWork::Publish {
                manifest: Box::new(live.manifest()),
                rejects: live.tally.rejecting(),
                sync: live.record.output.sync,
            };
            return self.effects.push(Effect::Output { job: job.clone(), work });
        }
        self.effects.push(Effect::Output { job: job.clone(), work: OutputWork::Discard });
    }

    /// Makes a job history.
    fn end(&mut self, job: &JobId, end: JobEnd) -> Result<(), JournalError> {
        let Some(live) = self.jobs.get_mut(job) else { return Ok(()) };
        live.record.stage = JobStage::Ended { unix_millis: self.now.0, end };
        self.save(job);
        self.jobs.remove(job);
        self.released = true;
        self.revision += 1;
        self.ended_jobs += 1;
        let connected = self.workers.iter().filter(|(_, entry)| entry.connected).map(|(id, _)| *id);
        for worker in connected.collect::<Vec<_>>() {
            self.order(worker, Order::Forget { job: job.clone() });
        }
        self.forget_oldest()
    }

    /// Removes ended jobs from the history until it is as long as it may be.
    fn forget_oldest(&mut self) -> Result<(), JournalError> {
        if self.ended_jobs <= self.settings.keep_jobs {
            return Ok(());
        }
        for record in self.journal.oldest_jobs(FORGET_PAGE)? {
            if self.ended_jobs <= self.settings.keep_jobs {
                break;
            }
            let again = self.batch.forgotten.iter().any(|former| former.number == record.number);
            if matches!(record.stage, JobStage::Ended { .. }) && !again {
                self.unname(&record);
                self.batch.forgotten.push(record);
                self.ended_jobs -= 1;
            }
        }
        Ok(())
    }

    /// A job that leaves the history names no component any more.
    fn unname(&mut self, record: &JobRecord) {
        for component in &record.components {
            let left = self.named.remove(component).unwrap_or(1) - 1;
            if left > 0 {
                self.named.insert(*component, left);
            }
        }
        self.released = true;
    }

    pub(super) fn output_done(&mut self, job: JobId, done: OutputDone) -> Result<(), JournalError> {
        match done {
            OutputDone::Created(Ok(staging)) => self.admit(job, staging),
            OutputDone::Created(Err(sentence)) => {
                if let Some(preparing) = self.preparing.remove(&job) {
                    self.released = true;
                    let refused = SubmitReply::Refused(Refused::Output { sentence });
                    self.answer(&preparing.tickets, &refused);
                }
            }
            OutputDone::Resumed(Ok(Resumption::Open)) => {}
            OutputDone::Discarded => self.discarded(&job)?,
            OutputDone::Resumed(Ok(Resumption::Published)) => self.published(&job)?,
            OutputDone::Resumed(Err(failure)) => self.event(Event::JobAborted { job, failure }),
            OutputDone::Committed { lease, parts } => self.parts_done(lease, parts),
            OutputDone::Published(Ok(())) => self.published(&job)?,
            OutputDone::Published(Err(OutputFault::Refused(sentence))) => {
                self.end(&job, JobEnd::Output(sentence))?;
            }
            OutputDone::Published(Err(OutputFault::Failed(failure))) => {
                self.end(&job, JobEnd::Failed(Outcome::Aborted { failure }))?;
            }
        }
        Ok(())
    }

    fn discarded(&mut self, job: &JobId) -> Result<(), JournalError> {
        match self.jobs.get(job).and_then(|live| live.closing()).cloned() {
            Some(outcome) if outcome != Outcome::Succeeded => self.end(job, JobEnd::Failed(outcome)),
            _ => Ok(()),
        }
    }

    fn published(&mut self, job: &JobId) -> Result<(), JournalError> {
        let Some(live) = self.jobs.get(job) else { return Ok(()) };
        let report = live.report(self.now);
        self.end(job, JobEnd::Succeeded(Box::new(report)))
    }

    fn parts_done(&mut self, lease: Lease, parts: Result<Vec<Part>, Failure>) {
        let Some(live) = self.jobs.get_mut(&lease.job) else { return };
        live.committing.remove(&lease.attempt);
        let Some(Waiting { report, facts, parts: ReadyParts { uploads, .. }, log }) =
            live.waiting.remove(&lease.attempt)
        else {
            // The attempt lost its lease meanwhile. Another one makes the same parts again.
            return;
        };
        match parts {
            Ok(parts) => {
                let told = report.clone();
                self.telling = Some(Telling { lease: lease.clone(), report, facts, parts, uploads, log });
                self.event(Event::Committed { lease: lease.clone(), report: told });
                self.telling = None;
                let worker = lease.worker;
                self.order(worker, Order::Noted { lease });
            }
            Err(failure) => self.failed(lease, failure, log),
        }
    }
}
