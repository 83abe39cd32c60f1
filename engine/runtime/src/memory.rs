//! The memory plan: how `--memory` is divided, so that the budget holds by construction.
//!
//! ```text
//! budget = workers x (guests + frames + reading + sort buffer) + pool
//! pool   = what sort buffers grow by, and map outputs that stay in memory (half at most)
//! merge  = the same memory in the stage that writes: buffers of the run files that are merged, and what the
//!          formats of output gather and compress
//! ```

use mr_model::limit::{KIB, MIB};
use mr_model::{Compression, InputFormat, InputSpec, OutputFormat, OutputSpec};
use mr_shuffle::input::{FAN_IN_MAX, FAN_IN_MIN, FILE_CURSOR_BYTES};
use mr_storage::reading_bytes;
use serde::{Deserialize, Serialize};

use crate::outputs::writing_bytes;

/// Memory that the process has beside the budget, in bytes: code, stacks, the compiled plugins, file
/// lists. The peak of resident memory stays below the budget and this together.
pub const PROCESS_BYTES: u64 = 64 * MIB;
/// Least linear memory for the guests of a slot, in bytes: three small components.
pub const GUESTS_BYTES_MIN: u64 = 12 * MIB;
/// Most that is set aside for the guests of a slot where the job does not say, in bytes.
pub const GUESTS_BYTES_MAX: u64 = mr_model::limit::GUEST_MEMORY_BYTES_DEFAULT;
/// Batches that a slot has in flight (in, out, groups, a part's buffer), in bytes.
const FRAME_BYTES: u64 = 4 * MIB;
/// Least sort buffer of a slot, in bytes: below, runs are too short to merge well.
const SORT_BYTES_MIN: u64 = 4 * MIB;
/// Most sort buffer that a slot has for itself from the start, in bytes; more comes from the pool.
const SORT_BYTES_START_MAX: u64 = 16 * MIB;

/// What the formats of a job take in a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FormatMemory {
    /// Of its inputs, at most one of which is read at a time, in bytes.
    pub reading: u64,
    /// Of its outputs, all of which are written at once, in bytes.
    pub writing: u64,
    /// The format of these.
    pub output: Option<OutputFormat>,
}

impl FormatMemory {
    /// What the formats of a job take whose inputs are compressed in one of these ways, if at all.
    ///
    /// # Errors
    /// A sentence: an output whose format cannot hold its types.
    pub fn of(
        inputs: &[InputSpec],
        compressions: impl Iterator<Item = Compression>,
        output: &OutputSpec,
    ) -> Result<Self, String> {
        let columns = inputs.iter().map(|input| {
            let fields = input.row.as_ref().map_or(0, |row| row.key.0.len() + row.value.0.len());
            reading_bytes(input.format, Compression::None, fields)
        });
        let text = compressions.map(|compression| reading_bytes(InputFormat::Lines, compression, 0));
        Ok(Self {
            reading: columns.chain(text).max().unwrap_or(0),
            writing: writing_bytes(output)?,
            output: Some(output.format),
        })
    }
}

/// How a budget is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// The budget, in bytes.
    pub budget: u64,
    /// Tasks that run at once.
    pub workers: u64,
    /// Linear memory that the guests of one slot share, in bytes.
    pub guests: u64,
    /// Batches in flight of one slot, and what reading takes, in bytes.
    pub frames: u64,
    /// What sort buffers grow by, and map outputs that stay in memory, in bytes, all slots together.
    pub pool: u64,
    /// Part of the pool that outputs may keep, in bytes.
    pub retain: u64,
    /// Sort buffer that each slot has for itself beside the pool, in bytes.
    pub sort_min: u64,
    /// Most run files that a reduce task merges at once.
    pub fan_in: usize,
}

/// A budget that is too small.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "--memory {} is too small for {workers} workers: it takes at least {} (for each worker {} for guests, \
     {} for batches and records of up to {}, {} to sort{}); give more memory or use fewer --workers",
    mib(*.budget), mib(*.least), mib(*.guests), mib(*.frames), mib(*.record), mib(SORT_BYTES_MIN),
    of_formats(.formats)
)]
pub struct MemoryError {
    /// The budget, in bytes.
    pub budget: u64,
    /// The least that would do, in bytes.
    pub least: u64,
    /// Tasks that run at once.
    pub workers: u64,
    /// Guests of a slot, in bytes.
    pub guests: u64,
    /// Frames of a slot, in bytes.
    pub frames: u64,
    /// Longest record, in bytes.
    pub record: u64,
    /// What the formats of a slot take.
    pub formats: FormatMemory,
}

impl MemoryPlan {
    /// Divides `budget` among `workers`. `guests` is the linear memory of a slot's guests where the job
    /// says so; `guest_roles` tells whether any plugin runs at all.
    pub fn new(
        budget: u64,
        workers: usize,
        guests: Option<u64>,
        guest_roles: bool,
        record_bytes_max: u64,
        formats: FormatMemory,
    ) -> Result<Self, MemoryError> {
        let workers = workers.max(1) as u64;
        // What a peer says is checked later: any number may come here.
        let frames = FRAME_BYTES.saturating_add(record_bytes_max.saturating_mul(2));
        // A buffer must hold the longest record, with what sorting it takes.
        let sort_least = SORT_BYTES_MIN.max(record_bytes_max.saturating_add(64 * KIB));
        // What sorts writes nothing yet, and what merges sorts nothing any more.
        let merge_least = (FAN_IN_MIN as u64 * FILE_CURSOR_BYTES).saturating_add(formats.writing);
        let work_least = sort_least.saturating_mul(2).max(merge_least);
        let slot_frames = frames.saturating_add(formats.reading);
        let others = slot_frames.saturating_add(work_least);
        // A quarter of the slot, and where that is too much for what else has to be there, what is left.
        let slot = budget / workers;
        let guests = match (guest_roles, guests) {
            (false, _) => 0,
            (true, Some(bytes)) => bytes,
            (true, None) => {
                (slot / 4).min(GUESTS_BYTES_MAX).min(slot.saturating_sub(others)).max(GUESTS_BYTES_MIN)
            }
        };
        let slot_least = guests.saturating_add(others);
        let least = workers.saturating_mul(slot_least);
        if budget < least {
            return Err(MemoryError {
                budget,
                least,
                workers,
                guests,
                frames,
                record: record_bytes_max,
                formats,
            });
        }
        let frames = slot_frames;
        let sorting = budget - workers * (guests + frames);
        let sort_min = (sorting / workers / 4).clamp(sort_least, SORT_BYTES_START_MAX.max(sort_least));
        let pool = sorting - workers * sort_min;
        let retain = (pool / 2).min(sorting - workers * merge_least);
        let merging = ((sorting - retain) / workers - formats.writing) / FILE_CURSOR_BYTES;
        let fan_in = usize::try_from(merging).unwrap_or(FAN_IN_MAX).clamp(FAN_IN_MIN, FAN_IN_MAX);
        Ok(Self { budget, workers, guests, frames, pool, retain, sort_min, fan_in })
    }
}

/// What formats take, as the end of a list.
fn of_formats(formats: &FormatMemory) -> String {
    let mut words = String::new();
    if formats.reading > 0 {
        words += &format!(", {} to read its inputs", mib(formats.reading));
    }
    if let Some(output) = formats.output.filter(|_| formats.writing > 0) {
        words += &format!(", {} to write {output}", mib(formats.writing));
    }
    words
}

/// Bytes in MiB, for people; rounded up.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_never_divides_more_than_the_budget() {
        for budget_mib in [44, 64, 100, 1000, 100_000] {
            for workers in [1, 2, 3, 16] {
                for writing in [0, 9 * MIB, 60 * MIB] {
                    let formats = FormatMemory { reading: writing / 9, writing, output: None };
                    let plan = MemoryPlan::new(budget_mib * MIB, workers, None, true, MIB, formats);
                    let Ok(plan) = plan else { continue };
                    assert!(plan.frames > formats.reading);
                    let slots = plan.workers * (plan.guests + plan.frames + plan.sort_min);
                    assert_eq!(slots + plan.pool, plan.budget);
                    let merging = writing + plan.fan_in as u64 * FILE_CURSOR_BYTES;
                    let merging = plan.workers * (plan.guests + plan.frames + merging);
                    assert!(merging + plan.retain <= plan.budget, "{plan:?}");
                }
            }
        }
        assert!(MemoryPlan::new(64 * MIB, 2, None, true, MIB, FormatMemory::default()).is_ok());
    }

    #[test]
    fn too_small_a_budget_says_what_would_do() {
        let parquet = FormatMemory { reading: 0, writing: 40 * MIB, output: Some(OutputFormat::Parquet) };
        for formats in [FormatMemory::default(), parquet] {
            let error = MemoryPlan::new(10 * MIB, 2, None, true, MIB, formats).unwrap_err();
            assert!(MemoryPlan::new(error.least, 2, None, true, MIB, formats).is_ok());
            assert!(MemoryPlan::new(error.least - 1, 2, None, true, MIB, formats).is_err());
            let sentence = error.to_string();
            assert!(sentence.contains("--memory 10 MiB is too small for 2 workers"), "{sentence}");
            let formats = sentence.contains("4 MiB to sort, 40 MiB to write parquet); give more");
            assert_eq!(formats, error.formats == parquet, "{sentence}");
        }
    }
}
