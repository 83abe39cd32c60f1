//! `mr-engine worker`: runs a worker until a signal or a drain ends it.

use std::net::ToSocketAddrs;
use std::sync::Arc;

use anyhow::Result;
use mr_cluster::worker::{self, Isolation, WorkerOptions};
use mr_net::{Limits, NodeRole};
use mr_policy::Policy;
use mr_shuffle::Codec;
use mr_stores::{StoreInputs, StoreOutputs, Stores};

use super::service;
use crate::args::cluster::{CodecArg, IsolationArg, WorkerRunArgs};
use crate::exit::UsageError;
use crate::{compiler, identity, machine};

/// Runs the worker.
pub fn run(args: &WorkerRunArgs) -> Result<()> {
    let (Some(identity), Some(coordinator), Some(data_dir)) =
        (&args.identity, &args.coordinator, &args.data_dir)
    else {
        return Err(incomplete().into());
    };
    let identity = identity::load(identity, NodeRole::Worker, args.name.as_deref())?;
    let name = identity.node().name().to_owned();
    let stores = Arc::<Stores>::default();
    let options = WorkerOptions {
        remote: Some(Arc::new(StoreInputs::new(stores.clone()))),
        remote_outputs: Some(Arc::new(StoreOutputs::new(stores))),
        identity,
        coordinator: coordinator.clone(),
        listen: args.listen,
        advertise: args.advertise.clone(),
        data_dir: data_dir.clone(),
        cache_dir: args.cache_dir.clone(),
        slots: args.slots.unwrap_or_else(|| u32::try_from(machine::workers()).unwrap_or(1)),
        memory_bytes: args.memory.unwrap_or_else(machine::memory_bytes),
        disk_reserve_bytes: args.disk_reserve,
        codec: codec(args.shuffle_codec, coordinator),
        read_near: !args.no_near,
        isolation: isolation(args),
        policy: args.policy.as_deref().map(Policy::read).transpose()?.map(Arc::new),
        limits: Limits::default(),
    };
    service::prepare(&args.log)?;
    let ready = move |address: &str| service::say_ready(&format!("worker {name} ready at {address}"));
    service::serve(async |shutdown| Ok(worker::run(options, ready, shutdown).await?))
}

/// What is said where neither a worker nor an order for one was typed.
fn incomplete() -> UsageError {
    UsageError(
        "worker needs --identity, --coordinator and --data-dir; see `mr-engine worker --help`".to_owned(),
    )
}

fn isolation(args: &WorkerRunArgs) -> Isolation {
    let processes = |required| Isolation::Processes {
        program: compiler::program(),
        compile: compiler::limits(&args.compile),
        required,
    };
    match args.isolation {
        IsolationArg::Process => processes(false),
        IsolationArg::Require => processes(true),
        IsolationArg::None => Isolation::Threads { compiler: compiler::apart(&args.compile) },
    }
}

/// On one machine, compressing costs more than it saves.
fn codec(asked: CodecArg, coordinator: &str) -> Codec {
    match asked {
        CodecArg::Lz4 => Codec::Lz4,
        CodecArg::None => Codec::None,
        CodecArg::Auto if is_loopback(coordinator) => Codec::None,
        CodecArg::Auto => Codec::Lz4,
    }
}

fn is_loopback(address: &str) -> bool {
    let Ok(addresses) = address.to_socket_addrs() else { return false };
    let addresses: Vec<_> = addresses.collect();
    !addresses.is_empty() && addresses.iter().all(|address| address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_goes_without_compression() {
        for (asked, coordinator, codec_chosen) in [
            (CodecArg::Auto, "127.0.0.1:7077", Codec::None),
            (CodecArg::Auto, "[::1]:7077", Codec::None),
            (CodecArg::Auto, "10.0.0.1:7077", Codec::Lz4),
            (CodecArg::Auto, "no address", Codec::Lz4),
            (CodecArg::Lz4, "127.0.0.1:7077", Codec::Lz4),
            (CodecArg::None, "10.0.0.1:7077", Codec::None),
        ] {
            assert_eq!(codec(asked, coordinator), codec_chosen, "{asked:?} {coordinator}");
        }
    }
}
