//! A map attempt: a split in; sorted, partitioned runs out, or parts in a map-only job.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{BatchBuf, Failure, InputSpec, PluginFault, Role};
use mr_sandbox::{Mapper, Partitioner, RoleReport, Sink};
use mr_shuffle::{MapOutputWriter, OutputOptions, SpillStats};
use mr_storage::{Split, SplitReader};

use crate::attempt::{Ended, Product};
use crate::facts::{MapFacts, StageFacts};
use crate::hook::PluginCombine;
use crate::isolate::Suspects;
use crate::job::{Attempt, Spread};
use crate::outputs::encoder;
use crate::part_sink::PartSink;
use crate::sink::{Rejected, Rejects, ShuffleSink, row_sample};

/// A stage's sink, as far as the loop over batches sees it.
trait MapSink: Sink {
    fn rejects(&mut self) -> &mut Rejects;
}

impl MapSink for ShuffleSink {
    fn rejects(&mut self) -> &mut Rejects {
        &mut self.rejects
    }
}

impl MapSink for PartSink {
    fn rejects(&mut self) -> &mut Rejects {
        &mut self.rejects
    }
}

/// One map attempt under way.
struct MapAttempt<'a> {
    attempt: &'a Attempt,
    split: &'a Split,
    input: &'a InputSpec,
    records_in: u64,
    guest_memory_bytes_peak: u64,
}

/// Runs a map attempt to its end.
pub(crate) fn run_map(attempt: &Attempt, split: &Split) -> Result<Ended, Failure> {
    let input = attempt.job.input(split)?;
    let mut run = MapAttempt { attempt, split, input, records_in: 0, guest_memory_bytes_peak: 0 };
    if attempt.job.spec.reducers == 0 { run.make_parts() } else { run.make_runs() }
}

impl MapAttempt<'_> {
    fn make_runs(&mut self) -> Result<Ended, Failure> {
        let (attempt, job) = (self.attempt, &self.attempt.job);
        let resources = &job.resources;
        let writer = MapOutputWriter::new(OutputOptions {
            id: attempt.run_id(),
            partitions: job.spec.reducers,
            dir: resources.run_dir.clone(),
            pool: resources.pool.clone(),
            retain: resources.retain.clone(),
            buffer_bytes_min: resources.memory.sort_min,
            codec: resources.codec,
            full: attempt.full_disk(),
            batch_bytes: job.spec.batch_bytes as usize,
            combine: PluginCombine::hook(attempt),
        });
        let partitioner = match (&job.spread, job.stages.role(Role::Partitioner)) {
            (Spread::Plugin, Some(plugin)) => {
                Some(Partitioner::open(plugin, attempt.instance()).map_err(|error| error.failure)?)
            }
            _ => None,
        };
        let (sink, rejected) =
            self.run(ShuffleSink::new(attempt, writer, partitioner, self.input.mapper.is_some()))?;
        let (records_out, bytes_out, emitted) = (sink.records, sink.bytes, sink.emitted());
        let (output, partitioner) = sink.finish()?;
        if let Some(partitioner) = partitioner {
            let report = partitioner.close().map_err(|error| error.failure)?;
            self.add_report(Role::Partitioner, &report)?;
        }
        let facts = MapFacts {
            records_out,
            bytes_out,
            shuffle_records: output.records.iter().sum(),
            shuffle_bytes: output.bytes.iter().sum(),
            emitted,
            ..MapFacts::default()
        };
        let spilled = output.spilled;
        Ok(self.ended(Product::Runs(output), facts, spilled, rejected))
    }

    /// The failure of records that no plugin had a hand in and that the output cannot hold: they are the input's.
    fn unwritable(&self, failure: Failure, reader: &SplitReader, batch: &BatchBuf) -> Failure {
        let Failure::Plugin { fault: PluginFault::Contract, .. } = failure else { return failure };
        let Ok(mut encoder) = encoder(&self.attempt.job.spec.output, 0) else { return failure };
        let mut encoded = Vec::new();
        for (row, (key, value)) in (0..).zip(batch.view().iter()) {
            encoded.clear();
            if let (Err(error), Some(place)) = (encoder.encode(key, value, &mut encoded), reader.place(row)) {
                return Failure::InputRecord { place, reason: error.to_string() };
            }
        }
        failure
    }

    fn make_parts(&mut self) -> Result<Ended, Failure> {
        let ports = self.attempt.job.mapper_ports(self.split);
        let (sink, rejected) = self.run(PartSink::new(self.attempt, ports)?)?;
        let pending = sink.finish()?;
        let facts =
            MapFacts { records_out: pending.rows(), bytes_out: pending.bytes(), ..MapFacts::default() };
        Ok(self.ended(Product::Parts(pending), facts, SpillStats::default(), rejected))
    }

    /// Feeds the split through the mapper, or straight into the sink where there is none.
    fn run<S: MapSink + 'static>(&mut self, sink: S) -> Result<(S, Vec<Rejected>), Failure> {
        let mut reader = SplitReader::open(self.split, self.attempt.job.reader(self.input))?;
        let sink = Arc::new(Mutex::new(sink));
        let options = self.attempt.mapper_instance(self.split);
        let mut mapper = match self.attempt.job.stages.mapper(self.input) {
            Some(plugin) => {
                Some(Mapper::open(plugin, options, Box::new(sink.clone())).map_err(|error| error.failure)?)
            }
            None => None,
        };
        let mut batch = BatchBuf::default();
        let mut rejected = Vec::new();
        let mut bytes_read = 0;
        loop {
            let more = reader.next_batch(&mut batch)?;
            for bad in reader.take_bad() {
                let counted = lock(&sink).rejects().count_one(&bad.reason);
                counted.map_err(|failure| failure.at(Some(bad.place.clone())))?;
                self.records_in += 1;
                rejected.push(Rejected { place: Some(bad.place), reason: bad.reason, sample: bad.sample });
            }
            if !more {
                break;
            }
            self.attempt.check_stopped()?;
            match mapper.as_mut() {
                Some(open) => {
                    let mapped = open.map_batch(batch.view());
                    for row in lock(&sink).rejects().take() {
                        let sample = row_sample(&batch, row.row);
                        let place = reader.place(row.row);
                        rejected.push(Rejected::new(row, place, sample));
                    }
                    if let Err(error) = mapped {
                        // Its memory is needed to find out why.
                        drop(mapper.take());
                        let place = |row| reader.place(row);
                        return Err(match error.failure {
                            failure @ Failure::Rejects { .. } => {
                                failure.at(rejected.last().and_then(|last| last.place.clone()))
                            }
                            _ => Suspects::new(self.attempt, self.split, &batch).explain(error, &place),
                        });
                    }
                }
                None => {
                    let emitted = lock(&sink).emit(0, batch.view());
                    emitted.map_err(|failure| self.unwritable(failure, &reader, &batch))?;
                }
            }
            let records = self.count(&batch);
            self.records_in += records;
            let progress = &self.attempt.progress;
            progress.add(&progress.map_bytes, reader.bytes_read() - bytes_read);
            progress.add(&progress.map_records, records);
            bytes_read = reader.bytes_read();
        }
        if let Some(mapper) = mapper {
            let report = mapper.close().map_err(|error| error.failure)?;
            self.add_report(Role::Mapper, &report)?;
        }
        let sink =
            Arc::into_inner(sink).ok_or_else(|| Failure::internal("a closed mapper still holds its sink"))?;
        Ok((sink.into_inner().unwrap_or_else(PoisonError::into_inner), rejected))
    }

    /// Records of a batch of input: lines where a row is a chunk of lines.
    fn count(&self, batch: &BatchBuf) -> u64 {
        if !self.input.chunks {
            return u64::from(batch.rows());
        }
        let values = batch.values.view();
        let newlines = memchr::memchr_iter(b'\n', values.data()).count() as u64;
        let unended = values.iter().filter(|chunk| chunk.last().is_some_and(|byte| *byte != b'\n')).count();
        newlines + unended as u64
    }

    fn add_report(&mut self, role: Role, report: &RoleReport) -> Result<(), Failure> {
        self.guest_memory_bytes_peak = self.guest_memory_bytes_peak.max(report.memory_bytes_peak);
        self.attempt.count(role, report)
    }

    fn ended(
        &self,
        product: Product,
        facts: MapFacts,
        spilled: SpillStats,
        rejected: Vec<Rejected>,
    ) -> Ended {
        let facts = MapFacts { records_in: self.records_in, bytes_in: self.split.bytes, ..facts };
        Ended {
            product,
            stage: StageFacts::Map(facts),
            spilled,
            rejected,
            guest_memory_bytes_peak: self.guest_memory_bytes_peak,
        }
    }
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
