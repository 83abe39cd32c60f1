//! Ctrl-C and termination: before the job runs there is nothing to clean up and the process just ends;
//! then the first asks the job to stop and clean up, and the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use mr_sandbox::CancelToken;
use tokio_util::sync::CancellationToken;

/// Exit code of an interrupted process, as shells expect it.
pub const INTERRUPTED: i32 = 130;

/// What a signal stops.
#[derive(Clone, Default)]
pub struct Interrupt {
    job: CancelToken,
    waiting: CancellationToken,
    running: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches for signals from now on.
    pub fn watch() -> Result<Self> {
        let interrupt = Self::default();
        let seen = interrupt.clone();
        ctrlc::set_handler(move || {
            if !seen.running.load(Ordering::SeqCst) || seen.job.is_cancelled() {
                eprintln!("mr-engine: interrupted");
                std::process::exit(INTERRUPTED);
            }
            seen.job.cancel();
            seen.waiting.cancel();
        })
        .context("signals cannot be handled")?;
        Ok(interrupt)
    }

    /// The job begins to run, or is waited for: from now on a signal cancels that. The answer is the token
    /// to run it with.
    pub fn arm(&self) -> &CancelToken {
        self.running.store(true, Ordering::SeqCst);
        &self.job
    }

    /// True after the first signal.
    pub fn is_raised(&self) -> bool {
        self.job.is_cancelled()
    }

    /// The same for whoever waits for a job that runs elsewhere.
    pub fn token(&self) -> &CancellationToken {
        &self.waiting
    }
}
