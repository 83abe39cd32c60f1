//! The queues in which jobs wait for slots, and which job is next. Jobs of the highest priority come
//! first, then the queue with the fewest running attempts for its weight, in it the job with the
//! fewest for its own, then the one submitted first.
//!
//! Only queues with jobs are looked at for a decision, never all jobs of one. What the queues are
//! comes from events alone, so that a replay decides as the first run did.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use mr_model::JobId;
use serde::{Deserialize, Serialize};

use crate::config::{QUEUE_DEFAULT, QueueConfig};

/// Share of one running attempt at weight 1: fine enough to tell weights up to that apart.
const SHARE_SCALE: u64 = 1 << 32;

/// Where a job stands among those of its queue that could launch; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ReadyKey {
    priority: Reverse<i32>,
    /// Running attempts for each unit of weight, scaled.
    share: u64,
    order: u64,
}

impl ReadyKey {
    pub fn new(priority: i32, running: usize, weight: u32, order: u64) -> Self {
        Self { priority: Reverse(priority), share: share(running, weight), order }
    }
}

/// What a queue counts of one of its jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    /// Where the job stands, if it could launch something.
    pub key: Option<ReadyKey>,
    /// Its running attempts.
    pub running: usize,
}

/// A queue with jobs that have not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub config: QueueConfig,
    /// Running attempts of its jobs.
    pub running: usize,
    /// Its jobs.
    pub jobs: usize,
    /// Those that could launch something, in the order in which they get slots.
    ready: BTreeMap<ReadyKey, JobId>,
}

impl Line {
    fn has_room(&self) -> bool {
        self.config.slots_max.is_none_or(|slots| self.running < slots.max(1) as usize)
    }
}

/// All queues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queues {
    /// What the queues are, by the latest event; [`QUEUE_DEFAULT`] need not be among them.
    config: BTreeMap<String, QueueConfig>,
    lines: BTreeMap<String, Line>,
}

impl Queues {
    pub fn config(&self) -> &BTreeMap<String, QueueConfig> {
        &self.config
    }

    /// Sets other queues. Jobs of one that is gone stay in it, under plain settings.
    pub fn set_config(&mut self, config: BTreeMap<String, QueueConfig>) {
        for (name, line) in &mut self.lines {
            line.config = config.get(name).cloned().unwrap_or_default();
        }
        self.config = config;
    }

    pub fn is_known(&self, name: &str) -> bool {
        name == QUEUE_DEFAULT || self.config.contains_key(name)
    }

    /// Names of the queues that jobs may be submitted to, in order.
    pub fn known(&self) -> Vec<String> {
        let mut names: Vec<String> = self.config.keys().cloned().collect();
        if let Err(place) = names.binary_search_by(|name| name.as_str().cmp(QUEUE_DEFAULT)) {
            names.insert(place, QUEUE_DEFAULT.to_owned());
        }
        names
    }

    /// Queues with jobs that have not ended, in the order of their names.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Line)> {
        self.lines.iter().map(|(name, line)| (name.as_str(), line))
    }

    /// Whether another attempt may run for a job of the queue.
    pub fn has_room(&self, name: &str) -> bool {
        self.lines.get(name).is_none_or(Line::has_room)
    }

    /// Takes in a job.
    pub fn join(&mut self, name: &str) {
        let config = self.config.get(name).cloned().unwrap_or_default();
        let empty = || Line { config, running: 0, jobs: 0, ready: BTreeMap::new() };
        self.lines.entry(name.to_owned()).or_insert_with(empty).jobs += 1;
    }

    /// Lets go of a job.
    pub fn leave(&mut self, name: &str, id: &JobId, mut seat: Seat) {
        self.reseat(name, id, &mut seat, Seat::default());
        if let Some(line) = self.lines.get_mut(name) {
            line.jobs -= 1;
            if line.jobs == 0 {
                self.lines.remove(name);
            }
        }
    }

    /// Takes note that what counts of a job has changed.
    pub fn reseat(&mut self, name: &str, id: &JobId, seat: &mut Seat, wanted: Seat) {
        if *seat == wanted {
            return;
        }
        let Some(line) = self.lines.get_mut(name) else { return };
        line.running = line.running + wanted.running - seat.running;
        if seat.key != wanted.key {
            if let Some(key) = seat.key {
                line.ready.remove(&key);
            }
            if let Some(key) = wanted.key {
                line.ready.insert(key, id.clone());
            }
        }
        *seat = wanted;
    }

    /// The job that is next, and its queue. `passed` tells for some queues after which of their jobs
    /// to look on.
    pub fn next(&self, passed: &BTreeMap<String, ReadyKey>) -> Option<(&str, ReadyKey, &JobId)> {
        let candidates = self.lines.iter().filter(|(_, line)| line.has_room()).filter_map(|(name, line)| {
            let from = passed.get(name).map_or(Bound::Unbounded, |key| Bound::Excluded(*key));
            let (key, id) = line.ready.range((from, Bound::Unbounded)).next()?;
            Some((name.as_str(), share(line.running, line.config.weight), *key, id))
        });
        let first = candidates.min_by_key(|(_, share, key, _)| (key.priority, *share, *key))?;
        let (name, _, key, id) = first;
        Some((name, key, id))
    }
}

/// Running attempts for each unit of weight, scaled.
fn share(running: usize, weight: u32) -> u64 {
    let running = u64::try_from(running).unwrap_or(u64::MAX);
    running.saturating_mul(SHARE_SCALE) / u64::from(weight.max(1))
}
