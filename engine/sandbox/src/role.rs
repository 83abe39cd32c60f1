//! The life of one instance in one role: open, work, close; and what an error does to it. The four
//! roles in [`crate::roles`] only say what goes in and out.

use std::sync::Arc;
use std::time::Duration;

use mr_model::limit::table;
use mr_model::{Counters, Failure, Role, TaskContext};
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Func, Lift, Lower, TypedFunc};

use crate::abi::{ContextArg, ErrorIn};
use crate::fault::Cause;
use crate::limits::{CancelToken, Deadline, GuestMemory, GuestOutput, Limits};
use crate::log::{Log, LogGate};
use crate::plugin::Plugin;
use crate::side::Sides;
use crate::state::{IdleLimit, MoreValues, Purpose, Sink, State};
use crate::ticker::Live;
use crate::wasi::WasiOptions;

/// What an instance is told and bounded by.
#[derive(Clone)]
pub struct InstanceOptions {
    /// The task attempt that it works for.
    pub context: TaskContext,
    /// Parameters of the job.
    pub params: Arc<[(String, String)]>,
    /// Pool of linear memory that it shares with the other instances of its slot.
    pub memory: Arc<GuestMemory>,
    /// Linear memory that it may have by itself, in bytes.
    pub memory_bytes_max: u64,
    /// Longest time that it may run without returning, emitting, fetching or counting.
    pub idle_timeout: Duration,
    /// When its attempt has to end; none for never.
    pub deadline: Option<Deadline>,
    /// What it may emit together with the other instances of its attempt.
    pub output: Arc<GuestOutput>,
    /// What its wall clock shows first, in seconds since 1970; none for a fixed moment.
    pub wall_clock: Option<u64>,
    /// Files that go with the job.
    pub sides: Sides,
    /// Stops it at the next tick, some 10 ms at most.
    pub cancel: CancelToken,
    /// Takes log lines of its attempt while it runs.
    pub log: Option<LogGate>,
}

/// Why a role's call failed. The instance is of no use after it, and nothing that it emitted counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct RoleError {
    /// What happened; its place is not known here.
    pub failure: Failure,
    /// Row (or group) of the input batch that the plugin blames.
    pub row: Option<u32>,
}

/// What is left of an instance that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleReport {
    /// What it counted.
    pub counters: Counters,
    /// Its last log lines, oldest first.
    pub log: Vec<String>,
    /// Most linear memory that it held, in bytes.
    pub memory_bytes_peak: u64,
}

/// An open instance of `role`.
pub(crate) struct RoleInstance {
    store: Store<State>,
    work: Func,
    close: Option<Func>,
    role: Role,
    poisoned: bool,
    _live: Live,
}

impl RoleInstance {
    /// Starts an instance and calls its `open`.
    pub(crate) fn open(
        plugin: &Plugin,
        role: Role,
        options: InstanceOptions,
        sink: Option<Box<dyn Sink>>,
        more: Option<Box<dyn MoreValues>>,
    ) -> Result<Self, RoleError> {
        let Some(functions) = plugin.functions(role) else {
            return Err(internal(format!("{} has no {role}", plugin.path().display())));
        };
        let core = &plugin.facts.core;
        let live = core.ticker.live();
        let mut store = core.store(state(role, &options, sink, more));
        let found = plugin.facts.pre.instantiate(&mut store).map(|instance| {
            let mut func = |index| instance.get_func(&mut store, index);
            (func(functions.open), func(functions.work), functions.close.map(func))
        });
        let (open, work, close) = match found {
            Ok((Some(open), Some(work), close)) => (open, work, close.flatten()),
            Ok(_) => return Err(internal(format!("a function of {role} is gone since it was checked"))),
            Err(error) => return Err(failed(Cause::of(error, store.data()), role, &store)),
        };
        let mut instance = Self { store, work, close, role, poisoned: false, _live: live };
        let context = ContextArg::from(&options.context);
        instance.call(0, false, open, (context,)).map(|()| instance)
    }

    /// Calls the role's work function on a batch of `rows` rows (or groups).
    pub(crate) fn work<P, T>(&mut self, rows: u32, more: bool, params: P) -> Result<T, RoleError>
    where
        P: ComponentNamedList + Lower,
        T: 'static,
        (Result<T, ErrorIn>,): ComponentNamedList + Lift,
    {
        self.call(rows, more, self.work, params)
    }

    /// Calls the role's `close`, where it has one.
    pub(crate) fn close(mut self) -> Result<RoleReport, RoleError> {
        match self.close {
            Some(close) => self.call(0, false, close, ())?,
            None if self.poisoned => return Err(self.reused()),
            None => {}
        }
        let state = self.store.data_mut();
        Ok(RoleReport {
            counters: std::mem::take(&mut state.counters),
            log: state.log().lines(),
            memory_bytes_peak: state.limits.memory_bytes_peak(),
        })
    }

    /// The guest broke the contract in what it returned.
    pub(crate) fn refuse(&mut self, cause: impl Into<Cause>) -> RoleError {
        self.poisoned = true;
        failed(cause.into(), self.role, &self.store)
    }

    /// Number of partitions that output is divided into.
    pub(crate) fn partitions(&self) -> u32 {
        self.store.data().partitions
    }

    fn call<P, T>(&mut self, rows: u32, more: bool, func: Func, params: P) -> Result<T, RoleError>
    where
        P: ComponentNamedList + Lower,
        T: 'static,
        (Result<T, ErrorIn>,): ComponentNamedList + Lift,
    {
        if std::mem::replace(&mut self.poisoned, true) {
            return Err(self.reused());
        }
        self.store.data_mut().begin(rows, more);
        // SAFETY: every function was looked up by its place and checked against these very types
        // when the plugin was loaded; only lifetimes differ, which the check does not see.
        let func = unsafe { TypedFunc::<P, (Result<T, ErrorIn>,)>::new_unchecked(func) };
        match func.call(&mut self.store, params) {
            Ok((Ok(answer),)) => {
                self.poisoned = false;
                Ok(answer)
            }
            Ok((Err(error),)) => {
                let mut failed = failed(Cause::answered(&error), self.role, &self.store);
                failed.row = error.row.filter(|row| *row < rows);
                Err(failed)
            }
            Err(error) => Err(failed(Cause::of(error, self.store.data()), self.role, &self.store)),
        }
    }

    fn reused(&self) -> RoleError {
        internal(format!("the {} was used after it had failed", self.role))
    }
}

fn state(
    role: Role,
    options: &InstanceOptions,
    sink: Option<Box<dyn Sink>>,
    more: Option<Box<dyn MoreValues>>,
) -> State {
    let limits = Limits::new(Arc::clone(&options.memory), options.memory_bytes_max);
    let log = Log::new(role, options.log.clone());
    let wasi = WasiOptions { seed: options.context.seed, wall_clock: options.wall_clock };
    let idle = IdleLimit { limit: &table::IDLE_TIME, allowed: options.idle_timeout };
    let mut state = State::new(Purpose::Role(role), limits, log, wasi, idle, options.cancel.clone());
    state.deadline = options.deadline;
    state.output = Some(Arc::clone(&options.output));
    state.params = Arc::clone(&options.params);
    state.sides = options.sides.clone();
    state.partitions = options.context.partitions;
    state.ports = u32::try_from(options.context.outputs.len()).unwrap_or(u32::MAX).max(1);
    state.sink = sink;
    state.more = more;
    state
}

fn failed(cause: Cause, role: Role, store: &Store<State>) -> RoleError {
    RoleError { failure: cause.into_failure(role, store.data()), row: None }
}

fn internal(message: String) -> RoleError {
    RoleError { failure: Failure::internal(message), row: None }
}
