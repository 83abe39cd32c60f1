//! The tasks of one stage of one job: small state for each, the queues, the counts. Every task is
//! in exactly one place: queued, with live attempts (which the job holds), or done.

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{Incarnation, WorkerId};
use serde::{Deserialize, Serialize};

/// Where the output of a done task came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// When it was won, on the scheduler's count of events.
    pub stamp: u64,
    pub attempt: u32,
}

/// One task. A job may have a million of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Set when the task is done.
    pub output: Option<Output>,
    /// The attempt that may publish.
    pub granted: Option<u32>,
    /// Attempt numbers used up.
    pub used: u32,
    /// Failures charged to it.
    pub failures: u32,
    /// It had a backup attempt; there is never a second one.
    pub backed_up: bool,
    /// A winner's report is in the totals.
    pub counted: bool,
}

/// What finished tasks took, for telling which ones are slow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub tasks: u64,
    pub millis: u64,
    pub bytes: u64,
}

/// All tasks of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageTasks {
    tasks: Vec<Task>,
    /// Bytes of input of each; empty where that is unknown.
    bytes: Vec<u64>,
    /// Queued tasks that may run anywhere.
    fresh: BTreeSet<u32>,
    /// Queued tasks that some workers have failed.
    retries: BTreeSet<u32>,
    /// Workers that failed a task which is not done, ascending.
    failed_on: BTreeMap<u32, Vec<WorkerId>>,
    done: u32,
    pub backups: u32,
    pub pace: Pace,
}

impl StageTasks {
    /// `count` queued tasks.
    pub fn new(count: u32, bytes: Vec<u64>) -> Self {
        Self {
            tasks: (0..count).map(|_| Task::default()).collect(),
            bytes,
            fresh: (0..count).collect(),
            retries: BTreeSet::new(),
            failed_on: BTreeMap::new(),
            done: 0,
            backups: 0,
            pace: Pace::default(),
        }
    }

    pub fn task(&self, index: u32) -> Option<&Task> {
        self.tasks.get(index as usize)
    }

    pub fn task_mut(&mut self, index: u32) -> Option<&mut Task> {
        self.tasks.get_mut(index as usize)
    }

    pub fn total(&self) -> u32 {
        // The count was a `u32` when the tasks were made.
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    pub fn done(&self) -> u32 {
        self.done
    }

    pub fn queued(&self) -> usize {
        self.fresh.len() + self.retries.len()
    }

    pub fn is_complete(&self) -> bool {
        self.done == self.total()
    }

    /// Bytes of input of a task, 0 where unknown.
    pub fn bytes(&self, index: u32) -> u64 {
        self.bytes.get(index as usize).copied().unwrap_or(0)
    }

    /// Queued tasks that some workers have failed, with those workers.
    pub fn retries(&self) -> impl Iterator<Item = (u32, &[WorkerId])> {
        self.retries.iter().map(|&index| (index, self.failed_on(index)))
    }

    /// Queued tasks that may run anywhere, in order.
    pub fn fresh(&self) -> impl Iterator<Item = u32> {
        self.fresh.iter().copied()
    }

    /// Workers that failed the task, ascending.
    pub fn failed_on(&self, index: u32) -> &[WorkerId] {
        self.failed_on.get(&index).map_or(&[], Vec::as_slice)
    }

    pub fn enqueue(&mut self, index: u32) {
        let queue = if self.failed_on.contains_key(&index) { &mut self.retries } else { &mut self.fresh };
        queue.insert(index);
    }

    /// Takes the task off its queue and uses up an attempt number.
    pub fn start(&mut self, index: u32) -> Option<u32> {
        let task = self.tasks.get_mut(index as usize)?;
        let attempt = task.used;
        task.used += 1;
        self.fresh.remove(&index);
        self.retries.remove(&index);
        Some(attempt)
    }

    /// Notes that `worker` should not get the task again if another can.
    pub fn avoid(&mut self, index: u32, worker: WorkerId) {
        let workers = self.failed_on.entry(index).or_default();
        if let Err(place) = workers.binary_search(&worker) {
            workers.insert(place, worker);
        }
    }

    /// Charges a failure; true when `attempts_max` of them are reached.
    pub fn charge(&mut self, index: u32, attempts_max: u32) -> bool {
        let Some(task) = self.task_mut(index) else { return false };
        task.failures += 1;
        task.failures >= attempts_max
    }

    /// Makes the task done; true when its report is to be counted.
    pub fn finish(&mut self, index: u32, output: Output, millis: u64) -> bool {
        let bytes = self.bytes(index);
        let Some(task) = self.task_mut(index) else { return false };
        let count = !task.counted;
        task.counted = true;
        task.granted = None;
        if task.output.replace(output).is_none() {
            self.done += 1;
        }
        self.failed_on.remove(&index);
        self.pace.tasks += 1;
        self.pace.millis = self.pace.millis.saturating_add(millis);
        self.pace.bytes = self.pace.bytes.saturating_add(bytes);
        count
    }

    /// Makes a done task not done any more. The caller queues it.
    pub fn invalidate(&mut self, index: u32) -> Option<Output> {
        let output = self.task_mut(index)?.output.take()?;
        self.done -= 1;
        Some(output)
    }
}
