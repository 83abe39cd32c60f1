//! What a worker has for as long as its process lives, whatever becomes of its lives: sockets, data
//! folder, memory, components, map outputs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mr_model::Incarnation;
use mr_model::limit::RECORD_BYTES_DEFAULT;
use mr_net::{Dialer, Limits, Listener, NodeRole, Server};
use mr_runtime::{FormatMemory, MemoryPlan};
use mr_shuffle::MemoryPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::components::Components;
use super::data::DataDir;
use super::disk;
use super::isolation::Loader;
use super::jobs::Memory;
use super::link::random;
use super::outputs::Outputs;
use super::serve::Serve;
use super::sides::Sides;
use super::source::Fetcher;
use super::tenants::{LOOK_PERIOD, Tenants};
use super::{WorkerError, WorkerOptions};
use crate::protocol::Registration;

/// Longest time without a byte from a peer that sends something: a worker that was stopped in the middle
/// of it, and whose map output is made again elsewhere, holds up who fetches no longer than that.
const STALL_MAX: Duration = Duration::from_secs(15);

/// What all lives of a worker share.
pub(super) struct House {
    pub options: WorkerOptions,
    pub data: DataDir,
    pub dialer: Dialer,
    pub outputs: Outputs,
    pub fetcher: Arc<Fetcher>,
    pub components: Components,
    pub sides: Sides,
    pub memory: Memory,
    /// Free space of the data folder, in bytes, as last measured.
    pub disk: watch::Receiver<u64>,
    /// Attempts that fill it.
    pub tenants: Tenants,
    /// Cancelled when the coordinator welcomed the worker for the first time.
    pub joined: CancellationToken,
    measuring: JoinHandle<()>,
    instance: u64,
    address: String,
    host: String,
}

impl House {
    /// Takes the data folder, binds the sockets, starts the sandbox; refuses what cannot work.
    pub async fn open(options: WorkerOptions) -> Result<(Self, Server<Serve>), WorkerError> {
        check(&options)?;
        let memory = memory(&options)?;
        let path = options.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || DataDir::open(&path)).await;
        let data = opened.map_err(|error| WorkerError::Data {
            path: options.data_dir.clone(),
            reason: error.to_string(),
        })??;
        let cache_dir = options.cache_dir.clone().unwrap_or_else(|| data.compiled());
        let (isolation, slots) = (options.isolation.clone(), memory.slots);
        let opened = tokio::task::spawn_blocking(move || Loader::open(&isolation, cache_dir, slots)).await;
        let loader = opened.map_err(|error| WorkerError::Data {
            path: options.data_dir.clone(),
            reason: error.to_string(),
        })??;
        let limits = options.limits.clone();
        let listener =
            Listener::bind(options.listen, &options.identity, &[NodeRole::Worker], limits.clone())?;
        let stall = limits.stall.min(STALL_MAX);
        let dialer = Dialer::new(&options.identity, Limits { stall, ..limits })?;
        let host = host_name();
        let address = advertised(options.advertise.as_deref(), listener.address(), &host);
        let (measured, disk) = watch::channel(disk::measure(data.path().to_owned()).await);
        let tenants = Tenants::new(data.path().to_owned(), options.disk_reserve_bytes);
        let (outputs, sides) = (Outputs::default(), Sides::new(data.sides()));
        let reserve = options.disk_reserve_bytes;
        let server = Server::new(listener, Arc::new(Serve::new(outputs.clone())));
        let house = Self {
            fetcher: Arc::new(Fetcher::new(dialer.clone())),
            components: Components::new(data.components(), loader, options.policy.clone()),
            joined: CancellationToken::new(),
            measuring: tokio::spawn(look(tenants.clone(), sides.clone(), reserve, measured)),
            sides,
            tenants,
            instance: random(),
            outputs,
            memory,
            disk,
            data,
            dialer,
            address,
            host,
            options,
        };
        tracing::info!(worker = house.name(), address = %house.address, slots = house.options.slots, "listening for other workers");
        Ok((house, server))
    }

    /// Where other workers reach it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The worker's name.
    pub fn name(&self) -> &str {
        self.options.identity.node().name()
    }

    /// What a life registers with; the slots are those at the time.
    pub fn registration(
        &self,
        incarnation: Incarnation,
        slots: Arc<AtomicU32>,
    ) -> impl Fn() -> Registration + Send + Sync + 'static {
        let (instance, address, host) = (self.instance, self.address.clone(), self.host.clone());
        move || Registration {
            incarnation,
            instance,
            slots: slots.load(Ordering::Relaxed),
            address: address.clone(),
            host: host.clone(),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.measuring.abort();
    }
}

/// Looks at the disk again and again, and sees to it that there is room: side inputs that nobody reads go
/// before any attempt does.
async fn look(tenants: Tenants, sides: Sides, reserve: u64, measured: watch::Sender<u64>) {
    loop {
        tokio::time::sleep(LOOK_PERIOD).await;
        let (tenants, sides) = (tenants.clone(), sides.clone());
        let short = *measured.borrow() < disk::enough_again(reserve);
        let looked = tokio::task::spawn_blocking(move || {
            if short {
                sides.drop_idle(u64::MAX, disk::enough_again(reserve));
            }
            tenants.look()
        })
        .await;
        // Nothing is free where it cannot be told.
        measured.send_replace(looked.ok().and_then(Result::ok).unwrap_or(0));
    }
}

fn check(options: &WorkerOptions) -> Result<(), WorkerError> {
    let node = options.identity.node();
    if node.role() != NodeRole::Worker {
        return Err(WorkerError::Role { node: node.clone() });
    }
    let port = options
        .coordinator
        .rsplit_once(':')
        .map(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if port != Some(true) {
        return Err(WorkerError::Coordinator { address: options.coordinator.clone() });
    }
    if options.slots == 0 {
        return Err(WorkerError::Slots);
    }
    Ok(())
}

/// The memory that attempts share, if there is enough for any.
fn memory(options: &WorkerOptions) -> Result<Memory, WorkerError> {
    let slots = usize::try_from(options.slots).unwrap_or(usize::MAX);
    let formats = FormatMemory::default();
    let plan = MemoryPlan::new(options.memory_bytes, slots, None, true, RECORD_BYTES_DEFAULT, formats);
    let plan = plan.map_err(|error| WorkerError::Memory {
        budget: error.budget,
        least: error.least,
        slots: options.slots,
    })?;
    Ok(Memory { budget: options.memory_bytes, slots, pool: MemoryPool::new(plan.pool) })
}

/// Where others reach this worker.
fn advertised(advertise: Option<&str>, bound: SocketAddr, host: &str) -> String {
    match advertise {
        Some(address) if address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            address.to_owned()
        }
        Some(name) => format!("{name}:{}", bound.port()),
        None if bound.ip().is_unspecified() => format!("{host}:{}", bound.port()),
        None => bound.to_string(),
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_an_address_that_they_can_dial() {
        let cases = [
            (None, "10.0.0.7:4100", "10.0.0.7:4100"),
            (None, "0.0.0.0:4100", "node7:4100"),
            (None, "[::]:4100", "node7:4100"),
            (Some("node7.lan"), "0.0.0.0:4100", "node7.lan:4100"),
            (Some("gate:9000"), "10.0.0.7:4100", "gate:9000"),
            (Some("[2001:db8::7]:9000"), "[::]:4100", "[2001:db8::7]:9000"),
        ];
        for (advertise, bound, told) in cases {
            assert_eq!(advertised(advertise, bound.parse().unwrap(), "node7"), told);
        }
    }
}
