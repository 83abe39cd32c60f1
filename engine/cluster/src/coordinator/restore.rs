//! How the state comes back after a restart: the scheduler by replay, jobs and workers from their
//! records. Workers come back by themselves and tell what they run and have.

use std::collections::{BTreeMap, VecDeque};

use mr_model::{JobId, Stage, TaskId};
use mr_scheduler::{Event, Scheduler, Time};

use super::core::{Core, CoreSettings, Effect, OutputWork, WorkerEntry};
use super::job::LiveJob;
use super::journal::{Batch, Journal, JournalError, Replay};
use super::record::{JobRecord, JobStage};
use crate::protocol::SubmittedPlan;

impl Core {
    /// The state that a journal holds, and what is to be done first. `now` is in milliseconds since
    /// 1970.
    pub fn open(
        journal: Journal,
        settings: CoreSettings,
        now: Time,
    ) -> Result<(Self, Vec<Effect>), JournalError> {
        let Replay { snapshot, events } = journal.replay()?;
        let scheduler = match snapshot {
            Some(mut scheduler) => {
                scheduler.set_config(settings.scheduler.clone());
                scheduler
            }
            None => Scheduler::new(settings.scheduler.clone()),
        };
        let last = events.last().map_or(now, |(at, _)| *at);
        let mut core = Self {
            settings,
            journal,
            scheduler,
            now: now.max(last),
            jobs: BTreeMap::new(),
            preparing: BTreeMap::new(),
            workers: BTreeMap::new(),
            next_number: 1,
            ended_jobs: 0,
            revision: 0,
            batch: Batch::default(),
            effects: Vec::new(),
            following: VecDeque::new(),
            telling: None,
            named: BTreeMap::new(),
            released: false,
            heartbeat: 0,
        };
        core.restore_workers()?;
        core.restore_jobs()?;
        for (at, event) in events {
            for action in core.scheduler.handle(at, event) {
                core.note_action(&action, at);
            }
        }
        core.restore_attempts();
        core.event(Event::Resumed);
        core.resume_outputs();
        let effects = core.handle(now, [])?;
        Ok((core, effects))
    }

    fn restore_workers(&mut self) -> Result<(), JournalError> {
        for (worker, record) in self.journal.workers()? {
            let entry = WorkerEntry { record, connected: false, disk_free_bytes: 0, leaving: false };
            self.workers.insert(worker, entry);
        }
        Ok(())
    }

    fn restore_jobs(&mut self) -> Result<(), JournalError> {
        for record in self.journal.jobs(None, usize::MAX)? {
            self.next_number = self.next_number.max(record.number.saturating_add(1));
            for component in &record.components {
                *self.named.entry(*component).or_default() += 1;
            }
            match record.stage {
                JobStage::Ended { .. } => self.ended_jobs += 1,
                JobStage::Running | JobStage::Closing(_) => {
                    let live = self.restore_job(record)?;
                    self.jobs.insert(live.record.job.clone(), live);
                }
            }
        }
        Ok(())
    }

    fn restore_job(&mut self, record: JobRecord) -> Result<LiveJob, JournalError> {
        let lost = |reason: String| JournalError::Content { what: "a job's plan", reason };
        let encoded = self.journal.plan(record.number)?;
        let encoded = encoded.ok_or_else(|| lost(format!("that of {} is missing", record.job)))?;
        let plan: SubmittedPlan = postcard::from_bytes(&encoded).map_err(|error| lost(error.to_string()))?;
        let description = postcard::to_stdvec(&plan.description).map_err(|error| lost(error.to_string()))?;
        let (number, submitted) = (record.number, Time(record.submitted_unix_millis));
        let mut live = LiveJob::new(record, plan, description, submitted);
        for (stage, index, task) in self.journal.tasks(number)? {
            let stage = if stage == Stage::Map.number() { Stage::Map } else { Stage::Reduce };
            live.keep(TaskId { stage, index }, &task, self.now);
        }
        self.revision += 1;
        live.revision = self.revision;
        Ok(live)
    }

    /// Keeps launch times of the attempts that still run, and no others.
    fn restore_attempts(&mut self) {
        for (job, live) in &mut self.jobs {
            let leases = self.scheduler.leases(job);
            let mut started = std::mem::take(&mut live.started);
            live.started = leases
                .iter()
                .map(|lease| (lease.attempt, started.remove(&lease.attempt).unwrap_or(live.submitted)))
                .collect();
        }
    }

    fn resume_outputs(&mut self) {
        let resumed: Vec<(JobId, OutputWork)> = self
            .jobs
            .iter()
            .map(|(job, live)| {
                let work =
                    OutputWork::Resume { output: live.record.output.clone(), parts: live.uploaded_parts() };
                (job.clone(), work)
            })
            .collect();
        self.effects.extend(resumed.into_iter().map(|(job, work)| Effect::Output { job, work }));
    }
}
