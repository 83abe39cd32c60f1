//! A reduce task's input: the segments of its partition from every map task, merged in as many
//! passes as the number of open files and the memory for their buffers ask for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mr_model::{Failure, Stage};

use crate::combine::{Combine, CombineStage};
use crate::full::FullDisk;
use crate::merge::{Cursor, MemoryCursor, Merge};
use crate::output::{MapOutput, Run, SpillStats};
use crate::run::{BLOCK_BYTES, Codec, RunId};
use crate::segment::StoredSegment;
use crate::writer::{RunFile, RunWriter};

/// Memory of one open run file, in bytes: a decoded block and a stored one.
pub const FILE_CURSOR_BYTES: u64 = 2 * BLOCK_BYTES as u64 + BLOCK_BYTES as u64 / 2;
/// Least number of run files merged at once: below, passes would multiply.
pub const FAN_IN_MIN: usize = 4;
/// Most run files merged at once: each is an open file.
pub const FAN_IN_MAX: usize = 256;
/// Records between two looks at the cancel flag.
const CANCEL_CHECK_RECORDS: u64 = 4096;

/// How a reduce task's input is merged.
pub struct ReduceInputOptions {
    /// Job and attempt, for the files of intermediate passes.
    pub id: RunId,
    /// Folder of these files.
    pub dir: PathBuf,
    /// Most run files open at once, at least 2; fewer where long records make them take more than
    /// [`FILE_CURSOR_BYTES`] each.
    pub fan_in: usize,
    /// How these files are stored.
    pub codec: Codec,
    /// What is done when the disk is full.
    pub full: FullDisk,
    /// Bytes that a combiner is given at a time.
    pub batch_bytes: usize,
    /// The combiner, run in intermediate passes.
    pub combine: Option<Box<dyn Combine>>,
    /// Asked now and then whether the attempt is to stop.
    pub cancelled: Box<dyn Fn() -> bool + Send>,
    /// Bytes merged so far, in all passes, for progress.
    pub merged_bytes: Arc<AtomicU64>,
    /// Bytes to merge; passes before the last one add theirs.
    pub merge_bytes: Arc<AtomicU64>,
}

/// The segments of one partition, ready to merge.
pub struct ReduceInput {
    partition: u32,
    sources: Vec<Run>,
    expected: (u64, u64),
}

impl ReduceInput {
    /// Segments of `partition` in `outputs`, which are in map task order.
    pub fn new<'a>(outputs: impl IntoIterator<Item = &'a MapOutput>, partition: u32) -> Self {
        let mut input = Self { partition, sources: Vec::new(), expected: (0, 0) };
        for output in outputs {
            let at = partition as usize;
            input.expected.0 += output.records.get(at).copied().unwrap_or(0);
            input.expected.1 += output.bytes.get(at).copied().unwrap_or(0);
            input.sources.extend(output.runs.iter().filter(|run| has_records(run, partition)).cloned());
        }
        input
    }

    /// The input made of `segments`, in any order: they are merged in order of map task and sequence.
    ///
    /// # Errors
    /// [`Failure::Internal`] for a segment of another partition or of no map task, for one that is there
    /// twice, and for those of two attempts of one map task.
    pub fn from_segments(mut segments: Vec<StoredSegment>, partition: u32) -> Result<Self, Failure> {
        let order = |segment: &StoredSegment| (segment.task(), segment.id.attempt, segment.id.sequence);
        segments.sort_by_key(order);
        if let Some(stray) = segments
            .iter()
            .find(|segment| segment.entry.partition != partition || segment.task().stage != Stage::Map)
        {
            return Err(Failure::internal(format!(
                "{} is no segment of partition {partition}",
                named(stray)
            )));
        }
        for pair in segments.windows(2) {
            let (former, next) = (&pair[0], &pair[1]);
            if former.task() == next.task()
                && (former.id.attempt != next.id.attempt || former.id.sequence == next.id.sequence)
            {
                let names = [former, next].map(named);
                return Err(Failure::internal(format!(
                    "{} and {} are not of one output",
                    names[0], names[1]
                )));
            }
        }
        let expected = segments.iter().fold((0u64, 0u64), |sum, segment| {
            (sum.0.saturating_add(segment.entry.records), sum.1.saturating_add(segment.entry.bytes))
        });
        let sources = segments.into_iter().map(|segment| Run::Segment(Arc::new(segment))).collect();
        Ok(Self { partition, sources, expected })
    }

    /// Records and bytes that the map tasks emitted for the partition.
    pub fn expected(&self) -> (u64, u64) {
        self.expected
    }

    /// Merges down to what can be open at once and opens the last merge.
    pub fn open(mut self, options: ReduceInputOptions) -> Result<(Merge, Merged), Failure> {
        let held = count_all(&self.sources, self.partition);
        if held != self.expected {
            return Err(lost_records(self.expected, held));
        }
        let bytes_max = options.fan_in.max(2) as u64 * FILE_CURSOR_BYTES;
        let mut passes = Passes {
            combine: options.combine.map(|hook| CombineStage::new(hook, options.batch_bytes)),
            id: options.id,
            dir: options.dir,
            codec: options.codec,
            full: options.full,
            cancelled: options.cancelled,
            merged_bytes: options.merged_bytes,
            merge_bytes: options.merge_bytes,
            partition: self.partition,
            spilled: SpillStats::default(),
        };
        while count_files(&self.sources) > 2 && open_bytes(&self.sources, self.partition) > bytes_max {
            self.sources = passes.run(self.sources, bytes_max)?;
        }
        passes.combine.take().map_or(Ok(()), CombineStage::close)?;
        let merge = open_merge(&self.sources, self.partition)?;
        let expected = count_all(&self.sources, self.partition);
        let (partition, spilled) = (self.partition, passes.spilled);
        Ok((merge, Merged { expected, spilled, partition, sources: self.sources }))
    }
}

/// What the passes before the last merge did.
#[derive(Debug)]
pub struct Merged {
    /// Records and bytes that the last merge must pass.
    pub expected: (u64, u64),
    /// What was written on the way.
    pub spilled: SpillStats,
    partition: u32,
    /// What is merged; the files are there until the merge is over.
    sources: Vec<Run>,
}

impl Merged {
    /// The last merge from its beginning.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn reopen(&self) -> Result<Merge, Failure> {
        open_merge(&self.sources, self.partition)
    }

    /// Checks that everything emitted for the partition was consumed, after the merge.
    pub fn check(&self, passed: (u64, u64)) -> Result<(), Failure> {
        if passed == self.expected { Ok(()) } else { Err(lost_records(self.expected, passed)) }
    }
}

/// A segment for a failure.
fn named(segment: &StoredSegment) -> String {
    let (id, partition) = (&segment.id, segment.entry.partition);
    format!("run {} of {} of job {} for partition {partition}", id.sequence, id.attempt, id.job)
}

#[cold]
fn lost_records(expected: (u64, u64), found: (u64, u64)) -> Failure {
    Failure::internal(format!(
        "{} records of {} bytes were emitted for the partition and {} of {} bytes were consumed",
        expected.0, expected.1, found.0, found.1
    ))
}

/// Records and bytes of a run's partition.
fn count(run: &Run, partition: u32) -> (u64, u64) {
    match run {
        Run::Memory(run) => {
            let at = partition as usize;
            (run.partition_records(at), run.partition_bytes(at))
        }
        Run::File(file) => file.partition(partition).map_or((0, 0), |entry| (entry.records, entry.bytes)),
        Run::Segment(segment) => (segment.entry.records, segment.entry.bytes),
    }
}

fn count_all(sources: &[Run], partition: u32) -> (u64, u64) {
    sources
        .iter()
        .map(|run| count(run, partition))
        .fold((0, 0), |sum, one| (u64::saturating_add(sum.0, one.0), u64::saturating_add(sum.1, one.1)))
}

fn has_records(run: &Run, partition: u32) -> bool {
    count(run, partition).0 > 0
}

fn count_files(sources: &[Run]) -> usize {
    sources.iter().filter(|source| matches!(source, Run::File(_) | Run::Segment(_))).count()
}

/// Memory of the open run files among `sources`, in bytes.
fn open_bytes(sources: &[Run], partition: u32) -> u64 {
    sources.iter().map(|source| cursor_bytes(source, partition)).sum()
}

/// Memory that a cursor over a source takes, in bytes: one long record makes a block as long.
fn cursor_bytes(source: &Run, partition: u32) -> u64 {
    let largest = match source {
        Run::Memory(_) => return 0,
        Run::File(file) => file.partition(partition).map_or(0, |entry| entry.cursor_bytes),
        Run::Segment(segment) => segment.entry.cursor_bytes,
    };
    u64::from(largest).max(FILE_CURSOR_BYTES)
}

fn open_merge(sources: &[Run], partition: u32) -> Result<Merge, Failure> {
    let mut cursors = Vec::with_capacity(sources.len());
    for source in sources {
        match source {
            Run::Memory(run) => {
                cursors.push(Cursor::Memory(MemoryCursor::new(run.clone(), partition as usize)));
            }
            Run::File(file) => {
                cursors.extend(file.cursor(partition)?.map(|cursor| Cursor::File(Box::new(cursor))))
            }
            Run::Segment(segment) => cursors.push(Cursor::File(Box::new(segment.cursor()?))),
        }
    }
    Ok(Merge::new(cursors))
}

/// Intermediate merge passes.
struct Passes {
    combine: Option<CombineStage>,
    id: RunId,
    dir: PathBuf,
    codec: Codec,
    full: FullDisk,
    cancelled: Box<dyn Fn() -> bool + Send>,
    merged_bytes: Arc<AtomicU64>,
    merge_bytes: Arc<AtomicU64>,
    partition: u32,
    spilled: SpillStats,
}

impl Passes {
    /// One pass: neighbours are merged as far as `bytes_max` of memory for open files go, at least two
    /// at a time; the order of sources is kept.
    fn run(&mut self, sources: Vec<Run>, bytes_max: u64) -> Result<Vec<Run>, Failure> {
        let mut left = open_bytes(&sources, self.partition);
        let mut merged = Vec::new();
        let mut pending: Vec<Run> = Vec::new();
        for source in sources {
            let bytes = cursor_bytes(&source, self.partition);
            if count_files(&pending) > 1 && open_bytes(&pending, self.partition) + bytes > bytes_max {
                self.merge_pending(&mut pending, &mut merged)?;
            }
            // Enough was merged when the files so far and those to come fit in one merge.
            if pending.is_empty() && open_bytes(&merged, self.partition) + left <= bytes_max {
                merged.push(source);
            } else {
                pending.push(source);
            }
            left -= bytes;
        }
        if count_files(&pending) > 1 {
            self.merge_pending(&mut pending, &mut merged)?;
        }
        merged.append(&mut pending);
        Ok(merged)
    }

    fn merge_pending(&mut self, pending: &mut Vec<Run>, merged: &mut Vec<Run>) -> Result<(), Failure> {
        let sources = std::mem::take(pending);
        let file = self.merge_to_file(&sources)?;
        self.spilled.files += 1;
        self.spilled.bytes += file.bytes();
        merged.push(Run::File(Arc::new(file)));
        Ok(())
    }

    fn merge_to_file(&mut self, sources: &[Run]) -> Result<RunFile, Failure> {
        let expected = count_all(sources, self.partition);
        self.merge_bytes.fetch_add(expected.1, Ordering::Relaxed);
        let mut merge = open_merge(sources, self.partition)?;
        let mut writer = RunWriter::create(&self.dir, self.id.clone(), self.codec, self.full.clone())?;
        self.id.sequence += 1;
        let partition = self.partition;
        let mut reported = 0;
        while !merge.is_exhausted() {
            match self.combine.as_mut() {
                Some(combine) => combine.add(merge.key(), merge.value(), &mut |key, value| {
                    writer.append(partition, key, value)
                })?,
                None => writer.append(partition, merge.key(), merge.value())?,
            }
            merge.advance()?;
            let (records, bytes) = merge.passed();
            if records.is_multiple_of(CANCEL_CHECK_RECORDS) {
                if (self.cancelled)() {
                    return Err(Failure::Cancelled);
                }
                self.merged_bytes.fetch_add(bytes - reported, Ordering::Relaxed);
                reported = bytes;
            }
        }
        if let Some(combine) = self.combine.as_mut() {
            combine.flush(&mut |key, value| writer.append(partition, key, value))?;
        }
        self.merged_bytes.fetch_add(merge.passed().1 - reported, Ordering::Relaxed);
        let file = writer.finish()?;
        let written = file.partition(partition).map_or((0, 0), |entry| (entry.records, entry.bytes));
        if merge.passed() != expected {
            return Err(lost_records(expected, merge.passed()));
        }
        if self.combine.is_none() && written != expected {
            return Err(lost_records(expected, written));
        }
        Ok(file)
    }
}
