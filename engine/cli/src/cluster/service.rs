//! What the long-lived processes of a cluster share: logging, the runtime, signals, and the line that says
//! that they are ready.

use std::io::Write;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::args::cluster::{LogArgs, LogFormat};
use crate::exit::UsageError;

/// Threads that read and write files for peers: as many as keep a disk busy, whatever number of peers ask.
const BLOCKING_THREADS_MAX: usize = 32;

/// Logs to standard error from now on, and binds this process to its parent if it was told to.
pub fn prepare(args: &LogArgs) -> Result<()> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|error| UsageError(format!("--log (RUST_LOG) {:?}: {error}", args.log)))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match args.log_format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("logging cannot begin: {error}"))?;
    match args.exit_with_parent {
        Some(parent) => exit_with_parent(parent),
        None => Ok(()),
    }
}

/// Runs a service on a runtime of its own until it ends. A signal asks it to end; a second one ends the
/// process.
pub fn serve<T>(run: impl AsyncFnOnce(CancellationToken) -> Result<T>) -> Result<T> {
    let shutdown = CancellationToken::new();
    let asked = shutdown.clone();
    ctrlc::set_handler(move || {
        if asked.is_cancelled() {
            eprintln!("mr-engine: interrupted");
            std::process::exit(crate::interrupt::INTERRUPTED);
        }
        asked.cancel();
    })
    .context("signals cannot be handled")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build();
    let runtime = runtime.context("the system gives no threads")?;
    runtime.block_on(run(shutdown))
}

/// Says on standard output that the service is ready, for scripts that wait for it.
pub fn say_ready(line: &str) {
    let mut out = std::io::stdout();
    // A service goes on when nobody listens.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Has the system end this process together with its parent.
fn exit_with_parent(parent: i32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("--exit-with-parent")?;
    // It may have ended before the system was told.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(UsageError(format!("--exit-with-parent: process {parent} is not the parent")).into());
    }
    Ok(())
}
