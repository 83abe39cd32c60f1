//! The `mr-engine` command: parses what was typed, runs one subcommand, and turns its outcome into an
//! exit code and one clear sentence. One file for each subcommand; no engine logic in here.

mod args;
mod completions;
mod exit;
mod explain;
mod inspect;
mod interrupt;
mod job;
mod machine;
mod show;
mod size;
mod submit;
mod summary;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Submit(args) => submit::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
