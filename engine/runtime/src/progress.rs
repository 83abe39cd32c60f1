//! What a job has done so far, for whoever shows it: counters that attempts add to once for each
//! batch and that anyone may read at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::describe::TaskInput;

/// Most that an attempt under way is said to have done, in millionths.
const SHARE_MAX: u32 = 999_999;

/// Part of a job that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Input is listed, checked and sampled.
    Plan,
    /// Map tasks run.
    Map,
    /// Map output is merged and reduced.
    Reduce,
    /// Output is published.
    Publish,
}

/// Progress of one job, or of one attempt where attempts are told of one by one. Work that is done again counts again, so that shown shares are capped.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    /// Bytes of input.
    pub map_bytes_total: AtomicU64,
    /// Bytes of input read.
    pub map_bytes: AtomicU64,
    /// Records read.
    pub map_records: AtomicU64,
    /// Map tasks.
    pub map_tasks_total: AtomicU64,
    /// Map tasks done.
    pub map_tasks: AtomicU64,
    /// Bytes of map output to merge; passes before the last one add theirs.
    pub shuffle_bytes_total: Arc<AtomicU64>,
    /// Bytes merged, in all passes.
    pub shuffle_bytes: Arc<AtomicU64>,
    /// Reduce tasks.
    pub reduce_tasks_total: AtomicU64,
    /// Reduce tasks done.
    pub reduce_tasks: AtomicU64,
    /// Batches that plugins emitted on the way to reducers: a sign of life where one batch of input makes
    /// many.
    pub emitted_batches: AtomicU64,
    /// Groups reduced.
    pub reduce_groups: AtomicU64,
    /// Bytes of side inputs read: a sign of life where plugins read long before they emit.
    pub side_bytes: Arc<AtomicU64>,
    /// Records written.
    pub output_records: AtomicU64,
    /// Bytes written.
    pub output_bytes: AtomicU64,
}

impl Progress {
    /// The progress of one attempt that works on `input`.
    pub fn of_attempt(input: &TaskInput) -> Arc<Self> {
        let progress = Self::default();
        match input {
            TaskInput::Map(split) => progress.map_bytes_total.store(split.bytes, Ordering::Relaxed),
            TaskInput::Reduce(segments) => {
                let bytes = segments.iter().fold(0u64, |sum, one| sum.saturating_add(one.entry.bytes));
                progress.shuffle_bytes_total.store(bytes, Ordering::Relaxed);
            }
        }
        Arc::new(progress)
    }

    /// Share of the work done, in millionths: bytes of input read and bytes merged. A last share is left
    /// for what comes behind the last byte.
    pub fn parts_per_million(&self) -> u32 {
        let load = |counter: &AtomicU64| u128::from(counter.load(Ordering::Relaxed));
        let done = load(&self.map_bytes) + load(&self.shuffle_bytes);
        let total = load(&self.map_bytes_total) + load(&self.shuffle_bytes_total);
        let share = (done * 1_000_000).checked_div(total).unwrap_or(0);
        u32::try_from(share).unwrap_or(u32::MAX).min(SHARE_MAX)
    }

    /// What is under way.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Plan,
            1 => Phase::Map,
            2 => Phase::Reduce,
            _ => Phase::Publish,
        }
    }

    /// Says what is under way.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Adds to one of the counters.
    pub(crate) fn add(&self, counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}
