//! From what went wrong inside a guest's call to the [`Failure`] that the scheduler decides by and
//! people read. All errors of wasmtime end here; nothing else looks at them.

use std::fmt;
use std::time::Duration;

use mr_model::limit::{COUNTERS_MAX, MESSAGE_BYTES_MAX};
use mr_model::{Failure, LastWords, PluginFault, Role};
use wasmtime::{OutOfMemory, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::abi::{ErrorIn, ErrorKind};
use crate::limits::show_bytes;
use crate::log::clean;
use crate::state::State;

/// Functions named in a trap's message: enough to find the place, short enough to read.
const TRAP_FUNCTIONS_MAX: usize = 3;
/// Longest function name shown, in bytes: generic code has names of kilobytes.
const FUNCTION_NAME_BYTES_MAX: usize = 120;

/// Why the host stops a guest, on its way through the guest's frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The guest broke the interface's contract.
    #[error("{0}")]
    Contract(String),
    /// The task was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The guest ran too long without getting anywhere.
    #[error("no progress for {idle:?}, {allowed:?} are allowed")]
    Idle { idle: Duration, allowed: Duration },
    /// One counter too many.
    #[error("more than {COUNTERS_MAX} counters")]
    Counters,
    /// A part of the engine failed while it served the guest.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Why a call failed, before it is known in which role.
#[derive(Debug)]
pub(crate) enum Cause {
    Plugin { fault: PluginFault, message: String },
    Limit { limit: &'static str, value: String, cap: String, option: &'static str },
    Failure(Failure),
}

impl Cause {
    /// Finds the cause of an error of a guest's call.
    pub(crate) fn of(error: wasmtime::Error, state: &State) -> Self {
        let error = match error.downcast::<Fault>() {
            Ok(fault) => return Self::from(fault),
            Err(error) => error,
        };
        if let Some(denied) = state.limits.denied() {
            return Cause::Limit {
                limit: "guest memory",
                value: show_bytes(denied.wanted),
                cap: show_bytes(denied.cap),
                option: "--guest-memory",
            };
        }
        if error.is::<OutOfMemory>() {
            return Cause::Failure(Failure::internal("the host is out of memory"));
        }
        if let Some(I32Exit(status)) = error.downcast_ref() {
            return Cause::plugin(PluginFault::Trap, format!("it exited with status {status}"));
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => {
                let message = state.log().take_error().unwrap_or_else(|| describe_trap(trap, &error));
                Cause::plugin(PluginFault::Trap, message)
            }
            // What is left is the canonical ABI refusing what the guest passed.
            None => Cause::plugin(PluginFault::Contract, clean(&error.root_cause().to_string())),
        }
    }

    /// An error that the plugin answered with.
    pub(crate) fn answered(error: &ErrorIn) -> Self {
        let fault = match error.kind {
            ErrorKind::InvalidInput => PluginFault::InvalidInput,
            ErrorKind::Transient => PluginFault::Transient,
            ErrorKind::Fatal => PluginFault::Fatal,
        };
        Cause::plugin(fault, clean(&error.message))
    }

    /// The failure of `role`, with its last log lines.
    pub(crate) fn into_failure(self, role: Role, state: &State) -> Failure {
        let words = LastWords::from(state.log().lines());
        match self {
            Cause::Plugin { fault, message } => Failure::Plugin { fault, role, message, place: None, words },
            Cause::Limit { limit, value, cap, option } => {
                Failure::Limit { role, limit: limit.into(), value, cap, option: option.into(), words }
            }
            Cause::Failure(failure) => failure,
        }
    }

    fn plugin(fault: PluginFault, message: String) -> Self {
        Cause::Plugin { fault, message }
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Contract(message) => Cause::plugin(PluginFault::Contract, message),
            Fault::Cancelled => Cause::Failure(Failure::Cancelled),
            Fault::Idle { idle, allowed } => Cause::Limit {
                limit: "time without progress",
                value: format!("{:.1?}", idle),
                cap: format!("{allowed:.1?}"),
                option: "--task-timeout",
            },
            Fault::Counters => Cause::Limit {
                limit: "counters",
                value: (COUNTERS_MAX + 1).to_string(),
                cap: COUNTERS_MAX.to_string(),
                option: "",
            },
            Fault::Failure(failure) => Cause::Failure(failure),
        }
    }
}

/// For whoever loads a plugin, where there is no role yet.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Plugin { message, .. } => f.write_str(message),
            Cause::Limit { limit, value, cap, .. } => {
                write!(f, "it went over its limit of {limit}: {value}, and {cap} are allowed")
            }
            Cause::Failure(failure) => failure.fmt(f),
        }
    }
}

/// The trap, and the innermost functions that are the plugin's own rather than its runtime's.
fn describe_trap(trap: &Trap, error: &wasmtime::Error) -> String {
    let mut message = trap.to_string();
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return message };
    let names: Vec<String> =
        backtrace.frames().iter().filter_map(|frame| frame.func_name()).map(demangle).collect();
    let mut shown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_runtime(name)).collect();
    if shown.is_empty() {
        shown = names.iter().map(String::as_str).collect();
    }
    shown.truncate(TRAP_FUNCTIONS_MAX);
    for (i, name) in shown.into_iter().enumerate() {
        message.push_str(if i == 0 { ", in " } else { ", called by " });
        message.push_str(&name[..name.floor_char_boundary(FUNCTION_NAME_BYTES_MAX)]);
    }
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    message
}

fn demangle(name: &str) -> String {
    clean(&format!("{:#}", rustc_demangle::demangle(name)))
}

/// True for the functions that every panic of a Rust or C plugin goes through.
fn is_runtime(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    let prefixes = ["std::", "core::", "alloc::", "__rust", "__rustc", "rust_", "panic", "abort"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}
