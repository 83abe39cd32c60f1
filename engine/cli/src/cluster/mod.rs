//! The nodes of a cluster as processes: making their certificates, running a coordinator or a worker, and
//! running all of them on this machine.
//!
//! In reading order: [`init`] (certificates), [`service`] (what every long-lived process does),
//! [`coordinator`] and [`worker`], [`up`] with its `children`.

mod children;
pub mod coordinator;
pub mod init;
mod service;
pub mod up;
pub mod worker;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::cluster::ClusterCommand;

/// Runs one of the subcommands of `mr-engine cluster`.
pub fn run(command: &ClusterCommand) -> Result<ExitCode> {
    match command {
        ClusterCommand::Init(args) => init::init(args).map(|()| ExitCode::SUCCESS),
        ClusterCommand::Add(args) => init::add(args).map(|()| ExitCode::SUCCESS),
        ClusterCommand::Up(args) => up::run(args),
    }
}
