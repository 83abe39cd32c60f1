//! A job that has not ended, as the coordinator holds it in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mr_model::{AttemptId, Failure, Stage, TaskId, limit};
use mr_runtime::{Facts, JobReport, StageFacts, Tally, Times};
use mr_scheduler::{AttemptReport, JobPlan, Outcome, Time};
use mr_storage::{Manifest, Part, ReadyParts, Upload};

use super::record::{JobRecord, JobStage, TaskRecord};
use crate::protocol::SubmittedPlan;

/// A job that has not ended.
pub(super) struct LiveJob {
    pub record: JobRecord,
    pub plan: SubmittedPlan,
    /// Submissions that wait for the scheduler to take it.
    pub tickets: Vec<u64>,
    /// The encoded job description, for workers.
    pub description: Arc<[u8]>,
    pub tally: Tally,
    /// Attempt, records in and bytes in of each task's winner.
    winners: BTreeMap<TaskId, Winner>,
    /// Where the bytes of committed parts are, by name, if they are on a store.
    uploads: BTreeMap<String, Upload>,
    /// Attempts that asked to commit, with what they told.
    pub waiting: BTreeMap<AttemptId, Waiting>,
    /// Attempts whose parts are being committed right now.
    pub committing: BTreeSet<AttemptId>,
    /// Launch times, for the history.
    pub started: BTreeMap<AttemptId, Time>,
    /// Share of the work done by running attempts, in millionths.
    pub running: BTreeMap<AttemptId, u32>,
    pub revision: u64,
    /// Its output is published or removed, and the answer has not come yet.
    pub finishing: bool,
    pub submitted: Time,
    maps_done: Option<Time>,
    reduces_done: Option<Time>,
}

/// The winner of a task.
#[derive(Debug, Clone, Copy)]
struct Winner {
    attempt: u32,
    /// Records and bytes that it read.
    read: (u64, u64),
    /// Records and bytes that it emitted into the shuffle.
    shuffled: (u64, u64),
}

/// What an attempt told that waits for its commit.
pub(super) struct Waiting {
    pub report: AttemptReport,
    pub facts: Facts,
    pub parts: ReadyParts,
    pub log: Vec<String>,
}

impl LiveJob {
    /// A job without any task done.
    pub fn new(record: JobRecord, plan: SubmittedPlan, description: Vec<u8>, now: Time) -> Self {
        let tally = Tally::new(&plan.record);
        Self {
            record,
            plan,
            tickets: Vec::new(),
            description: description.into(),
            tally,
            winners: BTreeMap::new(),
            uploads: BTreeMap::new(),
            waiting: BTreeMap::new(),
            committing: BTreeSet::new(),
            started: BTreeMap::new(),
            running: BTreeMap::new(),
            revision: 0,
            finishing: false,
            submitted: now,
            maps_done: None,
            reduces_done: None,
        }
    }

    /// How it is to end, once the scheduler is done with it.
    pub fn closing(&self) -> Option<&Outcome> {
        match &self.record.stage {
            JobStage::Closing(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether `attempt` is the one that won its task.
    pub fn has_won(&self, attempt: AttemptId) -> bool {
        self.winners.get(&attempt.task).is_some_and(|winner| winner.attempt == attempt.attempt)
    }

    /// The committed parts.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.tally.parts()
    }

    /// The same with their uploads, where they are on a store.
    pub fn uploaded_parts(&self) -> Vec<(Part, Option<Upload>)> {
        let with_upload = |part: &Part| (part.clone(), self.uploads.get(&part.name).cloned());
        self.parts().map(with_upload).collect()
    }

    /// Notes the winner of a task.
    pub fn keep(&mut self, task: TaskId, won: &TaskRecord, now: Time) {
        let (read, shuffled) = match won.facts.stage {
            StageFacts::Map(map) => ((0, 0), (map.shuffle_records, map.shuffle_bytes)),
            StageFacts::Reduce(reduce) => ((reduce.records_in, reduce.bytes_in), (0, 0)),
        };
        self.winners.insert(task, Winner { attempt: won.attempt, read, shuffled });
        let names = won.parts.iter().map(|part| part.name.clone());
        self.uploads.extend(names.zip(won.uploads.iter().cloned()));
        let attempt = AttemptId { task, attempt: won.attempt };
        self.tally.keep(attempt, won.facts.clone(), won.parts.clone());
        match task.stage {
            Stage::Map if self.tally.all_maps_done() => {
                self.maps_done.get_or_insert(now);
            }
            Stage::Reduce => self.reduces_done = Some(now),
            Stage::Map => {}
        }
    }

    /// Forgets winners whose map output is lost.
    pub fn lose(&mut self, maps: &[u32]) {
        for index in maps {
            self.winners.remove(&TaskId::map(*index));
        }
    }

    /// Checks that everything emitted into the shuffle was consumed. Each reduce attempt has checked
    /// its own partition against what the map attempts counted; this is the check over all of them. A
    /// map that ran again may have been combined in other portions, so that the sums of its attempts
    /// differ: then there is nothing to compare here.
    pub fn check_conservation(&self) -> Result<(), Failure> {
        if self.record.reducers == 0 || self.record.maps_rerun > 0 {
            return Ok(());
        }
        let sum = |stage, part: fn(&Winner) -> (u64, u64)| {
            let winners = self.winners.iter().filter(|(task, _)| task.stage == stage);
            winners.map(|(_, winner)| part(winner)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        let emitted = sum(Stage::Map, |winner| winner.shuffled);
        let consumed = sum(Stage::Reduce, |winner| winner.read);
        if emitted == consumed {
            return Ok(());
        }
        Err(Failure::internal(format!(
            "map tasks emitted {} records of {} bytes and reduce tasks consumed {} of {} bytes",
            emitted.0, emitted.1, consumed.0, consumed.1
        )))
    }

    /// What is published beside the parts.
    pub fn manifest(&self) -> Manifest {
        self.tally.manifest(&self.plan.record)
    }

    /// What is told of the job when its output is published.
    pub fn report(&self, now: Time) -> JobReport {
        let mut report = self.tally.report(&self.plan.record, self.times(now), false);
        report.attempts_failed = self.record.attempts_failed;
        report
    }

    /// Time in each phase until now.
    fn times(&self, now: Time) -> Times {
        let maps_done = self.maps_done.unwrap_or(now);
        let reduces_done = self.reduces_done.unwrap_or(maps_done);
        Times {
            plan: 0,
            map: maps_done.millis_since(self.submitted),
            reduce: reduces_done.millis_since(maps_done),
            publish: now.millis_since(reduces_done),
            total: now.millis_since(self.submitted),
        }
    }

    /// Share of the work of a stage that is done, in millionths.
    pub fn parts_per_million(&self, stage: Stage, done: u32, total: u32) -> u32 {
        const WHOLE: u64 = 1_000_000;
        if total == 0 {
            return 1_000_000;
        }
        let running = self.running.iter().filter(|(attempt, _)| attempt.task.stage == stage);
        let running: u64 = running.map(|(_, parts)| u64::from(*parts)).sum();
        let parts = (u64::from(done) * WHOLE + running) / u64::from(total);
        u32::try_from(parts.min(WHOLE)).unwrap_or(1_000_000)
    }
}

/// What the scheduler needs to know of a job.
pub(super) fn schedule(plan: &SubmittedPlan) -> JobPlan {
    let share = &plan.share;
    let spec = &plan.record.spec;
    let split_bytes = plan.splits.iter().map(|split| split.bytes).collect();
    let mut schedule = JobPlan::new(split_bytes, spec.reducers);
    schedule.attempts_max = spec.attempts_max;
    schedule.priority = share.priority;
    schedule.weight = share.weight;
    schedule.slots_max = share.slots_max;
    schedule.speculation = share.speculation;
    schedule.queue.clone_from(&share.queue);
    schedule
}

/// Most attempts of one job whose progress is remembered: what a cluster can run at once.
pub(super) const RUNNING_MAX: usize = limit::REDUCERS_MAX as usize;
