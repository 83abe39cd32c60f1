//! The table of attacks: what is done, in which places, the exit code of the job, and the sentence that says
//! why. In a sentence `ROLE` stands for the role that is attacked in, and `*` for what depends on the machine or
//! on the input.

/// An attack, and what comes of it.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// What the guest is told to do.
    pub name: &'static str,
    /// Where it is told to do it.
    pub places: &'static [&'static str],
    /// Exit code of the job; 0 where the attack must not keep it from its result.
    pub code: i32,
    /// Why the job failed.
    pub sentence: &'static str,
    /// Options of the job.
    pub options: &'static str,
}

/// Everything that a guest exports, but for `describe`.
pub const ANYWHERE: &[&str] = &[
    "map-open",
    "map",
    "map-close",
    "combine-open",
    "combine",
    "combine-close",
    "reduce-open",
    "reduce",
    "reduce-close",
    "partition-open",
    "partition",
];
/// Where records may be emitted.
const EMITTING: &[&str] =
    &["map-open", "map", "map-close", "combine", "reduce-open", "reduce", "reduce-close"];
/// Where records may be emitted, and are checked one by one.
const STAGES: &[&str] = &["map-open", "map", "map-close", "reduce-open", "reduce", "reduce-close"];
const MAPPER: &[&str] = &["map-open", "map", "map-close"];
const REDUCER: &[&str] = &["reduce-open", "reduce", "reduce-close"];
const NO_MAPPER: &[&str] =
    &["combine-open", "combine", "combine-close", "reduce-open", "reduce", "reduce-close"];
/// Where emitted records go nowhere.
const COMBINER_IDLE: &[&str] = &["combine-open", "combine-close"];
const PARTITIONER: &[&str] = &["partition-open", "partition"];
/// Where there is no input row.
const ROWLESS: &[&str] =
    &["map-open", "map-close", "combine-open", "combine-close", "reduce-open", "reduce-close"];
/// Where a call with arguments follows.
const OPENING: &[&str] = &["map-open", "combine-open", "reduce-open", "partition-open"];

/// Limits of all attacks, so small that an attack is over soon.
pub const LIMITS: &str = "--task-timeout 300ms --guest-memory 20M";
/// Limits of attacks that need room of their own.
const ROOMY: &str = "--task-timeout 10s --guest-memory 300M";

/// So few records that a flood of them is over soon.
const RECORDS: &str = "--task-timeout 10s --guest-memory 300M --max-task-records 10000000";
/// So few bytes that a flood of them is over soon.
const BYTES: &str = "--task-timeout 10s --guest-memory 300M --max-task-output 100000000";

const fn attack(
    name: &'static str,
    places: &'static [&'static str],
    code: i32,
    sentence: &'static str,
) -> Attack {
    Attack { name, places, code, sentence, options: LIMITS }
}

impl Attack {
    const fn roomy(self) -> Self {
        Self { options: ROOMY, ..self }
    }

    const fn with(self, options: &'static str) -> Self {
        Self { options, ..self }
    }
}

const NO_OUTPUT: &str =
    "the ROLE broke the plugin interface*: it called output.emit, but this role has no output";

/// Every attack.
#[rustfmt::skip]
pub const ATTACKS: &[Attack] = &[
    // Time.
    attack("spin", ANYWHERE, 7, "the ROLE went over its limit of time without progress*: *ms, and 300.0ms are allowed (raise it with --task-timeout)"),
    attack("spin-asking", ANYWHERE, 7, "the ROLE went over its limit of time without progress*: *ms, and 300.0ms are allowed (raise it with --task-timeout)"),
    attack("random-often", ANYWHERE, 7, "the ROLE went over its limit of time without progress*: *ms, and 300.0ms are allowed (raise it with --task-timeout)"),
    attack("spin-in-allocator", ANYWHERE, 7, "the ROLE went over its limit of time without progress*: *ms, and 300.0ms are allowed (raise it with --task-timeout)"),
    attack("spin-emitting", EMITTING, 7, "the ROLE went over its limit of time of a task*: *, and 500.0ms are allowed (raise it with --max-task-time)").with("--max-task-time 500ms"),
    attack("spin-counting", ANYWHERE, 7, "the ROLE went over its limit of time of a task*: *, and 500.0ms are allowed (raise it with --max-task-time)").with("--max-task-time 500ms"),
    attack("log-endless", ANYWHERE, 7, "the ROLE went over its limit of time of a task*: *, and 500.0ms are allowed (raise it with --max-task-time)").with("--max-task-time 500ms"),
    attack("sleep", ANYWHERE, 0, ""),
    // Stack and traps.
    attack("recurse", ANYWHERE, 7, "the ROLE went over its limit of call stack*: more than 1 MiB, and 1 MiB are allowed"),
    attack("panic", ANYWHERE, 6, "the ROLE trapped*: wasm trap: wasm `unreachable` instruction executed, in hostile::rude::panic*"),
    attack("trap", ANYWHERE, 6, "the ROLE trapped*: wasm trap: wasm `unreachable` instruction executed, in hostile::*"),
    attack("exit", ANYWHERE, 6, "the ROLE trapped*: it exited with status 1"),
    // Memory and handles.
    attack("allocate", ANYWHERE, 7, "the ROLE went over its limit of guest memory*: 21 MiB, and 20 MiB are allowed (raise it with --guest-memory)"),
    attack("grow", ANYWHERE, 7, "the ROLE went over its limit of guest memory*: 21 MiB, and 20 MiB are allowed (raise it with --guest-memory)"),
    attack("handles", ANYWHERE, 7, "the ROLE went over its limit of handles*: more than 1024, and 1024 are allowed"),
    attack("random", ANYWHERE, 7, "the ROLE went over its limit of random bytes in one call*: 1099511627776 bytes, and 1048576 bytes are allowed"),
    // Words.
    attack("log-flood", ANYWHERE, 0, "").roomy(),
    attack("stdout-flood", ANYWHERE, 0, "").roomy(),
    attack("log-escapes", ANYWHERE, 0, ""),
    attack("log-utf8", ANYWHERE, 6, "the ROLE broke the plugin interface*: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    attack("log-claimed", ANYWHERE, 6, "the ROLE broke the plugin interface*: what it passed lies outside of its memory (string pointer/length out of bounds of memory)"),
    attack("config-utf8", ANYWHERE, 6, "the ROLE broke the plugin interface*: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    // Errors that it answers with.
    attack("invalid", ANYWHERE, 6, "the ROLE refused its input*: it is no input*"),
    attack("row-far", ANYWHERE, 6, "the ROLE refused its input*: it was this one*"),
    attack("fatal", ANYWHERE, 6, "the ROLE failed for good*: it is no job*"),
    attack("transient", ANYWHERE, 6, "the ROLE asked for another attempt*: not today*"),
    attack("error-long", ANYWHERE, 6, "the ROLE failed for good*: long long *").roomy(),
    attack("error-utf8", ANYWHERE, 6, "the ROLE broke the plugin interface*: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    attack("error-claimed", ANYWHERE, 6, "the ROLE broke the plugin interface*: what it passed lies outside of its memory (string pointer/length out of bounds of memory)"),
    // Counters.
    attack("counters", ANYWHERE, 7, "the ROLE went over its limit of counters*: 1001, and 1000 are allowed"),
    attack("counters-of-its-own", &["map"], 0, "").with("--split-size 100"),
    attack("counter-name", ANYWHERE, 7, "the ROLE went over its limit of counter name length*: 1000 bytes, and 128 bytes are allowed"),
    attack("counter-empty", ANYWHERE, 6, "the ROLE broke the plugin interface*: a counter's name is empty or holds control characters"),
    attack("counter-escapes", ANYWHERE, 6, "the ROLE broke the plugin interface*: a counter's name is empty or holds control characters"),
    attack("counter-utf8", ANYWHERE, 6, "the ROLE broke the plugin interface*: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    attack("counter-claimed", ANYWHERE, 6, "the ROLE broke the plugin interface*: what it passed lies outside of its memory (list pointer/length out of bounds of memory)"),
    // Output without an end.
    attack("record-large", STAGES, 7, "the ROLE went over its limit of record size*: a record of 2097160 bytes, and 1048576 bytes are allowed (raise it with --max-record)"),
    attack("batch-large", EMITTING, 7, "the ROLE went over its limit of batch bytes*: 34603016 bytes, and 33554432 bytes are allowed").roomy(),
    attack("call-large", EMITTING, 7, "the ROLE went over its limit of bytes of one host call*: more than 96 MiB, and 96 MiB are allowed").roomy(),
    attack("records", MAPPER, 7, "the ROLE went over its limit of task output records*: 1258*, and 10000000 are allowed (raise it with --max-task-records)").with(RECORDS),
    attack("bytes", REDUCER, 7, "the ROLE went over its limit of task output records*: 10*, and 100000 are allowed (raise it with --max-task-records)").with("--task-timeout 10s --guest-memory 20M --max-task-records 100000"),
    attack("bytes", &["combine"], 7, "the ROLE went over its limit of combiner output*: * bytes for one batch, and * bytes are allowed").roomy(),
    attack("records", &["combine"], 7, "the ROLE went over its limit of combiner output*: * bytes for one batch, and * bytes are allowed").roomy(),
    attack("bytes", STAGES, 7, "the ROLE went over its limit of task output bytes*: * bytes, and 100000000 bytes are allowed (raise it with --max-task-output)").with(BYTES),
    attack("bytes-apart", MAPPER, 7, "the ROLE went over its limit of shuffle bytes*: * bytes, and 10000000 bytes are allowed (raise it with --max-shuffle)").with("--task-timeout 10s --guest-memory 20M --max-shuffle 10000000"),
    attack("bytes", REDUCER, 7, "the ROLE went over its limit of output bytes*: * bytes, and 1000000 bytes are allowed (raise it with --max-output)").with("--task-timeout 10s --guest-memory 20M --max-output 1000000"),
    attack("bytes", REDUCER, 7, "the ROLE went over its limit of output records*: *, and 1000 are allowed (raise it with --max-output-records)").with("--task-timeout 10s --guest-memory 20M --max-output-records 1000"),
    attack("value-claimed", ANYWHERE, 6, "the ROLE broke the plugin interface*: what it passed lies outside of its memory (list pointer/length out of bounds of memory)"),
    // Batches that do not hold what they say.
    attack("ends-fall", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: end of row 1 is out of order or past the 2 bytes of `data`"),
    attack("ends-over", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: `data` has 1 bytes where the rows cover 9"),
    attack("ends-short", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: `data` has 2 bytes where the rows cover 1"),
    attack("ends-few", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: `ends` has 4 bytes for 2 rows"),
    attack("ends-odd", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: `ends` has 1 bytes for 1 rows"),
    attack("widths", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: `data` has 12 bytes where the rows cover 8"),
    attack("rows-differ", EMITTING, 6, "the ROLE broke the plugin interface*: it emitted a batch: its key column is malformed: `ends` has 8 bytes for 1 rows"),
    attack("rows-claimed", EMITTING, 7, "the ROLE went over its limit of batch rows*: 4294967295, and 4194304 are allowed"),
    attack("width-huge", EMITTING, 7, "the ROLE went over its limit of batch rows*: 4294967295, and 4194304 are allowed"),
    attack("ends-fall", PARTITIONER, 6, NO_OUTPUT),
    attack("record-large", COMBINER_IDLE, 6, "the ROLE broke the plugin interface*: it emitted outside of combine-batch"),
    attack("not-its-type", &["reduce"], 6, "the ROLE broke the plugin interface: what it emitted is not of the type it declares: 4 bytes are not a cell of type u64"),
    // Numbers out of range.
    attack("port", ANYWHERE, 6, "the ROLE broke the plugin interface*: it emitted to port 7; there is only port 0: named outputs are*"),
    attack("partition-far", MAPPER, 6, "the ROLE broke the plugin interface*: it chose partition 4000; there are 3, from 0"),
    attack("partitions-few", MAPPER, 6, "the ROLE broke the plugin interface*: its partitions have 3 bytes for 1 rows"),
    attack("partition-far", NO_MAPPER, 6, "the ROLE broke the plugin interface*: it emitted to partitions, which this output does not have"),
    attack("reject-far", ROWLESS, 6, "the ROLE broke the plugin interface*: it rejected row 1000000 of an input of 0 rows"),
    attack("reject-far", &["map", "combine", "reduce"], 6, "the ROLE broke the plugin interface*: it rejected row 1000000 of an input of * rows"),
    attack("reject-utf8", ANYWHERE, 6, "the ROLE broke the plugin interface*: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    attack("rejects", &["map", "reduce"], 6, "the job rejected a record* (not wanted), and 0 rejects are allowed (raise it with --max-rejects)"),
    attack("rejects", &["map", "reduce"], 6, "the job rejected a record* (not wanted), and 100 rejects are allowed (raise it with --max-rejects)").with("--max-rejects 100"),
    attack("rejects", &["combine"], 6, "the ROLE broke the plugin interface*: a combiner cannot reject: it may run any number of times"),
    // Calls that are not allowed where they are made.
    attack("next", ANYWHERE, 6, "the ROLE broke the plugin interface*: it called group-values.next, but the last group of its batch does not go on"),
    attack("side-input", ANYWHERE, 6, "the ROLE broke the plugin interface*: it read the side input \"dictionary\", which the job does not have"),
    attack("call-from-allocator", ANYWHERE, 6, "the ROLE trapped*: wasm trap: cannot leave component instance, in cabi_realloc*"),
    attack("call-from-clean-up", PARTITIONER, 6, "the ROLE trapped*: wasm trap: cannot leave component instance, in cabi_post_*"),
    // Buffers for the host where there are none.
    attack("buffers-outside", ANYWHERE, 6, "the ROLE broke the plugin interface*: its allocator answered with memory that it does not have (realloc return: beyond end of memory)"),
    attack("buffers-odd", ANYWHERE, 6, "the ROLE broke the plugin interface*: its allocator answered with memory that it does not have (realloc return: result not aligned)"),
    attack("buffers-overlap", OPENING, 6, "the ROLE trapped*: wasm trap: *"),
    attack("buffers-nowhere", OPENING, 6, "the ROLE trapped*: wasm trap: *"),
    attack("buffers-own-data", OPENING, 6, "the ROLE trapped*: wasm trap: *"),
    attack("buffers-overlap", &["map", "reduce-close"], 0, ""),
    // Lies that keep to the letter of the interface.
    attack("other-key", &["combine"], 6, "the ROLE broke the plugin interface*: it emitted a key that it was not given, or keys out of order"),
    attack("order", &["combine"], 6, "the ROLE broke the plugin interface*: it emitted a key that it was not given, or keys out of order"),
    attack("invents", &["combine"], 6, "the ROLE broke the plugin interface*: it emitted * records for *; a combiner makes fewer"),
    attack("floods", &["combine"], 7, "the ROLE went over its limit of combiner output*: * bytes for one batch, and * bytes are allowed").roomy(),
    attack("few", &["partition"], 6, "the ROLE broke the plugin interface*: its partitions have * bytes for * rows"),
    attack("many", &["partition"], 6, "the ROLE broke the plugin interface*: its partitions have * bytes for * rows"),
    attack("far", &["partition"], 6, "the ROLE broke the plugin interface*: it chose partition 100*; there are 3, from 0"),
    attack("claimed", &["partition"], 6, "the ROLE broke the plugin interface*: what it passed lies outside of its memory (list pointer/length out of bounds of memory)"),
    attack("fickle", &["partition"], 6, "the ROLE broke the plugin interface*: it put the key \"*\" into partition *, and into * before; a partitioner must be a function of the key alone"),
    // Looking for the machine is no fault; see `sight` for what there is to see.
    attack("look-around", ANYWHERE, 0, ""),
];

/// Whether `text` is as `pattern` says, in which `*` stands for anything.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// The role of a place, as sentences name it.
pub fn role(place: &str) -> &'static str {
    match place.split('-').next() {
        Some("map") => "mapper",
        Some("combine") => "combiner",
        Some("reduce") => "reducer",
        _ => "partitioner",
    }
}
