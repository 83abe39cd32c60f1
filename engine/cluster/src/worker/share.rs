//! How far one attempt has come, for heartbeats: fetching first, then running.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mr_runtime::Progress;

/// All of an attempt.
const WHOLE: u64 = 1_000_000;
/// What fetching counts for in a reduce attempt, in millionths; merging and reducing are the rest.
const FETCH: u64 = WHOLE / 3;

/// Progress of one attempt.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Bytes that have to be fetched; 0 where nothing has to.
    fetch_bytes_total: AtomicU64,
    /// Bytes fetched.
    fetch_bytes: AtomicU64,
    /// What the attempt itself has done, once it runs.
    run: OnceLock<Arc<Progress>>,
}

impl Share {
    /// The attempt itself begins.
    pub fn begun(&self, run: Arc<Progress>) {
        // It begins once.
        let _ = self.run.set(run);
    }

    /// Says how many bytes have to be fetched.
    pub fn expect(&self, bytes: u64) {
        self.fetch_bytes_total.store(bytes, Ordering::Relaxed);
    }

    /// Bytes were fetched.
    pub fn fetched(&self, bytes: u64) {
        self.fetch_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were fetched have to be fetched again.
    pub fn lost(&self, bytes: u64) {
        self.fetch_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Share of the work done, in millionths.
    pub fn parts_per_million(&self) -> u32 {
        let ran = self.run.get().map_or(0, |run| u64::from(run.parts_per_million())).min(WHOLE);
        let total = self.fetch_bytes_total.load(Ordering::Relaxed);
        let parts = if total == 0 {
            ran
        } else {
            let fetched = self.fetch_bytes.load(Ordering::Relaxed).min(total);
            let fetched = u128::from(fetched) * u128::from(FETCH) / u128::from(total);
            u64::try_from(fetched).unwrap_or(FETCH) + ran * (WHOLE - FETCH) / WHOLE
        };
        u32::try_from(parts).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetching_is_the_first_third() {
        let share = Share::default();
        assert_eq!(share.parts_per_million(), 0);
        share.expect(1 << 60);
        share.fetched(1 << 59);
        assert_eq!(share.parts_per_million(), 166_666);
        share.lost(1 << 59);
        assert_eq!(share.parts_per_million(), 0);
        share.fetched(1 << 60);
        assert_eq!(share.parts_per_million(), 333_333);
    }
}
