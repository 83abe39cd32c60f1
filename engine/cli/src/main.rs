//! The `mr-engine` command: parses what was typed, runs one subcommand, and turns its outcome into an
//! exit code and one clear sentence. One file for each subcommand; no engine logic in here.
//!
//! In [`cluster`] are the processes of a cluster, in [`remote`] what is asked of one, in [`workshop`] an
//! author's projects.

mod args;
mod cluster;
mod completions;
mod config;
mod exit;
mod explain;
mod identity;
mod inspect;
mod interrupt;
mod job;
mod machine;
mod remote;
mod show;
mod size;
mod submit;
mod summary;
mod workshop;

use std::process::ExitCode;

use clap::Parser;

use crate::args::cluster::WorkerCommand;
use crate::args::{Cli, Command};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Submit(args) => submit::run(&args)?,
        Command::Explain(args) => explain::run(&args)?,
        Command::Inspect(args) => inspect::run(&args)?,
        Command::New(args) => workshop::new::run(&args)?,
        Command::Build(args) => workshop::build::run(&args)?,
        Command::Test(args) => workshop::test::run(&args)?,
        Command::Jobs(args) => remote::jobs::run(&args)?,
        Command::Job(command) => remote::job::run(&command)?,
        Command::Workers(args) => remote::workers::run(&args)?,
        Command::Cluster(command) => return cluster::run(&command),
        Command::Coordinator(args) => cluster::coordinator::run(&args)?,
        Command::Worker(args) => match &args.command {
            Some(WorkerCommand::Drain(args)) => remote::workers::drain(args)?,
            None => cluster::worker::run(&args.run)?,
        },
        Command::Completions(args) => completions::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
