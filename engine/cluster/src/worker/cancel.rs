//! Stops one attempt, wherever it is: while it waits or fetches, and while its plugin runs.

use mr_sandbox::CancelToken;
use tokio_util::sync::CancellationToken;

/// Stops an attempt. Clones stop the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancel {
    waiting: CancellationToken,
    running: CancelToken,
}

impl Cancel {
    /// Stops it, for good.
    pub fn cancel(&self) {
        self.running.cancel();
        self.waiting.cancel();
    }

    /// Whether it was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.waiting.is_cancelled()
    }

    /// Waits until it is stopped.
    pub async fn cancelled(&self) {
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
