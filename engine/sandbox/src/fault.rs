//! From what went wrong inside a guest's call to the [`Failure`] that the scheduler decides by and
//! people read. All errors of wasmtime end here; nothing else looks at them.

use std::fmt;

use mr_model::limit::{Limit, MESSAGE_BYTES_MAX, STACK_FUNCTIONS_MAX, table};
use mr_model::{Failure, LastWords, PluginFault, Role};
use wasmtime::component::ResourceTableError;
use wasmtime::{OutOfMemory, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::abi::{ErrorIn, ErrorKind};
use crate::limits::Passed;
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
    /// The guest went over a limit.
    #[error("over the limit of {}", .0.limit)]
    Limit(Passed),
    /// A part of the engine failed while it served the guest.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Why a call failed, before it is known in which role. `stack` names the functions that the guest was
/// in, innermost first.
#[derive(Debug)]
pub(crate) enum Cause {
    Plugin { fault: PluginFault, message: String, stack: Vec<String> },
    Limit { passed: Passed, stack: Vec<String> },
    Failure(Failure),
}

impl Cause {
    /// Finds the cause of an error of a guest's call.
    pub(crate) fn of(error: wasmtime::Error, state: &State) -> Self {
        let names = function_names(&error);
        let stack = folded(&names);
        let error = match error.downcast::<Fault>() {
            Ok(Fault::Contract(message)) => {
                return Cause::Plugin { fault: PluginFault::Contract, message, stack };
            }
            Ok(Fault::Limit(passed)) => return Cause::Limit { passed, stack },
            Ok(fault) => return Self::from(fault),
            Err(error) => error,
        };
        if let Some(passed) = passed(&error, state) {
            return Cause::Limit { passed, stack };
        }
        if error.is::<OutOfMemory>() {
            return Cause::Failure(Failure::internal("the host is out of memory"));
        }
        if let Some(I32Exit(status)) = error.downcast_ref() {
            let message = format!("it exited with status {status}");
            return Cause::Plugin { fault: PluginFault::Trap, message, stack };
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => {
                let message = state.log().take_error().unwrap_or_else(|| describe_trap(trap, &names));
                Cause::Plugin { fault: PluginFault::Trap, message, stack }
            }
            // What is left is the canonical ABI refusing what the guest passed.
            None => {
                let message = refused_by_abi(&clean(&error.root_cause().to_string()));
                Cause::Plugin { fault: PluginFault::Contract, message, stack }
            }
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

    /// The failure of `role`, with its last words.
    pub(crate) fn into_failure(self, role: Role, state: &State) -> Failure {
        let words = |stack| LastWords { log: state.log().lines(), stack, record: None };
        match self {
            Cause::Plugin { fault, message, stack } => {
                Failure::Plugin { fault, role, message, place: None, words: words(stack) }
            }
            Cause::Limit { passed: Passed { limit, value, cap }, stack } => {
                let mut failure = limit.passed_by(role, value, cap);
                if let Some(left) = failure.words_mut() {
                    *left = words(stack);
                }
                failure
            }
            Cause::Failure(mut failure) => {
                // A sink that refuses what it was given does not know what the plugin said.
                if let Some(left) = failure.words_mut()
                    && left.log.is_empty()
                {
                    left.log = state.log().lines();
                }
                failure
            }
        }
    }

    fn plugin(fault: PluginFault, message: String) -> Self {
        Cause::Plugin { fault, message, stack: Vec::new() }
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Contract(message) => Cause::plugin(PluginFault::Contract, message),
            Fault::Cancelled => Cause::Failure(Failure::Cancelled),
            Fault::Limit(passed) => Cause::Limit { passed, stack: Vec::new() },
            Fault::Failure(failure) => Cause::Failure(failure),
        }
    }
}

/// For whoever loads a plugin, where there is no role yet.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Plugin { message, .. } => f.write_str(message),
            Cause::Limit { passed: Passed { limit, value, cap }, .. } => {
                write!(f, "it went over its limit of {limit}: {value}, and {} are allowed", limit.show(*cap))
            }
            Cause::Failure(failure) => failure.fmt(f),
        }
    }
}

/// The limit behind an error that wasmtime made, if it is one.
fn passed(error: &wasmtime::Error, state: &State) -> Option<Passed> {
    if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
        return Some(Passed::fixed(&table::STACK));
    }
    if let Some(denied) = state.limits.denied() {
        return Some(denied.clone());
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(Passed::fixed(&table::HANDLES));
    }
    passed_in_words(&error.root_cause().to_string())
}

/// The limits for which wasmtime has no type of error, only words. Tests hold it to them; where they
/// change unnoticed, the guest is stopped all the same, and only the sentence is worse.
fn passed_in_words(words: &str) -> Option<Passed> {
    if words.starts_with("too much data is being copied between the host and the guest") {
        return Some(Passed::fixed(&table::HOSTCALL_BYTES));
    }
    if words.ends_with("store handle limit exceeded") {
        return Some(Passed::fixed(&table::HANDLES));
    }
    let (what, count) = words.strip_prefix("resource limit exceeded: ")?.split_once(" count too high at ")?;
    let limit: &'static Limit = match what {
        "instance" => &table::INSTANCES,
        "memory" => &table::MEMORIES,
        "table" => &table::TABLES,
        _ => return None,
    };
    Some(Passed::new(limit, count.parse().ok()?, limit.max?))
}

/// What is wrong with what the guest passed, from the words with which the canonical ABI refuses it.
fn refused_by_abi(words: &str) -> String {
    let meaning = [
        ("utf-8", "it passed text that is not UTF-8"),
        ("realloc return", "its allocator answered with memory that it does not have"),
        ("out of bounds", "what it passed lies outside of its memory"),
        ("not aligned", "what it passed does not lie where it has to"),
    ];
    match meaning.into_iter().find(|(part, _)| words.contains(part)) {
        Some((_, meaning)) => format!("{meaning} ({words})"),
        None => words.to_owned(),
    }
}

/// The trap, and the innermost functions that are the plugin's own rather than its runtime's.
fn describe_trap(trap: &Trap, names: &[String]) -> String {
    let mut message = trap.to_string();
    let mut shown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_runtime(name)).collect();
    if shown.is_empty() {
        shown = names.iter().map(String::as_str).collect();
    }
    shown.truncate(TRAP_FUNCTIONS_MAX);
    for (i, name) in shown.into_iter().enumerate() {
        message.push_str(if i == 0 { ", in " } else { ", called by " });
        message.push_str(name);
    }
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    message
}

/// Names of the functions that a guest was in, innermost first.
fn function_names(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    backtrace.frames().iter().filter_map(|frame| frame.func_name()).map(demangle).collect()
}

/// The names with how often each comes one after the other, as many as are told.
fn folded(names: &[String]) -> Vec<String> {
    let runs = names.chunk_by(|a, b| a == b).take(STACK_FUNCTIONS_MAX);
    let told = |run: &[String]| match run {
        [name] => name.clone(),
        [name, ..] => format!("{name} ({} times)", run.len()),
        [] => String::new(),
    };
    runs.map(told).collect()
}

fn demangle(name: &str) -> String {
    let mut name = clean(&format!("{:#}", rustc_demangle::demangle(name)));
    name.truncate(name.floor_char_boundary(FUNCTION_NAME_BYTES_MAX));
    name
}

/// True for the functions that every panic of a Rust or C plugin goes through.
fn is_runtime(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    let prefixes = ["std::", "core::", "alloc::", "__rust", "__rustc", "rust_", "panic", "abort"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}
