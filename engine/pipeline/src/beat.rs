//! Runs at certain times: the first at once, the others in even steps from there. Never two at the same
//! time: a beat that falls into a run is skipped.

use std::time::Duration;

/// Shortest time between two beats: what is run more often is one long run.
pub const EVERY_MIN: Duration = Duration::from_secs(1);

/// A clock that can be waited for.
pub trait Clock {
    /// Time since some moment that does not change.
    fn now(&self) -> Duration;

    /// Waits until a time; false if somebody wants to stop.
    fn wait_until(&mut self, then: Duration) -> bool;
}

/// The first beat after `now`.
pub fn next_beat(first: Duration, every: Duration, now: Duration) -> Duration {
    let every_nanos = every.max(EVERY_MIN).as_nanos();
    let beats = now.saturating_sub(first).as_nanos() / every_nanos + 1;
    let nanos = u64::try_from(beats.saturating_mul(every_nanos)).unwrap_or(u64::MAX);
    first.saturating_add(Duration::from_nanos(nanos))
}

/// Runs now and at every beat until somebody wants to stop.
///
/// # Errors
/// The first failure of a run.
pub fn repeat<E>(
    every: Duration,
    clock: &mut dyn Clock,
    mut run: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let first = clock.now();
    loop {
        run()?;
        if !clock.wait_until(next_beat(first, every, clock.now())) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    struct Fake {
        now: Rc<Cell<u64>>,
        until: u64,
    }

    impl Clock for Fake {
        fn now(&self) -> Duration {
            Duration::from_secs(self.now.get())
        }

        fn wait_until(&mut self, then: Duration) -> bool {
            assert!(then > self.now(), "a beat lies ahead");
            self.now.set(then.as_secs());
            then.as_secs() < self.until
        }
    }

    #[test]
    fn beats_that_fall_into_a_run_are_skipped() {
        let now = Rc::new(Cell::new(1_000));
        let begun = RefCell::new(Vec::new());
        let mut times = [0, 3, 10, 25, 9, 0].into_iter();
        let mut clock = Fake { now: Rc::clone(&now), until: 1_080 };
        let ended: Result<(), ()> = repeat(Duration::from_secs(10), &mut clock, || {
            begun.borrow_mut().push(now.get());
            now.set(now.get() + times.next().unwrap_or(0));
            Ok(())
        });
        assert_eq!(ended, Ok(()));
        assert_eq!(*begun.borrow(), [1_000, 1_010, 1_020, 1_040, 1_070]);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let mut clock = Fake { now: Rc::default(), until: 1_000 };
        let mut runs = 0;
        let ended = repeat(Duration::from_secs(1), &mut clock, || {
            runs += 1;
            if runs == 3 { Err("enough") } else { Ok(()) }
        });
        assert_eq!((ended, runs), (Err("enough"), 3));
        assert_eq!(next_beat(Duration::ZERO, Duration::ZERO, Duration::ZERO), EVERY_MIN);
    }
}
