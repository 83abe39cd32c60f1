//! `mr-engine completions`: a script that completes the command line in a shell.

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};

/// Prints the script.
pub fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mr-engine", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}
