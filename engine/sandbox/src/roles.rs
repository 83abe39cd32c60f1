//! The four roles as a task uses them: open one, feed it batches, close it. Output leaves through
//! the sink while a call runs and counts only once `close` has returned without an error.

use mr_model::column::END_BYTES;
use mr_model::{Batch, Column, GroupedBatchBuf, Role};

use crate::abi::{BatchArg, ColumnArg, GroupedArg};
use crate::host::check_partitions;
use crate::plugin::Plugin;
use crate::role::{InstanceOptions, RoleError, RoleInstance, RoleReport};
use crate::state::{MoreValues, Sink};

/// Turns input records into intermediate ones.
pub struct Mapper(RoleInstance);

impl Mapper {
    /// Starts a mapper that emits into `sink`.
    pub fn open(plugin: &Plugin, options: InstanceOptions, sink: Box<dyn Sink>) -> Result<Self, RoleError> {
        RoleInstance::open(plugin, Role::Mapper, options, Some(sink), None).map(Self)
    }

    /// Maps a batch of records.
    pub fn map_batch(&mut self, batch: Batch<'_>) -> Result<(), RoleError> {
        self.0.work(batch.rows(), false, (BatchArg::from(batch),))
    }

    /// Lets it emit what it has held back, and ends it.
    pub fn close(self) -> Result<RoleReport, RoleError> {
        self.0.close()
    }
}

/// Folds the values of a key into fewer.
pub struct Combiner(RoleInstance);

impl Combiner {
    /// Starts a combiner that emits into `sink`.
    pub fn open(plugin: &Plugin, options: InstanceOptions, sink: Box<dyn Sink>) -> Result<Self, RoleError> {
        RoleInstance::open(plugin, Role::Combiner, options, Some(sink), None).map(Self)
    }

    /// Combines a batch of groups. A combiner never sees a group that goes on: `more` is not read.
    pub fn combine_batch(&mut self, batch: &GroupedBatchBuf) -> Result<(), RoleError> {
        let mut groups = GroupedArg::from(batch);
        groups.more = false;
        self.0.work(batch.groups(), false, (groups,))
    }

    /// Lets it emit what it has held back, and ends it.
    pub fn close(self) -> Result<RoleReport, RoleError> {
        self.0.close()
    }
}

/// Turns the values of a key into output records.
pub struct Reducer(RoleInstance);

impl Reducer {
    /// Starts a reducer that emits into `sink` and fetches the rest of long groups from `more`.
    pub fn open(
        plugin: &Plugin,
        options: InstanceOptions,
        sink: Box<dyn Sink>,
        more: Box<dyn MoreValues>,
    ) -> Result<Self, RoleError> {
        RoleInstance::open(plugin, Role::Reducer, options, Some(sink), Some(more)).map(Self)
    }

    /// Reduces a batch of groups. Where its last group goes on, `more` is asked for the rest.
    pub fn reduce_batch(&mut self, batch: &GroupedBatchBuf) -> Result<(), RoleError> {
        self.0.work(batch.groups(), batch.more, (GroupedArg::from(batch),))
    }

    /// Lets it emit what it has held back, and ends it.
    pub fn close(self) -> Result<RoleReport, RoleError> {
        self.0.close()
    }
}

/// Chooses the partition of each key.
pub struct Partitioner(RoleInstance);

impl Partitioner {
    /// Starts a partitioner.
    pub fn open(plugin: &Plugin, options: InstanceOptions) -> Result<Self, RoleError> {
        RoleInstance::open(plugin, Role::Partitioner, options, None, None).map(Self)
    }

    /// Replaces what is in `out` by the partition of each key, each below the task's number of
    /// partitions.
    pub fn partition_batch(&mut self, keys: Column<'_>, out: &mut Vec<u32>) -> Result<(), RoleError> {
        let rows = keys.rows();
        let chosen: Vec<u8> = self.0.work(rows, false, (rows, ColumnArg::from(keys)))?;
        check_partitions(&chosen, rows, self.0.partitions()).map_err(|fault| self.0.refuse(fault))?;
        out.clear();
        out.extend(chosen.as_chunks::<END_BYTES>().0.iter().map(|partition| u32::from_le_bytes(*partition)));
        Ok(())
    }

    /// Ends it.
    pub fn close(self) -> Result<RoleReport, RoleError> {
        self.0.close()
    }
}
