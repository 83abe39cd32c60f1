//! How children are had: started, kept warm, given an order. A child is used once. Those that wait for
//! an order are up already, so that an attempt does not wait for its process; how many there are is
//! bounded, and none is started again before somebody needed one. They are started by a thread of their
//! own: where the machine is busy, that takes longer than a short attempt.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::frame::send_order;
use crate::hear::{Ear, Heard};
use crate::message::{Bounds, Order, Walls, Word, Work};
use crate::process::{Ended, Process, Program, clean};

/// Longest that a child may take until it waits for its order: it starts in milliseconds, on a machine
/// that may be busy.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Longest that a child may take to read its order, and to give up its rights: some bytes for every file
/// that it may read, of which there may be ten thousands.
const ENTER_PATIENCE: Duration = Duration::from_secs(60);
/// Children that wait for an order at most: attempts that begin at the same moment are few.
const SPARES_MAX: usize = 4;
/// Memory for looking at the platform alone, in bytes.
const LOOK_BYTES_MAX: u64 = 256 << 20;
/// Longest text of a child that is passed on, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = mr_model::limit::MESSAGE_BYTES_MAX;

/// Children of one program. Cheap to clone; those that wait, and the thread that starts them, end with the
/// last clone.
#[derive(Debug, Clone)]
pub struct Executors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spares: Arc<Spares>,
    /// Wakes the thread that fills up what is missing.
    wake: SyncSender<()>,
    required: bool,
    platform: Platform,
}

/// Children that wait for an order.
#[derive(Debug)]
struct Spares {
    program: Program,
    most: usize,
    waiting: Mutex<VecDeque<Executor>>,
}

/// What the platform offers to keep children in their place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// What is missing, for people; nothing where everything is there.
    pub missing: Vec<String>,
}

/// Why there can be no children.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorsError {
    /// The first child did not get as far as it should.
    #[error("processes that run plugins do not start on this machine: {reason}")]
    Start {
        /// What became of it.
        reason: String,
    },
    /// The platform does not offer what is required.
    #[error("this machine cannot keep plugins from everything as --isolation require asks: {missing}")]
    Missing {
        /// What is missing.
        missing: String,
    },
}

impl Executors {
    /// Tries out one child, and keeps as many warm as attempts may begin at once. `required` refuses
    /// machines where files or calls of the system cannot be kept from children.
    ///
    /// # Errors
    /// Where the program does not start as a child, and where something required is missing.
    pub fn start(program: Program, slots: usize, required: bool) -> Result<Self, ExecutorsError> {
        let look = Bounds {
            data_bytes_max: LOOK_BYTES_MAX,
            processor_seconds_max: None,
            file_bytes_max: None,
            required: false,
        };
        let failed = |reason: String| ExecutorsError::Start { reason };
        let mut first = Executor::start(&program).map_err(failed)?;
        first.wait_until_up().map_err(failed)?;
        let walls = first.order(&Order { bounds: look, work: Work::Look }, &[]).map_err(failed)?;
        let Walls { missing, landlock, seccomp } = walls;
        if required && !(landlock && seccomp) {
            return Err(ExecutorsError::Missing { missing: missing.join("; ") });
        }
        let spares =
            Arc::new(Spares { program, most: slots.clamp(1, SPARES_MAX), waiting: Mutex::default() });
        let (wake, woken) = sync_channel(1);
        let filled = spares.clone();
        let fill = move || {
            while woken.recv().is_ok() {
                filled.fill();
            }
        };
        let thread = std::thread::Builder::new().name("executors".into()).spawn(fill);
        thread.map_err(|error| failed(format!("the system gives no thread ({error})")))?;
        let executors = Self(Arc::new(Shared { spares, wake, required, platform: Platform { missing } }));
        executors.keep_warm();
        Ok(executors)
    }

    /// What the platform offers.
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// Whether children refuse to work where a wall is missing.
    pub(crate) fn required(&self) -> bool {
        self.0.required
    }

    /// A child that waits for its order. The error says what became of it, as a verb phrase.
    pub(crate) fn take(&self) -> Result<Executor, String> {
        // One that died while it waited is no reason to fail: another one is started, once.
        while let Some(mut spare) = self.0.spares.pop() {
            if spare.wait_until_up().is_ok() {
                return Ok(spare);
            }
        }
        let mut fresh = Executor::start(&self.0.spares.program)?;
        fresh.wait_until_up()?;
        Ok(fresh)
    }

    /// Has children started for later, if not enough are waiting.
    pub(crate) fn keep_warm(&self) {
        // Woken already, it looks anyway.
        let _ = self.0.wake.try_send(());
    }
}

impl Spares {
    fn pop(&self) -> Option<Executor> {
        self.waiting().pop_front()
    }

    /// Starts as many as are missing. Where one cannot be started, whoever needs it is told.
    fn fill(&self) {
        while self.waiting().len() < self.most {
            let Ok(spare) = Executor::start(&self.program) else { return };
            self.waiting().push_back(spare);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Executor>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A child and its words.
#[derive(Debug)]
pub(crate) struct Executor {
    process: Process,
    ear: Ear,
    up: bool,
}

impl Executor {
    /// Starts one; it is up later.
    pub fn start(program: &Program) -> Result<Self, String> {
        let started = Process::start(program);
        let (process, socket) =
            started.map_err(|error| format!("did not start: {} ({error})", program.path.display()))?;
        Ok(Self { process, ear: Ear::new(socket), up: false })
    }

    /// What kills it.
    pub fn pidfd(&self) -> Arc<OwnedFd> {
        self.process.pidfd()
    }

    /// Waits until it is up.
    pub fn wait_until_up(&mut self) -> Result<(), String> {
        if self.up {
            return Ok(());
        }
        match self.expect(Instant::now() + START_PATIENCE, "start")? {
            Word::Ready => {
                self.up = true;
                Ok(())
            }
            word => Err(self.strange(&word)),
        }
    }

    /// Gives it its order, and waits until it has given up its rights.
    pub fn order(&mut self, order: &Order, files: &[BorrowedFd<'_>]) -> Result<Walls, String> {
        let deadline = Instant::now() + ENTER_PATIENCE;
        let sent = self.ear.socket().set_write_timeout(Some(ENTER_PATIENCE));
        let sent = sent.and_then(|()| send_order(self.ear.socket(), order, files));
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(format!("cannot be told what to do: {error}"));
            }
            // It ended before it had read everything, and that says more.
            Err(_) => return Err(self.process.obituary().how),
        }
        match self.expect(deadline, "give up its rights")? {
            Word::Entered(walls) => Ok(walls),
            Word::Refused(reason) => Err(format!("cannot work: {}", clean(&reason, TEXT_BYTES_MAX))),
            word => Err(self.strange(&word)),
        }
    }

    /// The next that is heard of it.
    pub fn hear(&mut self, deadline: Instant) -> Heard {
        self.ear.hear(deadline)
    }

    /// The next word, which has to come.
    pub fn expect(&mut self, deadline: Instant, what: &str) -> Result<Word, String> {
        let begun = Instant::now();
        match self.ear.hear(deadline) {
            Heard::Word(word) => Ok(word),
            Heard::Nothing => {
                self.process.end();
                Err(format!("did not {what} within {} s and was killed", begun.elapsed().as_secs()))
            }
            Heard::End => Err(self.obituary().how),
            Heard::Garbage(reason) => Err(self.garbled(&reason)),
        }
    }

    /// How it ended, once it has closed its socket.
    pub fn obituary(&mut self) -> Ended {
        self.process.obituary()
    }

    /// Ends one that says what it should not.
    pub fn garbled(&mut self, reason: &str) -> String {
        self.process.end();
        format!("answered with what is no answer and was killed: {}", clean(reason, TEXT_BYTES_MAX))
    }

    /// Ends one that says something at the wrong moment.
    pub fn strange(&mut self, word: &Word) -> String {
        let kind = match word {
            Word::Ready => "ready",
            Word::Entered(_) => "entered",
            Word::Pulse(_) => "a pulse",
            Word::Log { .. } => "a log line",
            Word::Done(_) => "done",
            Word::Failed(_) => "failed",
            Word::Compiled => "compiled",
            Word::Facts(_) => "facts",
            Word::Refused(_) => "refused",
        };
        self.garbled(&format!("it said {kind:?} when that could not be"))
    }

    /// Ends it and waits until nothing of it is left.
    pub fn end(&mut self) {
        self.process.end();
    }
}
