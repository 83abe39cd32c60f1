//! What an attempt tells beside what it made: counts and costs as plain data of bounded size, which
//! reports and manifests are made of.

use mr_model::{Counters, Place};
use mr_scheduler::AttemptReport;
use mr_shuffle::SpillStats;
use serde::{Deserialize, Serialize};

/// What an attempt did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What its stage counts.
    pub stage: StageFacts,
    /// What it spilled and combined.
    pub spilled: SpillStats,
    /// Records that plugins rejected; the records are in a file of the attempt in the part folder.
    pub rejects: u64,
    /// The last one of these.
    pub last_reject: Option<LastReject>,
    /// Groups with a large share of what it reduced, at most [`mr_shuffle::LARGE_GROUPS_MAX`].
    pub large_groups: Vec<LargeKey>,
    /// The plugins' counters.
    pub counters: Counters,
    /// Peak of a guest's linear memory, in bytes.
    pub guest_memory_bytes_peak: u64,
    /// Processor time of its thread, in milliseconds.
    pub cpu_millis: u64,
}

/// What a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageFacts {
    /// Of a map attempt.
    Map(MapFacts),
    /// Of a reduce attempt.
    Reduce(ReduceFacts),
}

/// What a map attempt counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapFacts {
    /// Records read.
    pub records_in: u64,
    /// Bytes of its split.
    pub bytes_in: u64,
    /// Records emitted.
    pub records_out: u64,
    /// Bytes of keys and values emitted; in a map-only job, of the part.
    pub bytes_out: u64,
    /// Records for the reducers, after combining.
    pub shuffle_records: u64,
    /// Their bytes of keys and values.
    pub shuffle_bytes: u64,
    /// Hash of what its mapper emitted, in order and before anything was done with it; none where no
    /// plugin maps, or where it makes a part.
    pub emitted: Option<u128>,
}

/// What a reduce attempt counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReduceFacts {
    /// Records of its partition.
    pub records_in: u64,
    /// Their bytes of keys and values.
    pub bytes_in: u64,
    /// Groups reduced.
    pub groups: u64,
    /// Records of its part.
    pub records_out: u64,
    /// Bytes of its part.
    pub bytes_out: u64,
}

/// A rejected record, for the failure that too many of them make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReject {
    /// Where it came from, if known.
    pub place: Option<Place>,
    /// What the plugin said.
    pub reason: String,
}

/// A key with many records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeKey {
    /// The key as text, cut where it is long.
    pub key: String,
    /// Its records as they came into the reducer.
    pub records: u64,
    /// Their bytes of keys and values.
    pub bytes: u64,
}

impl Facts {
    /// What the scheduler is told.
    pub fn report(&self) -> AttemptReport {
        AttemptReport {
            bytes_spilled: self.spilled.bytes,
            rejects: self.rejects,
            cpu_millis: self.cpu_millis,
            counters: self.counters.clone(),
            ..self.stage.report()
        }
    }
}

impl StageFacts {
    fn report(&self) -> AttemptReport {
        let (records_in, bytes_in, records_out, bytes_out) = match self {
            StageFacts::Map(map) => (map.records_in, map.bytes_in, map.records_out, map.bytes_out),
            StageFacts::Reduce(reduce) => {
                (reduce.records_in, reduce.bytes_in, reduce.records_out, reduce.bytes_out)
            }
        };
        AttemptReport { records_in, bytes_in, records_out, bytes_out, ..AttemptReport::default() }
    }
}
