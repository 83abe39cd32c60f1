//! A map task's output: buffered, sorted, combined, and kept in memory or spilled to run files.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use mr_model::Failure;
use serde::{Deserialize, Serialize};

use crate::buffer::{MemoryRun, Pushed, SortBuffer};
use crate::combine::{Combine, CombineStage};
use crate::full::FullDisk;
use crate::pool::{MemoryPool, Reservation};
use crate::run::{Codec, RunId};
use crate::segment::StoredSegment;
use crate::writer::{RunFile, RunWriter};

/// A run in memory is combined when at most this share of its records has a key of its own: above,
/// the merge is cheaper than the combiner (measured on words of source text).
const COMBINE_SHARE_MEMORY: f64 = 0.35;
/// A run that goes to disk is combined up to this share: it saves writing and reading, too.
const COMBINE_SHARE_DISK: f64 = 0.9;
/// All output goes to files, for others on the same machine, thus from page cache to page cache: bytes
/// are cheaper there than the combiner (measured on words of source text: 4 % less time, a third more
/// bytes).
const COMBINE_SHARE_NEAR: f64 = 0.5;

/// Where a run as a whole is not combined, keys are that have at least one of so many parts of its records: one
/// reducer would get all of them, and wait for nothing else.
const COMBINE_HOT_SHARES: usize = 20;
/// Records of such a key at least: fewer are no burden to anybody.
const COMBINE_HOT_RECORDS_MIN: usize = 64;

/// How a map task's output is made.
pub struct OutputOptions {
    /// Job and attempt; the sequence counts up from it.
    pub id: RunId,
    /// Number of partitions, at least 1.
    pub partitions: u32,
    /// Folder for run files.
    pub dir: PathBuf,
    /// Where sort buffers draw their memory from.
    pub pool: Arc<MemoryPool>,
    /// Budget of the runs that stay in memory after their task; they count in `pool`, too. None: all
    /// output goes to files, as where another machine fetches it.
    pub retain: Option<Arc<MemoryPool>>,
    /// Memory that the task has for itself beside the pool, in bytes, so that it can always go on.
    pub buffer_bytes_min: u64,
    /// How run files are stored.
    pub codec: Codec,
    /// What is done when the disk is full.
    pub full: FullDisk,
    /// Bytes that a combiner is given at a time.
    pub batch_bytes: usize,
    /// The combiner.
    pub combine: Option<Box<dyn Combine>>,
}

/// A sorted run of a map task.
#[derive(Debug, Clone)]
pub enum Run {
    /// In memory.
    Memory(Arc<MemoryRun>),
    /// On disk.
    File(Arc<RunFile>),
    /// On disk, a part of a run file.
    Segment(Arc<StoredSegment>),
}

/// What a map task spilled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpillStats {
    /// Run files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records given to the combiner.
    pub combine_in: u64,
    /// Records that came back.
    pub combine_out: u64,
}

impl SpillStats {
    /// Adds those of another task, saturating.
    pub fn add(&mut self, other: &SpillStats) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.combine_in = self.combine_in.saturating_add(other.combine_in);
        self.combine_out = self.combine_out.saturating_add(other.combine_out);
    }
}

/// Finished output of a map task: runs in the order of emission.
#[derive(Debug, Clone, Default)]
pub struct MapOutput {
    /// The runs.
    pub runs: Vec<Run>,
    /// Records that the runs hold, for each partition.
    pub records: Vec<u64>,
    /// Bytes of keys and values that the runs hold, for each partition.
    pub bytes: Vec<u64>,
    /// What was spilled and combined.
    pub spilled: SpillStats,
}

impl MapOutput {
    /// The segments of its run files, by run and partition: all of the output where nothing was to
    /// stay in memory. The files are there as long as this value or a clone of it.
    pub fn segments(&self) -> impl Iterator<Item = StoredSegment> {
        self.runs
            .iter()
            .filter_map(|run| match run {
                Run::File(file) => Some(file.segments()),
                Run::Memory(_) | Run::Segment(_) => None,
            })
            .flatten()
    }
}

/// Takes a map task's records.
pub struct MapOutputWriter {
    buffer: SortBuffer,
    combine: Option<CombineStage>,
    id: RunId,
    dir: PathBuf,
    pool: Arc<MemoryPool>,
    retain: Option<Arc<MemoryPool>>,
    codec: Codec,
    full: FullDisk,
    output: MapOutput,
    /// Of all partitions in `output`.
    bytes: u64,
}

impl MapOutputWriter {
    /// An empty output.
    pub fn new(options: OutputOptions) -> Self {
        let reservation = options.pool.reserve();
        let partitions = options.partitions.max(1) as usize;
        let output =
            MapOutput { records: vec![0; partitions], bytes: vec![0; partitions], ..MapOutput::default() };
        Self {
            buffer: SortBuffer::new(options.partitions.max(1), options.buffer_bytes_min, reservation),
            combine: options.combine.map(|hook| CombineStage::new(hook, options.batch_bytes)),
            id: options.id,
            dir: options.dir,
            pool: options.pool,
            retain: options.retain,
            codec: options.codec,
            full: options.full,
            output,
            bytes: 0,
        }
    }

    /// Takes a record of `partition`, which must be below the number of partitions.
    #[inline]
    pub fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        match self.buffer.push(partition, key, value) {
            Ok(Pushed::Taken) => Ok(()),
            Ok(Pushed::Full) => self.spill_and_push(partition, key, value),
            Err(error) => Err(no_memory(&error)),
        }
    }

    /// Bytes of keys and values in the runs so far, after combining.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sorts what is left and hands over the runs.
    pub fn finish(mut self) -> Result<MapOutput, Failure> {
        if !self.buffer.is_empty() {
            self.finish_buffer()?;
        }
        self.combine.map_or(Ok(()), CombineStage::close)?;
        Ok(self.output)
    }

    fn finish_buffer(&mut self) -> Result<(), Failure> {
        let run = self.buffer.sort().map_err(|error| no_memory(&error))?;
        let Some(retained) = self.retained(&run) else {
            return self.spill(&run);
        };
        let mut run = match self.combined(&run)? {
            Some(smaller) => smaller,
            None => run,
        };
        if !run.retain(retained)? {
            return self.spill(&run);
        }
        for partition in 0..run.partitions() {
            self.output.records[partition] += run.partition_records(partition);
            self.output.bytes[partition] += run.partition_bytes(partition);
            self.bytes += run.partition_bytes(partition);
        }
        self.output.runs.push(Run::Memory(Arc::new(run)));
        Ok(())
    }

    #[cold]
    fn spill_and_push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        if !self.buffer.is_empty() {
            let run = self.buffer.sort().map_err(|error| no_memory(&error))?;
            self.spill(&run)?;
        }
        match self.buffer.push(partition, key, value).map_err(|error| no_memory(&error))? {
            Pushed::Taken => Ok(()),
            Pushed::Full => Err(Failure::internal(format!(
                "a record of {} bytes does not fit in the sort buffer of {} bytes",
                key.len() + value.len(),
                self.buffer.capacity()
            ))),
        }
    }

    /// Room for a run that stays, if there is any.
    fn retained(&self, run: &MemoryRun) -> Option<Reservation> {
        let mut reservation = self.retain.as_ref()?.reserve();
        reservation.grow_to(run.kept_bytes()).then_some(reservation)
    }

    /// The run combined in memory, where that makes it much smaller and memory allows.
    fn combined(&mut self, run: &MemoryRun) -> Result<Option<MemoryRun>, Failure> {
        let Some(combine) = self.combine.as_mut() else { return Ok(None) };
        let Some(folds) = Folds::of(run, COMBINE_SHARE_MEMORY) else { return Ok(None) };
        let partitions = u32::try_from(run.partitions()).unwrap_or(u32::MAX);
        let mut smaller = SortBuffer::new(partitions, 0, self.pool.reserve());
        let mut full = false;
        let mut records_out = 0u64;
        for partition in 0..partitions {
            let mut consume = |key: &[u8], value: &[u8]| {
                let pushed = smaller.push(partition, key, value).map_err(|error| no_memory(&error))?;
                full |= pushed == Pushed::Full;
                records_out += 1;
                Ok(())
            };
            pass_run(run, partition as usize, Some((&folds, &mut *combine)), &mut consume)?;
            if full {
                return Ok(None);
            }
        }
        let folded = folds.records(run);
        self.output.spilled.combine_in += folded;
        self.output.spilled.combine_out += folded.saturating_sub(run.records() - records_out);
        smaller.group_partitions().map(Some).map_err(|error| no_memory(&error))
    }

    /// Writes a run to a file, combined where that pays.
    fn spill(&mut self, run: &MemoryRun) -> Result<(), Failure> {
        let mut writer = RunWriter::create(&self.dir, self.id.clone(), self.codec, self.full.clone())?;
        self.id.sequence += 1;
        let is_near = self.retain.is_none() && self.codec == Codec::None;
        let share_max = if is_near { COMBINE_SHARE_NEAR } else { COMBINE_SHARE_DISK };
        let folds = self.combine.as_ref().and_then(|_| Folds::of(run, share_max));
        let combine = self.combine.as_mut().filter(|_| folds.is_some());
        write_run(run, folds.as_ref().zip(combine), &mut writer)?;
        let file = writer.finish()?;
        let mut records_out = 0;
        for entry in file.index() {
            self.output.records[entry.partition as usize] += entry.records;
            self.output.bytes[entry.partition as usize] += entry.bytes;
            self.bytes += entry.bytes;
            records_out += entry.records;
        }
        if let Some(folds) = &folds {
            let folded = folds.records(run);
            self.output.spilled.combine_in += folded;
            self.output.spilled.combine_out += folded.saturating_sub(run.records() - records_out);
        }
        self.output.spilled.files += 1;
        self.output.spilled.bytes += file.bytes();
        self.output.runs.push(Run::File(Arc::new(file)));
        Ok(())
    }
}

/// What of a run is combined.
enum Folds {
    /// All of it: enough of its keys are equal.
    All,
    /// The entries of its hot keys, partition by partition.
    Hot(Vec<Vec<Range<usize>>>),
}

impl Folds {
    /// What pays in a run, of which all is combined where at most this share of its keys is distinct.
    fn of(run: &MemoryRun, share_max: f64) -> Option<Self> {
        if run.distinct_share() <= share_max {
            return Some(Folds::All);
        }
        let hot = |partition| run.hot_ranges(partition, COMBINE_HOT_SHARES, COMBINE_HOT_RECORDS_MIN);
        let hot: Vec<_> = (0..run.partitions()).map(hot).collect();
        hot.iter().any(|ranges| !ranges.is_empty()).then_some(Folds::Hot(hot))
    }

    /// Records that are given to the combiner.
    fn records(&self, run: &MemoryRun) -> u64 {
        match self {
            Folds::All => run.records(),
            Folds::Hot(hot) => hot.iter().flatten().map(|range| range.len() as u64).sum(),
        }
    }

    /// Entries of a partition in order, in portions that are combined or not.
    fn portions(&self, run: &MemoryRun, partition: usize) -> Vec<(Range<usize>, bool)> {
        let range = run.range(partition);
        let hot = match self {
            Folds::All => return vec![(range, true)],
            Folds::Hot(hot) => hot.get(partition).map_or(&[][..], Vec::as_slice),
        };
        let mut portions = Vec::with_capacity(2 * hot.len() + 1);
        let mut next = range.start;
        for hot in hot {
            portions.extend([(next..hot.start, false), (hot.clone(), true)]);
            next = hot.end;
        }
        portions.push((next..range.end, false));
        portions
    }
}

/// Hands on the records of a partition, combined as far as that is to be.
fn pass_run(
    run: &MemoryRun,
    partition: usize,
    folds: Option<(&Folds, &mut CombineStage)>,
    consume: &mut impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let record = |at: usize| {
        run.prefetch(at + crate::merge::PREFETCH_AHEAD);
        let entry = run.entry(at);
        (run.key(entry), run.value(entry))
    };
    let Some((folds, combine)) = folds else {
        for at in run.range(partition) {
            let (key, value) = record(at);
            consume(key, value)?;
        }
        return Ok(());
    };
    for (range, folded) in folds.portions(run, partition) {
        for at in range {
            let (key, value) = record(at);
            if folded { combine.add(key, value, consume)? } else { consume(key, value)? }
        }
        combine.flush(consume)?;
    }
    Ok(())
}

fn write_run(
    run: &MemoryRun,
    mut folds: Option<(&Folds, &mut CombineStage)>,
    writer: &mut RunWriter,
) -> Result<(), Failure> {
    for partition in 0..u32::try_from(run.partitions()).unwrap_or(u32::MAX) {
        let folds = folds.as_mut().map(|(folds, combine)| (*folds, &mut **combine));
        pass_run(run, partition as usize, folds, &mut |key, value| writer.append(partition, key, value))?;
    }
    Ok(())
}

fn no_memory(error: &std::io::Error) -> Failure {
    Failure::internal(format!("the system gives no memory for the sort buffer: {error}"))
}
