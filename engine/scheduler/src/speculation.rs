//! Backup attempts for stragglers: which tasks get one, and where. Only near the end of a stage,
//! when nothing of it is queued and slots are free; the slowest first; a few per cent of the tasks
//! at most; never twice for one task. The first attempt to finish or commit wins.

use std::cmp::Reverse;

use mr_model::{AttemptId, Stage, TaskId, WorkerId};

use crate::config::{
    BACKUP_AGE_MILLIS_MIN, BACKUP_DONE_PERCENT_MIN, BACKUP_SLOW_PERCENT, BACKUPS_PERCENT_MAX,
};
use crate::event::Event;
use crate::job::{Attempt, Job};
use crate::task::StageTasks;
use crate::time::Time;
use crate::worker::Workers;

/// Progress of an attempt that is through.
pub(crate) const PARTS_PER_MILLION: u32 = 1_000_000;

/// Backups that should start now, for jobs in the order of their names, no more than slots are free.
pub(crate) fn backups_due<'a>(
    jobs: impl Iterator<Item = &'a Job>,
    workers: &Workers,
    now: Time,
) -> Vec<Event> {
    let mut events = Vec::new();
    for job in jobs.filter(|job| job.speculation) {
        for stage in [Stage::Map, Stage::Reduce] {
            let allowed = allowance(job, stage);
            let room =
                workers.slots().slots(events.len().saturating_add(allowed)).saturating_sub(events.len());
            if room == 0 {
                continue;
            }
            let placeable = |task: &TaskId| place_backup(job, *task, workers).is_some();
            let slowest = stragglers(job, stage, now).into_iter().filter(placeable).take(room);
            events.extend(slowest.map(|task| Event::BackupDue { job: job.id.clone(), task }));
        }
    }
    events
}

/// Where the backup of a task starts; none where it has none to get, or no worker for it.
pub(crate) fn place_backup(job: &Job, task: TaskId, workers: &Workers) -> Option<WorkerId> {
    if allowance(job, task.stage) == 0 || !job.is_below_cap() {
        return None;
    }
    let (_, running) = lone_attempt(job, task)?;
    let mut avoid = job.stage(task.stage).failed_on(task.index).to_vec();
    if let Err(place) = avoid.binary_search(&running.worker) {
        avoid.insert(place, running.worker);
    }
    workers.slots().place_elsewhere(&avoid)
}

/// How many more tasks of the stage may get a backup now.
fn allowance(job: &Job, stage: Stage) -> usize {
    let tasks = job.stage(stage);
    let inputs_ready = stage == Stage::Map || job.stage(Stage::Map).is_complete();
    let total = u64::from(tasks.total());
    let enough_done = u64::from(tasks.done()) * 100 >= total * u64::from(BACKUP_DONE_PERCENT_MIN);
    if total == 0 || tasks.queued() > 0 || !enough_done || !inputs_ready {
        return 0;
    }
    let most = (total * u64::from(BACKUPS_PERCENT_MAX) / 100).max(1);
    usize::try_from(most.saturating_sub(u64::from(tasks.backups))).unwrap_or(usize::MAX)
}

/// Slow tasks of the stage that may get a backup, the longest time to go first.
fn stragglers(job: &Job, stage: Stage, now: Time) -> Vec<TaskId> {
    let first = AttemptId { task: TaskId { stage, index: 0 }, attempt: 0 };
    let last = AttemptId { task: TaskId { stage, index: u32::MAX }, attempt: u32::MAX };
    let mut slow: Vec<(Reverse<u64>, TaskId)> = job
        .live
        .range(first..=last)
        .filter(|(id, _)| lone_attempt(job, id.task).is_some())
        .filter_map(|(id, attempt)| {
            let elapsed = now.millis_since(attempt.started);
            let whole = estimate_millis(elapsed, attempt.parts_per_million);
            let expected = expected_millis(job.stage(stage), id.task.index)?;
            let slow = elapsed >= BACKUP_AGE_MILLIS_MIN
                && whole > expected.saturating_mul(BACKUP_SLOW_PERCENT) / 100;
            slow.then_some((Reverse(whole - elapsed), id.task))
        })
        .collect();
    slow.sort_unstable();
    slow.into_iter().map(|(_, task)| task).collect()
}

/// The only live attempt of a task that never had a backup, if it does not wait to commit: then it
/// is through.
fn lone_attempt(job: &Job, task: TaskId) -> Option<(AttemptId, &Attempt)> {
    if job.stage(task.stage).task(task.index)?.backed_up {
        return None;
    }
    let mut attempts = job.attempts(task);
    let lone = attempts.next().filter(|(_, attempt)| !attempt.wants_commit)?;
    attempts.next().is_none().then_some(lone)
}

/// How long the attempt will have taken in all at the rate so far, in milliseconds. Before any
/// progress, what it took already is the least that can be said.
fn estimate_millis(elapsed: u64, parts_per_million: u32) -> u64 {
    match parts_per_million {
        0 => elapsed,
        done => (elapsed.saturating_mul(u64::from(PARTS_PER_MILLION)) / u64::from(done)).max(elapsed),
    }
}

/// How long a task should take by what the finished ones took, in proportion to its input where
/// that is known, in milliseconds.
fn expected_millis(tasks: &StageTasks, index: u32) -> Option<u64> {
    let pace = &tasks.pace;
    if pace.bytes > 0 {
        let millis = u128::from(pace.millis) * u128::from(tasks.bytes(index)) / u128::from(pace.bytes);
        return Some(u64::try_from(millis).unwrap_or(u64::MAX));
    }
    pace.millis.checked_div(pace.tasks)
}
