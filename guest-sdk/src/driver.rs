//! Runs a role over batches: what the exported functions do, in the sandbox and in native tests.

use crate::combining::Combined;
use crate::current::{self, Doing, Scope};
use crate::datatype::DataType;
use crate::emitter::{Emitter, Output};
use crate::error::{Error, Result};
use crate::input::Input;
use crate::role::{Combiner, Mapper, Partitioner, Reducer};
use crate::task::{Task, send_counters};
use crate::values::Values;
use crate::wire::{self, Batch, Cells, Column, ErrorKind, GroupedBatch, TaskContext, read_end};

/// Answer of an exported function.
pub type Answer<T = ()> = std::result::Result<T, wire::Error>;

/// Runs one exported call: counters are sent once at its end, an error gets its kind and place.
fn call<T>(otherwise: ErrorKind, work: impl FnOnce() -> Result<T>) -> Answer<T> {
    let scope = Scope::enter();
    let answer = work().map_err(|error| to_wire(error, otherwise));
    send_counters();
    drop(scope);
    answer
}

fn to_wire(error: Error, otherwise: ErrorKind) -> wire::Error {
    let error = error.with_kind(otherwise);
    let place = current::describe();
    let message =
        if place.is_empty() { error.message().to_owned() } else { format!("{}; {place}", error.message()) };
    wire::Error { kind: error.kind().unwrap_or(otherwise), message, row: current::row() }
}

/// A mapper at work.
pub struct MapDriver<M: Mapper> {
    mapper: M,
    out: M::Output,
}

impl<M: Mapper> MapDriver<M> {
    /// Starts a task.
    pub fn open(context: TaskContext) -> Answer<Self> {
        call(ErrorKind::Fatal, || {
            let task = Task::new(context);
            Ok(Self { mapper: M::setup(&task)?, out: M::Output::open(task.batch_bytes()) })
        })
    }

    /// Maps a batch.
    pub fn map_batch(&mut self, batch: &Batch) -> Answer {
        self.map_cells(batch.rows, batch.keys.cells(), batch.values.cells())
    }

    /// Maps one row that is in no batch.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn map_row(&mut self, key: &[u8], value: &[u8]) -> Answer {
        self.map_cells(1, Cells::one(key), Cells::one(value))
    }

    fn map_cells(&mut self, rows: u32, keys: Cells<'_>, values: Cells<'_>) -> Answer {
        let Self { mapper, out } = self;
        call(ErrorKind::InvalidInput, || {
            for row in 0..rows {
                let (key, value) = (keys.cell(row as usize), values.cell(row as usize));
                M::Input::read(row, key, value, &mut |record| mapper.map(record, out))?;
            }
            Ok(())
        })
    }

    /// Ends the task.
    pub fn close(mut self) -> Answer {
        call(ErrorKind::InvalidInput, || {
            self.mapper.finish(&mut self.out)?;
            self.out.flush();
            Ok(())
        })
    }
}

/// A combiner at work.
pub struct CombineDriver<C: Combiner> {
    combiner: C,
    out: Emitter<C::Key, C::Value>,
}

impl<C: Combiner> CombineDriver<C> {
    /// Starts a task.
    pub fn open(context: TaskContext) -> Answer<Self> {
        call(ErrorKind::Fatal, || {
            let task = Task::new(context);
            Ok(Self { combiner: C::setup(&task)?, out: Emitter::open(task.batch_bytes()) })
        })
    }

    /// Combines a batch. All output leaves before it returns: the next batch may be of another run.
    pub fn combine_batch(&mut self, batch: &GroupedBatch) -> Answer {
        let Self { combiner, out } = self;
        call(ErrorKind::InvalidInput, || {
            each_group(batch, true, |key, values| {
                combiner.combine(C::Key::decode(key)?, values, &mut Combined { key, emitter: out })
            })?;
            out.flush();
            Ok(())
        })
    }

    /// Ends the task.
    pub fn close(mut self) -> Answer {
        self.out.flush();
        Ok(())
    }
}

/// A reducer at work.
pub struct ReduceDriver<R: Reducer> {
    reducer: R,
    out: R::Output,
}

impl<R: Reducer> ReduceDriver<R> {
    /// Starts a task.
    pub fn open(context: TaskContext) -> Answer<Self> {
        call(ErrorKind::Fatal, || {
            let task = Task::new(context);
            Ok(Self { reducer: R::setup(&task)?, out: R::Output::open(task.batch_bytes()) })
        })
    }

    /// Reduces a batch.
    pub fn reduce_batch(&mut self, batch: &GroupedBatch) -> Answer {
        let Self { reducer, out } = self;
        call(ErrorKind::InvalidInput, || {
            each_group(batch, false, |key, values| reducer.reduce(R::Key::decode(key)?, values, out))
        })
    }

    /// Ends the task.
    pub fn close(mut self) -> Answer {
        call(ErrorKind::InvalidInput, || {
            self.reducer.finish(&mut self.out)?;
            self.out.flush();
            Ok(())
        })
    }
}

/// Calls `each` with the key and values of every group, and passes over what it leaves unread.
#[inline]
fn each_group<V: DataType>(
    batch: &GroupedBatch,
    combining: bool,
    mut each: impl FnMut(&[u8], &mut Values<'_, V>) -> Result,
) -> Result {
    let (keys, cells) = (batch.keys.cells(), batch.values.cells());
    let mut start = 0;
    for row in 0..batch.groups {
        let end = read_end(&batch.ends, row as usize);
        let key = keys.cell(row as usize);
        current::set(Doing::Group { row, combining }, key, &[]);
        let more = batch.more && row + 1 == batch.groups;
        let mut values = Values::new(cells, start..end, more);
        each(key, &mut values)?;
        values.finish()?;
        start = end;
    }
    Ok(())
}

/// A partitioner at work.
pub struct PartitionDriver<P> {
    partitioner: P,
    partitions: u32,
}

impl<P: Partitioner> PartitionDriver<P> {
    /// Starts a task.
    pub fn open(context: TaskContext) -> Answer<Self> {
        call(ErrorKind::Fatal, || {
            let task = Task::new(context);
            Ok(Self { partitioner: P::setup(&task)?, partitions: task.partitions() })
        })
    }

    /// The partition of each key, as packed u32.
    pub fn partition_batch(&mut self, rows: u32, keys: &Column) -> Answer<Vec<u8>> {
        let cells = keys.cells();
        call(ErrorKind::InvalidInput, || {
            let mut answer = Vec::with_capacity(rows as usize * size_of::<u32>());
            for row in 0..rows {
                let key = cells.cell(row as usize);
                current::set(Doing::Partitioning { row }, key, &[]);
                let partition = self.partitioner.partition(P::Key::decode(key)?, self.partitions)?;
                if partition >= self.partitions {
                    let partitions = self.partitions;
                    return Err(Error::fatal(format!("partition {partition} of {partitions}")));
                }
                answer.extend_from_slice(&partition.to_le_bytes());
            }
            Ok(answer)
        })
    }
}
