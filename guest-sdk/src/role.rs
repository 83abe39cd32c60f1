//! What an author implements: one trait for each role of a job.
//!
//! A value of the type is made by `setup` at the start of every task attempt, and dropped at its
//! end. Nothing is shared between tasks.

use crate::combining::Combined;
use crate::datatype::DataType;
use crate::emitter::Output;
use crate::error::Result;
use crate::input::Input;
use crate::param::Param;
use crate::port::AnyPort;
use crate::task::Task;
use crate::values::Values;

/// Turns input records into intermediate ones, or into output where the job has no reducer.
pub trait Mapper: Sized + 'static {
    /// What it reads: [`Lines`](crate::Lines), [`FileLines`](crate::FileLines),
    /// [`Chunks`](crate::Chunks) or [`Records`](crate::Records).
    type Input: Input;
    /// Where it emits: an [`Emitter`](crate::Emitter) or a [`Combining`](crate::Combining) one.
    type Output: Output;

    /// Parameters that it takes.
    const PARAMS: &'static [Param] = &[];

    /// Named outputs that it writes, in a job without reducers.
    const OUTPUTS: &'static [&'static dyn AnyPort] = &[];

    /// Starts a task: reads parameters and side inputs. An error without a kind is fatal.
    fn setup(task: &Task) -> Result<Self>;

    /// Maps one record.
    fn map(&mut self, record: <Self::Input as Input>::Record<'_>, out: &mut Self::Output) -> Result;

    /// Ends the task: the last chance to emit.
    fn finish(&mut self, out: &mut Self::Output) -> Result {
        let _ = out;
        Ok(())
    }
}

/// Folds the values of a key early. It runs any number of times, also never, and on parts of a
/// group: what it does must be associative and commutative, and leave what the reducer needs.
pub trait Combiner: Sized + 'static {
    /// Type of the keys.
    type Key: DataType;
    /// Type of the values, in and out.
    type Value: DataType;

    /// Parameters that it takes.
    const PARAMS: &'static [Param] = &[];

    /// Starts a task. An error without a kind is fatal.
    fn setup(task: &Task) -> Result<Self>;

    /// Combines some of the values of one key.
    fn combine(
        &mut self,
        key: <Self::Key as DataType>::View<'_>,
        values: &mut Values<'_, Self::Value>,
        out: &mut Combined<'_, Self::Key, Self::Value>,
    ) -> Result;
}

/// Turns the group of all values of a key into output records. Keys come in byte order.
pub trait Reducer: Sized + 'static {
    /// Type of the keys that it reads.
    type Key: DataType;
    /// Type of the values that it reads.
    type Value: DataType;
    /// Where it emits, nearly always an [`Emitter`](crate::Emitter).
    type Output: Output;

    /// Number of elements of the mapper's keys, which are tuples, that make a group: `Key` is the tuple of
    /// these, and the values come in the order of the other elements. 0 for the whole key.
    const GROUP_PREFIX: u32 = 0;

    /// Parameters that it takes.
    const PARAMS: &'static [Param] = &[];

    /// Named outputs that it writes.
    const OUTPUTS: &'static [&'static dyn AnyPort] = &[];

    /// Starts a task. An error without a kind is fatal.
    fn setup(task: &Task) -> Result<Self>;

    /// Reduces one group. Values that are not read are passed over.
    fn reduce(
        &mut self,
        key: <Self::Key as DataType>::View<'_>,
        values: &mut Values<'_, Self::Value>,
        out: &mut Self::Output,
    ) -> Result;

    /// Ends the task: the last chance to emit.
    fn finish(&mut self, out: &mut Self::Output) -> Result {
        let _ = out;
        Ok(())
    }
}

/// Chooses the partition of a key. Must be a pure function of the key.
pub trait Partitioner: Sized + 'static {
    /// Type of the keys.
    type Key: DataType;

    /// Parameters that it takes.
    const PARAMS: &'static [Param] = &[];

    /// Starts a task. An error without a kind is fatal.
    fn setup(task: &Task) -> Result<Self>;

    /// The partition of `key`, below `partitions`.
    fn partition(&mut self, key: <Self::Key as DataType>::View<'_>, partitions: u32) -> Result<u32>;
}
