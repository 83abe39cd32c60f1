//! The job as every part of the engine sees it: what runs, on which format, within which limits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::datatype::DataType;
use crate::id::{AttemptId, JobId};
use crate::limit::{self, Limit, table};

/// How bytes of input become records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum InputFormat {
    /// One record for each line: the key tells the place ([`InputKey`]), the value is the line
    /// without its `\n`. A last line without `\n` counts.
    Lines,
    /// One record for each line: the key is the line without its `\n`, the value is empty.
    LineKeys,
    /// Records of `bytes` bytes each; the first `key` of them are the key, the rest the value.
    Fixed {
        /// Length of a record, at least 1.
        bytes: u32,
        /// Length of its key, at most `bytes`.
        key: u32,
    },
}

impl FromStr for InputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage =
            || format!("{text:?} is no input format: use lines, line-keys, fixed:BYTES or fixed:BYTES:KEY");
        match text {
            "lines" => return Ok(InputFormat::Lines),
            "line-keys" => return Ok(InputFormat::LineKeys),
            _ => {}
        }
        let lengths = text.strip_prefix("fixed:").ok_or_else(usage)?;
        let (bytes, key) = lengths.split_once(':').unwrap_or((lengths, lengths));
        let bytes: u32 = bytes.parse().map_err(|_| usage())?;
        let key: u32 = key.parse().map_err(|_| usage())?;
        if bytes == 0 || key > bytes || u64::from(bytes) > limit::RECORD_BYTES_MAX {
            return Err(usage());
        }
        Ok(InputFormat::Fixed { bytes, key })
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputFormat::Lines => f.write_str("lines"),
            InputFormat::LineKeys => f.write_str("line-keys"),
            InputFormat::Fixed { bytes, key } => write!(f, "fixed:{bytes}:{key}"),
        }
    }
}

impl TryFrom<String> for InputFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<InputFormat> for String {
    fn from(format: InputFormat) -> Self {
        format.to_string()
    }
}

/// What the keys of [`InputFormat::Lines`] tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKey {
    /// Byte offset in the file, `u64`.
    #[default]
    Offset,
    /// Path of the file as the job named it, and byte offset: `tuple<text,u64>`.
    PathOffset,
}

/// How output records become bytes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// `key TAB value NEWLINE`, rendered by type; a unit and its tab are left out.
    Text,
    /// Key and value end to end, nothing between.
    Raw,
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(OutputFormat::Text),
            "raw" => Ok(OutputFormat::Raw),
            _ => Err(format!("{text:?} is no output format: use text or raw")),
        }
    }
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

/// A job as the scheduler and the attempts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Name of the job.
    pub id: JobId,
    /// Parameters that plugins see, defaults filled in.
    pub params: Vec<(String, String)>,
    /// Number of reducers, thus of partitions; 0 for a map-only job.
    pub reducers: u32,
    /// How input becomes records.
    pub input_format: InputFormat,
    /// What keys of text input tell.
    pub input_key: InputKey,
    /// How output records become bytes.
    pub output_format: OutputFormat,
    /// How keys are spread over reducers.
    pub partitioning: Partitioning,
    /// Types of what the map stage hands to the reducers.
    pub shuffle_types: StageTypes,
    /// Number of elements of a key, which is a tuple, that decide about partition and group; 0 for the whole
    /// key, whatever it is. Records are sorted by the whole key in any case.
    pub group_prefix: u32,
    /// Types of what is written to the parts.
    pub output_types: StageTypes,
    /// Size that batches aim for, in bytes.
    pub batch_bytes: u32,
    /// Attempts of a task, for failures worth another one.
    pub attempts_max: u32,
    /// What its plugins may use.
    pub permissions: Permissions,
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

    #[test]
    fn input_formats_parse() {
        assert_eq!("fixed:100:10".parse(), Ok(InputFormat::Fixed { bytes: 100, key: 10 }));
        assert_eq!("fixed:8".parse(), Ok(InputFormat::Fixed { bytes: 8, key: 8 }));
        for bad in ["", "fixed", "fixed:", "fixed:0", "fixed:4:5", "fixed:-1", "csv", "fixed:99999999999"] {
            assert!(bad.parse::<InputFormat>().is_err(), "{bad}");
        }
    }
}
