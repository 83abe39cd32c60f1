//! Ctrl-C and termination: the first asks the job to stop and clean up, the second ends the process.

use anyhow::{Context, Result};
use mr_sandbox::CancelToken;

/// Exit code of an interrupted process, as shells expect it.
const INTERRUPTED: i32 = 130;

/// Cancels `token` when the process is asked to stop.
pub fn watch(token: CancelToken) -> Result<()> {
    ctrlc::set_handler(move || {
        if token.is_cancelled() {
            std::process::exit(INTERRUPTED);
        }
        token.cancel();
    })
    .context("signals cannot be handled")
}
