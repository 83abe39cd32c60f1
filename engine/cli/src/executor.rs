//! `mr-engine executor`: this program as a process with few rights, which its parent starts; nobody types
//! it. With `--probe` it shows what such a process may not do.

use anyhow::Result;
use mr_executor::child;
use mr_executor::child::probe::Probe;

use crate::args::ExecutorArgs;

/// The subcommand, as parents call it.
pub const NAME: &str = "executor";

/// Is a child of another process of this program, or shows what one is.
pub fn run(args: &ExecutorArgs) -> Result<()> {
    if !args.probe {
        child::run();
    }
    let ExecutorArgs { read, write, forbidden, .. } = args;
    let probe = Probe { read: read.clone(), write: write.clone(), forbidden: forbidden.clone() };
    Ok(child::probe::run(probe)?)
}
