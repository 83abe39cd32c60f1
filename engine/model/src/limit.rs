//! Every limit of the engine that bounds a plugin or that more than one crate knows: a named constant
//! with its unit and its reason. [`table`] holds those that bound plugins once more, as people are
//! told of them; it is made of these constants, so that the two cannot differ.

pub mod table;

use std::fmt;
use std::time::Duration;

use crate::failure::{Failure, LastWords};
use crate::id::Role;

/// KiB, in bytes.
pub const KIB: u64 = 1 << 10;
/// MiB, in bytes.
pub const MIB: u64 = 1 << 20;

/// Size that batches aim for, in bytes of keys and values: big enough to hide the cost of a call,
/// small enough to stay in a core's second-level cache together with what the guest builds from it.
pub const BATCH_BYTES: u32 = 256 * 1024;
/// Largest batch that a guest may emit, in bytes of keys and values; also bounds what one host
/// call can make the host look at.
pub const BATCH_BYTES_MAX: u64 = 32 * MIB;
/// Rows of one batch: with empty cells, bytes alone would not bound the work of taking it.
pub const BATCH_ROWS_MAX: u32 = 4 * 1024 * 1024;
/// Bytes that one host call may carry out of a guest: a batch of the greatest size, with the ends
/// of its columns and its partitions, and some room for what is around them.
pub const HOSTCALL_BYTES_MAX: u64 = 96 * MIB;
/// Largest record (key and value), in bytes. A record has to fit in a batch.
pub const RECORD_BYTES_MAX: u64 = 16 * MIB;
/// Largest record unless the job says otherwise, in bytes: a longer line is nearly always a file
/// that is not text.
pub const RECORD_BYTES_DEFAULT: u64 = MIB;
/// Most decoded bytes for each byte of a compressed file, beyond the first 64 MiB, unless the job says
/// otherwise: text is compressed to a twentieth, logs to a hundredth; a file made to fill memory and disks, to
/// far less. Deflate cannot go beyond 1032.
pub const EXPANSION_DEFAULT: u64 = 1000;
/// Size of a split unless the job says otherwise, in bytes: some seconds of work.
pub const SPLIT_BYTES_DEFAULT: u64 = 64 * MIB;
/// Most pieces (files or parts of files) in one split: bounds a task's description.
pub const SPLIT_PIECES_MAX: usize = 16_384;
/// Input bytes for which one more reducer is planned when the job does not say how many. Depends
/// on the input only, so that the output does not depend on the machine.
pub const REDUCER_INPUT_BYTES: u64 = 64 * MIB;
/// Most inputs of a job: each is told in every description of it.
pub const INPUTS_MAX: usize = 64;
/// Most named outputs of a job beside the main one: each costs a task an open file and its buffers.
pub const OUTPUTS_MAX: usize = 16;
/// Most files that one task may write: their names, lengths and hashes travel in one control message of the
/// cluster, with its counters.
pub const TASK_FILES_MAX: u32 = 4_000;
/// Most files of an output: the coordinator holds what is told of each until the job ends.
pub const OUTPUT_FILES_MAX: u64 = 250_000;
/// Most reducers planned by default.
pub const REDUCERS_DEFAULT_MAX: u32 = 256;
/// Most reducers of a job: each costs a slot in every map task's index.
pub const REDUCERS_MAX: u32 = 100_000;

/// Linear memory of one guest instance unless the job says otherwise, in bytes.
pub const GUEST_MEMORY_BYTES_DEFAULT: u64 = 1024 * MIB;
/// Least linear memory of a guest worth starting with, in bytes: language runtimes need some MiB.
pub const GUEST_MEMORY_BYTES_MIN: u64 = 4 * MIB;
/// Most linear memory that a job may ask for, for one guest instance, in bytes: several full 32-bit
/// memories. What a machine has is checked by its memory plan.
pub const GUEST_MEMORY_BYTES_MAX: u64 = 64 << 30;
/// Linear memory that a component may have while it is looked at, before any job says how much it may
/// use, in bytes: what it starts with counts. The machine of whoever submits pays for it, too.
pub const START_MEMORY_BYTES_MAX: u64 = 256 * MIB;
/// Stack of a guest, in bytes: language interpreters recurse deeply, and the host's own frames must
/// still fit behind it in a thread of 2 MiB.
pub const STACK_BYTES_MAX: usize = 1024 * 1024;
/// Elements of all tables of an instance together: a pointer each on the host; interpreters with
/// many extension modules stay far below.
pub const TABLE_ELEMENTS_MAX: usize = 4 * 1024 * 1024;
/// Core instances of one component: Python with all its extension modules has some hundred.
pub const INSTANCES_MAX: usize = 1000;
/// Tables of one component: one for each core instance that does not share.
pub const TABLES_MAX: usize = 1000;
/// Linear memories of one component: one for each module that does not share.
pub const MEMORIES_MAX: usize = 64;
/// Handles of resources (streams, pollables) alive at once in an instance: standard streams need
/// three, and each costs the host some memory.
pub const HANDLES_MAX: usize = 1024;
/// Random bytes in one call: bounds what the host allocates for it.
pub const RANDOM_BYTES_MAX: u64 = MIB;
/// Largest component, in bytes.
pub const COMPONENT_BYTES_MAX: u64 = 256 * MIB;
/// Memory that compiling a component may take, in bytes, unless somebody says otherwise: several times what
/// the largest language runtimes take.
pub const COMPILE_MEMORY_BYTES_DEFAULT: u64 = 2 << 30;
/// Processor time that compiling a component may take, all threads together, unless somebody says otherwise:
/// several times what the largest language runtimes take.
pub const COMPILE_TIME_DEFAULT: Duration = Duration::from_secs(120);
/// Largest code of a component, in bytes: what the cache takes.
pub const CODE_BYTES_MAX: u64 = 1 << 30;
/// Longest time that a plugin may take to start and to describe itself: it has nothing to compute, and
/// even an interpreter on a busy machine is done in a second.
pub const DESCRIBE_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time a guest may run without returning, emitting or fetching, unless the job says
/// otherwise. Hadoop's task timeout is the same ten minutes.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
/// Most that a job may ask for as time without progress: beyond it nobody waits for a plugin that
/// says nothing.
pub const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest time that an attempt may take in all, unless the job says otherwise: a day, far beyond any
/// split of the usual size, so that a plugin that creeps on still ends.
pub const TASK_TIME_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// Most that a job may ask for as time of an attempt: a month.
pub const TASK_TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of keys and values that the guests of one attempt may emit, unless the job says otherwise:
/// 256 GiB, thousands of times a split of the usual size and still less than common disks.
pub const TASK_OUTPUT_BYTES_DEFAULT: u64 = 256 << 30;
/// Records that the guests of one attempt may emit, unless the job says otherwise: hundreds of records
/// for each byte of a split of the usual size. Empty records have no bytes, but take time.
pub const TASK_OUTPUT_RECORDS_DEFAULT: u64 = 10_000_000_000;
/// Attempts of a task before its job fails, for failures worth another attempt.
pub const ATTEMPTS_MAX: u32 = 4;

/// Most counters of a job: they travel with every report.
pub const COUNTERS_MAX: usize = 1_000;
/// Longest name of a counter, in bytes.
pub const COUNTER_NAME_BYTES_MAX: usize = 128;
/// Log lines kept of an instance; older ones are dropped.
pub const LOG_LINES_MAX: usize = 64;
/// Bytes of log lines kept of an instance; older ones are dropped. They travel with a failure.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// Log lines of an attempt that are passed on at once while it runs; what is over it is kept only.
pub const LOG_FORWARD_BURST: u32 = 1000;
/// Log lines of an attempt that are passed on in each second, once the burst is used up: somebody can
/// still read them.
pub const LOG_FORWARD_RATE: u32 = 10;
/// Longest log line, message or reason taken from a guest, in bytes; the rest is cut.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a record that are shown in a failure or kept of a reject.
pub const RECORD_SAMPLE_BYTES_MAX: usize = 256;
/// Functions of a failed plugin's stack that are told: enough to find the place.
pub const STACK_FUNCTIONS_MAX: usize = 16;
/// Bytes kept of the reason of a reject: they are held until the job ends.
pub const REJECT_REASON_BYTES_MAX: usize = 512;
/// Most that a combiner may emit for one batch, as a multiple of what it was given: it folds, so it
/// has no reason to emit more.
pub const COMBINE_GROWTH_MAX: usize = 4;
/// Room beside the multiple, in bytes.
pub const COMBINE_GROWTH_BYTES: usize = 1 << 20;
/// Most rejects that a job can allow: they are kept in memory until it ends.
pub const REJECTS_MAX: u64 = 100_000;
/// Most parameters of a job.
pub const PARAMS_MAX: usize = 256;
/// Longest parameter (name and value), in bytes.
pub const PARAM_BYTES_MAX: usize = 64 * 1024;
/// Most side inputs of a job: an attempt holds each of them open.
pub const SIDES_MAX: usize = 64;
/// Longest name of a side input, in bytes.
pub const SIDE_NAME_BYTES_MAX: usize = 64;
/// Largest side input, in bytes: it is sent to every worker and lies on the disk of each. What is larger
/// is an input to be joined.
pub const SIDE_BYTES_MAX: u64 = 16 << 30;
/// Most bytes of all side inputs of a job together: what a worker has to have room for.
pub const SIDES_BYTES_MAX: u64 = 32 << 30;
/// Most bytes that one read of a side input may answer: the largest batch that the host looks at has as
/// many, and a guest that is about to be stopped is stopped between two reads.
pub const SIDE_READ_BYTES_MAX: u64 = 32 * MIB;
/// Most attributes that a plugin may describe itself with.
pub const ATTRIBUTES_MAX: usize = 512;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, told exactly.
    Bytes,
    /// Bytes of memory, told in the unit that keeps the number short.
    Memory,
    /// Milliseconds.
    Millis,
    /// A number of things.
    Count,
}

/// A limit, as people are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is limited, as failures say it after "its limit of".
    pub name: &'static str,
    /// What its numbers count.
    pub unit: Unit,
    /// What holds where nobody asks for anything else; none where nothing is limited then.
    pub default: Option<u64>,
    /// The most that can be asked for; none where anything can. Equal to the default where it is fixed.
    pub max: Option<u64>,
    /// The option that sets it for a job; empty where it is fixed.
    pub option: &'static str,
    /// The name under which an operator's policy caps it; empty where it is fixed, or where the option is
    /// that of a machine and not of a job.
    pub policy: &'static str,
    /// Why it is there.
    pub reason: &'static str,
}

impl Limit {
    /// A value of this limit, with its unit.
    pub fn show(&self, value: u64) -> String {
        match self.unit {
            Unit::Bytes => format!("{value} bytes"),
            Unit::Memory if value >= MIB => format!("{} MiB", value.div_ceil(MIB)),
            Unit::Memory if value >= KIB => format!("{} KiB", value.div_ceil(KIB)),
            Unit::Memory => format!("{value} bytes"),
            Unit::Millis => format!("{:.1?}", Duration::from_millis(value)),
            Unit::Count => value.to_string(),
        }
    }

    /// The failure of a `role` that came to `value` where `cap` is allowed, both in the limit's unit.
    pub fn passed(&self, role: Role, value: u64, cap: u64) -> Failure {
        self.passed_by(role, self.show(value), cap)
    }

    /// The failure of a `role` that went over `cap`, with words for what it came to.
    pub fn passed_by(&self, role: Role, value: impl Into<String>, cap: u64) -> Failure {
        Failure::Limit {
            role,
            limit: self.name.to_owned(),
            value: value.into(),
            cap: self.show(cap),
            option: self.option.to_owned(),
            place: None,
            words: LastWords::default(),
        }
    }

    /// Whether a job may ask for `value`.
    pub fn allows(&self, value: u64) -> bool {
        self.max.is_none_or(|max| value <= max)
    }

    /// Whether no job can change it.
    pub fn is_fixed(&self) -> bool {
        self.option.is_empty()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::table::{GUEST_MEMORY, IDLE_TIME, INSTANCES, RECORD_BYTES};
    use super::*;

    #[test]
    fn values_carry_their_unit() {
        assert_eq!(RECORD_BYTES.show(MIB), "1048576 bytes");
        assert_eq!([GUEST_MEMORY.show(MIB + 1), GUEST_MEMORY.show(2 * KIB)], ["2 MiB", "2 KiB"]);
        assert_eq!([IDLE_TIME.show(50), IDLE_TIME.show(600_000)], ["50.0ms", "600.0s"]);
        let failure = INSTANCES.passed(Role::Mapper, 1001, 1000);
        assert_eq!(
            failure.to_string(),
            "the mapper went over its limit of core instances: 1001, and 1000 are allowed"
        );
    }
}
