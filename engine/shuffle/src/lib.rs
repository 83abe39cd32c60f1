//! From the map stage's records to the reduce stage's groups, in bounded memory.
//!
//! Owns: choosing a key's partition, the sort buffer, runs in memory and on disk, spilling, combining
//! at spills and merges, the k-way merge, and grouping. Synchronous, one thread for each task, local
//! files only. Must not know of wasmtime (a combiner is a hook), inputs, outputs or the network.
//!
//! In reading order: [`pool`] (the memory budget), `pages` (buffers that grow without copying),
//! [`partition`], [`prefix`] (keys of which a part decides), [`sort`] (entries and their order), [`buffer`] (records of a map task until they
//! are sorted), [`run`] (the run file's format), [`segment`] (a part of
//! one, wherever it lies), [`full`] (what is done on a full disk), [`writer`] and [`reader`] (run files),
//! `adopt` (run files of a process that is not trusted), [`output`] (a map task's output), [`merge`] (one sorted stream from many), [`group`] (batches of
//! groups), [`combine`] (the hook), [`input`] (a reduce task's input, merged in passes).

mod adopt;
pub mod buffer;
pub mod combine;
pub mod full;
pub mod group;
pub mod input;
pub mod merge;
pub mod output;
mod pages;
pub mod partition;
pub mod pool;
pub mod prefix;
pub mod reader;
pub mod run;
pub mod segment;
pub mod sort;
pub mod writer;

pub use buffer::MemoryRun;
pub use combine::Combine;
pub use full::FullDisk;
pub use group::{GroupReader, LARGE_GROUPS_MAX, LargeGroup};
pub use input::{Merged, ReduceInput, ReduceInputOptions};
pub use merge::Merge;
pub use output::{MapOutput, MapOutputWriter, OutputOptions, Run, SpillStats};
pub use partition::{HashPartitioner, RangePartitioner, partition_hash, range_boundaries};
pub use pool::{MemoryPool, Reservation};
pub use prefix::KeyPrefix;
pub use run::{Codec, IndexEntry, RunId};
pub use segment::StoredSegment;
