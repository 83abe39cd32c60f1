//! What the host keeps for one instance while it runs, and the two traits through which records
//! leave and enter it. Knows time and cancellation; the imports themselves are in [`crate::host`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mr_model::limit::Limit;
use mr_model::{Batch, ColumnBuf, Counters, Failure, Role};
use wasmtime::UpdateDeadline;

use crate::fault::Fault;
use crate::limits::{CancelToken, Deadline, GuestOutput, Limits, Passed, millis};
use crate::log::Log;
use crate::side::Sides;
use crate::wasi::{Wasi, WasiOptions};

/// Takes what a role emits. A failure that it answers with comes out of the role's call unchanged.
pub trait Sink: Send {
    /// Records for output `port`. The batch is checked, lies in guest memory and is gone when this
    /// returns.
    fn emit(&mut self, port: u32, batch: Batch<'_>) -> Result<(), Failure>;

    /// Records with the partition of each: `partitions` holds one little-endian u32 below the
    /// task's number of partitions for every row.
    fn emit_partitioned(&mut self, batch: Batch<'_>, partitions: &[u8]) -> Result<(), Failure>;

    /// The role gave up on a row (or group) of its current input batch.
    fn reject(&mut self, row: u32, reason: &str) -> Result<(), Failure>;
}

/// The rest of a group that did not fit in its batch.
pub trait MoreValues: Send {
    /// Appends the next values to the empty column `values`, or answers false at the group's end.
    /// A reducer may return without having asked for all of them.
    fn next(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure>;
}

impl<S: Sink + ?Sized> Sink for Arc<Mutex<S>> {
    fn emit(&mut self, port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        lock(self, "sink")?.emit(port, batch)
    }

    fn emit_partitioned(&mut self, batch: Batch<'_>, partitions: &[u8]) -> Result<(), Failure> {
        lock(self, "sink")?.emit_partitioned(batch, partitions)
    }

    fn reject(&mut self, row: u32, reason: &str) -> Result<(), Failure> {
        lock(self, "sink")?.reject(row, reason)
    }
}

impl<M: MoreValues + ?Sized> MoreValues for Arc<Mutex<M>> {
    fn next(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure> {
        lock(self, "source of values")?.next(values)
    }
}

fn lock<'a, T: ?Sized>(shared: &'a Arc<Mutex<T>>, what: &str) -> Result<MutexGuard<'a, T>, Failure> {
    shared.lock().map_err(|_| Failure::internal(format!("a thread panicked while it held the {what}")))
}

/// What an instance was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be looked at: no import of the engine answers, except for the log.
    Describe,
    /// To serve a task.
    Role(Role),
}

/// The last group of the batch that a reducer works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// All of it is in the batch.
    Whole,
    /// There is more to fetch.
    GoesOn,
    /// All of it has been fetched.
    Ended,
}

/// The host's side of one instance.
pub(crate) struct State {
    pub(crate) purpose: Purpose,
    pub(crate) wasi: Wasi,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<Mutex<Log>>,
    pub(crate) params: Arc<[(String, String)]>,
    pub(crate) sides: Sides,
    /// Number of partitions that output is divided into, 0 for none.
    pub(crate) partitions: u32,
    /// Number of outputs that it can emit to.
    pub(crate) ports: u32,
    pub(crate) counters: Counters,
    pub(crate) sink: Option<Box<dyn Sink>>,
    pub(crate) more: Option<Box<dyn MoreValues>>,
    pub(crate) group: Group,
    /// Buffer for the values of a group that goes on.
    pub(crate) more_values: ColumnBuf,
    /// Rows (or groups) of the current input batch.
    pub(crate) input_rows: u32,
    progress: Instant,
    idle: IdleLimit,
    pub(crate) deadline: Option<Deadline>,
    /// What it may emit together with the others of its attempt; none where it emits nothing.
    pub(crate) output: Option<Arc<GuestOutput>>,
    cancel: CancelToken,
}

/// How long an instance may stand still, and as what that is limited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdleLimit {
    pub(crate) limit: &'static Limit,
    pub(crate) allowed: Duration,
}

impl State {
    pub(crate) fn new(
        purpose: Purpose,
        limits: Limits,
        log: Log,
        wasi: WasiOptions,
        idle: IdleLimit,
        cancel: CancelToken,
    ) -> Self {
        let log = Arc::new(Mutex::new(log));
        Self {
            purpose,
            wasi: Wasi::new(wasi, &log),
            limits,
            log,
            params: Arc::default(),
            sides: Sides::default(),
            partitions: 0,
            ports: 1,
            counters: Counters::default(),
            sink: None,
            more: None,
            group: Group::Whole,
            more_values: ColumnBuf::default(),
            input_rows: 0,
            progress: Instant::now(),
            idle,
            deadline: None,
            output: None,
            cancel,
        }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call into the guest begins, with `rows` rows (or groups) of input.
    pub(crate) fn begin(&mut self, rows: u32, more: bool) {
        self.input_rows = rows;
        self.group = if more { Group::GoesOn } else { Group::Whole };
        self.limits.forget_denied();
        self.log().take_error();
        self.progressed();
    }

    /// The guest got somewhere: its time begins anew.
    pub(crate) fn progressed(&mut self) {
        self.progress = Instant::now();
    }

    /// Refuses an import's call when the instance is only being looked at or is cancelled.
    pub(crate) fn admit(&self, import: &str) -> Result<(), Fault> {
        if self.purpose == Purpose::Describe {
            return Err(Fault::Contract(format!(
                "it called {import} while it was being described; `describe` and start-up must not call imports"
            )));
        }
        if self.cancel.is_cancelled() { Err(Fault::Cancelled) } else { Ok(()) }
    }

    /// Refuses a batch with which the guests of the attempt would have emitted more than they may.
    pub(crate) fn count_output(&self, bytes: u64, rows: u32) -> Result<(), Fault> {
        let Some(output) = &self.output else { return Ok(()) };
        output.take(bytes, u64::from(rows)).map_err(Fault::Limit)
    }

    /// Called at every tick while the guest runs.
    pub(crate) fn check_time(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.cancel.is_cancelled() {
            return Err(Fault::Cancelled.into());
        }
        let (idle, IdleLimit { limit, allowed }) = (self.progress.elapsed(), self.idle);
        if idle > allowed {
            return Err(Fault::Limit(Passed::new(limit, millis(idle), millis(allowed))).into());
        }
        if let Some(deadline) = &self.deadline {
            deadline.check().map_err(Fault::Limit)?;
        }
        Ok(UpdateDeadline::Continue(1))
    }
}
