//! What `setup` is told, and what every role may say besides its records: counters, rejects, log.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc::Rc;
use std::str::FromStr;

use crate::current;
use crate::datatype::DataType;
use crate::error::{Error, Result};
use crate::host::{self, Level};
use crate::port::{Port, PortEmitter};
use crate::side_input::SideInput;
use crate::wire::TaskContext;

/// The task that a role is set up for.
#[derive(Debug)]
pub struct Task {
    context: TaskContext,
    params: Vec<(String, String)>,
}

impl Task {
    pub(crate) fn new(context: TaskContext) -> Self {
        Self { context, params: host::params() }
    }

    /// The job.
    pub fn job(&self) -> &str {
        &self.context.job_id
    }

    /// Number of the task in its stage; for reducers the partition.
    pub fn number(&self) -> u32 {
        self.context.task
    }

    /// Number of the attempt, from 0. Output must not depend on it.
    pub fn attempt(&self) -> u32 {
        self.context.attempt
    }

    /// Number of partitions that output is divided into, 0 for none.
    pub fn partitions(&self) -> u32 {
        self.context.partitions
    }

    /// A seed that is equal for all attempts of the task.
    pub fn seed(&self) -> u64 {
        self.context.seed
    }

    /// A parameter that is required or has a default.
    pub fn param<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        self.param_if_set(name)?.ok_or_else(|| Error::fatal(format!("parameter {name} is not set")))
    }

    /// A parameter, if it is set or has a default.
    pub fn param_if_set<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        let Some((_, text)) = self.params.iter().find(|(set, _)| set == name) else {
            return Ok(None);
        };
        let value = text.parse();
        value.map(Some).map_err(|why| Error::fatal(format!("parameter {name} = {text:?}: {why}")))
    }

    /// All parameters of the job, by name and text.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }

    /// Name of the input that a mapper's records are of; empty where it has none.
    pub fn input(&self) -> &str {
        self.params.iter().find(|(name, _)| name == "mr.input").map_or("", |(_, input)| input)
    }

    /// A counter of the job. Counting costs next to nothing.
    pub fn counter(&self, name: impl Into<Cow<'static, str>>) -> Counter {
        counter(name.into())
    }

    /// A read-only file that was shipped with the job.
    pub fn side_input(&self, name: &str) -> Result<SideInput> {
        SideInput::open(name)
    }

    /// Opens a named output that the role lists in `OUTPUTS`.
    pub fn output<K: DataType, V: DataType>(&self, port: &Port<K, V>) -> Result<PortEmitter<K, V>> {
        PortEmitter::open(port, &self.context)
    }

    pub(crate) fn batch_bytes(&self) -> usize {
        self.context.batch_bytes as usize
    }
}

/// A sum over all tasks of a job.
#[derive(Debug, Clone)]
pub struct Counter(Rc<Cell<i64>>);

impl Counter {
    /// Adds to it.
    #[inline]
    pub fn add(&self, delta: i64) {
        self.0.set(self.0.get().wrapping_add(delta));
    }
}

thread_local! {
    /// What was counted since it was last sent, in the order in which counters were first named.
    static COUNTERS: RefCell<Vec<(Cow<'static, str>, Counter)>> = const { RefCell::new(Vec::new()) };
}

fn counter(name: Cow<'static, str>) -> Counter {
    COUNTERS.with_borrow_mut(|counters| {
        if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == name) {
            return counter.clone();
        }
        let counter = Counter(Rc::new(Cell::new(0)));
        counters.push((name, counter.clone()));
        counter
    })
}

/// Sends what was counted since the last time.
pub(crate) fn send_counters() {
    COUNTERS.with_borrow(|counters| {
        let counted = counters.iter().filter(|(_, counter)| counter.0.get() != 0);
        let deltas: Vec<_> = counted.map(|(name, counter)| (name.to_string(), counter.0.take())).collect();
        if !deltas.is_empty() {
            host::count(deltas);
        }
    });
}

/// Forgets all counters: a native process runs one task after the other.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn forget_counters() {
    COUNTERS.take();
}

/// Adds to the job's counter `name`. In a hot loop use [`Task::counter`], which looks the name up
/// only once.
pub fn count(name: impl Into<Cow<'static, str>>, delta: i64) {
    counter(name.into()).add(delta);
}

/// Gives up on the record (or group) in hand and goes on: it lands in the job's rejects with the
/// reason, and the job fails once it has too many. Meant to be returned:
/// `return reject("not a number");`
pub fn reject(reason: impl Display) -> Result {
    let Some(row) = current::row() else {
        return Err(Error::fatal(format!("rejected outside of any record: {reason}")));
    };
    host::reject(row, &format!("{reason}; {}", current::describe()));
    Ok(())
}

/// Writes a line to the attempt's log, which the engine keeps within limits.
pub fn log(level: Level, message: impl Display) {
    host::log(level, &message.to_string());
}
