//! A map attempt: a split in; sorted, partitioned runs out, or a part in a map-only job.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{AttemptId, BatchBuf, Counters, Failure, Role};
use mr_sandbox::{CancelToken, GuestMemory, Mapper, Partitioner, RoleReport, Sink};
use mr_shuffle::{Codec, MapOutput, MapOutputWriter, OutputOptions};
use mr_storage::{PartWriter, PendingPart, Split, SplitReader};

use crate::hook::PluginCombine;
use crate::job::{Job, Spread};
use crate::sink::{PartSink, Rejected, Rejects, ShuffleSink, locate, row_sample};

/// What a map attempt leaves behind.
pub(crate) enum MapProduct {
    /// Runs for the reducers.
    Runs(MapOutput),
    /// A part that waits for its commit.
    Part(PendingPart),
}

/// A finished map attempt.
pub(crate) struct MapDone {
    pub product: MapProduct,
    pub records_in: u64,
    pub bytes_in: u64,
    pub records_out: u64,
    pub bytes_out: u64,
    pub rejected: Vec<Rejected>,
    pub counters: Counters,
    pub guest_memory_peak: u64,
}

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
    job: &'a Arc<Job>,
    attempt: AttemptId,
    split: &'a Split,
    memory: Arc<GuestMemory>,
    cancel: &'a CancelToken,
    counters: Arc<Mutex<Counters>>,
    records_in: u64,
    guest_memory_peak: u64,
}

/// Runs a map attempt to its end.
pub(crate) fn run_map(
    job: &Arc<Job>,
    split: &Split,
    attempt: AttemptId,
    cancel: &CancelToken,
) -> Result<MapDone, Failure> {
    let mut run = MapAttempt {
        job,
        attempt,
        split,
        memory: Arc::new(GuestMemory::new(job.memory.guests)),
        cancel,
        counters: Arc::default(),
        records_in: 0,
        guest_memory_peak: 0,
    };
    if job.spec.reducers == 0 { run.make_part() } else { run.make_runs() }
}

impl MapAttempt<'_> {
    fn make_runs(&mut self) -> Result<MapDone, Failure> {
        let job = self.job.clone();
        let writer = MapOutputWriter::new(OutputOptions {
            id: job.run_id(self.attempt),
            partitions: job.spec.reducers,
            dir: job.run_dir.clone(),
            pool: job.pool.clone(),
            retain: Some(job.retain.clone()),
            buffer_bytes_min: job.memory.sort_min,
            codec: Codec::None,
            batch_bytes: job.spec.batch_bytes as usize,
            combine: PluginCombine::hook(&job, self.attempt, &self.memory, self.cancel, &self.counters),
        });
        let partitioner = match (&job.spread, job.stages.role(Role::Partitioner)) {
            (Spread::Plugin, Some(plugin)) => {
                let options = job.instance(self.attempt, &self.memory, self.cancel);
                Some(Partitioner::open(plugin, options).map_err(|error| error.failure)?)
            }
            _ => None,
        };
        let sink = ShuffleSink::new(job, writer, partitioner);
        let (sink, rejected) = self.run(sink)?;
        let (records_out, bytes_out) = (sink.records, sink.bytes);
        let (writer, partitioner) = sink.into_parts();
        let output = writer.finish()?;
        if let Some(partitioner) = partitioner {
            let report = partitioner.close().map_err(|error| error.failure)?;
            self.add_report(&report)?;
        }
        Ok(self.done(MapProduct::Runs(output), (records_out, bytes_out), rejected))
    }

    fn make_part(&mut self) -> Result<MapDone, Failure> {
        let AttemptId { task, attempt } = self.attempt;
        let part = PartWriter::create(&self.job.part_dir, task.stage, task.index, attempt)?;
        let (sink, rejected) = self.run(PartSink::new(self.job.clone(), Role::Mapper, part))?;
        let pending = sink.finish()?.finish()?;
        let passed = (pending.rows(), pending.bytes());
        Ok(self.done(MapProduct::Part(pending), passed, rejected))
    }

    /// Feeds the split through the mapper, or straight into the sink where there is none.
    fn run<S: MapSink + 'static>(&mut self, sink: S) -> Result<(S, Vec<Rejected>), Failure> {
        let mut reader = SplitReader::open(self.split, self.job.reader())?;
        let sink = Arc::new(Mutex::new(sink));
        let options = self.job.instance(self.attempt, &self.memory, self.cancel);
        let mut mapper = match self.job.stages.role(Role::Mapper) {
            Some(plugin) => {
                Some(Mapper::open(plugin, options, Box::new(sink.clone())).map_err(|error| error.failure)?)
            }
            None => None,
        };
        let mut batch = BatchBuf::default();
        let mut rejected = Vec::new();
        let mut bytes_read = 0;
        while reader.next_batch(&mut batch)? {
            if self.cancel.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            match mapper.as_mut() {
                Some(mapper) => {
                    let mapped = mapper.map_batch(batch.view());
                    for row in lock(&sink).rejects().take() {
                        let sample = row_sample(&batch, row.row);
                        let place = reader.place(row.row);
                        rejected.push(Rejected::new(row, place, sample));
                    }
                    if let Err(error) = mapped {
                        let blamed = match &error.failure {
                            Failure::Rejects { .. } => rejected.last().and_then(|last| last.place.clone()),
                            _ => reader.place(error.row.unwrap_or(0)),
                        };
                        return Err(locate(error.failure, blamed));
                    }
                }
                None => lock(&sink).emit(0, batch.view())?,
            }
            let records = self.count(&batch);
            self.records_in += records;
            let progress = &self.job.progress;
            progress.add(&progress.map_bytes, reader.bytes_read() - bytes_read);
            progress.add(&progress.map_records, records);
            bytes_read = reader.bytes_read();
        }
        if let Some(mapper) = mapper {
            let report = mapper.close().map_err(|error| error.failure)?;
            self.add_report(&report)?;
        }
        let sink =
            Arc::into_inner(sink).ok_or_else(|| Failure::internal("a closed mapper still holds its sink"))?;
        Ok((sink.into_inner().unwrap_or_else(PoisonError::into_inner), rejected))
    }

    /// Records of a batch of input: lines where a row is a chunk of lines.
    fn count(&self, batch: &BatchBuf) -> u64 {
        if !self.job.reader().chunks {
            return u64::from(batch.rows());
        }
        let values = batch.values.view();
        let newlines = memchr::memchr_iter(b'\n', values.data()).count() as u64;
        let unended = values.iter().filter(|chunk| chunk.last().is_some_and(|byte| *byte != b'\n')).count();
        newlines + unended as u64
    }

    fn add_report(&mut self, report: &RoleReport) -> Result<(), Failure> {
        self.guest_memory_peak = self.guest_memory_peak.max(report.memory_bytes_peak);
        lock(&self.counters).merge(&report.counters).map_err(|refused| Failure::internal(refused.to_string()))
    }

    fn done(&self, product: MapProduct, out: (u64, u64), rejected: Vec<Rejected>) -> MapDone {
        MapDone {
            product,
            records_in: self.records_in,
            bytes_in: self.split.bytes,
            records_out: out.0,
            bytes_out: out.1,
            rejected,
            counters: lock(&self.counters).clone(),
            guest_memory_peak: self.guest_memory_peak,
        }
    }
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
