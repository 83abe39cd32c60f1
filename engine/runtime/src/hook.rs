//! The shuffle's combiner hook, served by a component. The component is instantiated when there is
//! something to combine: many tasks never need it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::limit::{COMBINE_GROWTH_BYTES, COMBINE_GROWTH_MAX, table};
use mr_model::{Batch, BatchBuf, Counters, Failure, GroupedBatchBuf, PluginFault, Role};
use mr_sandbox::{Combiner, InstanceOptions, Plugin, Sink};
use mr_shuffle::Combine;

use crate::job::{Attempt, merge_counters};
use crate::sink::name_group;

/// A combiner component between batches.
pub(crate) struct PluginCombine {
    plugin: Plugin,
    options: InstanceOptions,
    combiner: Option<Combiner>,
    emitted: Arc<Mutex<Emitted>>,
    counters: Arc<Mutex<Counters>>,
}

/// What the combiner emitted since the last batch.
#[derive(Default)]
struct Emitted {
    batch: BatchBuf,
    /// Most that it may emit, in bytes; none outside of a batch.
    bytes_max: Option<usize>,
}

impl PluginCombine {
    /// The job's combiner for an attempt, if it has one. Its counters are added to the attempt's.
    pub fn hook(attempt: &Attempt) -> Option<Box<dyn Combine>> {
        let plugin = attempt.job.stages.role(Role::Combiner)?.clone();
        let (emitted, counters) = (Arc::default(), attempt.counters.clone());
        Some(Box::new(Self { plugin, options: attempt.instance(), combiner: None, emitted, counters }))
    }

    fn emitted(&self) -> MutexGuard<'_, Emitted> {
        self.emitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&mut self) -> Result<Combiner, Failure> {
        if let Some(combiner) = self.combiner.take() {
            return Ok(combiner);
        }
        Combiner::open(&self.plugin, self.options.clone(), Box::new(self.emitted.clone()))
            .map_err(|error| error.failure)
    }
}

impl Combine for PluginCombine {
    fn combine(&mut self, groups: &GroupedBatchBuf, out: &mut BatchBuf) -> Result<(), Failure> {
        let mut combiner = self.opened()?;
        {
            let mut emitted = self.emitted();
            emitted.bytes_max = Some(groups.size() * COMBINE_GROWTH_MAX + COMBINE_GROWTH_BYTES);
            emitted.batch.clear();
        }
        combiner.combine_batch(groups).map_err(|error| {
            let datatype = self.plugin.contract().combine.0.as_ref();
            name_group(error.failure, error.row, groups, datatype)
        })?;
        let mut emitted = self.emitted();
        emitted.bytes_max = None;
        std::mem::swap(&mut emitted.batch, out);
        drop(emitted);
        self.combiner = Some(combiner);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        let Some(combiner) = self.combiner.take() else { return Ok(()) };
        let report = combiner.close().map_err(|error| error.failure)?;
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        merge_counters(&mut counters, Role::Combiner, &report)
    }
}

impl Sink for Emitted {
    fn emit(&mut self, _port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        let Some(bytes_max) = self.bytes_max else {
            return Err(contract("it emitted outside of combine-batch"));
        };
        for (key, value) in batch.iter() {
            self.batch.push(key, value);
        }
        if self.batch.size() > bytes_max {
            let cap = bytes_max as u64;
            let value = format!("{} bytes for one batch", self.batch.size());
            return Err(Failure::Limit {
                role: Role::Combiner,
                limit: table::COMBINE_GROWTH.name.to_owned(),
                value,
                cap: format!("{cap} bytes"),
                option: String::new(),
                place: None,
                words: mr_model::LastWords::default(),
            });
        }
        Ok(())
    }

    fn emit_partitioned(&mut self, _batch: Batch<'_>, _partitions: &[u8]) -> Result<(), Failure> {
        Err(contract("only mappers may choose partitions (emit-partitioned)"))
    }

    fn reject(&mut self, _row: u32, _reason: &str) -> Result<(), Failure> {
        Err(contract("a combiner cannot reject: it may run any number of times"))
    }
}

fn contract(message: &str) -> Failure {
    Failure::Plugin {
        fault: PluginFault::Contract,
        role: Role::Combiner,
        message: message.into(),
        place: None,
        words: mr_model::LastWords::default(),
    }
}
