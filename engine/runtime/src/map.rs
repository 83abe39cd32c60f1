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
use crate::sink::{Rejected, RejectedRow, Rejects, ShuffleSink, row_sample};
use crate::skip::{Failed, Skips, not_skipped};

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
    skips: &'a mut Skips,
    records_in: u64,
    guest_memory_bytes_peak: u64,
}

/// Runs a map attempt to its end. It begins again where records are to be left out that trap the mapper.
pub(crate) fn run_map(attempt: &Attempt, split: &Split) -> Result<Ended, Failure> {
    let input = attempt.job.input(split)?;
    let mut skips = Skips::default();
    loop {
        let skips_known = &mut skips;
        let mut run = MapAttempt {
            attempt,
            split,
            input,
            skips: skips_known,
            records_in: 0,
            guest_memory_bytes_peak: 0,
        };
        let ended = if attempt.job.spec.reducers == 0 { run.make_parts() } else { run.make_runs() };
        if ended.is_ok() || !skips.begin_again() {
            return ended;
        }
        attempt.begin_again();
    }
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
        let (mut bytes_read, mut base) = (0, 0);
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
            if mapper.is_some() {
                self.map(&mut mapper, &sink, &mut reader, &batch, base, &mut rejected)?;
                base += Suspects::new(self.attempt, self.split, &batch).extent();
            } else {
                let emitted = lock(&sink).emit(0, batch.view());
                emitted.map_err(|failure| self.unwritable(failure, &reader, &batch))?;
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

    /// Feeds a batch that begins at `base` of the split through the mapper, without what is left out of it.
    fn map<S: MapSink>(
        &mut self,
        mapper: &mut Option<Mapper>,
        sink: &Mutex<S>,
        reader: &mut SplitReader,
        batch: &BatchBuf,
        base: u64,
        rejected: &mut Vec<Rejected>,
    ) -> Result<(), Failure> {
        let (attempt, split) = (self.attempt, self.split);
        let Some(open) = mapper else { return Ok(()) };
        let suspects = Suspects::new(attempt, split, batch);
        attempt.hush(self.skips.is_told(base));
        let shown = self.skips.shown(&suspects, base);
        let before = rejected.len();
        let mut order = Vec::new();
        for (record, reason) in shown.iter().flat_map(|shown| &shown.left_out) {
            let place = suspects.place(*record, reader.place(record.row));
            let counted = lock(sink).rejects().count_one(reason);
            counted.map_err(|failure| failure.at(place.clone()))?;
            let row = RejectedRow { row: record.row, reason: reason.clone() };
            rejected.push(Rejected::new(row, place, suspects.bytes(*record)));
            order.push((record.row, record.from));
        }
        let fed = shown.as_ref().map_or(batch, |shown| &shown.batch);
        let place = |reader: &SplitReader, row: u32| match &shown {
            None => reader.place(row),
            Some(shown) => {
                let origin = *shown.origins.get(row as usize)?;
                suspects.place(origin, reader.place(origin.row))
            }
        };
        let mapped = if fed.rows() == 0 { Ok(()) } else { open.map_batch(fed.view()) };
        for row in lock(sink).rejects().take() {
            let origin = shown.as_ref().and_then(|shown| shown.origins.get(row.row as usize));
            order.push(origin.map_or((row.row, 0), |origin| (origin.row, origin.from)));
            let (place, sample) = (place(reader, row.row), row_sample(fed, row.row));
            rejected.push(Rejected::new(row, place, sample));
        }
        let Err(error) = mapped else {
            if shown.is_some() {
                sort_by_place(rejected, before, &order);
            }
            return Ok(());
        };
        // Its memory is needed to find out why.
        drop(mapper.take());
        if let failure @ Failure::Rejects { .. } = error.failure {
            return Err(failure.at(rejected.last().and_then(|last| last.place.clone())));
        }
        let failed = Failed { suspects: &suspects, base, failure: &error.failure, rejects: before as u64 };
        if self.skips.find(attempt, split, &failed, reader)? {
            return Err(error.failure);
        }
        let explained = Suspects::new(attempt, split, fed).explain(error, &|row| place(reader, row));
        Err(if attempt.job.spec.permissions.rejects_max > 0 { not_skipped(explained) } else { explained })
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
            large_groups: Vec::new(),
            guest_memory_bytes_peak: self.guest_memory_bytes_peak,
        }
    }
}

/// Brings the rejects of one batch, from `begin` on, in the order of their records.
fn sort_by_place(rejected: &mut Vec<Rejected>, begin: usize, order: &[(u32, usize)]) {
    let mut batch: Vec<_> = order.iter().zip(rejected.drain(begin..)).collect();
    batch.sort_by_key(|(at, _)| **at);
    rejected.extend(batch.into_iter().map(|(_, one)| one));
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
