//! Bounds of one instance that wasmtime asks about while it runs: linear memory, tables, instances;
//! and the pool of memory that the instances of one slot share. Time is checked in
//! [`crate::state`], batches and counters in [`crate::host`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mr_model::limit::{KIB, MIB};
use wasmtime::ResourceLimiter;

/// Handles of resources (streams, pollables) alive at once in an instance: standard streams need
/// three, and each costs the host some memory.
pub(crate) const HANDLES_MAX: usize = 1024;
/// Elements of all tables of an instance together: a pointer each on the host; interpreters with
/// many extension modules stay far below.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 4 * 1024 * 1024;
/// Core instances of one component: Python with all its extension modules has some hundred.
pub(crate) const INSTANCES_MAX: usize = 1000;
/// Linear memories of one component: one for each module that does not share.
pub(crate) const MEMORIES_MAX: usize = 64;

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

/// Growth of memory that was refused, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) wanted: u64,
    pub(crate) cap: u64,
}

/// The limiter of one instance. Its memory goes back to the pool when it is dropped.
pub(crate) struct Limits {
    pool: Arc<GuestMemory>,
    memory_bytes: u64,
    memory_bytes_max: u64,
    table_elements: usize,
    denied: Option<Denied>,
}

impl Limits {
    pub(crate) fn new(pool: Arc<GuestMemory>, memory_bytes_max: u64) -> Self {
        Self { pool, memory_bytes: 0, memory_bytes_max, table_elements: 0, denied: None }
    }

    /// Most linear memory held so far, in bytes: memories never shrink.
    pub(crate) fn memory_bytes_peak(&self) -> u64 {
        self.memory_bytes
    }

    /// The last growth refused since [`Limits::forget_denied`].
    pub(crate) fn denied(&self) -> Option<Denied> {
        self.denied
    }

    /// A guest that lived on after a refusal has coped with it.
    pub(crate) fn forget_denied(&mut self) {
        self.denied = None;
    }

    fn take(&mut self, bytes: u64) -> Result<(), Denied> {
        let wanted = self.memory_bytes.saturating_add(bytes);
        if wanted > self.memory_bytes_max {
            return Err(Denied { wanted, cap: self.memory_bytes_max });
        }
        if !self.pool.try_grow(bytes) {
            let wanted = self.pool.used().saturating_add(bytes);
            return Err(Denied { wanted, cap: self.pool.bytes_max() });
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
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS_MAX {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// Bytes for people, in the unit that keeps the number short.
pub(crate) fn show_bytes(bytes: u64) -> String {
    if bytes >= MIB {
        format!("{} MiB", bytes.div_ceil(MIB))
    } else if bytes >= KIB {
        format!("{} KiB", bytes.div_ceil(KIB))
    } else {
        format!("{bytes} bytes")
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
        assert_eq!(first.denied(), Some(Denied { wanted: 90, cap: 80 }));
        assert!(!second.memory_growing(0, 41, None).unwrap());
        assert_eq!(second.denied(), Some(Denied { wanted: 101, cap: 100 }));
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
        assert!(!limits.table_growing(0, 1, None).unwrap());
    }
}
