//! WASI 0.2 as plugins see it: linked, because language runtimes import it, and empty. No
//! arguments, environment, folders or sockets; standard input is closed; standard output and error
//! go to the log. Clocks and random numbers are functions of the task's seed and of how often they
//! were asked, so that a task that runs again does the same, and a guest that sleeps waits for
//! nothing.

mod ready;
mod sockets;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mr_model::limit::{HANDLES_MAX, RANDOM_BYTES_MAX, table};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::cli::{stderr, stdout};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, tcp_create_socket};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::bindings::sync::sockets::udp_create_socket;
use wasmtime_wasi::p2::{DynOutputStream, DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::fault::Fault;
use crate::limits::Passed;
use crate::log::{Log, Stdio};
use crate::state::State;

/// What the wall clock shows first unless the job is granted another, in seconds since 1970: the start of the year 2000, which is
/// plainly not now and still after the dates that libraries refuse.
const WALL_START_SECONDS: u64 = 946_684_800;
/// How far every look at a clock moves it, in nanoseconds: time passes for loops that wait for it.
const CLOCK_STEP_NANOS: u64 = 1_000;
/// Bytes that a standard stream takes at once, as WASI streams commonly do.
const WRITE_BYTES_MAX: usize = 64 * 1024;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// What an instance sees of time and chance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WasiOptions {
    /// What random numbers follow from.
    pub(crate) seed: u64,
    /// What the wall clock shows first, in seconds since 1970; none for the fixed moment.
    pub(crate) wall_clock: Option<u64>,
}

/// WASI state of one instance.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    log: Arc<Mutex<Log>>,
    clock: Clock,
    /// What the wall clock shows first, in seconds since 1970.
    wall_start: u64,
    random: Random,
    insecure: Random,
}

impl Wasi {
    pub(crate) fn new(options: WasiOptions, log: &Arc<Mutex<Log>>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let ctx = WasiCtx::builder().allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).build();
        let mut seeds = Random(options.seed);
        let (random, insecure) = (Random(seeds.next()), Random(seeds.next()));
        let (log, clock) = (Arc::clone(log), Clock::default());
        let wall_start = options.wall_clock.unwrap_or(WALL_START_SECONDS);
        Self { ctx, table, log, clock, wall_start, random, insecure }
    }

    fn stream(&mut self, stdio: Stdio) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(LogStream { stdio, log: Arc::clone(&self.log) });
        Ok(self.table.push(stream)?)
    }
}

/// Defines WASI 0.2 for every plugin.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // What would tell one machine or one run from another is replaced, output kept, and what would start
    // an async runtime or make a socket left out.
    linker.allow_shadowing(true);
    wall_clock::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    monotonic_clock::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    random::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    insecure::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    insecure_seed::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    stdout::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    stderr::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    poll::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    streams::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    tcp_create_socket::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    udp_create_socket::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    ip_name_lookup::add_to_linker::<_, HasSelf<Wasi>>(linker, |state| &mut state.wasi)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.ctx, table: &mut self.wasi.table }
    }
}

/// Nanoseconds since the instance began, as it sees them.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn read(&self) -> u64 {
        self.0.fetch_add(CLOCK_STEP_NANOS, Ordering::Relaxed)
    }

    fn skip_to(&self, nanos: u64) {
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl wall_clock::Host for Wasi {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let nanos = self.clock.read();
        let seconds = self.wall_start.saturating_add(nanos / NANOS_PER_SECOND);
        let nanoseconds = u32::try_from(nanos % NANOS_PER_SECOND)?;
        Ok(wall_clock::Datetime { seconds, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: u32::try_from(CLOCK_STEP_NANOS)? })
    }
}

impl monotonic_clock::Host for Wasi {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.read())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(CLOCK_STEP_NANOS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let alarm = self.table.push(Alarm { clock: self.clock.clone(), when })?;
        subscribe(&mut self.table, alarm)
    }

    fn subscribe_duration(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let when = self.clock.read().saturating_add(nanos);
        self.subscribe_instant(when)
    }
}

/// A moment that a guest waits for: it comes at once, and the clock is then there.
struct Alarm {
    clock: Clock,
    when: u64,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        self.clock.skip_to(self.when);
    }
}

/// The splitmix64 generator: tiny, fast, and the same for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES_MAX {
            let passed = Passed::new(&table::RANDOM_BYTES, len, RANDOM_BYTES_MAX);
            return Err(Fault::Limit(passed).into());
        }
        let len = usize::try_from(len)?;
        let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

impl random::Host for Wasi {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random.next())
    }
}

impl insecure::Host for Wasi {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.insecure.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.insecure.next())
    }
}

impl insecure_seed::Host for Wasi {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.insecure.next(), self.insecure.next()))
    }
}

impl stdout::Host for Wasi {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.stream(Stdio::Out)
    }
}

impl stderr::Host for Wasi {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.stream(Stdio::Err)
    }
}

/// Standard output or error: always ready, never fails.
struct LogStream {
    stdio: Stdio,
    log: Arc<Mutex<Log>>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).write(self.stdio, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}
