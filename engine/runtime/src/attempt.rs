//! One attempt at one task: local files and plain data in, local files and plain data out. The local
//! runner and a cluster's workers run the same. Must not know who asked for it or whether it will win.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mr_model::{AttemptId, Failure, Stage};
use mr_sandbox::{CancelToken, LogForward};
use mr_scheduler::AttemptReport;
use mr_shuffle::{MapOutput, ReduceInput, SpillStats, StoredSegment};
use mr_storage::{PendingParts, Reject, Split, write_rejects};
use rustix::time::{ClockId, clock_gettime};

use crate::describe::TaskInput;
use crate::facts::{Facts, LargeKey, LastReject, StageFacts};
use crate::job::{Attempt, Job};
use crate::map::run_map;
use crate::progress::Progress;
use crate::reduce::run_reduce;
use crate::sink::Rejected;

/// A finished attempt.
#[derive(Debug)]
pub struct AttemptDone {
    /// What it made.
    pub product: Product,
    /// What the scheduler is told.
    pub report: AttemptReport,
    /// What is kept for report and manifest if it wins.
    pub facts: Facts,
}

/// What an attempt made; its files are removed when this is dropped.
#[derive(Debug)]
pub enum Product {
    /// Runs for the reducers.
    Runs(MapOutput),
    /// Parts that wait for their commit.
    Parts(PendingParts),
}

/// Runs an attempt to its end on this thread. Rejected records are left in a file of the attempt in
/// the part folder; that of a losing attempt goes when the output is published. A panic is a fault of
/// the engine and costs the attempt, not the process.
///
/// # Errors
/// Why the attempt failed; [`Failure::Cancelled`] if it was told to stop.
pub fn run_attempt(
    job: &Arc<Job>,
    attempt: AttemptId,
    input: &TaskInput,
    progress: &Arc<Progress>,
    log: Option<LogForward>,
    cancel: &CancelToken,
) -> Result<AttemptDone, Failure> {
    let input = match input {
        TaskInput::Map(split) => Input::Split(split),
        TaskInput::Reduce(segments) => Input::Segments(segments),
    };
    run(&Attempt::new(job, attempt, progress, log, cancel), input)
}

/// What an attempt works on.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// A split.
    Split(&'a Split),
    /// Segments in files.
    Segments(&'a [StoredSegment]),
    /// The outputs of all map tasks in this process, in task order.
    Outputs(&'a [Arc<MapOutput>]),
}

/// What an attempt of either stage leaves behind.
pub(crate) struct Ended {
    pub product: Product,
    pub stage: StageFacts,
    pub spilled: SpillStats,
    pub rejected: Vec<Rejected>,
    pub large_groups: Vec<LargeKey>,
    pub guest_memory_bytes_peak: u64,
}

/// Runs an attempt to its end.
pub(crate) fn run(attempt: &Attempt, input: Input<'_>) -> Result<AttemptDone, Failure> {
    attempt.check_stopped()?;
    let begun = cpu_nanos();
    let ended = catch_unwind(AssertUnwindSafe(|| run_stage(attempt, input)))
        .unwrap_or_else(|_| Err(Failure::internal(format!("{} panicked", attempt.id))))
        .map_err(|failure| attempt.why_stopped(failure))?;
    let rejects = ended.rejected.iter().map(|rejected| Reject {
        place: rejected.place.as_ref(),
        reason: &rejected.reason,
        sample: &rejected.sample,
    });
    let rejects = write_rejects(&attempt.job.part_dir, attempt.id, rejects)?;
    let last = ended.rejected.into_iter().last();
    let facts = Facts {
        stage: ended.stage,
        spilled: ended.spilled,
        rejects,
        last_reject: last.map(|Rejected { place, reason, .. }| LastReject { place, reason }),
        large_groups: ended.large_groups,
        counters: attempt.counters().clone(),
        guest_memory_bytes_peak: ended.guest_memory_bytes_peak,
        cpu_millis: cpu_nanos().saturating_sub(begun) / 1_000_000,
    };
    Ok(AttemptDone { product: ended.product, report: facts.report(), facts })
}

fn run_stage(attempt: &Attempt, input: Input<'_>) -> Result<Ended, Failure> {
    let partition = attempt.id.task.index;
    let input = match (attempt.id.task.stage, input) {
        (Stage::Map, Input::Split(split)) => return run_map(attempt, split),
        (Stage::Reduce, Input::Outputs(outputs)) => {
            ReduceInput::new(outputs.iter().map(AsRef::as_ref), partition)
        }
        (Stage::Reduce, Input::Segments(segments)) => {
            let job = &attempt.job.spec.id;
            if let Some(stray) = segments.iter().find(|segment| segment.id.job != *job) {
                return Err(Failure::internal(format!("a segment of job {} in job {job}", stray.id.job)));
            }
            ReduceInput::from_segments(segments.to_vec(), partition)?
        }
        _ => return Err(Failure::internal(format!("{} was given the input of another stage", attempt.id))),
    };
    run_reduce(attempt, input)
}

/// Processor time that this thread has used so far, in nanoseconds.
fn cpu_nanos() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = i128::from(used.tv_sec) * 1_000_000_000 + i128::from(used.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}
