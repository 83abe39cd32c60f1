//! Every attack of the guest, and the exact failure that it ends in.

use std::sync::Arc;

use mr_model::{Batch, Failure, LastWords, PluginFault, Role};
use mr_sandbox::{
    CancelToken, Combiner, InstanceOptions, Mapper, Partitioner, RoleError, SideFile, Sides, Sink,
};

use crate::roles::{map, open_reducer};
use crate::support::{Rest, Shared, groups, options, plugin, records, text};

/// Runs a mapper in `mode` on two records and expects `fault` with `message`.
fn check(mode: &str, fault: PluginFault, message: &str) {
    let error = map(mode, &[("a", "1"), ("b", "2")]).unwrap_err();
    assert_eq!(error, plugin_error(fault, message, error.failure.words()), "{mode}");
}

fn plugin_error(fault: PluginFault, message: &str, words: Option<&LastWords>) -> RoleError {
    let (message, words) = (message.to_owned(), words.cloned().unwrap_or_default());
    RoleError {
        failure: Failure::Plugin { fault, role: Role::Mapper, message, place: None, words },
        row: None,
    }
}

pub fn map_with(options: InstanceOptions) -> Result<(), RoleError> {
    let mut mapper = Mapper::open(&plugin(), options, Box::new(Shared::default()))?;
    mapper.map_batch(records(&[("a", "1")]).view())?;
    mapper.close().map(|_| ())
}

#[test]
fn malformed_batches() {
    let keys = |bad: &str| format!("it emitted a batch: its key column is malformed: {bad}");
    let values = |bad: &str| format!("it emitted a batch: its value column is malformed: {bad}");
    for (mode, message) in [
        ("ends-order", keys("end of row 1 is out of order or past the 2 bytes of `data`")),
        ("ends-past", keys("`data` has 1 bytes where the rows cover 9")),
        ("ends-length", keys("`ends` has 4 bytes for 2 rows")),
        ("values-short", values("`data` has 2 bytes where the rows cover 1")),
    ] {
        check(mode, PluginFault::Contract, &message);
    }
}

/// What a plugin is told that emits where it has no output.
const BAD_PORT: &str = "it emitted to port 7; there is only port 0: named outputs are those that the component declares \
    as \"outputs\", and only the last stage of a job has them, the reducer, or the mapper of a job without reducers";

#[test]
fn calls_that_break_the_interface() {
    for (mode, message) in [
        ("bad-port", BAD_PORT),
        ("bad-row", "it rejected row 9 of an input of 2 rows"),
        ("next", "it called group-values.next, but the last group of its batch does not go on"),
        ("side-input", "it read the side input \"dictionary\", which the job does not have"),
        ("partition-length", "its partitions have 3 bytes for 1 rows"),
        ("partition-range", "it chose partition 4; there are 4, from 0"),
        ("odd-text", "it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
        ("counter-odd", "a counter's name is empty or holds control characters"),
    ] {
        check(mode, PluginFault::Contract, message);
    }
    map("no-side-input", &[]).unwrap();
}

#[test]
fn side_inputs_are_read_by_name_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("digits");
    std::fs::write(&path, b"0123456789").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let sides = Sides::from_iter([SideFile::new("digits", 10, Arc::new(file), path)]);
    let options = InstanceOptions { sides, ..options("read-side") };
    map_with(options).unwrap();
}

#[test]
fn partitioners_that_break_the_interface() {
    for (mode, message) in [
        ("short-partitions", "its partitions have 4 bytes for 2 rows"),
        ("far-partition", "it chose partition 100; there are 4, from 0"),
    ] {
        let mut partitioner = Partitioner::open(&plugin(), options(mode)).unwrap();
        let batch = records(&[("a", ""), ("b", "")]);
        let mut out = vec![1];
        let error = partitioner.partition_batch(batch.keys.view(), &mut out).unwrap_err();
        let Failure::Plugin { fault: PluginFault::Contract, role: Role::Partitioner, message: told, .. } =
            error.failure
        else {
            panic!("{mode}: {error:?}")
        };
        assert_eq!((told.as_str(), out.as_slice()), (message, &[1][..]));
        assert_eq!(
            partitioner.partition_batch(batch.keys.view(), &mut out).unwrap_err().failure,
            Failure::internal("the partitioner was used after it had failed")
        );
    }
    let mut partitioner = Partitioner::open(&plugin(), options("ends-order")).unwrap();
    let error = partitioner.partition_batch(records(&[("a", "")]).keys.view(), &mut Vec::new()).unwrap_err();
    let expected = "the partitioner broke the plugin interface: \
                    it called output.emit, but this role has no output";
    assert_eq!(error.failure.to_string(), expected);
}

#[test]
fn errors_that_it_answers() {
    let error = map("invalid-input", &[("a", ""), ("b", "")]).unwrap_err();
    let expected = plugin_error(PluginFault::InvalidInput, "as told: invalid-input", None);
    assert_eq!(error, RoleError { row: Some(1), ..expected });
    check("transient", PluginFault::Transient, "as told: transient");
    // The row that it blames does not exist, so nobody is sent looking for it.
    check("fatal", PluginFault::Fatal, "as told: fatal");
    check("long-error", PluginFault::Fatal, &"\u{fffd}".repeat(4096));
}

#[test]
fn traps_name_the_place() {
    let error = map("panic", &[]).unwrap_err();
    let Failure::Plugin { fault: PluginFault::Trap, message, words, .. } = &error.failure else {
        panic!("{error:?}")
    };
    let trap = "wasm trap: wasm `unreachable` instruction executed, in ";
    assert!(message.starts_with(trap) && message.contains("hostile_guest::"), "{message}");
    let said = |line: &String| line == "stderr: a plain panic";
    assert!(words.log.iter().any(said), "{words:?}");
    let functions = |name: &str| words.stack.iter().any(|function| function.contains(name));
    assert!(functions("hostile_guest::attack::attack") && functions("mr:engine/mapper@0.1.0#map-batch"));
    check("panic-with-hook", PluginFault::Trap, &hook_message());
    check("exit", PluginFault::Trap, "it exited with status 1");
}

/// The panic's own message, whose line is where the guest's source says so.
fn hook_message() -> String {
    let source = include_str!("../guest/src/attack.rs");
    let (line, text) = (1..).zip(source.lines()).find(|(_, line)| line.contains("\"a told panic\"")).unwrap();
    let column = text.find("panic!").unwrap() + 1;
    format!("panicked at src/attack.rs:{line}:{column}:\na told panic")
}

#[test]
fn a_cancelled_guest_stops() {
    /// Cancels at the hundredth batch of a guest that emits for ever.
    struct CancelAt(u32, CancelToken);
    impl Sink for CancelAt {
        fn emit(&mut self, _port: u32, _batch: Batch<'_>) -> Result<(), Failure> {
            self.0 += 1;
            if self.0 == 100 {
                self.1.cancel();
            }
            assert!(self.0 <= 100, "it emitted after it was cancelled");
            Ok(())
        }
        fn emit_partitioned(&mut self, batch: Batch<'_>, _partitions: &[u8]) -> Result<(), Failure> {
            self.emit(0, batch)
        }
        fn reject(&mut self, _row: u32, _reason: &str) -> Result<(), Failure> {
            Ok(())
        }
    }
    let options = options("spin-emitting");
    let sink = CancelAt(0, options.cancel.clone());
    let mut mapper = Mapper::open(&plugin(), options, Box::new(sink)).unwrap();
    assert_eq!(mapper.map_batch(records(&[]).view()).unwrap_err().failure, Failure::Cancelled);
    // And one that never calls the host.
    let options = crate::support::options("spin");
    options.cancel.cancel();
    assert_eq!(map_with(options).unwrap_err().failure, Failure::Cancelled);
}

#[test]
fn the_machine_is_out_of_sight_and_a_rerun_sees_the_same() {
    let facts = || text(&map("look-around", &[]).unwrap().0);
    let first = facts();
    let told: Vec<&str> = first.iter().map(|(_, fact)| fact.as_str()).collect();
    let denied = [
        "args []",
        "env []",
        "cwd false",
        "root false",
        "passwd false",
        "write false",
        "tcp false",
        "listen false",
        "udp false",
        "stdin Some(0) \"\"",
        "slept 5",
        "year 2000 true",
    ];
    assert_eq!(told[..denied.len()], denied);
    assert_eq!(facts(), first);
    let mut other = options("look-around");
    other.context.seed += 1;
    let seen = Shared::default();
    let mut mapper = Mapper::open(&plugin(), other, Box::new(Arc::clone(&seen))).unwrap();
    mapper.map_batch(records(&[]).view()).unwrap();
    assert_ne!(text(&seen).last(), first.last());
}

/// Executors forbid threads and sockets, so that nothing may be done on a guest's behalf that needs them.
#[test]
fn no_runtime_is_started_for_what_a_guest_waits_for() {
    ["look-around", "sleep", "flood-log"].iter().for_each(|mode| drop(map(mode, &[]).unwrap()));
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end between being listed and being looked at.
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    let of_a_runtime: Vec<String> = names.filter(|name| name.contains("tokio")).collect();
    assert!(of_a_runtime.is_empty(), "{of_a_runtime:?}");
}

#[test]
fn results_that_are_no_numbers_have_the_same_bits_everywhere() {
    let (seen, _) = map("nan", &[]).unwrap();
    let bits: Vec<String> = text(&seen).into_iter().map(|(_, bits)| bits).take(4).collect();
    assert_eq!(bits, ["7ff8000000000000"; 4]);
}

#[test]
fn the_wall_clock_is_that_of_the_submission_where_it_is_granted() {
    let seen = Shared::default();
    let options = InstanceOptions { wall_clock: Some(1_700_000_000), ..options("look-around") };
    let mut mapper = Mapper::open(&plugin(), options, Box::new(Arc::clone(&seen))).unwrap();
    mapper.map_batch(records(&[]).view()).unwrap();
    let facts = text(&seen);
    let is_there = |fact: &str| facts.iter().any(|(_, told)| told.contains(fact));
    // It slept for five seconds before it looked.
    assert!(is_there("year 2000 false") && is_there(" 1700000005."), "{facts:?}");
}

#[test]
fn attacks_in_the_other_roles_name_the_role() {
    let mut combiner =
        Combiner::open(&plugin(), options("partition-range"), Box::new(Shared::default())).unwrap();
    let error = combiner.combine_batch(&groups(&[])).unwrap_err().failure.to_string();
    let expected = "the combiner broke the plugin interface: \
                    it emitted to partitions, which this output does not have";
    assert_eq!(error, expected);
    let mut reducer = open_reducer("fatal", &Shared::default(), Rest(vec![]));
    let error = reducer.reduce_batch(&groups(&[])).unwrap_err().failure.to_string();
    assert_eq!(error, "the reducer failed for good: as told: fatal");
}
