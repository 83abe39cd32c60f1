//! The heartbeat of a sandbox: one thread that advances wasmtime's epoch while any instance lives,
//! so that running guests come back to the host to be checked. It sleeps when there is none, and
//! ends with the sandbox. Decides nothing about time or cancellation.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// Time between two ticks: how late a cancelled or stuck guest is noticed at most, against the cost
/// of waking a thread a hundred times a second.
const TICK: Duration = Duration::from_millis(10);

/// The thread's owner; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Proof that an instance lives; the epoch advances while there is one.
pub(crate) struct Live(Arc<Shared>);

struct Shared {
    pulse: Mutex<Pulse>,
    changed: Condvar,
}

#[derive(Default)]
struct Pulse {
    live: usize,
    stop: bool,
}

impl Ticker {
    /// Starts the thread. Fails where the system gives no thread.
    pub(crate) fn start(engine: Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared { pulse: Mutex::default(), changed: Condvar::new() });
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("epoch".into()).spawn(move || beat(&seen, &engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps the epoch advancing until the answer is dropped.
    pub(crate) fn live(&self) -> Live {
        let mut pulse = self.shared.lock();
        pulse.live += 1;
        if pulse.live == 1 {
            self.shared.changed.notify_one();
        }
        Live(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by its own hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.lock().live -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beat(shared: &Shared, engine: &Engine) {
    let mut pulse = shared.lock();
    while !pulse.stop {
        if pulse.live == 0 {
            pulse = shared.changed.wait(pulse).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        pulse = shared.changed.wait_timeout(pulse, TICK).unwrap_or_else(PoisonError::into_inner).0;
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_ends_with_its_owner() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        let live = ticker.live();
        drop(ticker);
        drop(live);
        assert!(shared.upgrade().is_none(), "the thread still holds its state");
    }
}
