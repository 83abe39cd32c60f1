//! Stand-ins for the imports in a native process: one task at a time for each thread.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::mem;

use crate::wire::{Batch, Column};

use super::Level;

/// Emptied batches that are kept for reuse: as many as one call is likely to fill.
const SPARE_BATCHES_MAX: usize = 8;

/// What a plugin said besides records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) counters: BTreeMap<String, i64>,
    pub(crate) rejects: Vec<(u32, String)>,
    pub(crate) log: Vec<(Level, String)>,
}

#[derive(Default)]
struct Host {
    params: Vec<(String, String)>,
    side_inputs: BTreeMap<String, Vec<u8>>,
    emitted: VecDeque<Batch>,
    /// What was emitted to named outputs, with their ports.
    emitted_to: Vec<(u32, Batch)>,
    spare: Vec<Batch>,
    group_rest: VecDeque<(u32, Column)>,
    said: Said,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Begins a task with these parameters and side inputs; what the last one left is forgotten.
pub(crate) fn start(params: Vec<(String, String)>, side_inputs: BTreeMap<String, Vec<u8>>) {
    crate::task::forget_counters();
    HOST.set(Host { params, side_inputs, ..Host::default() });
}

/// The oldest batch that was emitted and not taken yet.
pub(crate) fn emitted() -> Option<Batch> {
    HOST.with_borrow_mut(|host| host.emitted.pop_front())
}

/// What was emitted to named outputs and not taken yet, with their ports.
pub(crate) fn emitted_to() -> Vec<(u32, Batch)> {
    HOST.with_borrow_mut(|host| mem::take(&mut host.emitted_to))
}

/// Gives back the memory of a batch.
pub(crate) fn recycle(mut batch: Batch) {
    batch.clear();
    HOST.with_borrow_mut(|host| {
        if host.spare.len() < SPARE_BATCHES_MAX {
            host.spare.push(batch);
        }
    });
}

/// What was said since the task began.
pub(crate) fn take_said() -> Said {
    HOST.with_borrow_mut(|host| mem::take(&mut host.said))
}

/// What [`next_values`] answers from now on.
pub(crate) fn set_group_rest(parts: impl IntoIterator<Item = (u32, Column)>) {
    HOST.with_borrow_mut(|host| host.group_rest = parts.into_iter().collect());
}

/// Takes the batch and leaves an empty one in its place, so that nothing is copied here either.
pub(crate) fn emit(port: u32, batch: &mut Batch) {
    HOST.with_borrow_mut(|host| {
        let mut next = host.spare.pop().unwrap_or_default();
        (next.keys.width, next.values.width) = (batch.keys.width, batch.values.width);
        let full = mem::replace(batch, next);
        match port {
            0 => host.emitted.push_back(full),
            named => host.emitted_to.push((named, full)),
        }
    });
}

pub(crate) fn reject(row: u32, reason: &str) {
    HOST.with_borrow_mut(|host| host.said.rejects.push((row, reason.to_owned())));
}

pub(crate) fn next_values() -> Option<(u32, Column)> {
    HOST.with_borrow_mut(|host| host.group_rest.pop_front())
}

pub(crate) fn params() -> Vec<(String, String)> {
    HOST.with_borrow(|host| host.params.clone())
}

pub(crate) fn count(deltas: Vec<(String, i64)>) {
    HOST.with_borrow_mut(|host| {
        for (name, delta) in deltas {
            let sum = host.said.counters.entry(name).or_default();
            *sum = sum.saturating_add(delta);
        }
    });
}

pub(crate) fn log(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.said.log.push((level, message.to_owned())));
}

pub(crate) fn side_input_bytes(name: &str) -> Option<u64> {
    HOST.with_borrow(|host| host.side_inputs.get(name).map(|bytes| bytes.len() as u64))
}

pub(crate) fn side_input_read(name: &str, offset: u64, len: u32) -> Vec<u8> {
    HOST.with_borrow(|host| {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = host.side_inputs.get(name).and_then(|bytes| bytes.get(start..)).unwrap_or_default();
        rest[..rest.len().min(len as usize)].to_vec()
    })
}
