//! Where the records of a map stage go that has reducers behind it: into the shuffle. Checks each record against
//! the job's limits on the way. Those of the last stage go into files: see [`crate::part_sink`].

use std::sync::Arc;

use mr_model::limit::{RECORD_SAMPLE_BYTES_MAX, REJECT_REASON_BYTES_MAX};
use mr_model::text::escaped;
use mr_model::{
    Batch, BatchBuf, Column, ColumnBuf, DataType, Failure, GroupedBatchBuf, Place, PluginFault, Role,
};
use mr_sandbox::{Partitioner, Sink};
use mr_shuffle::{KeyPrefix, MapOutput, MapOutputWriter};

use crate::emission::Emission;
use crate::job::{Attempt, Job, Spread};
use crate::placed::PlacedKeys;
use crate::progress::Progress;
use crate::quota::check_shuffle;

/// A row that a plugin gave up on.
#[derive(Debug, Clone)]
pub(crate) struct RejectedRow {
    /// Row (or group) of the input batch.
    pub row: u32,
    /// The plugin's reason.
    pub reason: String,
}

/// A row that a plugin gave up on, with what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Rejected {
    pub place: Option<Place>,
    pub reason: String,
    pub sample: Vec<u8>,
}

impl Rejected {
    /// A rejected row of a batch: `cell` is what is kept of it, from its beginning.
    pub fn new(row: RejectedRow, place: Option<Place>, cell: &[u8]) -> Self {
        let sample = cell[..cell.len().min(RECORD_SAMPLE_BYTES_MAX)].to_vec();
        Self { place, reason: row.reason, sample }
    }
}

/// Rows rejected since the last look, and how many the attempt may still reject.
#[derive(Debug)]
pub(crate) struct Rejects {
    rows: Vec<RejectedRow>,
    allowed: u64,
    count: u64,
}

impl Rejects {
    pub fn new(allowed: u64) -> Self {
        Self { rows: Vec::new(), allowed, count: 0 }
    }

    /// What was rejected since the last call.
    pub fn take(&mut self) -> Vec<RejectedRow> {
        std::mem::take(&mut self.rows)
    }

    pub fn add(&mut self, row: u32, reason: &str) -> Result<(), Failure> {
        let reason = &reason[..reason.floor_char_boundary(REJECT_REASON_BYTES_MAX)];
        self.rows.push(RejectedRow { row, reason: reason.to_owned() });
        self.count_one(reason)
    }

    /// Counts a record that was rejected before any plugin saw it.
    pub fn count_one(&mut self, reason: &str) -> Result<(), Failure> {
        self.count += 1;
        if self.count > self.allowed {
            return Err(Failure::Rejects { allowed: self.allowed, reason: reason.to_owned(), place: None });
        }
        Ok(())
    }
}

/// Takes map output into the shuffle.
pub(crate) struct ShuffleSink {
    job: Arc<Job>,
    progress: Arc<Progress>,
    writer: MapOutputWriter,
    partitioner: Option<Partitioner>,
    placed: Vec<u32>,
    /// What the partitioner is shown of the keys of a batch, where it is not all of them.
    prefixes: ColumnBuf,
    /// Hash of what a mapper emits; none where there is none.
    emission: Option<Emission>,
    placed_keys: PlacedKeys,
    pub rejects: Rejects,
    pub records: u64,
    pub bytes: u64,
}

impl ShuffleSink {
    /// Takes what `attempt` emits; where it has a mapper, a hash of that is kept.
    pub fn new(
        attempt: &Attempt,
        writer: MapOutputWriter,
        partitioner: Option<Partitioner>,
        maps: bool,
    ) -> Self {
        let (job, progress) = (attempt.job.clone(), attempt.progress.clone());
        let rejects = Rejects::new(job.spec.permissions.rejects_max);
        let emission = maps.then(Emission::default);
        let (placed, placed_keys) = (Vec::new(), PlacedKeys::new());
        let prefixes = ColumnBuf::default();
        Self {
            job,
            progress,
            writer,
            partitioner,
            placed,
            prefixes,
            placed_keys,
            emission,
            rejects,
            records: 0,
            bytes: 0,
        }
    }

    /// The output, and the partitioner to be closed.
    pub fn finish(self) -> Result<(MapOutput, Option<Partitioner>), Failure> {
        let output = self.writer.finish()?;
        check_shuffle(&self.job.spec.permissions, output.bytes.iter().sum())?;
        Ok((output, self.partitioner))
    }

    /// Hash of what the mapper emitted so far.
    pub fn emitted(&self) -> Option<u128> {
        self.emission.as_ref().map(Emission::hash)
    }

    /// Counts a batch, and looks what the ones before it have become.
    fn begin(&mut self, batch: Batch<'_>, partitions: &[u8]) -> Result<(), Failure> {
        if let Some(emission) = &mut self.emission {
            emission.add(batch, partitions);
        }
        self.records += u64::from(batch.rows());
        self.bytes += batch.bytes();
        self.progress.add(&self.progress.emitted_batches, 1);
        check_shuffle(&self.job.spec.permissions, self.writer.bytes())
    }

    /// Refuses a partitioner that puts a key elsewhere than before.
    fn check_placed(&mut self, keys: Column<'_>, placed: &[u32]) -> Result<(), Failure> {
        self.placed_keys.check(keys, placed).map_err(|moved| {
            let plugin = self.job.stages.role(Role::Partitioner);
            let datatype = plugin.and_then(|plugin| plugin.contract().partition_key.as_ref());
            let key = key_text(keys.cell(moved.row as usize), datatype);
            let (before, now) = (moved.before, moved.now);
            let message = format!(
                "it put the key \"{key}\" into partition {now}, and into {before} before; a partitioner must be a \
                 function of the key alone"
            );
            contract(Role::Partitioner, message)
        })
    }

    /// Has the partitioner place the records of a batch.
    fn push_by_plugin(&mut self, job: &Job, batch: Batch<'_>) -> Result<(), Failure> {
        let (mut placed, mut prefixes) =
            (std::mem::take(&mut self.placed), std::mem::take(&mut self.prefixes));
        let keys = match &job.key_prefix {
            None => batch.keys,
            Some(prefix) => {
                prefixes.clear();
                batch.keys.iter().try_for_each(|key| first(prefix, key).map(|key| prefixes.push(key)))?;
                prefixes.view()
            }
        };
        let Some(partitioner) = self.partitioner.as_mut() else {
            return Err(Failure::internal("the job's partitioner was not opened"));
        };
        partitioner.partition_batch(keys, &mut placed).map_err(|error| error.failure)?;
        self.check_placed(keys, &placed)?;
        self.push_placed(batch, placed.iter().copied())?;
        (self.placed, self.prefixes) = (placed, prefixes);
        Ok(())
    }

    #[inline]
    fn push_spread(
        &mut self,
        job: &Job,
        batch: Batch<'_>,
        partition: impl Fn(&[u8]) -> Result<u32, Failure>,
    ) -> Result<(), Failure> {
        for (key, value) in batch.iter() {
            job.check_record(Role::Mapper, key, value)?;
            self.writer.push(partition(key)?, key, value)?;
        }
        Ok(())
    }

    fn push_placed(
        &mut self,
        batch: Batch<'_>,
        partitions: impl Iterator<Item = u32>,
    ) -> Result<(), Failure> {
        for ((key, value), partition) in batch.iter().zip(partitions) {
            self.job.check_record(Role::Mapper, key, value)?;
            self.writer.push(partition, key, value)?;
        }
        Ok(())
    }
}

impl Sink for ShuffleSink {
    fn emit(&mut self, _port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        self.begin(batch, &[])?;
        let job = self.job.clone();
        match (&job.spread, &job.key_prefix) {
            (Spread::Hash(hash), None) => self.push_spread(&job, batch, |key| Ok(hash.partition(key))),
            (Spread::Range(range), None) => self.push_spread(&job, batch, |key| Ok(range.partition(key))),
            (Spread::Hash(hash), Some(prefix)) => {
                self.push_spread(&job, batch, |key| Ok(hash.partition(first(prefix, key)?)))
            }
            (Spread::Range(range), Some(prefix)) => {
                self.push_spread(&job, batch, |key| Ok(range.partition(first(prefix, key)?)))
            }
            (Spread::Plugin, _) => self.push_by_plugin(&job, batch),
        }
    }

    fn emit_partitioned(&mut self, batch: Batch<'_>, partitions: &[u8]) -> Result<(), Failure> {
        self.begin(batch, partitions)?;
        if let Some(prefix) = &self.job.key_prefix {
            batch.keys.iter().try_for_each(|key| first(prefix, key).map(drop))?;
        }
        // The sandbox has checked their number and range.
        let placed = partitions.as_chunks::<4>().0.iter().map(|place| u32::from_le_bytes(*place));
        self.push_placed(batch, placed)
    }

    fn reject(&mut self, row: u32, reason: &str) -> Result<(), Failure> {
        self.rejects.add(row, reason)
    }
}

/// Keeps a bounded sample of the keys that a map stage emits, or of what decides in them.
pub(crate) struct SampleSink {
    pub prefix: Option<KeyPrefix>,
    pub keys: Vec<Vec<u8>>,
    pub bytes: usize,
    pub bytes_max: usize,
}

impl SampleSink {
    pub fn push(&mut self, key: &[u8]) -> Result<(), Failure> {
        let key = self.prefix.as_ref().map_or(Ok(key), |prefix| first(prefix, key))?;
        if self.bytes < self.bytes_max {
            self.bytes += Self::bytes_of(key);
            self.keys.push(key.to_vec());
        }
        Ok(())
    }

    /// Forgets all keys but the first ones.
    pub fn keep_first(&mut self, keys: usize) {
        let forgotten = self.keys.drain(keys.min(self.keys.len())..);
        self.bytes -= forgotten.map(|key| Self::bytes_of(&key)).sum::<usize>();
    }

    fn bytes_of(key: &[u8]) -> usize {
        key.len() + size_of::<Vec<u8>>()
    }
}

impl Sink for SampleSink {
    fn emit(&mut self, _port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        batch.keys.iter().try_for_each(|key| self.push(key))
    }

    fn emit_partitioned(&mut self, batch: Batch<'_>, _partitions: &[u8]) -> Result<(), Failure> {
        self.emit(0, batch)
    }

    fn reject(&mut self, _row: u32, _reason: &str) -> Result<(), Failure> {
        Ok(())
    }
}

/// What decides about partition and group in a key that the map stage emitted.
#[inline]
fn first<'a>(prefix: &KeyPrefix, key: &'a [u8]) -> Result<&'a [u8], Failure> {
    prefix.of(key).ok_or_else(|| malformed_key(prefix, key))
}

#[cold]
fn malformed_key(prefix: &KeyPrefix, key: &[u8]) -> Failure {
    let (key, datatype) = (key_text(key, None), prefix.datatype());
    let message = format!(
        "records are grouped by what their keys begin with, a {datatype}, and the key \"{key}\" does not begin with \
         one; emit keys of the type that map.key declares"
    );
    contract(Role::Mapper, message)
}

/// Adds the key of the group at fault to what a combiner or reducer left: of the one that it blames, or
/// of the only one that it was given.
pub(crate) fn name_group(
    mut failure: Failure,
    row: Option<u32>,
    batch: &GroupedBatchBuf,
    datatype: Option<&DataType>,
) -> Failure {
    let group = row.or_else(|| (batch.groups() == 1).then_some(0)).filter(|group| *group < batch.groups());
    if let (Some(words), Some(group)) = (failure.words_mut(), group) {
        words.record = Some(key_text(batch.keys.view().cell(group as usize), datatype));
    }
    failure
}

/// The beginning of a key as text.
pub(crate) fn key_text(key: &[u8], datatype: Option<&DataType>) -> String {
    let mut text = Vec::new();
    let rendered = datatype.is_some_and(|datatype| datatype.render(key, &mut text).is_ok());
    escaped(if rendered { &text } else { key }, RECORD_SAMPLE_BYTES_MAX)
}

/// The value (or key, where there is none) of a row, as a sample of the record.
pub(crate) fn row_sample(batch: &BatchBuf, row: u32) -> &[u8] {
    if row >= batch.rows() {
        return &[];
    }
    let value = batch.values.view().cell(row as usize);
    if value.is_empty() { batch.keys.view().cell(row as usize) } else { value }
}

/// The failure of a `role` that broke the interface.
pub(crate) fn contract(role: Role, message: String) -> Failure {
    Failure::Plugin {
        fault: PluginFault::Contract,
        role,
        message,
        place: None,
        words: mr_model::LastWords::default(),
    }
}
