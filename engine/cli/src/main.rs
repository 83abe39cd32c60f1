//! The `mr-engine` command: parses what was typed, runs one subcommand, and turns its outcome into an
//! exit code and one clear sentence. One file for each subcommand; no engine logic in here.
//!
//! In [`cluster`] are the processes of a cluster, in [`remote`] what is asked of one, in [`mod@run`] pipelines,
//! in [`workshop`] an author's projects.

mod again;
mod args;
mod check;
mod cluster;
mod compiler;
mod completions;
mod config;
mod executor;
mod exit;
mod explain;
mod identity;
mod inputs;
mod inspect;
mod interrupt;
mod job;
mod limits;
mod machine;
mod policy;
mod remote;
mod run;
mod show;
mod sign;
mod size;
mod submit;
mod summary;
mod words;
mod workshop;

use std::process::ExitCode;

use clap::Parser;

use crate::args::cluster::WorkerCommand;
use crate::args::{Cli, Command};

/// As a child this process ends where its memory does.
#[global_allocator]
static ALLOCATOR: mr_executor::Allocator = mr_executor::Allocator;

fn main() -> ExitCode {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !mr_formats::panics_are_caught() {
            told(panic);
        }
    }));
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Submit(args) => submit::run(&args)?,
        Command::Run(args) => run::run(&args)?,
        Command::Explain(args) => explain::run(&args)?,
        Command::Inspect(args) => inspect::run(&args)?,
        Command::New(args) => workshop::new::run(&args)?,
        Command::Build(args) => workshop::build::run(&args)?,
        Command::Test(args) => workshop::test::run(&args)?,
        Command::Check(args) => check::run(&args)?,
        Command::Keygen(args) => sign::keygen(&args)?,
        Command::Sign(args) => sign::sign(&args)?,
        Command::Verify(args) => sign::verify(&args)?,
        Command::Limits(args) => limits::run(&args)?,
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
        Command::Executor(args) => executor::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
