//! The real imports: the bindings of world `imports`, under the SDK's names.

use crate::bindings::imports::mr::engine::{config, counters, group_values, logging, output, side_input};
use crate::wire::{Batch, Column};

use super::Level;

/// Sends a batch on. The host reads it where it lies: nothing is copied here.
pub(crate) fn emit(port: u32, batch: &mut Batch) {
    output::emit(port, batch);
}

pub(crate) fn reject(row: u32, reason: &str) {
    output::reject(row, reason);
}

pub(crate) fn next_values() -> Option<(u32, Column)> {
    group_values::next().map(|values| (values.rows, values.cells))
}

pub(crate) fn params() -> Vec<(String, String)> {
    config::get_all()
}

pub(crate) fn count(deltas: Vec<(String, i64)>) {
    counters::add(&deltas);
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, message);
}

pub(crate) fn side_input_bytes(name: &str) -> Option<u64> {
    side_input::size(name)
}

pub(crate) fn side_input_read(name: &str, offset: u64, len: u32) -> Vec<u8> {
    side_input::read(name, offset, len)
}
