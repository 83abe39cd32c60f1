//! Stops one attempt, wherever it is: while it waits or fetches, and while its plugin runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mr_sandbox::CancelToken;
use tokio_util::sync::CancellationToken;

/// Stops an attempt. Clones stop the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancel {
    waiting: CancellationToken,
    running: CancelToken,
    /// Whether it was told to, and was not ended for a reason of this worker.
    told: Arc<AtomicBool>,
}

impl Cancel {
    /// Stops it, for good.
    pub fn cancel(&self) {
        self.told.store(true, Ordering::SeqCst);
        self.evict();
    }

    /// Stops it, for good, for a reason of this worker: it has failed then, and was not cancelled.
    pub fn evict(&self) {
        self.running.cancel();
        self.waiting.cancel();
    }

    /// Whether it was told to stop.
    pub fn is_cancelled(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }

    /// Waits until it is stopped.
    pub async fn stopped(&self) {
        self.waiting.cancelled().await;
    }

    /// What threads look at.
    pub fn running(&self) -> &CancelToken {
        &self.running
    }

    /// Waits for a future, unless it is stopped.
    pub async fn unless_cancelled<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.waiting.run_until_cancelled(future).await
    }
}
