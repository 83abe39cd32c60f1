//! The memory plan: how `--memory` is divided, so that the budget holds by construction.
//!
//! ```text
//! budget = workers x (guests + frames + sort buffer) + pool
//! pool   = what sort buffers grow by, and map outputs that stay in memory (half at most)
//! merge  = the same memory in the reduce stage: buffers of the run files that are merged
//! ```

use mr_model::limit::{KIB, MIB};
use mr_shuffle::input::{FAN_IN_MAX, FAN_IN_MIN, FILE_CURSOR_BYTES};
use serde::{Deserialize, Serialize};

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

/// How a budget is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// The budget, in bytes.
    pub budget: u64,
    /// Tasks that run at once.
    pub workers: u64,
    /// Linear memory that the guests of one slot share, in bytes.
    pub guests: u64,
    /// Batches in flight of one slot, in bytes.
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
     {} for batches and records of up to {}, {} to sort); give more memory or use fewer --workers",
    mib(*.budget), mib(*.least), mib(*.guests), mib(*.frames), mib(*.record), mib(SORT_BYTES_MIN)
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
    ) -> Result<Self, MemoryError> {
        let workers = workers.max(1) as u64;
        let slot = budget / workers;
        let guests = match (guest_roles, guests) {
            (false, _) => 0,
            (true, Some(bytes)) => bytes,
            (true, None) => (slot / 4).clamp(GUESTS_BYTES_MIN, GUESTS_BYTES_MAX),
        };
        // What a peer says is checked later: any number may come here.
        let frames = FRAME_BYTES.saturating_add(record_bytes_max.saturating_mul(2));
        // A buffer must hold the longest record, with what sorting it takes.
        let sort_least = SORT_BYTES_MIN.max(record_bytes_max.saturating_add(64 * KIB));
        let slot_least = guests.saturating_add(frames).saturating_add(sort_least.saturating_mul(2));
        let least = workers.saturating_mul(slot_least);
        if budget < least {
            return Err(MemoryError { budget, least, workers, guests, frames, record: record_bytes_max });
        }
        let sorting = budget - workers * (guests + frames);
        let sort_min = (sorting / workers / 4).clamp(sort_least, SORT_BYTES_START_MAX.max(sort_least));
        let pool = sorting - workers * sort_min;
        let retain = pool / 2;
        let merging = (sorting - retain) / workers / FILE_CURSOR_BYTES;
        let fan_in = usize::try_from(merging).unwrap_or(FAN_IN_MAX).clamp(FAN_IN_MIN, FAN_IN_MAX);
        Ok(Self { budget, workers, guests, frames, pool, retain, sort_min, fan_in })
    }
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
                let Ok(plan) = MemoryPlan::new(budget_mib * MIB, workers, None, true, MIB) else { continue };
                let slots = plan.workers * (plan.guests + plan.frames + plan.sort_min);
                assert_eq!(slots + plan.pool, plan.budget);
                let merging =
                    plan.workers * (plan.guests + plan.frames + plan.fan_in as u64 * FILE_CURSOR_BYTES);
                assert!(merging + plan.retain <= plan.budget, "{plan:?}");
            }
        }
        assert!(MemoryPlan::new(64 * MIB, 2, None, true, MIB).is_ok());
    }

    #[test]
    fn too_small_a_budget_says_what_would_do() {
        let error = MemoryPlan::new(10 * MIB, 2, None, true, MIB).unwrap_err();
        assert!(MemoryPlan::new(error.least, 2, None, true, MIB).is_ok());
        assert!(error.to_string().contains("--memory 10 MiB is too small for 2 workers"), "{error}");
    }
}
