//! Bounds of one instance that wasmtime asks about while it runs: linear memory, tables, instances;
//! and what the instances of one attempt share: a pool of memory, what they may emit, and a deadline.
//! Time is checked in [`crate::state`], batches and counters in [`crate::host`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mr_model::limit::{
    INSTANCES_MAX, Limit, MEMORIES_MAX, START_MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX, table,
};
use wasmtime::ResourceLimiter;

/// Cancels whoever holds a clone, at its next check.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Cancels, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once [`CancelToken::cancel`] was called on any clone.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Linear memory that the instances of one slot may hold together, in bytes.
#[derive(Debug)]
pub struct GuestMemory {
    used: AtomicU64,
    bytes_max: u64,
}

impl GuestMemory {
    /// A pool of `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self { used: AtomicU64::new(0), bytes_max }
    }

    /// Size of the pool, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes that instances hold now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes` out of the pool, or answers false and takes nothing.
    pub fn try_grow(&self, bytes: u64) -> bool {
        let taken = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.bytes_max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Puts back what [`GuestMemory::try_grow`] took.
    pub fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What the guests of one attempt may emit together. Counted by batch.
#[derive(Debug)]
pub struct GuestOutput {
    bytes: AtomicU64,
    records: AtomicU64,
    bytes_max: u64,
    records_max: u64,
}

impl GuestOutput {
    /// Room for `bytes_max` bytes of keys and values and for `records_max` records.
    pub fn new(bytes_max: u64, records_max: u64) -> Self {
        Self { bytes: AtomicU64::new(0), records: AtomicU64::new(0), bytes_max, records_max }
    }

    /// Forgets what was counted, for an attempt that begins again.
    pub fn forget(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.records.store(0, Ordering::Relaxed);
    }

    /// Counts a batch, or says which limit it goes over.
    pub(crate) fn take(&self, bytes: u64, records: u64) -> Result<(), Passed> {
        let count = |counter: &AtomicU64, amount, limit, cap| {
            let sum = counter.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
            if sum > cap { Err(Passed::new(limit, sum, cap)) } else { Ok(()) }
        };
        count(&self.bytes, bytes, &table::TASK_OUTPUT_BYTES, self.bytes_max)?;
        count(&self.records, records, &table::TASK_OUTPUT_RECORDS, self.records_max)
    }
}

/// When an attempt has to end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    begun: Instant,
    allowed: Duration,
}

impl Deadline {
    /// `allowed` from now on.
    pub fn after(allowed: Duration) -> Self {
        Self { begun: Instant::now(), allowed }
    }

    /// Time that is left, zero once it has passed.
    pub fn left(&self) -> Duration {
        self.allowed.saturating_sub(self.begun.elapsed())
    }

    /// Time since it was set.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Time from its setting until it passes.
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    pub(crate) fn check(&self) -> Result<(), Passed> {
        let elapsed = self.begun.elapsed();
        if elapsed <= self.allowed {
            return Ok(());
        }
        Err(Passed::new(&table::TASK_TIME, millis(elapsed), millis(self.allowed)))
    }
}

/// A limit that was passed, before it is known in which role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) limit: &'static Limit,
    /// What it came to, in words.
    pub(crate) value: String,
    /// What is allowed, in the limit's unit.
    pub(crate) cap: u64,
}

impl Passed {
    pub(crate) fn new(limit: &'static Limit, value: u64, cap: u64) -> Self {
        Self { limit, value: limit.show(value), cap }
    }

    /// A fixed limit was passed, nobody knows by how much.
    pub(crate) fn fixed(limit: &'static Limit) -> Self {
        let cap = limit.max.unwrap_or(0);
        Self { limit, value: format!("more than {}", limit.show(cap)), cap }
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The limiter of one instance. Its memory goes back to the pool when it is dropped.
pub(crate) struct Limits {
    pool: Arc<GuestMemory>,
    memory_bytes: u64,
    memory_bytes_max: u64,
    /// What its memory is limited as.
    memory_limit: &'static Limit,
    table_elements: usize,
    denied: Option<Passed>,
}

impl Limits {
    pub(crate) fn new(pool: Arc<GuestMemory>, memory_bytes_max: u64) -> Self {
        let memory_limit = &table::GUEST_MEMORY;
        Self { pool, memory_bytes: 0, memory_bytes_max, memory_limit, table_elements: 0, denied: None }
    }

    /// The limiter of an instance that is only looked at.
    pub(crate) fn at_start() -> Self {
        let bytes = START_MEMORY_BYTES_MAX;
        let mut limits = Self::new(Arc::new(GuestMemory::new(bytes)), bytes);
        limits.memory_limit = &table::START_MEMORY;
        limits
    }

    /// Most linear memory held so far, in bytes: memories never shrink.
    pub(crate) fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes
    }

    /// The last growth refused since [`Limits::forget_denied`].
    pub(crate) fn denied(&self) -> Option<&Passed> {
        self.denied.as_ref()
    }

    /// A guest that lived on after a refusal has coped with it.
    pub(crate) fn forget_denied(&mut self) {
        self.denied = None;
    }

    fn take(&mut self, bytes: u64) -> Result<(), Passed> {
        let wanted = self.memory_bytes.saturating_add(bytes);
        if wanted > self.memory_bytes_max {
            return Err(Passed::new(self.memory_limit, wanted, self.memory_bytes_max));
        }
        if !self.pool.try_grow(bytes) {
            let wanted = self.pool.used().saturating_add(bytes);
            return Err(Passed::new(self.memory_limit, wanted, self.pool.bytes_max()));
        }
        self.memory_bytes = wanted;
        Ok(())
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.pool.release(self.memory_bytes);
    }
}

// A growth that fails after it was granted stays charged: a guest could otherwise have one growth
// refunded for another's failure.
impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match self.take(desired.saturating_sub(current) as u64) {
            Ok(()) => Ok(true),
            Err(denied) => {
                self.denied = Some(denied);
                Ok(false)
            }
        }
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS_MAX {
            self.denied = Some(Passed::new(&table::TABLE_ELEMENTS, total as u64, TABLE_ELEMENTS_MAX as u64));
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_a_pool_and_give_back() {
        let pool = Arc::new(GuestMemory::new(100));
        let mut first = Limits::new(Arc::clone(&pool), 80);
        let mut second = Limits::new(Arc::clone(&pool), 80);
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!first.memory_growing(60, 90, None).unwrap());
        assert_eq!(first.denied(), Some(&Passed::new(&table::GUEST_MEMORY, 90, 80)));
        assert!(!second.memory_growing(0, 41, None).unwrap());
        assert_eq!(second.denied(), Some(&Passed::new(&table::GUEST_MEMORY, 101, 100)));
        assert!(second.memory_growing(0, 40, None).unwrap());
        assert_eq!(pool.used(), 100);
        drop(first);
        assert_eq!(pool.used(), 40);
    }

    #[test]
    fn a_growth_that_must_fail_is_not_charged() {
        let mut limits = Limits::new(Arc::new(GuestMemory::new(100)), 100);
        assert!(!limits.memory_growing(0, 60, Some(50)).unwrap());
        assert_eq!((limits.memory_bytes_peak(), limits.denied()), (0, None));
    }

    #[test]
    fn tables_are_bounded_together() {
        let mut limits = Limits::new(Arc::new(GuestMemory::new(0)), 0);
        assert!(limits.table_growing(0, TABLE_ELEMENTS_MAX, None).unwrap());
        assert!(!limits.table_growing(0, 5, Some(4)).unwrap());
        assert_eq!(limits.denied(), None);
        assert!(!limits.table_growing(0, 1, None).unwrap());
        let (value, cap) = (TABLE_ELEMENTS_MAX as u64 + 1, TABLE_ELEMENTS_MAX as u64);
        assert_eq!(limits.denied(), Some(&Passed::new(&table::TABLE_ELEMENTS, value, cap)));
    }

    #[test]
    fn what_is_emitted_is_added_up() {
        let output = GuestOutput::new(10, 3);
        assert_eq!(output.take(10, 1), Ok(()));
        assert_eq!(output.take(1, 1), Err(Passed::new(&table::TASK_OUTPUT_BYTES, 11, 10)));
        let output = GuestOutput::new(10, 3);
        assert_eq!(output.take(0, 4), Err(Passed::new(&table::TASK_OUTPUT_RECORDS, 4, 3)));
    }
}
