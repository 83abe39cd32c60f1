//! A worker's side of its lease: how often it has to say that it lives, and how long it holds on to what
//! it runs and has while the coordinator is silent.
//!
//! Whether the lease has lapsed is the coordinator's word alone: it refuses what a fenced life says, and
//! only it commits parts, so that a worker that goes on does no harm. Giving up at the end of the lease
//! would: a coordinator that is back after a minute would find none of the map outputs it counts on. So
//! a worker goes on for [`AWAY_MAX`]. Must not read a clock: times are handed in. They come from the
//! monotonic clock, which goes on while the process is stopped.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Shortest lease that is believed, so that a coordinator that says 0 does not make a worker spin.
const LEASE_MIN: Duration = Duration::from_millis(50);
/// Longest lease that is believed: a worker that was lost for a day serves nobody.
const LEASE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Silence of the coordinator after which a life is given up: time for an operator to start it again,
/// and a bound on how long a lost cluster fills the disk.
const AWAY_MAX: Duration = Duration::from_secs(600);
/// Heartbeats in a lease: some may be lost before it lapses.
const HEARTBEATS_IN_LEASE: u32 = 5;
/// Heartbeats that may go unanswered before the connection counts as dead: there is time to make
/// another one then, within the lease.
const UNANSWERED_MAX: u32 = 2;
/// Heartbeats whose answer is awaited; older ones are not.
const AWAITED_MAX: usize = 64;

/// The lease of one life of a worker, once it was welcomed.
#[derive(Debug)]
pub(super) struct OwnLease {
    term: Duration,
    /// When the word was sent that renewed it last.
    renewed: Instant,
    /// Heartbeats that were sent on the present connection and not answered, oldest first.
    awaited: VecDeque<(u64, Instant)>,
    sequence: u64,
}

impl OwnLease {
    /// A lease of `term_millis`, given for a registration that was sent at `sent`.
    pub fn new(sent: Instant, term_millis: u64) -> Self {
        Self { term: term(term_millis), renewed: sent, awaited: VecDeque::new(), sequence: 0 }
    }

    /// A registration of the same life was taken at a new connection.
    pub fn welcomed(&mut self, sent: Instant, term_millis: u64) {
        self.term = term(term_millis);
        self.renewed = self.renewed.max(sent);
        self.awaited.clear();
    }

    /// Counts a heartbeat that is about to be sent, and numbers it.
    pub fn beat(&mut self, now: Instant) -> u64 {
        self.sequence += 1;
        if self.awaited.len() >= AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back((self.sequence, now));
        self.sequence
    }

    /// The answer to a heartbeat came. One that was not sent, or was answered before, changes nothing.
    pub fn heard(&mut self, sequence: u64) {
        let Some(at) = self.awaited.iter().position(|(sent, _)| *sent == sequence) else { return };
        if let Some((_, sent)) = self.awaited.drain(..=at).next_back() {
            self.renewed = self.renewed.max(sent);
        }
    }

    /// When the life is given up if nothing is heard.
    pub fn end(&self) -> Instant {
        self.renewed + self.term.max(AWAY_MAX)
    }

    /// Whether that is now.
    pub fn has_lapsed(&self, now: Instant) -> bool {
        now >= self.end()
    }

    /// Time between two heartbeats.
    pub fn interval(&self) -> Duration {
        self.term / HEARTBEATS_IN_LEASE
    }

    /// Whether so much went unanswered that the connection counts as dead.
    pub fn is_unanswered(&self, now: Instant) -> bool {
        let silence_max = self.interval() * UNANSWERED_MAX;
        self.awaited.front().is_some_and(|(_, sent)| now.duration_since(*sent) > silence_max)
    }
}

fn term(millis: u64) -> Duration {
    Duration::from_millis(millis).clamp(LEASE_MIN, LEASE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_counts_from_the_sending_of_what_was_answered() {
        let start = Instant::now();
        let mut lease = OwnLease::new(start, 10_000);
        assert_eq!(lease.interval(), 2 * SECOND);
        let first = lease.beat(start + 2 * SECOND);
        let second = lease.beat(start + 4 * SECOND);
        assert_eq!(lease.end(), start + AWAY_MAX);
        lease.heard(second);
        assert_eq!(lease.end(), start + 4 * SECOND + AWAY_MAX);
        // Late, double and invented answers change nothing.
        lease.heard(first);
        lease.heard(second);
        lease.heard(99);
        assert_eq!(lease.end(), start + 4 * SECOND + AWAY_MAX);
        assert!(!lease.has_lapsed(start + 3 * SECOND + AWAY_MAX));
        assert!(lease.has_lapsed(start + 4 * SECOND + AWAY_MAX));
    }

    #[test]
    fn answers_of_an_earlier_connection_do_not_count() {
        let start = Instant::now();
        let mut lease = OwnLease::new(start, 10_000);
        let lost = lease.beat(start + SECOND);
        assert!(!lease.is_unanswered(start + 5 * SECOND));
        assert!(lease.is_unanswered(start + 6 * SECOND));
        lease.welcomed(start + 3 * SECOND, 20_000);
        assert!(!lease.is_unanswered(start + 60 * SECOND));
        lease.heard(lost);
        assert_eq!(lease.end(), start + 3 * SECOND + AWAY_MAX);
        assert_eq!(lease.beat(start + 4 * SECOND), lost + 1);
    }

    #[test]
    fn absurd_terms_are_bounded() {
        let start = Instant::now();
        assert_eq!(OwnLease::new(start, 0).interval(), LEASE_MIN / HEARTBEATS_IN_LEASE);
        assert_eq!(OwnLease::new(start, u64::MAX).end(), start + LEASE_MAX);
    }
}
