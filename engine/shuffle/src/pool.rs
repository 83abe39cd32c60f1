//! The memory budget of the record path: one pool of bytes that sort buffers and retained runs
//! draw from. Counting only; nothing is allocated here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A pool of bytes shared by the tasks of a process.
#[derive(Debug)]
pub struct MemoryPool {
    bytes_max: u64,
    taken: AtomicU64,
}

impl MemoryPool {
    /// A pool of `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, taken: AtomicU64::new(0) })
    }

    /// Size of the pool, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes taken now.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// An empty reservation that can grow.
    pub fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation { pool: self.clone(), bytes: 0 }
    }

    fn try_take(&self, bytes: u64) -> bool {
        self.taken
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(bytes).filter(|taken| *taken <= self.bytes_max)
            })
            .is_ok()
    }
}

/// Bytes taken from a pool, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<MemoryPool>,
    bytes: u64,
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pool drawn from.
    pub fn pool(&self) -> &Arc<MemoryPool> {
        &self.pool
    }

    /// Grows to at least `bytes`; false, and nothing taken, where the pool has not so many.
    pub fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 && !self.pool.try_take(more) {
            return false;
        }
        self.bytes += more;
        true
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.pool.taken.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_never_lends_more_than_it_has() {
        let pool = MemoryPool::new(100);
        let mut a = pool.reserve();
        let mut b = pool.reserve();
        assert!(a.grow_to(60));
        assert!(!b.grow_to(41));
        assert!(b.grow_to(40));
        a.shrink_to(10);
        assert_eq!(pool.taken(), 50);
        drop(a);
        drop(b);
        assert_eq!(pool.taken(), 0);
    }
}
