//! What the coordinator shows, and what workers are told of their attempts. Nothing here changes state.

use std::sync::Arc;

use mr_model::{AttemptId, Failure, Incarnation, JobId, Stage, WorkerId};
use mr_scheduler::{Outcome, StageStatus};

use super::core::Core;
use super::journal::JournalError;
use super::record::{JobRecord, JobStage};
use crate::protocol::{AttemptRecord, JobEnd, JobState, JobView, LOST_OUTPUT, Source, TaskOrder, WorkerView};

/// Revision of a job that changes no more.
const LAST_REVISION: u64 = u64::MAX;
/// Most jobs in one answer, each of some KiB at most.
const JOBS_SHOWN_MAX: usize = 256;
/// Most parts that are listed in the report of one job: what fits in an answer. All are in the manifest.
const PARTS_SHOWN_MAX: usize = 20_000;

impl Core {
    /// A job as it is now; none where it is not known.
    pub fn view(&self, job: &JobId) -> Result<Option<JobView>, JournalError> {
        if let Some(live) = self.jobs.get(job) {
            return Ok(Some(self.live_view(&live.record)));
        }
        Ok(self.journal.job(job.as_str())?.map(|record| ended_view(&record)))
    }

    /// Revision of a job that has not ended.
    pub fn revision(&self, job: &JobId) -> Option<u64> {
        self.jobs.get(job).map(|live| live.revision)
    }

    /// Jobs with numbers below `before`, newest first.
    pub fn job_views(&self, before: Option<u64>, limit: usize) -> Result<Vec<JobView>, JournalError> {
        let records = self.journal.jobs(before, limit.min(JOBS_SHOWN_MAX))?;
        let views = records.iter().map(|record| match self.jobs.get(&record.job) {
            Some(live) => self.live_view(&live.record),
            None => without_details(ended_view(record)),
        });
        Ok(views.collect())
    }

    /// Ended attempts of a job; none where it is not known.
    pub fn attempts(
        &self,
        job: &JobId,
        skip: usize,
        limit: usize,
    ) -> Result<Option<Vec<AttemptRecord>>, JournalError> {
        let Some(record) = self.journal.job(job.as_str())? else { return Ok(None) };
        self.journal.attempts(record.number, skip, limit).map(Some)
    }

    /// All workers that are known.
    pub fn worker_views(&self) -> Vec<WorkerView> {
        let statuses: std::collections::BTreeMap<_, _> = self.scheduler.workers().collect();
        let view = |(id, entry): (&WorkerId, &super::core::WorkerEntry)| {
            let status = statuses.get(id);
            WorkerView {
                name: entry.record.name.clone(),
                incarnation: entry.record.incarnation,
                address: entry.record.address.clone(),
                live: status.is_some_and(|status| status.live),
                connected: entry.connected,
                draining: status.is_some_and(|status| status.draining),
                set_aside: status.is_some_and(|status| status.set_aside),
                slots: status.map_or(0, |status| status.slots),
                running: status.map_or(0, |status| u32::try_from(status.running).unwrap_or(u32::MAX)),
                outputs: status.map_or(0, |status| status.outputs as u64),
                disk_free_bytes: entry.disk_free_bytes,
            }
        };
        self.workers.iter().map(view).collect()
    }

    /// Whether a worker was ever seen.
    pub fn knows_worker(&self, worker: WorkerId) -> bool {
        self.workers.contains_key(&worker)
    }

    /// Whether a job is known and has not ended.
    pub fn is_live(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job)
    }

    /// The encoded description of a job that runs.
    pub fn description(&self, job: &JobId) -> Option<Arc<[u8]>> {
        self.jobs.get(job).map(|live| live.description.clone())
    }

    /// What an attempt works on, if `worker` is the one that runs it.
    pub fn task_order(&self, worker: WorkerId, job: &JobId, attempt: AttemptId) -> Option<TaskOrder> {
        let live = self.jobs.get(job)?;
        let mut leases = self.scheduler.leases(job).into_iter();
        leases.find(|lease| lease.attempt == attempt && lease.worker == worker)?;
        match attempt.task.stage {
            Stage::Map => live.plan.splits.get(attempt.task.index as usize).cloned().map(TaskOrder::Map),
            Stage::Reduce => Some(self.reduce_order(job, live.record.maps)),
        }
    }

    fn reduce_order(&self, job: &JobId, maps: u32) -> TaskOrder {
        let mut sources: Vec<Source> = Vec::new();
        let mut numbers: std::collections::BTreeMap<(WorkerId, Incarnation), u32> = Default::default();
        let mut source_of = |worker: WorkerId, incarnation: Incarnation| -> Option<u32> {
            if let Some(number) = numbers.get(&(worker, incarnation)) {
                return Some(*number);
            }
            let record = &self.workers.get(&worker)?.record;
            let number = u32::try_from(sources.len()).ok()?;
            sources.push(Source {
                worker,
                name: record.name.clone(),
                incarnation,
                address: record.address.clone(),
            });
            numbers.insert((worker, incarnation), number);
            Some(number)
        };
        let outputs = (0..maps)
            .map(|index| {
                let output = self.scheduler.map_output(job, index)?;
                Some((source_of(output.worker, output.incarnation)?, output.attempt.attempt))
            })
            .map(|output| output.unwrap_or(LOST_OUTPUT))
            .collect();
        TaskOrder::Reduce { sources, outputs }
    }

    fn live_view(&self, record: &JobRecord) -> JobView {
        let mut view = base_view(record);
        let Some(live) = self.jobs.get(&record.job) else { return view };
        view.revision = live.revision;
        let pending = |total| StageStatus { total, pending: total, running: 0, done: 0 };
        let done = |total| StageStatus { total, pending: 0, running: 0, done: total };
        match self.scheduler.job(&record.job) {
            Some(status) => (view.maps, view.reduces) = (status.maps, status.reduces),
            None if live.closing() == Some(&Outcome::Succeeded) => {
                (view.maps, view.reduces) = (done(record.maps), done(record.reducers));
            }
            None => (view.maps, view.reduces) = (pending(record.maps), pending(record.reducers)),
        }
        view.maps_parts_per_million = live.parts_per_million(Stage::Map, view.maps.done, view.maps.total);
        view.reduces_parts_per_million =
            live.parts_per_million(Stage::Reduce, view.reduces.done, view.reduces.total);
        view.output_records = live.parts().map(|part| part.rows).sum();
        view.output_bytes = live.parts().map(|part| part.bytes).sum();
        view
    }
}

fn base_view(record: &JobRecord) -> JobView {
    let none = |total| StageStatus { total, pending: 0, running: 0, done: 0 };
    let (state, ended_unix_millis, end) = match &record.stage {
        JobStage::Running => (JobState::Running, None, None),
        JobStage::Closing(_) => (JobState::Publishing, None, None),
        JobStage::Ended { unix_millis, end } => (JobState::Ended, Some(*unix_millis), Some(end.clone())),
    };
    JobView {
        job: record.job.clone(),
        number: record.number,
        revision: LAST_REVISION,
        state,
        submitted_unix_millis: record.submitted_unix_millis,
        ended_unix_millis,
        input_bytes: record.input_bytes,
        output: record.output.path.clone(),
        maps: none(record.maps),
        reduces: none(record.reducers),
        maps_parts_per_million: 0,
        reduces_parts_per_million: 0,
        output_records: 0,
        output_bytes: 0,
        attempts_failed: record.attempts_failed,
        maps_rerun: record.maps_rerun,
        end,
    }
}

/// A view that is one of many in an answer.
fn without_details(mut view: JobView) -> JobView {
    match &mut view.end {
        Some(JobEnd::Succeeded(report)) => {
            report.parts = Vec::new();
            report.counters = Default::default();
        }
        Some(JobEnd::Failed(Outcome::Failed { failure, .. } | Outcome::Aborted { failure })) => {
            if let Failure::Plugin { words, .. } | Failure::Limit { words, .. } = failure {
                *words = mr_model::LastWords::default();
            }
        }
        Some(JobEnd::Failed(_) | JobEnd::Output(_)) | None => {}
    }
    view
}

fn ended_view(record: &JobRecord) -> JobView {
    let mut view = base_view(record);
    if let Some(JobEnd::Succeeded(report)) = &mut view.end {
        report.parts.truncate(PARTS_SHOWN_MAX);
        (view.maps.done, view.reduces.done) = (view.maps.total, view.reduces.total);
        (view.maps_parts_per_million, view.reduces_parts_per_million) = (1_000_000, 1_000_000);
        (view.output_records, view.output_bytes) = (report.output_records, report.output_bytes);
    }
    view
}
