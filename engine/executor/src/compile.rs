//! Components compiled and tried out in children, seen from the parent. What a component costs is
//! bounded by the kernel: memory, processor time, the size of its code; and the wait for it by a
//! deadline. A child that compiles never runs what it compiled, so that no guest has a hand in code.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mr_model::limit::CODE_BYTES_MAX;
pub use mr_model::limit::{COMPILE_MEMORY_BYTES_DEFAULT, COMPILE_TIME_DEFAULT};
use mr_sandbox::{CompileApart, CompileError, PluginFacts};
use rustix::process::Signal;

use crate::code::{self, Code};
use crate::executors::{Executor, Executors, TEXT_BYTES_MAX};
use crate::hear::Heard;
use crate::message::{Bounds, Order, Word, Work};
use crate::process::{Ended, Program, clean};

/// Components that are compiled at once at most: each of them uses all cores.
const COMPILES_MAX: usize = 2;
/// What compiling may take longer than its processor time, on a machine that does other things as well;
/// and what it may take in any case, to start and to answer.
const WALL_FACTOR: u32 = 8;
const WALL_GRACE: Duration = Duration::from_secs(30);
/// Memory for trying a component out beside its code, in bytes: its own may have a GiB.
const TRIAL_BYTES_MAX: u64 = 1280 << 20;
/// Processor time for trying a component out, in seconds: the sandbox gives it ten.
const TRIAL_SECONDS_MAX: u64 = 30;

/// What compiling one component may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time, all threads together; rounded up to seconds.
    pub time: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { memory_bytes: COMPILE_MEMORY_BYTES_DEFAULT, time: COMPILE_TIME_DEFAULT }
    }
}

/// Compiles components in children.
#[derive(Debug)]
pub struct Apart {
    program: Program,
    limits: CompileLimits,
    /// How many compile now.
    compiling: Mutex<usize>,
    ended: Condvar,
}

impl Apart {
    /// Compiles with children of this program.
    pub fn new(program: Program, limits: CompileLimits) -> Arc<Self> {
        Arc::new(Self { program, limits, compiling: Mutex::new(0), ended: Condvar::new() })
    }

    fn seconds(&self) -> u64 {
        self.limits.time.as_secs().max(1) + u64::from(self.limits.time.subsec_nanos() > 0)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            data_bytes_max: self.limits.memory_bytes,
            processor_seconds_max: Some(self.seconds()),
            file_bytes_max: Some(CODE_BYTES_MAX),
            required: false,
        }
    }

    fn run(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let source = Code::new(component).map_err(|error| failed(&error))?;
        let target = code::empty().map_err(|error| failed(&error))?;
        let order = Order { bounds: self.bounds(), work: Work::Compile };
        let started = Executor::start(&self.program).and_then(|mut child| {
            child.wait_until_up()?;
            child.order(&order, &[source.file(), target.as_fd()])?;
            Ok(child)
        });
        let mut child = started.map_err(|how| process(&how))?;
        let wall = Duration::from_secs(self.seconds()).saturating_mul(WALL_FACTOR).saturating_add(WALL_GRACE);
        match child.hear(Instant::now() + wall) {
            Heard::Word(Word::Compiled) => {}
            Heard::Word(Word::Refused(reason)) => {
                return Err(CompileError::Invalid { reason: clean(&reason, TEXT_BYTES_MAX) });
            }
            Heard::Word(word) => return Err(process(&child.strange(&word))),
            Heard::Garbage(reason) => return Err(process(&child.garbled(&reason))),
            Heard::Nothing => {
                return Err(self.over("time", &format!("{} s", wall.as_secs()), "--compile-time"));
            }
            Heard::End => return Err(self.cause(&child.obituary())),
        }
        child.end();
        code::read(target, CODE_BYTES_MAX).map_err(|error| failed(&error))
    }

    /// Why a child died.
    fn cause(&self, ended: &Ended) -> CompileError {
        let is = |signal: Signal| ended.signal == Some(signal.as_raw());
        if ended.no_memory {
            let cap = format!("{} MiB", self.limits.memory_bytes >> 20);
            return self.over("memory", &cap, "--compile-memory");
        }
        if is(Signal::XCPU) {
            return self.over("processor time", &format!("{} s", self.seconds()), "--compile-time");
        }
        if is(Signal::XFSZ) {
            return self.over("size of code", &format!("{} MiB", CODE_BYTES_MAX >> 20), "");
        }
        process(&ended.how)
    }

    fn over(&self, limit: &str, cap: &str, option: &str) -> CompileError {
        CompileError::Limit {
            limit: limit.to_owned(),
            value: format!("more than {cap}"),
            cap: cap.to_owned(),
            option: option.to_owned(),
        }
    }
}

impl CompileApart for Apart {
    fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.ended.wait_while(compiling, |compiling| *compiling >= COMPILES_MAX);
        *turn.unwrap_or_else(PoisonError::into_inner) += 1;
        let compiled = self.run(component);
        *self.compiling.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.ended.notify_one();
        compiled
    }
}

impl Executors {
    /// Tries out in a child a component of which this is the code: checks its imports and functions and has
    /// it describe itself. `hash` and `bytes` are those of the component.
    ///
    /// # Errors
    /// Why it can be no plugin, or what became of the child, for people.
    pub fn try_out(&self, code: &Code, hash: blake3::Hash, bytes: u64) -> Result<PluginFacts, String> {
        let bounds = Bounds {
            data_bytes_max: TRIAL_BYTES_MAX.saturating_add(code.bytes()),
            processor_seconds_max: Some(TRIAL_SECONDS_MAX),
            file_bytes_max: Some(0),
            required: self.required(),
        };
        let order = Order { bounds, work: Work::TryOut { hash: hash.into(), bytes } };
        let died = |how: String| format!("the process that tried component {hash} out {how}");
        let mut child = self.take().map_err(died)?;
        let entered = child.order(&order, &[code.file()]);
        self.keep_warm();
        entered.map_err(died)?;
        let wall = Duration::from_secs(TRIAL_SECONDS_MAX) * WALL_FACTOR + WALL_GRACE;
        match child.expect(Instant::now() + wall, "end").map_err(died)? {
            Word::Facts(facts) if facts.hash == hash.to_hex().as_str() && facts.bytes == bytes => Ok(*facts),
            Word::Refused(reason) => Err(clean(&reason, TEXT_BYTES_MAX)),
            word => Err(died(child.strange(&word))),
        }
    }
}

fn failed(error: &io::Error) -> CompileError {
    CompileError::Process { reason: error.to_string() }
}

fn process(how: &str) -> CompileError {
    CompileError::Process { reason: format!("the process that compiled it {how}") }
}
