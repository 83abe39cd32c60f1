//! Which workers take attempts, and which of them have free slots: the indexes in which placement
//! looks. Owns no truth; [`crate::worker`] brings them up to date with every change of a worker.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use mr_model::WorkerId;
use serde::{Deserialize, Serialize};

/// Workers by free slots, most free ones first.
type ByFree = BTreeSet<(Reverse<u32>, WorkerId)>;

/// The indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FreeSlots {
    /// Workers that take attempts, with their free slots.
    open: BTreeMap<WorkerId, u32>,
    /// Those of them with free slots.
    free: ByFree,
    /// The same by host, for workers that told theirs.
    on_host: BTreeMap<String, ByFree>,
}

impl FreeSlots {
    /// Takes note of a worker with now `after` instead of `before` free slots.
    pub fn update(&mut self, id: WorkerId, host: Option<&str>, open: bool, before: u32, after: u32) {
        if open {
            self.open.insert(id, after);
        } else {
            self.open.remove(&id);
        }
        if before == after {
            return;
        }
        replace(&mut self.free, id, before, after);
        if let Some(host) = host {
            if !self.on_host.contains_key(host) {
                self.on_host.insert(host.to_owned(), ByFree::new());
            }
            if let Some(workers) = self.on_host.get_mut(host) {
                replace(workers, id, before, after);
                if workers.is_empty() {
                    self.on_host.remove(host);
                }
            }
        }
    }

    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether a worker other than `except` takes attempts.
    pub fn has_open_beside(&self, except: WorkerId) -> bool {
        self.open.keys().any(|id| *id != except)
    }

    /// Whether a worker takes attempts that is not one of `avoid`.
    pub fn has_open_elsewhere(&self, avoid: &[WorkerId]) -> bool {
        self.open.len() > avoid.iter().filter(|worker| self.open.contains_key(worker)).count()
    }

    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Free slots of all workers that take attempts, counted up to `cap`.
    pub fn slots(&self, cap: usize) -> usize {
        let mut sum = 0_usize;
        for (Reverse(free), _) in &self.free {
            sum = sum.saturating_add(*free as usize);
            if sum >= cap {
                return cap;
            }
        }
        sum
    }

    /// Where a task runs that the workers `avoid` (ascending) have failed: on another one, and none
    /// yet where that has no slot free now; on one of them only if there is no other at all.
    pub fn place(&self, avoid: &[WorkerId]) -> Option<WorkerId> {
        self.place_elsewhere(avoid).or_else(|| {
            if self.has_open_elsewhere(avoid) { None } else { self.free.first().map(|&(_, id)| id) }
        })
    }

    /// The worker with most free slots that is not one of `avoid` (ascending).
    pub fn place_elsewhere(&self, avoid: &[WorkerId]) -> Option<WorkerId> {
        first_beside(&self.free, avoid)
    }

    /// The same among the workers of a host.
    pub fn place_on_host(&self, host: &str, avoid: &[WorkerId]) -> Option<WorkerId> {
        first_beside(self.on_host.get(host)?, avoid)
    }

    /// Whether the worker takes attempts and has a free slot.
    pub fn is_free(&self, id: WorkerId) -> bool {
        self.open.get(&id).is_some_and(|free| *free > 0)
    }

    /// Whether any worker with a free slot has told its host.
    pub fn knows_hosts(&self) -> bool {
        !self.on_host.is_empty()
    }
}

fn replace(workers: &mut ByFree, id: WorkerId, before: u32, after: u32) {
    workers.remove(&(Reverse(before), id));
    if after > 0 {
        workers.insert((Reverse(after), id));
    }
}

fn first_beside(workers: &ByFree, avoid: &[WorkerId]) -> Option<WorkerId> {
    workers.iter().map(|&(_, id)| id).find(|id| avoid.binary_search(id).is_err())
}
