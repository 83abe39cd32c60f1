//! Plugins that misbehave while they run, in every role: the job fails with the right code, says which
//! stage and record it was and what the plugin said, and leaves nothing. Or it does not fail, where the
//! fault is one that a job may survive.

use serde_json::json;

use crate::support::Job;
use crate::support::process::run;

/// Lines of equal length; enough of them are equal for the engine to combine.
const TEXT: &str = "first.\nboom x\nboom x\nboom x\nboom x\nboom x\nboom x\nboom x\nboom x\nlast..\n";
/// What becomes of it when nothing goes wrong.
const COUNTS: &[u8] = b"boom x\t8\nfirst.\t1\nlast..\t1\n";
/// What is left without the lines that begin with `boom`.
const COUNTS_REST: &[u8] = b"first.\t1\nlast..\t1\n";

fn unruly(mode: &str, role: &str) -> Job {
    let args = format!("-p mode={mode} -p role={role} --memory 64M --workers 1");
    Job::new("unruly").input(TEXT).args(&args)
}

/// What the plugin was doing, as it says itself.
fn doing(role: &str) -> &'static str {
    match role {
        "mapper" => "while mapping the line at byte 7: \"boom x\"",
        "combiner" => "while combining the group with key \"boom x\"",
        _ => "while reducing the group with key \"boom x\"",
    }
}

/// Where its input came from, in a failure that has no words of its own for it.
fn at(role: &str) -> &'static str {
    if role == "mapper" { " on in at byte 7" } else { "" }
}

/// Where it failed: combiners run in map tasks.
fn task(role: &str) -> &'static str {
    if role == "reducer" {
        "mr-engine: reduce task 0 attempt 0 failed: "
    } else {
        "mr-engine: map task 0 attempt 0 failed: "
    }
}

#[test]
fn a_plugin_that_fails_says_why_and_where() {
    let modes = [
        ("panic", "trapped", "it cannot go on; "),
        ("invalid", "refused its input", "this is no line; "),
        ("fatal", "failed for good", "this is no job; "),
    ];
    for role in ["mapper", "combiner", "reducer"] {
        for (mode, verb, words) in modes {
            let said = format!("{words}{}", doing(role));
            let fault = format!("{}the {role} {verb}", task(role));
            unruly(mode, role).fails(6, &[&fault, &said]);
        }
    }
}

#[test]
fn a_trap_names_the_function() {
    for (role, call) in [("mapper", "map-batch"), ("combiner", "combine-batch"), ("reducer", "reduce-batch")]
    {
        let fault = format!("{}the {role} trapped", task(role));
        let place = format!("called by mr:engine/{role}@0.1.0#{call}");
        let trap = "wasm `unreachable` instruction executed, in unruly::Conduct::act";
        unruly("trap", role).fails(6, &[&fault, trap, &place]);
    }
}

#[test]
fn the_record_that_a_mapper_trapped_on_is_found() {
    // Far into the second file, in a batch of many chunks and lines.
    let lines = |count: usize| "some words on a line\n".repeat(count);
    let text = format!("{}boom \u{1b}[2J\n{}", lines(1_000), lines(20_000));
    let job = Job::new("unruly").file("in/a", lines(10)).file("in/b", &text);
    let fault =
        "the mapper trapped on in/b at byte 21000: wasm trap: wasm `unreachable` instruction executed, in ";
    let record = "\n  on: boom \\x1b[2J\n  in ";
    job.args("-p mode=trap --workers 1").fails(6, &[fault, record, "unruly::Conduct::act"]);
    // One that fails on what has come together: the fewest records in a row that still do it are told.
    let fault = "the mapper trapped on in at byte 14: ";
    unruly("third", "mapper")
        .fails(6, &[fault, "\n  on: one of the 3 records from there on; none fails by itself\n"]);
}

#[test]
fn limits_of_a_task_and_of_the_job_are_told_by_name() {
    let limited = |args: &str, fault: &str| unruly("nothing", "mapper").args(args).fails(7, &[fault]);
    limited(
        "--max-task-output 20",
        "map task 0 attempt 0 failed: the mapper went over its limit of task output bytes: ",
    );
    limited("--max-task-output 20", " bytes, and 20 bytes are allowed (raise it with --max-task-output)");
    limited("--max-task-records 2", ", and 2 are allowed (raise it with --max-task-records)");
    limited(
        "--max-output-records 2",
        "the reducer went over its limit of output records: 3, and 2 are allowed (raise it with --max-output-records)",
    );
    // All tasks together, each of which is within the limit.
    limited("--max-output-records 2 --reducers 3", "output records: 3, and 2 are allowed");
    let fault = "map task 0 attempt 0 failed: the mapper went over its limit of time of a task";
    let allowed = ", and 300.0ms are allowed (raise it with --max-task-time)";
    unruly("spin", "mapper").args("--max-task-time 300ms").fails(7, &[fault, allowed]);
    unruly("nothing", "mapper")
        .args("--max-task-output 1K --max-task-records 100 --max-output-records 3 --max-task-time 1h")
        .check_whole(COUNTS);
}

#[test]
fn a_setup_that_fails_fails_the_job() {
    for role in ["mapper", "combiner", "reducer"] {
        let fault = format!("{}the {role} failed for good: nothing is set up\n", task(role));
        unruly("setup-fatal", role).fails(6, &[&fault]);
    }
    let job = Job::new("grep").input("a\n").args("-p pattern=(");
    job.fails(
        6,
        &["mr-engine: map task 0 attempt 0 failed: the mapper failed for good: parameter pattern: "],
    );
}

#[test]
fn a_plugin_that_exits_has_failed() {
    unruly("exit", "mapper")
        .fails(6, &["the mapper trapped on in at byte 7: it exited with status 1\n", "  on: boom x\n"]);
}

#[test]
fn a_plugin_that_never_returns_is_stopped() {
    for role in ["mapper", "combiner", "reducer"] {
        let fault =
            format!("{}the {role} went over its limit of time without progress{}: ", task(role), at(role));
        let allowed = "and 1.0s are allowed (raise it with --task-timeout)";
        let log = "plugin log: warn: spinning";
        unruly("spin", role).args("--task-timeout 1s").fails(7, &[&fault, allowed, log]);
    }
}

#[test]
fn a_plugin_that_wants_too_much_memory_is_stopped() {
    for role in ["mapper", "combiner", "reducer"] {
        let fault = format!("{}the {role} went over its limit of guest memory{}: ", task(role), at(role));
        let allowed = "and 20 MiB are allowed (raise it with --guest-memory)";
        unruly("allocate", role).args("--guest-memory 20M").fails(7, &[&fault, allowed]);
    }
}

#[test]
fn a_record_over_the_limit_fails_the_job() {
    let fault = "the mapper went over its limit of record size on in at byte 7: a record of 2097160 bytes, and \
        1048576 bytes are allowed (raise it with --max-record)";
    unruly("huge-record", "mapper").fails(7, &[fault]);
    let huge = [&[b'x'; 2 << 20][..], b"\t8\n"].concat();
    let expected = [COUNTS, &huge].concat();
    unruly("huge-record", "mapper").args("--max-record 3M").check_whole(&expected);
}

#[test]
fn a_line_over_the_limit_fails_the_job() {
    let line = |bytes: usize| [b"short\n".as_slice(), &vec![b'x'; bytes], b"\nshort\n"].concat();
    for name in ["wordcount", "sort"] {
        for split in ["64M", "700"] {
            let job =
                |bytes| Job::new(name).input(line(bytes)).args("--max-record 1K --split-size").arg(split);
            job(1016).done();
            let fault = "input in at byte 6: the line is longer than 1024 bytes, the limit for a record; raise it with \
                --max-record if this is text";
            job(1025).fails(3, &[fault]);
            job(100_000).fails(3, &[fault]);
        }
    }
}

#[test]
fn a_transient_failure_is_tried_again_and_counts_once() {
    for role in ["mapper", "reducer"] {
        let job = unruly("transient-once", role).args("--split-size 14");
        let done = job.check_whole(COUNTS);
        assert_eq!(done.report["counters"], json!({ "groups": 3, "lines": 10 }), "{role}");
        assert_eq!(done.manifest["counters"], done.report["counters"]);
        assert_eq!(done.number("input_records"), 10);
        // All five splits have a line with `boom`; these make one group.
        assert_eq!(done.number("attempts_failed"), if role == "mapper" { 5 } else { 1 });
    }
}

#[test]
fn a_failure_that_stays_fails_the_job_after_some_attempts() {
    for (attempts, last) in [("", 3), ("--max-attempts 2", 1), ("--max-attempts 1", 0)] {
        for (role, stage) in [("mapper", "map"), ("reducer", "reduce")] {
            let fault = format!(
                "mr-engine: {stage} task 0 attempt {last} failed: the {role} asked for another attempt"
            );
            unruly("transient", role).args(attempts).fails(6, &[&fault, "not today"]);
        }
    }
}

#[test]
fn rejects_over_the_limit_fail_the_job() {
    for (allowed, args) in [(0, ""), (3, "--max-rejects 3")] {
        let says = format!("and {allowed} rejects are allowed (raise it with --max-rejects)");
        let place = "the job rejected a record of in at byte ";
        unruly("reject", "mapper")
            .args(args)
            .fails(6, &[place, "not wanted; while mapping the line at byte ", &says]);
    }
    let says = "the job rejected a record (not wanted; while reducing the group with key \"boom x\"), and 0 rejects \
        are allowed";
    unruly("reject", "reducer").fails(6, &[says]);
    // Each task is within the limit, all together are not.
    let spread = unruly("reject", "mapper").args("--max-rejects 1 --split-size 7 --max-attempts 1");
    spread.fails(6, &["and 1 rejects are allowed"]);
}

#[test]
fn rejects_within_the_limit_are_kept() {
    // Splits of one line, so that a place is that of a line.
    let job = unruly("reject", "mapper").args("--max-rejects 8 --split-size 7");
    let done = job.check_whole(COUNTS_REST);
    let reject = |offset: u64| {
        let reason = format!("not wanted; while mapping the line at byte {offset}: \"boom x\"");
        json!({ "path": "in", "offset": offset, "reason": reason, "sample": "boom x\\n" })
    };
    assert_eq!(done.rejects, (1..=8).map(|line| reject(7 * line)).collect::<Vec<_>>());
    assert_eq!(done.manifest["rejects"], 8);

    let done = unruly("reject", "reducer").args("--max-rejects 5").check_whole(COUNTS_REST);
    let reason = "not wanted; while reducing the group with key \"boom x\"";
    assert_eq!(done.rejects, [json!({ "path": null, "offset": null, "reason": reason, "sample": "boom x" })]);
}

/// Each task alone may be over the share of all.
#[test]
fn a_share_of_the_records_may_be_rejected() {
    let calm = "calm a\n".repeat(196);
    let job = |args: &str| {
        let text = format!("boom x\nboom y\nboom z\n{calm}boom v\n");
        Job::new("unruly").input(text).args("-p mode=reject --split-size 7").args(args)
    };
    let done = job("--max-rejects 2%").check_whole(b"calm a\t196\n");
    assert_eq!((done.rejects.len(), done.number("input_records")), (4, 200));
    let says = "mr-engine: 4 of 200 records were rejected, the last one of in at byte 1393 (not wanted; while mapping \
        the line at byte 1393: \"boom v\"), and 1.9999% are allowed (raise it with --max-rejects)\n";
    job("--max-rejects 1.9999%").fails(6, &[says]);
    job("--max-rejects 101%").fails(2, &["is no share"]);
    job("--max-rejects few").fails(2, &["use a number, or per cent of the input records"]);
}

/// A row that no plugin sees is a record of the input, too.
#[test]
fn malformed_rows_count_as_records_of_the_input() {
    let job = |share: &str| {
        let text = "a,b\n1,2\n3\n5,6\n7,8\n";
        Job::staged()
            .input(text)
            .args("--input-format csv --fields a:u64,b:u64 --reducers 0 --max-rejects")
            .arg(share)
    };
    assert_eq!(job("25%").done().rejects.len(), 1);
    job("24%").fails(6, &["1 of 4 records were rejected", "24% are allowed"]);
}

#[test]
fn rejects_without_an_output_folder_are_counted_only() {
    let job = unruly("reject", "mapper").args("--max-rejects 8");
    let ended = run(job.command("submit"));
    assert_eq!((ended.code(), ended.stdout.as_slice()), (Some(0), COUNTS_REST));
    assert!(ended.stderr.contains("rejects  8 records, not kept: give --output\n"), "{}", ended.stderr);
    job.assert_no_leftovers();
}

#[test]
fn a_combiner_cannot_reject() {
    unruly("reject", "combiner").args("--max-rejects 9").fails(6, &["a combiner cannot reject"]);
}

#[test]
fn a_plugin_that_breaks_the_interface_fails_the_job() {
    let job = Job::new("unruly").stage("combine", "rogue").input(TEXT);
    let fault = "mr-engine: map task 0 attempt 0 failed: the combiner broke the plugin interface: it emitted a key \
        that it was not given, or keys out of order\n";
    job.fails(6, &[fault]);
    let job = Job::new("unruly").stage("partitioner", "rogue").input(TEXT).args("--reducers 3");
    let fault = "mr-engine: map task 0 attempt 0 failed: the partitioner broke the plugin interface: it chose partition \
        1000; there are 3, from 0\n";
    job.fails(6, &[fault]);
}

#[test]
fn values_of_another_size_are_named() {
    // The reducer declares bytes, and sums up values of 8 bytes only.
    let job =
        Job::staged().stage("map", "remap").stage("reduce", "gather").input("word\n").args("-p how=sum");
    job.fails(6, &["mr-engine: reduce task 0 attempt 0 failed: the reducer refused its input: "]);
}

#[test]
fn log_lines_are_shown_when_asked_for() {
    let quiet = unruly("nothing", "mapper").done();
    assert!(!quiet.stderr.contains("maps task 0"), "{}", quiet.stderr);
    let ended = unruly("nothing", "mapper").args("--split-size 7").start().end();
    assert_eq!(ended.code(), Some(0));
    for line in ["mapper info: maps task 0\n", "mapper info: maps task 1\n"] {
        assert_eq!(ended.stderr.matches(line).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn counters_add_up_over_all_tasks() {
    let text = "a\nb\n".repeat(5000);
    let job = Job::new("unruly").input(&text).args("--split-size 1000 --workers 2 --reducers 2 --memory 64M");
    let done = job.done();
    assert_eq!(done.report["counters"], json!({ "groups": 2, "lines": 10_000 }));
    assert_eq!(done.number("output_records"), 2);
}
