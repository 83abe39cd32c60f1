//! Every limit of an instance: passing it is a structured failure that names limit, value, cap and
//! option, and a guest that copes with a refusal goes on.

use std::sync::Arc;
use std::time::Duration;

use mr_model::{Failure, PluginFault, Role};
use mr_sandbox::{Deadline, GuestMemory, GuestOutput, InstanceOptions, RoleError};

use crate::hostile::map_with;
use crate::roles::map;
use crate::support::{options, with_params};

/// Limit, value, cap and option of a failure.
fn told(error: &RoleError) -> [&str; 4] {
    let Failure::Limit { limit, value, cap, option, role: Role::Mapper, .. } = &error.failure else {
        panic!("{error:?}")
    };
    [limit, value, cap, option].map(String::as_str)
}

/// Runs a mapper in `mode` and expects it to go over a limit that no option raises.
fn passes(mode: &str, limit: &str, value: &str, cap: &str) {
    let error = map(mode, &[("a", "1"), ("b", "2")]).unwrap_err();
    assert_eq!(told(&error), [limit, value, cap, ""], "{mode}");
}

#[test]
fn limits_that_no_job_changes() {
    passes("rows-many", "batch rows", "4294967295", "4194304");
    passes("batch-large", "batch bytes", "34603008 bytes", "33554432 bytes");
    passes("call-large", "bytes of one host call", "more than 96 MiB", "96 MiB");
    passes("counters", "counters", "1001", "1000");
    passes("counter-name", "counter name length", "1000 bytes", "128 bytes");
    passes("random-large", "random bytes in one call", "2097152 bytes", "1048576 bytes");
    passes("handles", "handles", "more than 1024", "1024");
    passes("recurse", "call stack", "more than 1 MiB", "1 MiB");
}

#[test]
fn what_it_was_in_is_told_with_a_limit() {
    let error = map("recurse", &[]).unwrap_err();
    let stack = &error.failure.words().unwrap().stack;
    assert!(stack[0].starts_with("hostile_guest::attack::recurse ("), "{stack:?}");
    assert!(stack[0].ends_with(" times)"), "{stack:?}");
}

#[test]
fn what_an_attempt_emits_is_bounded_over_all_its_guests() {
    let emitting = |bytes, records| {
        let output = Arc::new(GuestOutput::new(bytes, records));
        let options = || InstanceOptions { output: Arc::clone(&output), ..options("") };
        // The first guest takes its share: one record of two bytes.
        map_with(options()).unwrap();
        map_with(options()).unwrap_err()
    };
    let bytes = ["task output bytes", "4 bytes", "3 bytes", "--max-task-output"];
    assert_eq!(told(&emitting(3, 2)), bytes);
    assert_eq!(told(&emitting(4, 1)), ["task output records", "2", "1", "--max-task-records"]);
}

#[test]
fn an_attempt_ends_with_its_time() {
    // It emits all the while, so that it does not stand still.
    let mut options = options("spin-emitting");
    options.deadline = Some(Deadline::after(Duration::from_millis(50)));
    let error = map_with(options).unwrap_err();
    let [limit, _, cap, option] = told(&error);
    assert_eq!([limit, cap, option], ["time of a task", "50.0ms", "--max-task-time"]);
}

#[test]
fn memory_over_its_cap() {
    for (instance, slot, cap) in [(64u64, 512u64, "64 MiB"), (512, 48, "48 MiB")] {
        let memory = Arc::new(GuestMemory::new(slot << 20));
        let options = || InstanceOptions {
            memory: Arc::clone(&memory),
            memory_bytes_max: instance << 20,
            ..options("allocate")
        };
        let error = map_with(options()).unwrap_err();
        let Failure::Limit { limit, cap: told, option, value, role: Role::Mapper, .. } = &error.failure
        else {
            panic!("{error:?}")
        };
        assert_eq!((limit.as_str(), told.as_str(), option.as_str()), ("guest memory", cap, "--guest-memory"));
        let value: u64 = value.strip_suffix(" MiB").unwrap().parse().unwrap();
        assert!(value > instance.min(slot), "{value}");
        assert_eq!(memory.used(), 0, "the memory is back in the pool");
    }
    let tiny = InstanceOptions { memory_bytes_max: 64 * 1024, ..options("") };
    let error = map_with(tiny).unwrap_err();
    let [limit, _, cap, _] = told(&error);
    assert_eq!([limit, cap], ["guest memory", "64 KiB"]);
}

#[test]
fn a_guest_that_stands_still_is_stopped_and_one_that_works_is_not() {
    for params in [[("mode", "spin")], [("open", "spin")], [("close", "spin")]] {
        let mut options = with_params(&params);
        options.idle_timeout = Duration::from_millis(50);
        let error = map_with(options).unwrap_err().failure;
        let Failure::Limit { limit, cap, option, .. } = &error else { panic!("{error:?}") };
        let told = (limit.as_str(), cap.as_str(), option.as_str());
        assert_eq!(told, ("time without progress", "50.0ms", "--task-timeout"), "{params:?}");
    }
    // Time that nobody sleeps through passes at once.
    map("sleep", &[]).unwrap();
}

#[test]
fn memory_that_it_copes_without_is_not_blamed() {
    // It is refused memory, lives on through the call, and fails in a later one for another reason.
    let mut options = with_params(&[("open", "grow"), ("mode", "panic")]);
    options.memory_bytes_max = 64 << 20;
    let error = map_with(options).unwrap_err().failure;
    assert!(matches!(&error, Failure::Plugin { fault: PluginFault::Trap, .. }), "{error:?}");
}
