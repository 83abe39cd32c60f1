//! The coordinator's thread: owns the core, feeds it, carries out its effects. Everything that others
//! want of the core comes as a [`Message`] through one bounded queue, and many messages make one round,
//! thus one write of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mr_model::{AttemptId, Incarnation, JobId, WorkerId};
use mr_scheduler::Time;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Stores;
use super::core::{Core, Effect, Input, OutputDone};
use super::journal::JournalError;
use super::output::{Outputs, Task};
use crate::protocol::{
    Answer, Order, PAGE_ROWS_MAX, Refused, Registration, Request, SubmitHead, SubmitReply, SubmittedPlan,
    TaskOrder, WAIT_MILLIS_MAX, WorkerWord,
};

/// Longest time between two looks at what time alone decides.
const TICK: Duration = Duration::from_millis(100);
/// Messages that wait for the core; those who send more wait.
pub const MESSAGES_MAX: usize = 4096;
/// Messages of one round.
const ROUND_MAX: usize = 1024;

/// What the core is to do or to tell.
pub enum Message {
    /// A worker connected; `orders` goes to it.
    Registered {
        /// Its id.
        worker: WorkerId,
        /// Its name.
        name: String,
        /// What it says of itself.
        registration: Registration,
        /// Takes orders to it.
        orders: mpsc::Sender<Order>,
    },
    /// A worker's connection ended.
    Disconnected {
        /// The worker.
        worker: WorkerId,
        /// The process that was connected.
        instance: u64,
    },
    /// A worker said something.
    Word {
        /// The worker.
        worker: WorkerId,
        /// The life that it spoke in.
        incarnation: Incarnation,
        /// What it said.
        word: WorkerWord,
        /// Lets the worker say more once this was heard.
        room: OwnedSemaphorePermit,
    },
    /// Whether a submission is known already.
    Known {
        /// The submission.
        head: SubmitHead,
        /// The answer, if it is known.
        reply: oneshot::Sender<Option<SubmitReply>>,
    },
    /// A job is submitted.
    Submit {
        /// What makes it.
        head: SubmitHead,
        /// Its plan.
        plan: Box<SubmittedPlan>,
        /// Takes the answer.
        reply: oneshot::Sender<SubmitReply>,
    },
    /// A client asks.
    Ask {
        /// What.
        request: Request,
        /// Takes the answer.
        reply: oneshot::Sender<Answer>,
    },
    /// A worker wants the description of a job.
    Description {
        /// The job.
        job: JobId,
        /// Takes it, encoded.
        reply: oneshot::Sender<Option<Arc<[u8]>>>,
    },
    /// A worker wants to know what an attempt works on.
    Task {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: AttemptId,
        /// Takes it.
        reply: oneshot::Sender<Option<TaskOrder>>,
    },
    /// Work on an output is done.
    Output {
        /// The job.
        job: JobId,
        /// What came of it.
        done: OutputDone,
    },
}

/// A clock of milliseconds since 1970 that never goes back while the process lives.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix_millis: u64,
    since: Instant,
}

impl Clock {
    /// A clock that shows the system's time now.
    pub fn start() -> Self {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { unix_millis: millis(unix), since: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Time {
        Time(self.unix_millis.saturating_add(millis(self.since.elapsed())))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A client that waits for a job to change.
struct Waiter {
    job: JobId,
    seen: u64,
    deadline: Instant,
    reply: oneshot::Sender<Answer>,
}

/// A connected worker.
struct Session {
    instance: u64,
    orders: mpsc::Sender<Order>,
}

/// Owner of the core.
pub struct Driver {
    core: Core,
    stores: Stores,
    clock: Clock,
    messages: mpsc::Receiver<Message>,
    /// For those who do work on outputs.
    back: mpsc::Sender<Message>,
    sessions: BTreeMap<WorkerId, Session>,
    submissions: BTreeMap<u64, oneshot::Sender<SubmitReply>>,
    next_ticket: u64,
    waiters: Vec<Waiter>,
    outputs: Outputs,
    /// Of the words of this round.
    heard: Vec<OwnedSemaphorePermit>,
}

impl Driver {
    /// Puts a core to work; `effects` is what it wants done first.
    pub fn new(
        core: Core,
        stores: Stores,
        clock: Clock,
        effects: Vec<Effect>,
        messages: mpsc::Receiver<Message>,
        back: mpsc::Sender<Message>,
        outputs: Outputs,
    ) -> Self {
        let mut driver = Self {
            core,
            stores,
            clock,
            messages,
            back,
            sessions: BTreeMap::new(),
            submissions: BTreeMap::new(),
            next_ticket: 0,
            waiters: Vec::new(),
            outputs,
            heard: Vec::new(),
        };
        driver.carry_out(effects);
        driver
    }

    /// Runs until `stop`, or until the journal fails. Blocks on the journal: needs a thread of its own.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), JournalError> {
        let mut round = Vec::with_capacity(ROUND_MAX);
        loop {
            let wait = self.waiters.iter().map(|waiter| waiter.deadline).min();
            let wake = wait.map_or(Instant::now() + TICK, |wait| wait.min(Instant::now() + TICK));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = self.messages.recv_many(&mut round, ROUND_MAX) => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            self.round(&mut round)?;
        }
        self.outputs.leave();
        Ok(())
    }

    fn round(&mut self, messages: &mut Vec<Message>) -> Result<(), JournalError> {
        let mut inputs = Vec::with_capacity(messages.len());
        let mut questions = Vec::new();
        for message in messages.drain(..) {
            match self.sort(message) {
                Sorted::Input(input) => inputs.push(input),
                Sorted::Question(question) => questions.push(question),
                Sorted::Done => {}
            }
        }
        let effects = self.core.handle(self.clock.now(), inputs)?;
        self.heard.clear();
        self.carry_out(effects);
        let Stores { components, sides } = &self.stores;
        if self.core.take_released() {
            components.release();
            sides.release();
        }
        components.collect(|hash| self.core.needs(hash));
        sides.collect(|hash| self.core.needs_side(hash));
        for question in questions {
            self.reply(question)?;
        }
        self.wake_waiters()
    }

    /// Tells what changes the core from what only asks it.
    fn sort(&mut self, message: Message) -> Sorted {
        match message {
            Message::Registered { worker, name, registration, orders } => {
                if self.core.is_outdated(worker, registration.incarnation) {
                    self.turn_away(worker, &registration, &orders);
                    return Sorted::Done;
                }
                let session = Session { instance: registration.instance, orders };
                self.sessions.insert(worker, session);
                Sorted::Input(Input::Registered { worker, name, registration })
            }
            Message::Disconnected { worker, instance } => {
                if self.sessions.get(&worker).is_some_and(|session| session.orders.is_closed()) {
                    self.sessions.remove(&worker);
                }
                Sorted::Input(Input::Disconnected { worker, instance })
            }
            Message::Word { worker, incarnation, word, room } => {
                self.heard.push(room);
                Sorted::Input(Input::Word { worker, incarnation, word })
            }
            Message::Submit { head, plan, reply } => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.submissions.insert(ticket, reply);
                Sorted::Input(Input::Submit { ticket, head, plan })
            }
            Message::Output { job, done } => {
                if let Some(task) = self.outputs.done(&job) {
                    self.begin(task);
                }
                Sorted::Input(Input::Output { job, done })
            }
            Message::Known { head, reply } => Sorted::Question(Question::Known { head, reply }),
            Message::Description { job, reply } => Sorted::Question(Question::Description { job, reply }),
            Message::Task { worker, job, attempt, reply } => {
                Sorted::Question(Question::Task { worker, job, attempt, reply })
            }
            Message::Ask { request, reply } => self.sort_request(request, reply),
        }
    }

    /// Tells a worker that a later life of it is known, and whether another process lives that.
    fn turn_away(&self, worker: WorkerId, registration: &Registration, orders: &mpsc::Sender<Order>) {
        let session = self.sessions.get(&worker);
        let replaced = session
            .is_some_and(|session| session.instance != registration.instance && !session.orders.is_closed());
        let incarnation = registration.incarnation;
        let _ = orders.try_send(Order::Fenced { incarnation, replaced });
    }

    fn sort_request(&mut self, request: Request, reply: oneshot::Sender<Answer>) -> Sorted {
        match request {
            Request::Cancel { job } if self.core.is_live(&job) => {
                let _ = reply.send(Answer::Done);
                Sorted::Input(Input::Cancel { job })
            }
            Request::Drain { worker } => {
                let id = worker_id(&worker);
                if self.core.knows_worker(id) {
                    let _ = reply.send(Answer::Done);
                } else {
                    let _ = reply.send(Answer::Refused(Refused::NoWorker { worker }));
                }
                Sorted::Input(Input::Drain { worker: id })
            }
            request => Sorted::Question(Question::Ask { request, reply }),
        }
    }

    fn reply(&mut self, question: Question) -> Result<(), JournalError> {
        // Whoever asked may be gone by now; then nobody needs the answer.
        match question {
            Question::Known { head, reply } => drop(reply.send(self.core.known(&head)?)),
            Question::Description { job, reply } => drop(reply.send(self.core.description(&job))),
            Question::Task { worker, job, attempt, reply } => {
                drop(reply.send(self.core.task_order(worker, &job, attempt)));
            }
            Question::Ask { request, reply } => self.answer(request, reply)?,
        }
        Ok(())
    }

    fn answer(&mut self, request: Request, reply: oneshot::Sender<Answer>) -> Result<(), JournalError> {
        let rows = |limit: u32| limit.min(PAGE_ROWS_MAX) as usize;
        let answer = match request {
            Request::Jobs { before, limit } => Answer::Jobs(self.core.job_views(before, rows(limit))?),
            Request::Workers => Answer::Workers(self.core.worker_views()),
            Request::Attempts { job, skip, limit } => {
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                match self.core.attempts(&job, skip, rows(limit))? {
                    Some(attempts) => Answer::Attempts(attempts),
                    None => Answer::Refused(Refused::NoJob { job }),
                }
            }
            Request::Job { job, seen, wait_millis } => {
                let wait = Duration::from_millis(u64::from(wait_millis.min(WAIT_MILLIS_MAX)));
                if self.core.revision(&job) == Some(seen) && !wait.is_zero() {
                    self.waiters.push(Waiter { job, seen, deadline: Instant::now() + wait, reply });
                    return Ok(());
                }
                self.view(job)?
            }
            // A job that is not live any more: there is nothing left to stop.
            Request::Cancel { job } => match self.core.view(&job)? {
                Some(_) => Answer::Done,
                None => Answer::Refused(Refused::NoJob { job }),
            },
            Request::Drain { worker } => Answer::Refused(Refused::NoWorker { worker }),
        };
        let _ = reply.send(answer);
        Ok(())
    }

    fn view(&self, job: JobId) -> Result<Answer, JournalError> {
        Ok(match self.core.view(&job)? {
            Some(view) => Answer::Job(Box::new(view)),
            None => Answer::Refused(Refused::NoJob { job }),
        })
    }

    fn wake_waiters(&mut self) -> Result<(), JournalError> {
        let now = Instant::now();
        let is_due = |waiter: &mut Waiter| {
            waiter.deadline <= now || self.core.revision(&waiter.job) != Some(waiter.seen)
        };
        let due: Vec<Waiter> = self.waiters.extract_if(.., is_due).collect();
        for waiter in due {
            let answer = self.view(waiter.job)?;
            let _ = waiter.reply.send(answer);
        }
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Order { worker, order } => {
                    // One that takes nothing is cut off; it comes back and everything is said again.
                    let full = self
                        .sessions
                        .get(&worker)
                        .is_some_and(|session| session.orders.try_send(order).is_err());
                    if full && let Some(session) = self.sessions.remove(&worker) {
                        tracing::warn!(
                            instance = session.instance,
                            "a worker takes no orders and is cut off"
                        );
                    }
                }
                Effect::Output { job, work } => {
                    if let Some(task) = self.outputs.add(job, work) {
                        self.begin(task);
                    }
                }
                Effect::Submitted { ticket, reply } => {
                    if let Some(waits) = self.submissions.remove(&ticket) {
                        let _ = waits.send(reply);
                    }
                }
            }
        }
    }

    fn begin(&self, task: Task) {
        let back = self.back.clone();
        tokio::task::spawn_blocking(move || {
            let (job, done) = task.run();
            // Fails only when the coordinator ends; then a later life finds out by itself.
            let _ = back.blocking_send(Message::Output { job, done });
        });
    }
}

/// A worker's id in leases: follows from its name, so that it is the same for ever.
pub fn worker_id(name: &str) -> WorkerId {
    let hash = blake3::hash(name.as_bytes());
    let first = hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    WorkerId(u64::from_le_bytes(first))
}

enum Sorted {
    Input(Input),
    Question(Question),
    Done,
}

enum Question {
    Known { head: SubmitHead, reply: oneshot::Sender<Option<SubmitReply>> },
    Description { job: JobId, reply: oneshot::Sender<Option<Arc<[u8]>>> },
    Task { worker: WorkerId, job: JobId, attempt: AttemptId, reply: oneshot::Sender<Option<TaskOrder>> },
    Ask { request: Request, reply: oneshot::Sender<Answer> },
}
