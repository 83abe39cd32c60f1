//! How often attempts fail on a worker for reasons of its own, and when that sets it aside for a
//! while. Failures that lie in the plugin, its limits or its input say nothing about a worker.

use std::collections::VecDeque;
use std::time::Duration;

use mr_model::Failure;
use serde::{Deserialize, Serialize};

use crate::config::{ASIDE_MAX, ASIDE_MIN, WORKER_FAILURES_MAX, WORKER_FAILURES_WINDOW};
use crate::time::Time;

/// What is held against one life of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conduct {
    /// When the latest failures were, at most [`WORKER_FAILURES_MAX`] of them.
    failures: VecDeque<Time>,
    /// Until when it is set aside.
    aside_until: Option<Time>,
    /// How long it is or was set aside the last time.
    aside: Duration,
    /// When it took attempts again.
    reinstated: Time,
}

impl Conduct {
    /// Notes a failure; true when it is one too many.
    pub fn note_failure(&mut self, now: Time) -> bool {
        let failures = &mut self.failures;
        failures.push_back(now);
        while failures.len() > WORKER_FAILURES_MAX
            || failures.front().is_some_and(|failed| failed.after(WORKER_FAILURES_WINDOW) <= now)
        {
            failures.pop_front();
        }
        failures.len() >= WORKER_FAILURES_MAX
    }

    /// Sets the worker aside: twice as long as the last time if that is not long ago.
    pub fn set_aside(&mut self, now: Time) {
        let in_a_row = !self.aside.is_zero() && now < self.reinstated.after(WORKER_FAILURES_WINDOW);
        self.aside = if in_a_row { (self.aside * 2).min(ASIDE_MAX) } else { ASIDE_MIN };
        self.aside_until = Some(now.after(self.aside));
        self.failures.clear();
    }

    pub fn reinstate(&mut self, now: Time) {
        self.aside_until = None;
        self.reinstated = now;
    }

    /// Until when it is set aside, if it is.
    pub fn aside_until(&self) -> Option<Time> {
        self.aside_until
    }
}

/// Whether the failure of an attempt is held against the worker that ran it.
pub(crate) fn is_of_the_worker(failure: &Failure) -> bool {
    match failure {
        Failure::Disk { .. }
        | Failure::Internal { .. }
        | Failure::InputLost { .. }
        | Failure::Corrupt { map_task: None, .. }
        | Failure::Cancelled => true,
        // Complaints about a map's output are held against the worker that has it, where upheld.
        Failure::Fetch { .. }
        | Failure::Corrupt { .. }
        | Failure::Plugin { .. }
        | Failure::Limit { .. }
        | Failure::InputChanged { .. }
        | Failure::InputRecord { .. }
        | Failure::Rejects { .. }
        | Failure::RejectsShare { .. }
        | Failure::Condition { .. }
        // What a worker's owner does not allow is no sign of a sick machine.
        | Failure::Refused { .. } => false,
    }
}
