//! The job as every part of the engine sees it: what runs, on which format, within which limits.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::datatype::DataType;
use crate::format::{Compression, InputFormat, Row};
use crate::id::{AttemptId, JobId};
use crate::limit::{self, Limit, table};
use crate::output::OutputSpec;
use crate::side::Side;

/// What the keys of [`InputFormat::Lines`] tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKey {
    /// Byte offset in the file, `u64`.
    #[default]
    Offset,
    /// Path of the file as the job named it, and byte offset: `tuple<text,u64>`.
    PathOffset,
    /// Nothing: rows that no mapper sees and that no field is the key of.
    Unit,
}

/// How keys are spread over the reducers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partitioning {
    /// By the engine's stable hash.
    Hash,
    /// By ranges with sampled boundaries, so that the parts in order are sorted as a whole.
    Range,
    /// By the job's partitioner component.
    Plugin,
}

/// Types along the record path, as far as the plugins declare them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTypes {
    /// Key of what the last stage emits.
    pub key: Option<DataType>,
    /// Value of what the last stage emits.
    pub value: Option<DataType>,
}

/// What the plugins of a job may use. Everything that is not listed here is denied: files, network,
/// environment, arguments, clocks and randomness of the machine, threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Largest record, in bytes of key and value.
    pub record_bytes_max: u64,
    /// Linear memory of one guest instance, in bytes.
    pub guest_memory_bytes_max: u64,
    /// Longest time a guest may run without returning, emitting or fetching.
    pub idle_timeout: Duration,
    /// Longest time an attempt may take in all.
    pub task_time_max: Duration,
    /// Rejects allowed in the whole job.
    pub rejects_max: u64,
    /// Rejects allowed of a million input records, over the whole job and judged at its end; none for no such
    /// bound.
    pub rejects_per_million_max: Option<u32>,
    /// Bytes of keys and values that the guests of one attempt may emit together.
    pub task_output_bytes_max: u64,
    /// Records that the guests of one attempt may emit together.
    pub task_output_records_max: u64,
    /// Bytes of keys and values that the map tasks together may hand to the reducers, after
    /// combining; none for no quota.
    pub shuffle_bytes_max: Option<u64>,
    /// Bytes of all parts together; none for no quota.
    pub output_bytes_max: Option<u64>,
    /// Records of all parts together; none for no quota.
    pub output_records_max: Option<u64>,
    /// What the wall clock of the plugins shows first, in seconds since 1970: the time at which the job
    /// was submitted, where the job is granted that; none for a fixed moment that tells nothing.
    pub wall_clock: Option<u64>,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            record_bytes_max: limit::RECORD_BYTES_DEFAULT,
            guest_memory_bytes_max: limit::GUEST_MEMORY_BYTES_DEFAULT,
            idle_timeout: limit::IDLE_TIMEOUT_DEFAULT,
            task_time_max: limit::TASK_TIME_DEFAULT,
            rejects_max: 0,
            rejects_per_million_max: None,
            task_output_bytes_max: limit::TASK_OUTPUT_BYTES_DEFAULT,
            task_output_records_max: limit::TASK_OUTPUT_RECORDS_DEFAULT,
            shuffle_bytes_max: None,
            output_bytes_max: None,
            output_records_max: None,
            wall_clock: None,
        }
    }
}

impl Permissions {
    /// Every permission that is a number, with its limit and its value in the limit's unit; none where
    /// nothing is limited.
    pub fn limits(&self) -> [(&'static Limit, Option<u64>); 10] {
        let millis = |time: Duration| Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        [
            (&table::GUEST_MEMORY, Some(self.guest_memory_bytes_max)),
            (&table::IDLE_TIME, millis(self.idle_timeout)),
            (&table::TASK_TIME, millis(self.task_time_max)),
            (&table::RECORD_BYTES, Some(self.record_bytes_max)),
            (&table::REJECTS, Some(self.rejects_max)),
            (&table::TASK_OUTPUT_BYTES, Some(self.task_output_bytes_max)),
            (&table::TASK_OUTPUT_RECORDS, Some(self.task_output_records_max)),
            (&table::SHUFFLE_BYTES, self.shuffle_bytes_max),
            (&table::OUTPUT_BYTES, self.output_bytes_max),
            (&table::OUTPUT_RECORDS, self.output_records_max),
        ]
    }

    /// The first permission that is over what the engine allows any job, with its value.
    pub fn over_engine(&self) -> Option<(&'static Limit, u64)> {
        let mut asked = self.limits().into_iter().filter_map(|(limit, value)| Some((limit, value?)));
        asked.find(|(limit, value)| !limit.allows(*value))
    }
}

/// One input of a job: files of one format for one mapper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Its name; empty where it has none. The mapper learns it as [`INPUT_FACT`].
    pub name: String,
    /// How its bytes become records.
    pub format: InputFormat,
    /// How its files are compressed; none for what their names say.
    pub compression: Option<Compression>,
    /// Most decoded bytes for each byte of a compressed file, beyond the first 64 MiB.
    pub expansion_max: u64,
    /// What keys tell that tell a place.
    pub key: InputKey,
    /// Whether text reaches the mapper as chunks of whole lines.
    pub chunks: bool,
    /// Fields of its rows, all with their types; none where records are not rows.
    pub row: Option<Row>,
    /// Types of its records as they are read, as far as known.
    pub types: StageTypes,
    /// BLAKE3 of its mapper's component, in hex; none where records go on as they are.
    pub mapper: Option<String>,
}

/// Names of facts that the engine tells plugins through `config`, beside the job's parameters: what they
/// begin with. No job can set them.
pub const FACT_PREFIX: &str = "mr.";
/// The fact that tells a mapper the name of the input that its records are of.
pub const INPUT_FACT: &str = "mr.input";
/// The fact that tells a mapper the names of the fields of a value, as a JSON array.
pub const FIELDS_FACT: &str = "mr.fields";
/// The fact that tells a mapper the names of the fields of a key, as a JSON array.
pub const KEY_FIELDS_FACT: &str = "mr.key-fields";

impl InputSpec {
    /// An input without a name of which everything is as it is by default, without a mapper.
    pub fn of(format: InputFormat) -> Self {
        Self {
            name: String::new(),
            format,
            compression: None,
            expansion_max: limit::EXPANSION_DEFAULT,
            key: InputKey::Offset,
            chunks: false,
            row: None,
            types: StageTypes::default(),
            mapper: None,
        }
    }

    /// Types of its records as far as format and fields say.
    pub fn types_of_format(&self) -> StageTypes {
        let place = match self.key {
            InputKey::Offset => DataType::U64,
            InputKey::Unit => DataType::Unit,
            InputKey::PathOffset => DataType::Tuple(vec![DataType::Text, DataType::U64]),
        };
        let (key, value) = match (&self.row, self.format) {
            (Some(row), _) => (row.key_type().unwrap_or(place), row.value_type()),
            (None, InputFormat::Lines | InputFormat::JsonLines) => (place, DataType::Bytes),
            (None, InputFormat::LineKeys) => (DataType::Bytes, DataType::Unit),
            (None, InputFormat::Fixed { .. }) => (DataType::Bytes, DataType::Bytes),
            (None, InputFormat::Whole) => (DataType::Text, DataType::Bytes),
            _ => return StageTypes::default(),
        };
        StageTypes { key: Some(key), value: Some(value) }
    }

    /// How the file of a name is compressed.
    pub fn compression_of(&self, name: &str) -> Compression {
        if !self.format.may_be_compressed() {
            return Compression::None;
        }
        self.compression.unwrap_or_else(|| Compression::of_name(name))
    }
}

/// Whether `name` can be that of an input: a lower-case letter, then these, digits, `-` and `_`, 64 at most.
pub fn is_input_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(rest)
}

/// A job as the scheduler and the attempts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Name of the job.
    pub id: JobId,
    /// Parameters that plugins see, defaults filled in.
    pub params: Vec<(String, String)>,
    /// Number of reducers, thus of partitions; 0 for a map-only job.
    pub reducers: u32,
    /// What it reads; a split is of one of them.
    pub inputs: Vec<InputSpec>,
    /// What it writes.
    pub output: OutputSpec,
    /// How keys are spread over reducers.
    pub partitioning: Partitioning,
    /// Types of what the map stage hands to the reducers.
    pub shuffle_types: StageTypes,
    /// Number of elements of a key, which is a tuple, that decide about partition and group; 0 for the whole
    /// key, whatever it is. Records are sorted by the whole key in any case.
    pub group_prefix: u32,
    /// Size that batches aim for, in bytes.
    pub batch_bytes: u32,
    /// Attempts of a task, for failures worth another one.
    pub attempts_max: u32,
    /// What its plugins may use.
    pub permissions: Permissions,
    /// Files that its plugins may read, in the order of their names.
    pub sides: Vec<Side>,
    /// The job fails, and publishes nothing, if one of them holds in its end.
    pub fail_if: Vec<Condition>,
}

/// What an attempt is told about itself (`types.task-context`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskContext {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Number of partitions that output is divided into, 0 for none.
    pub partitions: u32,
    /// Equal for all attempts of a task.
    pub seed: u64,
    /// Size that output batches should aim for, in bytes.
    pub batch_bytes: u32,
    /// Names of the outputs that it can emit to, by port; the first is [`crate::output::MAIN_OUTPUT`].
    pub outputs: Arc<[String]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_over_the_engine_are_found() {
        assert_eq!(Permissions::default().over_engine(), None);
        let limits = Permissions::default().limits();
        assert!(limits.iter().all(|(limit, value)| limit.default == *value && !limit.is_fixed()));
        let long = Duration::from_secs(365 * 24 * 3600);
        let asked = Permissions { task_time_max: long, ..Permissions::default() };
        assert_eq!(asked.over_engine(), Some((&table::TASK_TIME, 365 * 24 * 3_600_000)));
    }
}
