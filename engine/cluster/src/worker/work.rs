//! The attempts of a life: begun, stopped, ended, and removed with their job.

use std::path::PathBuf;
use std::sync::Arc;

use mr_model::{Failure, JobId};
use mr_scheduler::Lease;

use super::attempt::{Finished, attend};
use super::cancel::Cancel;
use super::control::Life;
use super::data::{job_dir, remove};
use super::ledger::{Ended, Launch, Running};
use super::link::Word;
use super::outputs::Removed;
use super::share::Share;
use crate::protocol::AttemptEnd;

/// Attempts that are known to run or wait for a slot, beyond the slots: those that the coordinator
/// launched before it heard that there are fewer slots.
const WAITING_MAX: usize = 1024;

impl Life {
    pub(super) fn launch(&mut self, lease: Lease) {
        if !self.is_ours(&lease) {
            return tracing::debug!(?lease, "a launch for another life is ignored");
        }
        match self.ledger.launch(&lease) {
            Launch::Nothing => {}
            Launch::Repeat(ended) => self.say(Word::Ended(ended)),
            Launch::Begin if self.forgotten.contains(&lease.job) => self.cancel(&lease),
            Launch::Begin => match self.refusal() {
                Some(failure) => self.close(Finished {
                    lease,
                    end: AttemptEnd::Failed(failure),
                    log: Vec::new(),
                    output: None,
                }),
                None => self.start(lease),
            },
        }
    }

    fn start(&mut self, lease: Lease) {
        tracing::info!(job = %lease.job, attempt = %lease.attempt, "attempt started");
        let (cancel, share) = (Cancel::default(), Arc::<Share>::default());
        self.ledger.begun(&lease, Running { cancel: cancel.clone(), share: share.clone() });
        let (shop, finish) = (self.shop.clone(), self.finish.clone());
        self.attempts.spawn(async move {
            // At the end of a life nobody listens any more.
            let _ = finish.send(attend(shop, lease, cancel, share).await).await;
        });
    }

    /// Why nothing can begin now.
    fn refusal(&self) -> Option<Failure> {
        // Where somebody writes, room may come back soon, and what begins waits for it.
        if !self.room.is_enough() && !self.shop.tenants.any_writes() {
            let reason = format!(
                "{} bytes are free, and {} stay free",
                self.room.free_bytes(),
                self.house.options.disk_reserve_bytes
            );
            return Some(Failure::Disk { path: self.dir.clone(), reason, full: true });
        }
        let waiting = self.attempts.len().saturating_sub(self.house.memory.slots);
        (waiting >= WAITING_MAX)
            .then(|| Failure::internal(format!("{waiting} attempts wait for a slot of this worker already")))
    }

    pub(super) fn cancel(&mut self, lease: &Lease) {
        if self.is_ours(lease)
            && let Some(ended) = self.ledger.cancel(lease)
        {
            self.say(Word::Ended(ended));
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        self.ledger.is_ours(lease) && self.worker == Some(lease.worker)
    }

    /// Takes note of the end of an attempt that ran.
    pub(super) fn take(&mut self, finished: Finished) {
        let job = finished.lease.job.clone();
        self.close(finished);
        if self.forgotten.contains(&job) && !self.ledger.is_running(&job) {
            self.remove_job(&job);
        }
    }

    fn close(&mut self, finished: Finished) {
        let Finished { lease, end, log, output } = finished;
        let end = if self.ledger.is_cancelled(&lease) { AttemptEnd::Cancelled } else { end };
        match &end {
            AttemptEnd::Failed(failure) => {
                tracing::warn!(job = %lease.job, attempt = %lease.attempt, %failure, "attempt failed");
            }
            AttemptEnd::Cancelled => {
                tracing::info!(job = %lease.job, attempt = %lease.attempt, "attempt cancelled")
            }
            AttemptEnd::Output { .. } | AttemptEnd::Parts { .. } => {
                tracing::info!(job = %lease.job, attempt = %lease.attempt, "attempt done");
            }
        }
        if let (AttemptEnd::Output { .. }, Some(output)) = (&end, output) {
            self.house.outputs.put(lease.job.clone(), lease.attempt, output);
        }
        let ended = self.ledger.ended(Ended { lease, end, log });
        self.say(Word::Ended(ended));
    }

    /// Removes everything of a job, once its attempts have stopped.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.ledger.cancel_job(job);
        self.abort_uploads(job);
        self.ledger.forget(job);
        self.shop.jobs.forget(job);
        if self.ledger.is_running(job) {
            self.forgotten.insert(job.clone());
        } else {
            self.remove_job(job);
        }
    }

    /// Gives uploads of a job that has ended up, as far as the coordinator may not know them; it has removed
    /// all others.
    fn abort_uploads(&mut self, job: &JobId) {
        let unheard = self.ledger.unheard(job);
        let (Some(stores), Some(place)) = (self.shop.remote_outputs.clone(), self.shop.jobs.store(job))
        else {
            return;
        };
        if unheard.is_empty() {
            return;
        }
        let abort = move || {
            for ready in unheard {
                for (part, upload) in ready.parts.iter().zip(&ready.uploads) {
                    // What stays is removed by the next job on this output.
                    let _ = stores.abort(&place, part, upload);
                }
            }
        };
        self.removals.spawn(async move {
            let _ = tokio::task::spawn_blocking(abort).await;
        });
    }

    fn remove_job(&mut self, job: &JobId) {
        self.forgotten.remove(job);
        self.shop.jobs.forget(job);
        let removed = self.house.outputs.forget(job);
        self.removals.spawn(clean(removed, job_dir(&self.dir, job)));
        if self.shop.jobs.known().is_empty() {
            self.house.fetcher.rest();
        }
        tracing::debug!(%job, "job forgotten");
    }
}

/// Removes outputs and a folder.
pub(super) async fn clean(removed: Removed, dir: PathBuf) {
    let path = dir.clone();
    let cleaned = tokio::task::spawn_blocking(move || {
        drop(removed);
        remove(&path)
    });
    let reason = match cleaned.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(dir = %dir.display(), reason, "data cannot be removed; it is tried again at the next start");
}
