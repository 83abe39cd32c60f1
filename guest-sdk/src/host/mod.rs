//! The imports of a plugin, under one name for both kinds of build: the real ones in the sandbox,
//! stand-ins that write down what was said in a native process. Nothing else of the SDK knows
//! which build it is in.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod sandbox;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Said, emit, emitted, emitted_to, next_values, params, recycle, take_said};
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{count, log, reject, set_group_rest, side_input_bytes, side_input_read, start};
#[cfg(target_family = "wasm")]
pub(crate) use sandbox::{count, emit, log, next_values, params, reject, side_input_bytes, side_input_read};

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever debugs a single record.
    Trace,
    /// For whoever debugs the plugin.
    Debug,
    /// For whoever runs the job.
    Info,
    /// Something is odd, the result is not harmed.
    Warn,
    /// Something went wrong.
    Error,
}
