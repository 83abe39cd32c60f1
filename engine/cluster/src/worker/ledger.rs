//! What a worker knows of the attempts of one life: which run, and how those ended that did.
//!
//! Every word of the coordinator may come twice or late, and every word to it may be lost, so the ends
//! of attempts are kept until they are noted, and some longer. A pure ledger: it starts and stops
//! nothing, and sends nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mr_model::{AttemptId, Incarnation, JobId};
use mr_scheduler::{Lease, Progress};
use mr_storage::ReadyParts;

use super::cancel::Cancel;
use super::share::Share;
use crate::protocol::AttemptEnd;

/// Ends that are kept in all: those that the coordinator asked for again, with their logs, and far more
/// than run at once.
const ENDED_MAX: usize = 1024;

/// How an attempt ended, as it is said.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// Which, where.
    pub lease: Lease,
    /// How.
    pub end: AttemptEnd,
    /// The plugin's last log lines.
    pub log: Vec<String>,
}

/// What to do about an order to launch.
#[derive(Debug)]
pub(super) enum Launch {
    /// It is new.
    Begin,
    /// It runs.
    Nothing,
    /// It has ended: this is to be said again.
    Repeat(Arc<Ended>),
}

/// An attempt that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// Stops it.
    pub cancel: Cancel,
    /// How far it has come.
    pub share: Arc<Share>,
}

#[derive(Debug)]
enum Known {
    Running(Running),
    Ended { word: Arc<Ended>, noted: bool },
}

type Key = (JobId, AttemptId);

/// The attempts of one life.
#[derive(Debug)]
pub(super) struct Ledger {
    life: Incarnation,
    known: BTreeMap<Key, Known>,
    /// Those that ended, oldest first; some may be gone from `known`.
    ended: VecDeque<Key>,
}

impl Ledger {
    /// Nothing is known yet.
    pub fn new(life: Incarnation) -> Self {
        Self { life, known: BTreeMap::new(), ended: VecDeque::new() }
    }

    /// Whether a lease is of this life. Words about others are not for us.
    pub fn is_ours(&self, lease: &Lease) -> bool {
        lease.incarnation == self.life
    }

    /// The attempt is to run.
    pub fn launch(&self, lease: &Lease) -> Launch {
        match self.known.get(&key(lease)) {
            None => Launch::Begin,
            Some(Known::Running(_)) => Launch::Nothing,
            Some(Known::Ended { word, .. }) => Launch::Repeat(word.clone()),
        }
    }

    /// The attempt runs.
    pub fn begun(&mut self, lease: &Lease, running: Running) {
        self.known.insert(key(lease), Known::Running(running));
    }

    /// The attempt is to stop. If it does not run, its end is returned, to be said at once: cancelled,
    /// however it ended before.
    pub fn cancel(&mut self, lease: &Lease) -> Option<Arc<Ended>> {
        if let Some(Known::Running(running)) = self.known.get(&key(lease)) {
            running.cancel.cancel();
            return None;
        }
        Some(self.ended(Ended { lease: lease.clone(), end: AttemptEnd::Cancelled, log: Vec::new() }))
    }

    /// Whether the attempt runs and was told to stop.
    pub fn is_cancelled(&self, lease: &Lease) -> bool {
        let known = self.known.get(&key(lease));
        matches!(known, Some(Known::Running(running)) if running.cancel.is_cancelled())
    }

    /// The attempt has ended. What is returned is to be said.
    pub fn ended(&mut self, word: Ended) -> Arc<Ended> {
        let (key, word) = (key(&word.lease), Arc::new(word));
        let known = Known::Ended { word: word.clone(), noted: false };
        if !matches!(self.known.insert(key.clone(), known), Some(Known::Ended { .. })) {
            self.ended.push_back(key);
        }
        self.forget_oldest();
        word
    }

    /// The coordinator has taken note of an end. It is kept a while in case it is asked for.
    pub fn noted(&mut self, lease: &Lease) {
        if let Some(Known::Ended { word, noted }) = self.known.get_mut(&key(lease)) {
            *noted = true;
            *word = Arc::new(Ended { log: Vec::new(), ..Ended::clone(word) });
        }
    }

    /// Ends that have to be said at a new connection, oldest first.
    pub fn unnoted(&self) -> impl Iterator<Item = Arc<Ended>> {
        self.ended.iter().filter_map(|key| match self.known.get(key) {
            Some(Known::Ended { word, noted: false }) => Some(word.clone()),
            _ => None,
        })
    }

    /// How far everything that runs has come.
    pub fn progress(&self) -> Vec<Progress> {
        let running = |(key, known): (&Key, &Known)| match known {
            Known::Running(running) => Some(Progress {
                job: key.0.clone(),
                attempt: key.1,
                parts_per_million: running.share.parts_per_million(),
            }),
            Known::Ended { .. } => None,
        };
        self.known.iter().filter_map(running).collect()
    }

    /// Jobs of which something runs.
    pub fn is_running(&self, job: &JobId) -> bool {
        self.of(job).any(|known| matches!(known, Known::Running(_)))
    }

    /// Stops everything of a job.
    pub fn cancel_job(&self, job: &JobId) {
        for known in self.of(job) {
            if let Known::Running(running) = known {
                running.cancel.cancel();
            }
        }
    }

    /// Stops everything.
    pub fn cancel_all(&self) {
        for known in self.known.values() {
            if let Known::Running(running) = known {
                running.cancel.cancel();
            }
        }
    }

    /// Parts of a job that the coordinator may never have heard of.
    pub fn unheard(&self, job: &JobId) -> Vec<ReadyParts> {
        let parts = |known: &Known| match known {
            Known::Ended { word, noted: false } => match &word.end {
                AttemptEnd::Parts { parts, .. } => Some(parts.clone()),
                _ => None,
            },
            _ => None,
        };
        self.of(job).filter_map(parts).collect()
    }

    /// Drops noted ends of a job that has ended; none of them will be asked for.
    pub fn forget(&mut self, job: &JobId) {
        self.known.retain(|key, known| key.0 != *job || !matches!(known, Known::Ended { noted: true, .. }));
        self.ended.retain(|key| self.known.contains_key(key));
    }

    fn of(&self, job: &JobId) -> impl Iterator<Item = &Known> {
        let first = (job.clone(), AttemptId { task: mr_model::TaskId::map(0), attempt: 0 });
        self.known.range(first..).take_while(move |(key, _)| key.0 == *job).map(|(_, known)| known)
    }

    /// Keeps the ledger bounded. What was noted goes first, then what was cancelled: the coordinator
    /// asks for it again if it cares. Results that were not noted stay.
    fn forget_oldest(&mut self) {
        let expendable: [fn(&Known) -> bool; 2] = [
            |known| matches!(known, Known::Ended { noted: true, .. }),
            |known| matches!(known, Known::Ended { word, .. } if matches!(word.end, AttemptEnd::Cancelled)),
        ];
        for is_expendable in expendable {
            if self.ended.len() <= ENDED_MAX {
                return;
            }
            let oldest = self.ended.iter().position(|key| self.known.get(key).is_none_or(is_expendable));
            if let Some(key) = oldest.and_then(|at| self.ended.remove(at)) {
                self.known.remove(&key);
            }
        }
    }
}

fn key(lease: &Lease) -> Key {
    (lease.job.clone(), lease.attempt)
}

#[cfg(test)]
mod tests {
    use mr_model::{Failure, Stage, TaskId, WorkerId};

    use super::*;

    const LIFE: Incarnation = Incarnation(7);

    fn lease(job: &str, stage: Stage, index: u32) -> Lease {
        let attempt = AttemptId { task: TaskId { stage, index }, attempt: 0 };
        Lease { job: JobId::new(job).unwrap(), attempt, worker: WorkerId(1), incarnation: LIFE }
    }

    fn failed(lease: &Lease) -> Ended {
        let end = AttemptEnd::Failed(Failure::internal("it broke"));
        Ended { lease: lease.clone(), end, log: vec!["line".into()] }
    }

    fn running() -> Running {
        Running { cancel: Cancel::default(), share: Arc::default() }
    }

    #[test]
    fn an_end_is_said_until_it_is_noted_and_again_when_asked_for() {
        let mut ledger = Ledger::new(LIFE);
        let lease = lease("a", Stage::Map, 0);
        assert!(matches!(ledger.launch(&lease), Launch::Begin));
        ledger.begun(&lease, running());
        assert!(matches!(ledger.launch(&lease), Launch::Nothing));
        assert_eq!(ledger.progress().len(), 1);
        ledger.ended(failed(&lease));
        assert_eq!(ledger.progress(), []);
        assert_eq!(ledger.unnoted().count(), 1);
        ledger.noted(&lease);
        assert_eq!(ledger.unnoted().count(), 0);
        let Launch::Repeat(word) = ledger.launch(&lease) else { panic!("it runs again") };
        assert!(matches!(word.end, AttemptEnd::Failed(_)));
    }

    #[test]
    fn what_was_cancelled_never_begins() {
        let mut ledger = Ledger::new(LIFE);
        let (unknown, known) = (lease("a", Stage::Map, 0), lease("a", Stage::Reduce, 0));
        let word = ledger.cancel(&unknown).unwrap();
        assert!(matches!(word.end, AttemptEnd::Cancelled));
        assert!(matches!(ledger.launch(&unknown), Launch::Repeat(_)));
        ledger.begun(&known, running());
        assert!(ledger.cancel(&known).is_none());
        assert!(ledger.is_cancelled(&known));
        // One that ended otherwise is said to be cancelled, or two sides would argue for ever.
        ledger.ended(failed(&known));
        assert!(matches!(ledger.cancel(&known).unwrap().end, AttemptEnd::Cancelled));
        assert_eq!(ledger.unnoted().count(), 2);
    }

    #[test]
    fn jobs_are_told_apart() {
        let mut ledger = Ledger::new(LIFE);
        let leases = [("a", Stage::Map), ("b", Stage::Map), ("b", Stage::Reduce), ("ba", Stage::Map)];
        let leases = leases.map(|(job, stage)| lease(job, stage, 3));
        for lease in &leases {
            ledger.begun(lease, running());
        }
        ledger.cancel_job(&leases[1].job);
        assert_eq!(leases.each_ref().map(|lease| ledger.is_cancelled(lease)), [false, true, true, false]);
        for lease in &leases[1..3] {
            assert!(ledger.is_running(&lease.job));
            ledger.ended(failed(lease));
            ledger.noted(lease);
        }
        assert!(!ledger.is_running(&leases[1].job));
        ledger.forget(&leases[1].job);
        assert!(matches!(ledger.launch(&leases[1]), Launch::Begin));
        assert!(matches!(ledger.launch(&leases[3]), Launch::Nothing));
    }

    #[test]
    fn it_is_bounded_and_keeps_results() {
        let mut ledger = Ledger::new(LIFE);
        let result = lease("a", Stage::Map, 0);
        ledger.ended(failed(&result));
        for index in 0..2 * u32::try_from(ENDED_MAX).unwrap() {
            let other = lease("a", Stage::Reduce, index);
            ledger.cancel(&other);
        }
        assert_eq!(ledger.known.len(), ENDED_MAX);
        assert_eq!(ledger.ended.len(), ENDED_MAX);
        assert!(matches!(ledger.unnoted().next().unwrap().end, AttemptEnd::Failed(_)));
    }
}
