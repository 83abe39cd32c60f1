//! One job that has not ended: its stages, its live attempts, its map outputs. Decides what an
//! attempt's word means for the job; knows nothing of slots and of other jobs.

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{AttemptId, Incarnation, JobId, Stage, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::action::JobTotals;
use crate::event::{AttemptReport, JobPlan, Lease};
use crate::locality::{PartitionBytes, SplitHosts};
use crate::queue::{ReadyKey, Seat};
use crate::task::{Output, StageTasks};
use crate::time::Time;

/// An attempt that was launched and counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub started: Time,
    /// When it was launched, on the scheduler's count of events.
    pub stamp: u64,
    /// Last progress heard of, in millionths.
    pub parts_per_million: u32,
    /// It asked to commit and waits for the answer.
    pub wants_commit: bool,
}

/// What a complaint about a map's output comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// The output is gone already, or was made again since: only the reduce has to run again.
    Stale,
    /// The output is invalid from now on and the map runs again.
    Upheld(Output),
    /// The same, but that was the last failure that the map could afford.
    Exhausted(Output),
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub id: JobId,
    /// Number of its submission: breaks ties.
    pub order: u64,
    pub submitted: Time,
    pub attempts_max: u32,
    pub speculation: bool,
    pub queue: String,
    priority: i32,
    weight: u32,
    slots_max: usize,
    maps: StageTasks,
    reduces: StageTasks,
    pub live: BTreeMap<AttemptId, Attempt>,
    /// Finished maps whose output is on each worker; empty in a map-only job.
    outputs: BTreeMap<WorkerId, BTreeSet<u32>>,
    pub split_hosts: SplitHosts,
    pub partition_bytes: PartitionBytes,
    pub totals: JobTotals,
    /// What its queue counts of it.
    pub seat: Seat,
}

impl Job {
    /// A job with everything queued. Of the bytes of each partition, `sizes_max` sizes may be kept.
    pub fn new(id: JobId, order: u64, submitted: Time, plan: JobPlan, sizes_max: usize) -> Self {
        let slots_max = plan.slots_max.map_or(usize::MAX, |slots| slots.max(1) as usize);
        // Admission has checked the number of splits against `MAPS_MAX`.
        let maps = u32::try_from(plan.split_bytes.len()).unwrap_or(u32::MAX);
        Self {
            id,
            order,
            submitted,
            attempts_max: plan.attempts_max.max(1),
            speculation: plan.speculation,
            queue: plan.queue,
            priority: plan.priority,
            weight: plan.weight.max(1),
            slots_max,
            maps: StageTasks::new(maps, plan.split_bytes),
            reduces: StageTasks::new(plan.reducers, Vec::new()),
            live: BTreeMap::new(),
            outputs: BTreeMap::new(),
            split_hosts: SplitHosts::new(plan.split_hosts),
            partition_bytes: PartitionBytes::new(maps, plan.reducers, sizes_max),
            totals: JobTotals::default(),
            seat: Seat::default(),
        }
    }

    pub fn stage(&self, stage: Stage) -> &StageTasks {
        match stage {
            Stage::Map => &self.maps,
            Stage::Reduce => &self.reduces,
        }
    }

    pub fn stage_mut(&mut self, stage: Stage) -> &mut StageTasks {
        match stage {
            Stage::Map => &mut self.maps,
            Stage::Reduce => &mut self.reduces,
        }
    }

    /// Whether a stage's tasks publish parts; other map output stays on its worker.
    pub fn commits(&self, stage: Stage) -> bool {
        stage == Stage::Reduce || self.reduces.total() == 0
    }

    /// Whether all parts are published. Maps that run again by then are not needed any more.
    pub fn is_complete(&self) -> bool {
        if self.reduces.total() == 0 { self.maps.is_complete() } else { self.reduces.is_complete() }
    }

    /// What its queue should count of it.
    pub fn wanted_seat(&self) -> Seat {
        let running = self.live.len();
        let can_launch = self.launchable_stage().is_some() && self.is_below_cap();
        let key = can_launch.then(|| ReadyKey::new(self.priority, running, self.weight, self.order));
        Seat { key, running }
    }

    /// Whether the job may use another slot.
    pub fn is_below_cap(&self) -> bool {
        self.live.len() < self.slots_max
    }

    /// Map outputs that the job has on each worker.
    pub fn outputs(&self) -> impl Iterator<Item = (WorkerId, usize)> {
        self.outputs.iter().map(|(&worker, maps)| (worker, maps.len()))
    }

    /// Starts an attempt and tells its lease.
    pub fn start(
        &mut self,
        task: TaskId,
        worker: WorkerId,
        incarnation: Incarnation,
        started: Time,
        stamp: u64,
    ) -> Option<Lease> {
        let number = self.stage_mut(task.stage).start(task.index)?;
        let id = AttemptId { task, attempt: number };
        let attempt =
            Attempt { worker, incarnation, started, stamp, parts_per_million: 0, wants_commit: false };
        let lease = self.lease(id, &attempt);
        self.live.insert(id, attempt);
        Some(lease)
    }

    /// The lease of one of the job's attempts.
    pub fn lease(&self, id: AttemptId, attempt: &Attempt) -> Lease {
        Lease { job: self.id.clone(), attempt: id, worker: attempt.worker, incarnation: attempt.incarnation }
    }

    /// Live attempts of a task.
    pub fn attempts(&self, task: TaskId) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        let attempts = AttemptId { task, attempt: 0 }..=AttemptId { task, attempt: u32::MAX };
        self.live.range(attempts).map(|(&id, attempt)| (id, attempt))
    }

    /// Grants the commit to an attempt that asks, or lets it wait for the one that has the grant.
    pub fn request_commit(&mut self, id: AttemptId) -> bool {
        if let Some(attempt) = self.live.get_mut(&id) {
            attempt.wants_commit = true;
        }
        let Some(task) = self.stage_mut(id.task.stage).task_mut(id.task.index) else { return false };
        *task.granted.get_or_insert(id.attempt) == id.attempt
    }

    /// Whether the attempt has the grant of its task.
    pub fn is_granted(&self, id: AttemptId) -> bool {
        let task = self.stage(id.task.stage).task(id.task.index);
        task.is_some_and(|task| task.granted == Some(id.attempt))
    }

    /// Makes the attempt, which has ended and is not live any more, the winner of its task. Returns
    /// the leases of the others, which are to be cancelled.
    pub fn win(
        &mut self,
        id: AttemptId,
        attempt: &Attempt,
        report: &AttemptReport,
        now: Time,
        stamp: u64,
    ) -> Vec<Lease> {
        let TaskId { stage, index } = id.task;
        let Attempt { worker, incarnation, started, .. } = *attempt;
        let output = Output { worker, incarnation, stamp, attempt: id.attempt };
        if self.stage_mut(stage).finish(index, output, now.millis_since(started)) {
            self.totals.add(stage == Stage::Reduce, report);
        }
        if !self.commits(stage) {
            self.outputs.entry(worker).or_default().insert(index);
            self.partition_bytes.add(index, worker, &report.partition_bytes);
        }
        let losers: Vec<Lease> =
            self.attempts(id.task).map(|(loser, attempt)| self.lease(loser, attempt)).collect();
        for loser in &losers {
            self.live.remove(&loser.attempt);
        }
        losers
    }

    /// What follows when an attempt has ended without winning and is not live any more: its grant
    /// passes to the attempt that is returned, if one waits for it; with no attempt left the task
    /// is queued again.
    pub fn drop_attempt(&mut self, id: AttemptId) -> Option<Lease> {
        let TaskId { stage, index } = id.task;
        let idle = self.attempts(id.task).next().is_none();
        let heir = self.attempts(id.task).find(|(_, attempt)| attempt.wants_commit);
        let heir = heir.map(|(id, attempt)| self.lease(id, attempt));
        let tasks = self.stage_mut(stage);
        let task = tasks.task_mut(index)?;
        let passes = task.granted == Some(id.attempt);
        if passes {
            task.granted = heir.as_ref().map(|lease| lease.attempt.attempt);
        }
        if idle && task.output.is_none() {
            tasks.enqueue(index);
        }
        heir.filter(|_| passes)
    }

    /// Judges a reduce attempt's complaint about the output of map `index`.
    pub fn complain(&mut self, reduce: &Attempt, index: u32) -> Complaint {
        // An output made after the reduce was launched is not the one that it missed.
        let known = |output: &Output| output.stamp <= reduce.stamp;
        if self.maps.task(index).and_then(|task| task.output.as_ref()).is_none_or(|output| !known(output)) {
            return Complaint::Stale;
        }
        let Some(output) = self.maps.invalidate(index) else { return Complaint::Stale };
        if let Some(outputs) = self.outputs.get_mut(&output.worker) {
            outputs.remove(&index);
            if outputs.is_empty() {
                self.outputs.remove(&output.worker);
            }
        }
        self.partition_bytes.remove(index, output.worker);
        self.maps.avoid(index, output.worker);
        if self.maps.charge(index, self.attempts_max) {
            return Complaint::Exhausted(output);
        }
        self.maps.enqueue(index);
        Complaint::Upheld(output)
    }

    /// Queues the maps again whose output was on a worker that is lost, and tells which.
    pub fn lose_outputs(&mut self, worker: WorkerId) -> Vec<u32> {
        let maps: Vec<u32> = self.outputs.remove(&worker).into_iter().flatten().collect();
        self.partition_bytes.remove_worker(worker, &maps);
        for &index in &maps {
            self.maps.invalidate(index);
            self.maps.enqueue(index);
        }
        maps
    }

    /// The stage that could launch something now: reduces only when all maps are done, so that they
    /// never hold the slots that maps need.
    pub fn launchable_stage(&self) -> Option<Stage> {
        if self.maps.queued() > 0 {
            return Some(Stage::Map);
        }
        (self.maps.is_complete() && self.reduces.queued() > 0).then_some(Stage::Reduce)
    }
}
