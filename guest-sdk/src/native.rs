//! Runs roles in a native process without any sandbox, batch by batch: for benchmarks that ask
//! what the sandbox costs. The functions that run are those that run in the sandbox.

use std::collections::BTreeMap;

use crate::driver;
use crate::encode::Encode;
use crate::host;
use crate::role::{Combiner, Mapper, Reducer};
use crate::wire::{Batch, Column, GroupedBatch, TaskContext};

pub use crate::driver::Answer;

/// Takes what was emitted: keys and values, as packed columns.
pub type Sink<'a> = &'a mut dyn FnMut(&Batch);

fn start(params: &[(&str, &str)]) {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    host::start(params.collect(), BTreeMap::new());
}

fn context(batch_bytes: u32) -> TaskContext {
    TaskContext { batch_bytes, ..TaskContext::default() }
}

fn hand_out(sink: Sink<'_>) {
    while let Some(batch) = host::emitted() {
        sink(&batch);
        host::recycle(batch);
    }
}

/// A mapper on text. One driver at a time for each thread.
pub struct MapDriver<M: Mapper>(driver::MapDriver<M>);

impl<M: Mapper> MapDriver<M> {
    /// Starts a task whose batches aim for `batch_bytes`.
    pub fn open(params: &[(&str, &str)], batch_bytes: u32) -> Answer<Self> {
        start(params);
        driver::MapDriver::open(context(batch_bytes)).map(Self)
    }

    /// Maps a chunk of whole lines that begins at byte `offset` of its file.
    pub fn map_chunk(&mut self, offset: u64, chunk: &[u8], sink: Sink<'_>) -> Answer {
        let mut key = Vec::with_capacity(8);
        offset.encode(&mut key);
        self.0.map_row(&key, chunk)?;
        hand_out(sink);
        Ok(())
    }

    /// Maps a batch.
    pub fn map_batch(&mut self, batch: &Batch, sink: Sink<'_>) -> Answer {
        self.0.map_batch(batch)?;
        hand_out(sink);
        Ok(())
    }

    /// Ends the task.
    pub fn close(self, sink: Sink<'_>) -> Answer {
        self.0.close()?;
        hand_out(sink);
        Ok(())
    }
}

/// A combiner on groups. One driver at a time for each thread.
pub struct CombineDriver<C: Combiner>(driver::CombineDriver<C>);

impl<C: Combiner> CombineDriver<C> {
    /// Starts a task whose batches aim for `batch_bytes`.
    pub fn open(params: &[(&str, &str)], batch_bytes: u32) -> Answer<Self> {
        start(params);
        driver::CombineDriver::open(context(batch_bytes)).map(Self)
    }

    /// Combines a batch of whole groups.
    pub fn combine_batch(&mut self, batch: &GroupedBatch, sink: Sink<'_>) -> Answer {
        self.0.combine_batch(batch)?;
        hand_out(sink);
        Ok(())
    }
}

/// A reducer on groups. One driver at a time for each thread.
pub struct ReduceDriver<R: Reducer>(driver::ReduceDriver<R>);

impl<R: Reducer> ReduceDriver<R> {
    /// Starts a task whose batches aim for `batch_bytes`.
    pub fn open(params: &[(&str, &str)], batch_bytes: u32) -> Answer<Self> {
        start(params);
        driver::ReduceDriver::open(context(batch_bytes)).map(Self)
    }

    /// Reduces a batch; where `batch.more` is set, `rest` is how its last group goes on.
    pub fn reduce_batch(&mut self, batch: &GroupedBatch, rest: Vec<(u32, Column)>, sink: Sink<'_>) -> Answer {
        host::set_group_rest(rest);
        self.0.reduce_batch(batch)?;
        hand_out(sink);
        Ok(())
    }

    /// Ends the task.
    pub fn close(self, sink: Sink<'_>) -> Answer {
        self.0.close()?;
        hand_out(sink);
        Ok(())
    }
}
