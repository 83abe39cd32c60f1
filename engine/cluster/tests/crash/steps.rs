//! Counts the steps that a crash can fall between, and dies at one of them.

use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);
static DIE_AT: AtomicU64 = AtomicU64::new(0);

/// Lets the process die at step `at`, counted from 1; 0 for never.
pub fn die_at(at: u64) {
    DIE_AT.store(at, Ordering::Relaxed);
    mr_storage::step::install(reached);
}

/// A step that matters was reached.
pub fn reached(_step: &'static str) {
    if COUNT.fetch_add(1, Ordering::Relaxed) + 1 == DIE_AT.load(Ordering::Relaxed) {
        // No destructor and no handler runs, as when the process is killed.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::thread::park();
    }
}

/// Steps so far.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
