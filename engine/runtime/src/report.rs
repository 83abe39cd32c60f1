//! What a finished job tells.

use std::time::Duration;

use mr_model::Counters;
use mr_model::counter::grouped;
use mr_shuffle::SpillStats;
use mr_storage::Part;
use serde::{Deserialize, Serialize};

/// Sums and times of a job that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Name of the job.
    pub job: String,
    /// Input files.
    pub input_files: u64,
    /// Bytes of input.
    pub input_bytes: u64,
    /// Records of input.
    pub input_records: u64,
    /// Map tasks.
    pub map_tasks: u64,
    /// Reduce tasks.
    pub reduce_tasks: u64,
    /// Attempts that failed and were tried again.
    pub attempts_failed: u64,
    /// Records that the map stage emitted.
    pub map_output_records: u64,
    /// Bytes of keys and values that the map stage emitted.
    pub map_output_bytes: u64,
    /// Records and bytes that were shuffled, after combining.
    pub shuffle_records: u64,
    /// See `shuffle_records`.
    pub shuffle_bytes: u64,
    /// What was spilled and combined.
    pub spilled: Spilled,
    /// Groups reduced.
    pub reduce_groups: u64,
    /// Keys with so many records that the tasks that reduce them hold up the job, the largest first.
    pub hot_keys: Vec<HotKey>,
    /// Records of output.
    pub output_records: u64,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Records rejected by plugins.
    pub rejects: u64,
    /// The plugins' counters.
    pub counters: Counters,
    /// Counts left out because there were too many names of counters.
    pub counters_left_out: u64,
    /// Time in each phase, in milliseconds.
    pub millis: Times,
    /// Peak of a guest's linear memory, in bytes.
    pub guest_memory_bytes_peak: u64,
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// The reader of standard output closed it before the end.
    pub output_closed: bool,
}

/// Share of all records that came into reducers from which on a key is hot: with ten and more tasks its task
/// then takes twice as long as the others.
pub const HOT_KEY_PERCENT: u64 = 10;
/// Records of a key below which nobody waits for it, whatever its share.
pub const HOT_KEY_RECORDS_MIN: u64 = 10_000;

/// A key with more than [`HOT_KEY_PERCENT`] of all records that came into reducers, and no fewer than
/// [`HOT_KEY_RECORDS_MIN`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HotKey {
    /// The key as text, cut where it is long.
    pub key: String,
    /// Partition that it is in.
    pub partition: u32,
    /// Its records as they came into the reducer.
    pub records: u64,
    /// Their bytes of keys and values.
    pub bytes: u64,
    /// Its share of all records that came into reducers, in millionths.
    pub share_per_million: u32,
}

impl HotKey {
    /// Records from which on a key of a task that is given `records` may be hot.
    pub(crate) fn records_min(records: u64) -> u64 {
        (records / (100 / HOT_KEY_PERCENT) + 1).max(HOT_KEY_RECORDS_MIN)
    }
}

/// What was spilled and combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spilled {
    /// Run files written.
    pub spill_files: u64,
    /// Their bytes.
    pub spill_bytes: u64,
    /// Records given to combiners by the engine.
    pub combine_input_records: u64,
    /// Records that came back.
    pub combine_output_records: u64,
}

impl JobReport {
    /// The report as people and scripts read it: what was spilled stands beside the other sums, and counters in
    /// groups once more under `counter_groups`, group by group.
    ///
    /// # Errors
    /// None that is known; those of the serialiser.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            if let Some(serde_json::Value::Object(spilled)) = fields.remove("spilled") {
                fields.extend(spilled);
            }
            fields.insert("counter_groups".to_owned(), counter_groups(&self.counters));
        }
        Ok(value)
    }
}

fn counter_groups(counters: &Counters) -> serde_json::Value {
    let mut groups = serde_json::json!({});
    for (name, sum) in counters.iter() {
        if let Some((group, name)) = grouped(name) {
            groups[group][name] = sum.into();
        }
    }
    groups
}

impl From<SpillStats> for Spilled {
    fn from(stats: SpillStats) -> Self {
        Self {
            spill_files: stats.files,
            spill_bytes: stats.bytes,
            combine_input_records: stats.combine_in,
            combine_output_records: stats.combine_out,
        }
    }
}

/// Time in each phase, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Listing, checking, sampling.
    pub plan: u64,
    /// Until the last map task was done.
    pub map: u64,
    /// From there to the last reduce task.
    pub reduce: u64,
    /// Publishing.
    pub publish: u64,
    /// All of it, without compiling the plugins.
    pub total: u64,
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
