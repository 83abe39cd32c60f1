//! What the words of workers mean. A word counts in the life that it was spoken in, and an end that
//! is said again after it was noted changes nothing: so a finished task never runs again because an
//! answer got lost.

use mr_model::{Failure, Incarnation, Stage, TaskId, WorkerId};
use mr_runtime::{Facts, StageFacts};
use mr_scheduler::config::PARTITION_BYTES_MAPS_MAX;
use mr_scheduler::{AttemptReport, Event, Lease, LossCause, Progress};
use mr_storage::{Part, PartNames, ReadyParts, Upload};

use super::core::Core;
use super::job::{RUNNING_MAX, Waiting};
use super::record::attempt_key;
use crate::protocol::{AttemptEnd, AttemptRecord, LOG_BYTES_MAX, Order, WorkerWord};

/// What an attempt told whose end is being handled.
pub(super) struct Telling {
    pub lease: Lease,
    pub report: AttemptReport,
    pub facts: Facts,
    pub parts: Vec<Part>,
    pub uploads: Vec<Upload>,
    pub log: Vec<String>,
}

impl Core {
    pub(super) fn word(&mut self, worker: WorkerId, incarnation: Incarnation, word: WorkerWord) {
        match word {
            WorkerWord::Heartbeat { sequence, running, disk_free_bytes } => {
                self.heartbeat(worker, incarnation, sequence, running, disk_free_bytes);
            }
            WorkerWord::Resized { slots } => {
                if self.scheduler.workers().any(|(id, status)| id == worker && status.slots == slots) {
                    return;
                }
                self.event(Event::WorkerResized { worker, incarnation, slots });
            }
            WorkerWord::Ended { lease, end, log } => {
                if lease.worker == worker && lease.incarnation == incarnation {
                    self.ended(lease, *end, shortened(log));
                }
            }
            WorkerWord::Leaving => {
                self.event(Event::WorkerLost { worker, incarnation, cause: LossCause::Left });
            }
        }
    }

    fn heartbeat(
        &mut self,
        worker: WorkerId,
        incarnation: Incarnation,
        sequence: u64,
        running: Vec<Progress>,
        disk_free_bytes: u64,
    ) {
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.disk_free_bytes = disk_free_bytes;
        }
        for Progress { job, attempt, parts_per_million } in &running {
            if let Some(live) = self.jobs.get_mut(job)
                && live.started.contains_key(attempt)
                && live.running.len() < RUNNING_MAX
            {
                live.running.insert(*attempt, *parts_per_million);
            }
        }
        self.heartbeat = sequence;
        self.event(Event::Heartbeat { worker, incarnation, progress: running });
    }

    fn ended(&mut self, lease: Lease, end: AttemptEnd, log: Vec<String>) {
        if self.is_noted(&lease) {
            let worker = lease.worker;
            return self.order(worker, Order::Noted { lease });
        }
        match end {
            AttemptEnd::Output { mut report, facts } => {
                if !is_of(Stage::Map, &facts) || lease.attempt.task.stage != Stage::Map {
                    return self.failed(lease, Failure::internal("it told of another stage's work"), log);
                }
                let maps = self.jobs.get(&lease.job).map_or(0, |live| live.record.maps);
                if maps as usize > PARTITION_BYTES_MAPS_MAX {
                    report.partition_bytes.clear();
                }
                let told = report.clone();
                // For the scheduler only: the history has no use for it.
                report.partition_bytes.clear();
                let (parts, uploads) = (Vec::new(), Vec::new());
                self.telling = Some(Telling { lease: lease.clone(), report, facts, parts, uploads, log });
                self.event(Event::AttemptFinished { lease: lease.clone(), report: told });
                // One that nobody asked for any more has still something to tell.
                if let Some(Telling { facts, .. }) = self.telling.take() {
                    self.compare(&lease, &facts, &[]);
                }
                let worker = lease.worker;
                self.order(worker, Order::Noted { lease });
            }
            AttemptEnd::Parts { report, facts, parts } => {
                self.asks_to_commit(lease, report, facts, parts, log);
            }
            AttemptEnd::Failed(failure) => self.failed(lease, failure, log),
            AttemptEnd::Cancelled => {
                self.forget_attempt(&lease);
                self.event(Event::AttemptCancelled { lease: lease.clone() });
                let worker = lease.worker;
                self.order(worker, Order::Noted { lease });
            }
        }
    }

    /// Whether the attempt has won already: its end is said again because the answer got lost.
    fn is_noted(&self, lease: &Lease) -> bool {
        let Some(live) = self.jobs.get(&lease.job).filter(|live| live.has_won(lease.attempt)) else {
            return false;
        };
        let TaskId { stage, index } = lease.attempt.task;
        if stage == Stage::Reduce || live.record.reducers == 0 {
            return true;
        }
        self.scheduler.map_output(&lease.job, index).is_some_and(|output| {
            output.attempt == lease.attempt
                && output.worker == lease.worker
                && output.incarnation == lease.incarnation
        })
    }

    fn asks_to_commit(
        &mut self,
        lease: Lease,
        report: AttemptReport,
        facts: Facts,
        parts: ReadyParts,
        log: Vec<String>,
    ) {
        let spec = self.jobs.get(&lease.job).map(|live| &live.plan.record.spec.output);
        // Of a job that has ended nothing is committed.
        let is_its = spec.is_none_or(|spec| parts.is_of(lease.attempt, &PartNames::of(spec)));
        if !is_of(lease.attempt.task.stage, &facts) || !is_its {
            return self.failed(lease, Failure::internal("it told of another attempt's work"), log);
        }
        self.compare(&lease, &facts, &parts.parts);
        if let Some(live) = self.jobs.get_mut(&lease.job)
            && live.started.contains_key(&lease.attempt)
            && !live.committing.contains(&lease.attempt)
        {
            let waiting = Waiting { report, facts, parts, log };
            live.waiting.insert(lease.attempt, waiting);
        }
        self.event(Event::CommitRequested { lease });
    }

    /// Ends a job of which an attempt made other output than another one of the same task before.
    fn compare(&mut self, lease: &Lease, facts: &Facts, parts: &[Part]) {
        let live = self.jobs.get(&lease.job).filter(|live| live.closing().is_none());
        if let Some(failure) = live.and_then(|live| live.tally.differs(lease.attempt, facts, parts)) {
            self.event(Event::JobAborted { job: lease.job.clone(), failure });
        }
    }

    /// An attempt failed, on its worker or when its parts were committed.
    pub(super) fn failed(&mut self, lease: Lease, failure: Failure, log: Vec<String>) {
        let counts = self.jobs.get(&lease.job).is_some_and(|live| live.started.contains_key(&lease.attempt));
        if counts {
            self.remember(&lease, Some(failure.clone()), None, log);
            if let Some(live) = self.jobs.get_mut(&lease.job) {
                live.record.attempts_failed += u64::from(failure != Failure::Cancelled);
            }
            self.save(&lease.job);
            self.touch(&lease.job);
        }
        self.forget_attempt(&lease);
        self.event(Event::AttemptFailed { lease: lease.clone(), failure });
        let worker = lease.worker;
        self.order(worker, Order::Noted { lease });
    }

    /// Puts an attempt's end into the history.
    pub(super) fn remember(
        &mut self,
        lease: &Lease,
        failure: Option<Failure>,
        report: Option<AttemptReport>,
        log: Vec<String>,
    ) {
        let Some(live) = self.jobs.get(&lease.job) else { return };
        let started = live.started.get(&lease.attempt).copied().unwrap_or(live.submitted);
        let worker = self.workers.get(&lease.worker).map(|entry| entry.record.name.clone());
        let record = AttemptRecord {
            attempt: lease.attempt,
            worker: worker.unwrap_or_default(),
            started_unix_millis: started.0,
            ended_unix_millis: self.now.0,
            failure,
            report,
            log,
        };
        self.batch.attempts.push((attempt_key(live.record.number, lease.attempt), record));
    }

    /// Drops what is held of an attempt that runs no more.
    pub(super) fn forget_attempt(&mut self, lease: &Lease) {
        if let Some(live) = self.jobs.get_mut(&lease.job) {
            live.waiting.remove(&lease.attempt);
            live.running.remove(&lease.attempt);
            live.started.remove(&lease.attempt);
        }
    }
}

fn is_of(stage: Stage, facts: &Facts) -> bool {
    match facts.stage {
        StageFacts::Map(_) => stage == Stage::Map,
        StageFacts::Reduce(_) => stage == Stage::Reduce,
    }
}

/// The last log lines, as many as the history keeps of an attempt.
fn shortened(mut log: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let kept = log.iter().rev().take_while(|line| {
        bytes += line.len();
        bytes <= LOG_BYTES_MAX
    });
    let dropped = log.len() - kept.count().min(mr_model::limit::LOG_LINES_MAX);
    log.drain(..dropped);
    log
}
