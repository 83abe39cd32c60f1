//! An attempt in a child, seen from the parent: the order, the words while it runs, and its end. A child
//! that dies, is silent, stands still, takes too long or talks too much is a failure of its attempt.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mr_model::{AttemptId, Failure, JobSpec, Stage};
use mr_runtime::{Facts, JobDescription, MemoryPlan, Product, Progress, TaskInput};
use mr_sandbox::{LogForward, PluginFacts};
use mr_scheduler::AttemptReport;
use mr_shuffle::{Codec, MapOutput};
use mr_storage::{AttemptFolder, ReadyParts};

use crate::claims;
use crate::code::Code;
use crate::executors::{Executor, Executors, TEXT_BYTES_MAX};
use crate::hear::Heard;
use crate::message::{AttemptWork, Bounds, Order, Pulse, SideCopy, Word, Work, level};
use crate::process::{clean, kill};

/// Memory that a child has beside the attempt's budget and the code, in bytes: the engine's own tables,
/// stacks, lists of files, heaps that do not shrink. The kernel refuses more; the budget itself is kept
/// by the engine.
const OVERHEAD_BYTES: u64 = 256 << 20;
/// Longest silence of a child. It gives a sign of life several times a second, so that only one that is
/// stopped, or a machine that is, stays silent for this long.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// What an attempt may stand still longer than a plugin may: the engine itself sorts or writes meanwhile,
/// perhaps to a slow disk.
const STANDSTILL_GRACE: Duration = Duration::from_secs(600);
/// What an attempt may take longer than it is allowed before it is killed: the sandbox stops it first.
const TIME_GRACE: Duration = Duration::from_secs(60);
/// Words that a child may say at once, and for each second that it runs: its signs of life, and as many
/// log lines as the sandbox passes on.
const WORDS_AT_ONCE_MAX: u64 = 100_000;
const WORDS_PER_SECOND_MAX: u64 = 1_000;

/// An attempt that is to run.
#[derive(Debug)]
pub struct AttemptOrder {
    /// Its job; parts and rejects are left in its `part_dir` in the end.
    pub description: JobDescription,
    /// Which.
    pub attempt: AttemptId,
    /// What it works on.
    pub input: TaskInput,
    /// How memory is divided among the slots; it gets its share of the pool.
    pub memory: MemoryPlan,
    /// How run files are stored.
    pub codec: Codec,
    /// Longest wait for room on a full disk.
    pub room_patience: Duration,
    /// Bytes of a part that the disk may not have taken yet.
    pub unwritten_bytes_max: u64,
    /// Folder for its run files: there, and its alone.
    pub run_dir: PathBuf,
    /// Where copies of the job's side inputs lie, in their order.
    pub sides: Vec<PathBuf>,
    /// The components of the job, each once, with their code.
    pub plugins: Vec<(PluginFacts, Arc<Code>)>,
}

/// A finished attempt, as it is believed.
#[derive(Debug)]
pub struct Done {
    /// What it made.
    pub made: Made,
    /// What the scheduler is told.
    pub report: AttemptReport,
    /// What is kept for report and manifest if it wins.
    pub facts: Facts,
}

/// What an attempt made.
#[derive(Debug)]
pub enum Made {
    /// Runs for the reducers; their files are removed when this is dropped.
    Runs(MapOutput),
    /// Parts that lie in the staging folder, whose owner removes them.
    Parts(ReadyParts),
}

/// Stops an attempt from any thread: its process is killed. Clones stop the same one.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Mutex<Stopping>>);

#[derive(Debug, Default)]
struct Stopping {
    stopped: bool,
    process: Option<Arc<OwnedFd>>,
}

impl Stop {
    /// Stops it, for good.
    pub fn stop(&self) {
        let mut stopping = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stopping.stopped = true;
        if let Some(process) = &stopping.process {
            kill(process);
        }
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// From now on this process is killed.
    fn holds(&self, executor: &Executor) {
        let mut stopping = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = executor.pidfd();
        if stopping.stopped {
            kill(&process);
        }
        stopping.process = Some(process);
    }
}

impl From<mr_runtime::AttemptDone> for Done {
    /// Of an attempt that ran in this process.
    fn from(done: mr_runtime::AttemptDone) -> Self {
        let made = match done.product {
            Product::Runs(output) => Made::Runs(output),
            Product::Parts(pending) => Made::Parts(pending.hand_over()),
        };
        Self { made, report: done.report, facts: done.facts }
    }
}

impl Executors {
    /// Runs an attempt in a child to its end; blocks. `progress` and `log` are told meanwhile.
    ///
    /// # Errors
    /// Why it failed: what the child says, or what became of it. [`Failure::Cancelled`] if it was stopped.
    pub fn run(
        &self,
        order: AttemptOrder,
        progress: &Progress,
        log: &LogForward,
        stop: &Stop,
    ) -> Result<Done, Failure> {
        let attempt = order.attempt;
        let died = |how: String| {
            if stop.is_stopped() {
                return Failure::Cancelled;
            }
            Failure::internal(format!("the executor of {attempt} {how}"))
        };
        let mut executor = self.take().map_err(died)?;
        stop.holds(&executor);
        let staging = order.description.part_dir.clone();
        let folder = writes_parts(&order.description.spec, attempt)
            .then(|| AttemptFolder::create(&staging, attempt))
            .transpose()?;
        let (order, files) = self.order_of(order, folder.as_ref());
        let begun = Begun::now(&order);
        let files: Vec<_> = files.iter().map(|code| code.file()).collect();
        let entered = executor.order(&order, &files);
        self.keep_warm();
        entered.map_err(died)?;
        let word = begun.listen(&mut executor, progress, log).map_err(died)?;
        // Nothing is looked at that can still change.
        executor.end();
        let Work::Attempt(work) = order.work else {
            return Err(Failure::internal("an attempt was ordered as something else"));
        };
        match word {
            Ok(done) => claims::check(*done, &work, folder.as_ref()),
            Err(_) if stop.is_stopped() => Err(Failure::Cancelled),
            Err(failure) => Err(claims::failure(*failure, &work)),
        }
    }

    fn order_of(&self, order: AttemptOrder, folder: Option<&AttemptFolder>) -> (Order, Vec<Arc<Code>>) {
        let AttemptOrder {
            mut description,
            attempt,
            input,
            mut memory,
            codec,
            room_patience,
            unwritten_bytes_max,
            run_dir,
            sides,
            plugins,
        } = order;
        if let Some(folder) = folder {
            description.part_dir = folder.path().to_owned();
        }
        memory.pool /= memory.workers.max(1);
        let (plugins, files): (Vec<_>, Vec<_>) = plugins.into_iter().unzip();
        let code: u64 = files.iter().map(|code| code.bytes()).sum();
        // The system counts what a sort buffer has room for, and a buffer doubles its room before it uses it.
        let sorting = (memory.sort_min + memory.pool).saturating_mul(2);
        let budget = memory.guests + memory.frames + sorting;
        let bounds = Bounds {
            data_bytes_max: budget.saturating_add(code).saturating_add(OVERHEAD_BYTES),
            processor_seconds_max: None,
            file_bytes_max: None,
            required: self.required(),
        };
        let work = AttemptWork {
            description,
            attempt,
            input,
            memory,
            codec,
            room_patience,
            unwritten_bytes_max,
            run_dir,
            sides: sides.into_iter().map(|path| SideCopy { path }).collect(),
            plugins,
        };
        (Order { bounds, work: Work::Attempt(Box::new(work)) }, files)
    }
}

/// Whether an attempt leaves anything in the job's staging folder.
fn writes_parts(spec: &JobSpec, attempt: AttemptId) -> bool {
    attempt.task.stage == Stage::Reduce || spec.reducers == 0 || spec.permissions.rejects_max > 0
}

/// The deadlines of an attempt that runs.
struct Begun {
    at: Instant,
    ends: Instant,
    standstill_max: Duration,
}

impl Begun {
    fn now(order: &Order) -> Self {
        let at = Instant::now();
        let Work::Attempt(work) = &order.work else {
            return Self { at, ends: at + TIME_GRACE, standstill_max: STANDSTILL_GRACE };
        };
        let permissions = &work.description.spec.permissions;
        let time_max = permissions.task_time_max.saturating_add(TIME_GRACE);
        Self {
            at,
            // A time beyond what a clock can tell is as good as none.
            ends: at.checked_add(time_max).unwrap_or(at + FOREVER),
            standstill_max: permissions.idle_timeout.saturating_add(STANDSTILL_GRACE),
        }
    }

    /// Listens until the child has said how the attempt ended. The error says what became of it.
    fn listen(
        &self,
        executor: &mut Executor,
        progress: &Progress,
        log: &LogForward,
    ) -> Result<Result<Box<crate::message::DoneWord>, Box<Failure>>, String> {
        let (mut last, mut moved, mut words) = (Pulse::default(), Instant::now(), 0_u64);
        loop {
            let deadline = (Instant::now() + SILENCE_MAX).min(self.ends);
            words += 1;
            match executor.hear(deadline) {
                Heard::Word(Word::Pulse(pulse)) => {
                    if pulse != last {
                        (last, moved) = (pulse, Instant::now());
                        pulse.show(progress);
                    }
                }
                Heard::Word(Word::Log { role, level: number, text }) => {
                    log(role, level(number), &clean(&text, TEXT_BYTES_MAX));
                }
                Heard::Word(Word::Done(done)) => return Ok(Ok(done)),
                Heard::Word(Word::Failed(failure)) => return Ok(Err(failure)),
                Heard::Word(Word::Refused(reason)) => {
                    executor.end();
                    return Err(format!("cannot work: {}", clean(&reason, TEXT_BYTES_MAX)));
                }
                Heard::Word(word) => return Err(executor.strange(&word)),
                Heard::Garbage(reason) => return Err(executor.garbled(&reason)),
                Heard::End => return Err(executor.obituary().how),
                Heard::Nothing => return Err(self.end(executor, "was silent", SILENCE_MAX)),
            }
            if Instant::now() >= self.ends {
                return Err(self.end(executor, "did not end", self.ends - self.at));
            }
            if moved.elapsed() > self.standstill_max {
                return Err(self.end(executor, "made no progress", self.standstill_max));
            }
            let allowed = self.at.elapsed().as_secs().saturating_mul(WORDS_PER_SECOND_MAX);
            if words > allowed.saturating_add(WORDS_AT_ONCE_MAX) {
                return Err(executor.garbled(&format!("it said {words} words")));
            }
        }
    }

    fn end(&self, executor: &mut Executor, what: &str, after: Duration) -> String {
        executor.end();
        if Instant::now() >= self.ends {
            return format!("did not end within {} s and was killed", (self.ends - self.at).as_secs());
        }
        format!("{what} for {} s and was killed", after.as_secs())
    }
}

/// As good as for ever: a time that every clock can tell.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
