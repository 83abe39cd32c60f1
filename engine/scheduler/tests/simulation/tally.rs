//! What was seen over all histories, so that a simulation that stops making trouble is noticed.

use std::collections::BTreeMap;

/// Kinds of trouble without which a run tests less than it says.
const TROUBLE: [&str; 16] = [
    "backup",
    "coordinator crash",
    "crash after a rename",
    "crash before the actions",
    "crash with a tail",
    "fenced",
    "full disk forgiven",
    "grant awaited",
    "grant passed",
    "late word",
    "map rerun",
    "queues changed",
    "reinstated",
    "rename after rename",
    "resized",
    "set aside",
];

/// How often things were seen over all histories.
#[derive(Debug, Default)]
pub struct Tally {
    outcomes: BTreeMap<&'static str, u64>,
    events: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        for (name, count) in &other.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        for (name, count) in &other.events {
            *self.events.entry(name).or_default() += count;
        }
    }

    /// A simulation that stops producing a kind of trouble tests nothing about it.
    pub fn assert_everything_was_seen(&self) {
        for name in ["succeeded", "failed", "cancelled", "no-workers", "refused"] {
            assert!(self.outcomes.contains_key(name), "no job was ever {name}");
        }
        for name in TROUBLE {
            assert!(self.events.contains_key(name), "never seen: {name}");
        }
    }

    pub fn see(&mut self, name: &'static str) {
        *self.events.entry(name).or_default() += 1;
    }

    pub fn end(&mut self, outcome: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }
}
