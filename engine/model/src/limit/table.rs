//! The table of everything that bounds a plugin: what a limit is called, what it is, what raises it and
//! why it is there. Failures, the command line, the operator's policy and the documents speak of limits
//! with the words of this table. Made of the constants of [`crate::limit`]; must not hold numbers.

use std::time::Duration;

use super::*;

/// A limit that no job can change.
const fn fixed(name: &'static str, unit: Unit, cap: u64, reason: &'static str) -> Limit {
    Limit { name, unit, default: Some(cap), max: Some(cap), option: "", policy: "", reason }
}

/// A limit that jobs set, with `option`, and operators cap, under `policy`.
const fn asked(
    name: &'static str,
    unit: Unit,
    [default, max]: [Option<u64>; 2],
    [option, policy]: [&'static str; 2],
    reason: &'static str,
) -> Limit {
    Limit { name, unit, default, max, option, policy, reason }
}

/// A duration in milliseconds.
const fn millis(duration: Duration) -> u64 {
    duration.as_secs() * 1_000 + duration.subsec_millis() as u64
}

/// Linear memory.
pub const GUEST_MEMORY: Limit = asked(
    "guest memory",
    Unit::Memory,
    [Some(GUEST_MEMORY_BYTES_DEFAULT), Some(GUEST_MEMORY_BYTES_MAX)],
    ["--guest-memory", "guest-memory"],
    "linear memory of the plugins of one task together; by default a quarter of the task's share of the memory budget, \
     and this at most",
);
/// Linear memory at load.
pub const START_MEMORY: Limit = fixed(
    "memory at the start",
    Unit::Memory,
    START_MEMORY_BYTES_MAX,
    "what a component may have while it is looked at, before any job says how much",
);
/// Call stack.
pub const STACK: Limit = fixed(
    "call stack",
    Unit::Memory,
    STACK_BYTES_MAX as u64,
    "interpreters recurse deeply, and the host's own frames must fit behind it",
);
/// Elements of tables.
pub const TABLE_ELEMENTS: Limit =
    fixed("table elements", Unit::Count, TABLE_ELEMENTS_MAX as u64, "each is a pointer in the host");
/// Core instances of a component.
pub const INSTANCES: Limit = fixed(
    "core instances",
    Unit::Count,
    INSTANCES_MAX as u64,
    "Python with all its modules has some hundred",
);
/// Tables of a component.
pub const TABLES: Limit =
    fixed("tables", Unit::Count, TABLES_MAX as u64, "one for each core instance that does not share");
/// Memories of a component.
pub const MEMORIES: Limit =
    fixed("linear memories", Unit::Count, MEMORIES_MAX as u64, "one for each module that does not share");
/// Handles alive.
pub const HANDLES: Limit = fixed(
    "handles",
    Unit::Count,
    HANDLES_MAX as u64,
    "streams and pollables alive at once; each costs the host memory, and standard streams need three",
);
/// Size of a component.
pub const COMPONENT_BYTES: Limit =
    fixed("component size", Unit::Memory, COMPONENT_BYTES_MAX, "an interpreter with its modules has 40 MiB");
/// Memory of a compilation.
pub const COMPILE_MEMORY: Limit = asked(
    "memory for compiling",
    Unit::Memory,
    [Some(COMPILE_MEMORY_BYTES_DEFAULT), None],
    ["--compile-memory", ""],
    "of the process that compiles one component; set for a machine",
);
/// Time of a compilation.
pub const COMPILE_TIME: Limit = asked(
    "processor time for compiling",
    Unit::Millis,
    [Some(millis(COMPILE_TIME_DEFAULT)), None],
    ["--compile-time", ""],
    "of the process that compiles one component, all threads together; set for a machine",
);
/// Size of compiled code.
pub const CODE_BYTES: Limit =
    fixed("size of compiled code", Unit::Memory, CODE_BYTES_MAX, "what the cache on disk takes");
/// Time to start and to describe.
pub const DESCRIBE_TIME: Limit = fixed(
    "time to start and to describe itself",
    Unit::Millis,
    millis(DESCRIBE_TIME_MAX),
    "a plugin has nothing to compute before it works",
);
/// Time without progress.
pub const IDLE_TIME: Limit = asked(
    "time without progress",
    Unit::Millis,
    [Some(millis(IDLE_TIMEOUT_DEFAULT)), Some(millis(IDLE_TIMEOUT_MAX))],
    ["--task-timeout", "task-timeout"],
    "a plugin that neither returns, emits, fetches nor counts stands still",
);
/// Time of an attempt.
pub const TASK_TIME: Limit = asked(
    "time of a task",
    Unit::Millis,
    [Some(millis(TASK_TIME_DEFAULT)), Some(millis(TASK_TIME_MAX))],
    ["--max-task-time", "max-task-time"],
    "all of one attempt, host and plugins, so that a plugin that creeps on ends, too",
);
/// Bytes of a host call.
pub const HOSTCALL_BYTES: Limit = fixed(
    "bytes of one host call",
    Unit::Memory,
    HOSTCALL_BYTES_MAX,
    "a batch of the greatest size with the ends of its columns and its partitions",
);
/// Bytes of a batch.
pub const BATCH_SIZE: Limit = fixed(
    "batch bytes",
    Unit::Bytes,
    BATCH_BYTES_MAX,
    "what one call can make the host look at; keys and values count",
);
/// Rows of a batch.
pub const BATCH_ROWS: Limit = fixed(
    "batch rows",
    Unit::Count,
    BATCH_ROWS_MAX as u64,
    "empty records have no bytes and still take time",
);
/// Size of a record.
pub const RECORD_BYTES: Limit = asked(
    "record size",
    Unit::Bytes,
    [Some(RECORD_BYTES_DEFAULT), Some(RECORD_BYTES_MAX)],
    ["--max-record", "max-record"],
    "key and value together, read or emitted; a longer line is nearly always a file that is not text",
);
/// Bytes emitted by an attempt.
pub const TASK_OUTPUT_BYTES: Limit = asked(
    "task output bytes",
    Unit::Bytes,
    [Some(TASK_OUTPUT_BYTES_DEFAULT), None],
    ["--max-task-output", "max-task-output"],
    "keys and values that the plugins of one attempt emit, combiners included",
);
/// Records emitted by an attempt.
pub const TASK_OUTPUT_RECORDS: Limit = asked(
    "task output records",
    Unit::Count,
    [Some(TASK_OUTPUT_RECORDS_DEFAULT), None],
    ["--max-task-records", "max-task-records"],
    "empty records have no bytes, but take time",
);
/// Bytes that a job shuffles.
pub const SHUFFLE_BYTES: Limit = asked(
    "shuffle bytes",
    Unit::Bytes,
    [None, None],
    ["--max-shuffle", "max-shuffle"],
    "map output of the whole job, after combining",
);
/// Bytes that a job writes.
pub const OUTPUT_BYTES: Limit = asked(
    "output bytes",
    Unit::Bytes,
    [None, None],
    ["--max-output", "max-output"],
    "parts of the whole job together",
);
/// Records that a job writes.
pub const OUTPUT_RECORDS: Limit = asked(
    "output records",
    Unit::Count,
    [None, None],
    ["--max-output-records", "max-output-records"],
    "parts of the whole job together",
);
/// Rejects of a job.
pub const REJECTS: Limit = asked(
    "rejects",
    Unit::Count,
    [Some(0), Some(REJECTS_MAX)],
    ["--max-rejects", "max-rejects"],
    "records that the plugins of a job may give up on; they are held until it ends",
);
/// Growth by combining.
pub const COMBINE_GROWTH: Limit = fixed(
    "combiner output",
    Unit::Count,
    COMBINE_GROWTH_MAX as u64,
    "bytes out for each byte in, and 1 MiB: a combiner folds and has no reason to emit more",
);
/// Random bytes in a call.
pub const RANDOM_BYTES: Limit =
    fixed("random bytes in one call", Unit::Bytes, RANDOM_BYTES_MAX, "the host makes them");
/// Counters.
pub const COUNTERS: Limit =
    fixed("counters", Unit::Count, COUNTERS_MAX as u64, "they travel with every report");
/// Length of a counter's name.
pub const COUNTER_NAME_BYTES: Limit =
    fixed("counter name length", Unit::Bytes, COUNTER_NAME_BYTES_MAX as u64, "they travel with every report");
/// Bytes of a text.
pub const MESSAGE_BYTES: Limit = fixed(
    "message length",
    Unit::Bytes,
    MESSAGE_BYTES_MAX as u64,
    "log lines, error messages and reasons; the rest is cut",
);
/// Lines kept.
pub const LOG_LINES: Limit = fixed(
    "log lines kept",
    Unit::Count,
    LOG_LINES_MAX as u64,
    "of each instance, for the report of a failure; older ones are dropped",
);
/// Bytes kept.
pub const LOG_BYTES: Limit = fixed(
    "log bytes kept",
    Unit::Bytes,
    LOG_BYTES_MAX as u64,
    "of each instance, for the report of a failure; older lines are dropped",
);
/// Lines passed on at once.
pub const LOG_BURST: Limit = fixed(
    "log lines passed on at once",
    Unit::Count,
    LOG_FORWARD_BURST as u64,
    "of each attempt, while it runs; the rest is left out, and it is said how many lines",
);
/// Lines passed on later.
pub const LOG_RATE: Limit = fixed(
    "log lines passed on in a second",
    Unit::Count,
    LOG_FORWARD_RATE as u64,
    "of each attempt, once the burst is used up",
);
/// Functions told.
pub const STACK_FUNCTIONS: Limit = fixed(
    "functions of a stack that are told",
    Unit::Count,
    STACK_FUNCTIONS_MAX as u64,
    "enough to find the place",
);
/// Bytes of a record told.
pub const RECORD_SAMPLE: Limit = fixed(
    "bytes of a record that are told",
    Unit::Bytes,
    RECORD_SAMPLE_BYTES_MAX as u64,
    "of the record that a plugin failed on or rejected, escaped",
);
/// Bytes of a reason.
pub const REJECT_REASON_BYTES: Limit = fixed(
    "length of a reject's reason",
    Unit::Bytes,
    REJECT_REASON_BYTES_MAX as u64,
    "the rest is cut; they are held until the job ends",
);
/// Named outputs.
pub const OUTPUTS: Limit = fixed(
    "named outputs",
    Unit::Count,
    OUTPUTS_MAX as u64,
    "beside the main one; each costs a task an open file and its buffers",
);
/// Files of a task.
pub const TASK_FILES: Limit = fixed(
    "output files of a task",
    Unit::Count,
    TASK_FILES_MAX as u64,
    "their names and hashes travel in one message; larger files (--output-file-size) are fewer",
);
/// Files of an output.
pub const OUTPUT_FILES: Limit = fixed(
    "output files",
    Unit::Count,
    OUTPUT_FILES_MAX,
    "all tasks together: each is held until the job ends; larger files (--output-file-size) are fewer",
);
/// Parameters.
pub const PARAMS: Limit = fixed("parameters", Unit::Count, PARAMS_MAX as u64, "they travel with every job");
/// Bytes of a parameter.
pub const PARAM_BYTES: Limit = fixed(
    "length of a parameter",
    Unit::Bytes,
    PARAM_BYTES_MAX as u64,
    "name and value; they travel with every job",
);
/// Side inputs.
pub const SIDES: Limit =
    fixed("side inputs", Unit::Count, SIDES_MAX as u64, "a task holds each of them open");
/// Size of a side input.
pub const SIDE_BYTES: Limit = fixed(
    "size of a side input",
    Unit::Memory,
    SIDE_BYTES_MAX,
    "it is sent to every worker and lies on its disk; what is larger is an input to be joined",
);
/// Size of all side inputs.
pub const SIDES_BYTES: Limit = asked(
    "size of all side inputs",
    Unit::Memory,
    [Some(SIDES_BYTES_MAX), Some(SIDES_BYTES_MAX)],
    ["--side", "max-sides"],
    "of one job; a worker has to have room for them",
);
/// Bytes of one read.
pub const SIDE_READ_BYTES: Limit = fixed(
    "bytes of one read of a side input",
    Unit::Memory,
    SIDE_READ_BYTES_MAX,
    "they go into the plugin's memory in one call, which nothing interrupts",
);
/// Attributes.
pub const ATTRIBUTES: Limit = fixed(
    "attributes of a description",
    Unit::Count,
    ATTRIBUTES_MAX as u64,
    "what a plugin says of itself is kept as long as it is loaded",
);

/// Every limit, in the order in which a plugin meets them.
pub const TABLE: &[&Limit] = &[
    &COMPONENT_BYTES,
    &COMPILE_MEMORY,
    &COMPILE_TIME,
    &CODE_BYTES,
    &INSTANCES,
    &MEMORIES,
    &TABLES,
    &TABLE_ELEMENTS,
    &START_MEMORY,
    &DESCRIBE_TIME,
    &ATTRIBUTES,
    &PARAMS,
    &PARAM_BYTES,
    &SIDES,
    &SIDE_BYTES,
    &SIDES_BYTES,
    &SIDE_READ_BYTES,
    &GUEST_MEMORY,
    &STACK,
    &HANDLES,
    &IDLE_TIME,
    &TASK_TIME,
    &RECORD_BYTES,
    &BATCH_SIZE,
    &BATCH_ROWS,
    &HOSTCALL_BYTES,
    &RANDOM_BYTES,
    &COMBINE_GROWTH,
    &TASK_OUTPUT_BYTES,
    &TASK_OUTPUT_RECORDS,
    &SHUFFLE_BYTES,
    &OUTPUT_BYTES,
    &OUTPUT_RECORDS,
    &OUTPUTS,
    &TASK_FILES,
    &OUTPUT_FILES,
    &REJECTS,
    &REJECT_REASON_BYTES,
    &COUNTERS,
    &COUNTER_NAME_BYTES,
    &MESSAGE_BYTES,
    &LOG_LINES,
    &LOG_BYTES,
    &LOG_BURST,
    &LOG_RATE,
    &STACK_FUNCTIONS,
    &RECORD_SAMPLE,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_limit_is_told_once_and_fits_itself() {
        let names: BTreeSet<&str> = TABLE.iter().map(|limit| limit.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for limit in TABLE {
            assert!(!limit.reason.is_empty() && (!limit.is_fixed() || limit.policy.is_empty()), "{limit}");
            assert!(limit.default.is_none_or(|default| limit.allows(default)), "{limit}");
            assert!(!limit.is_fixed() || limit.default == limit.max, "{limit}");
        }
    }
}
