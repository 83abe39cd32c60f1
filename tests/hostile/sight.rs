//! What a plugin sees of the machine, which is nothing, and the same on every run; and what people see of a
//! plugin, which is bounded and cannot drive their terminal.

use super::guest::{counted, hostile, lines_of, ordered, text};
use crate::support::Job;
use crate::support::process::{Ended, run};

/// All that is in sight; clocks and random numbers follow from the task.
const IN_SIGHT: &[&str] = &[
    "root false",
    "here false",
    "passwd false",
    "self false",
    "devices false",
    "write false",
    "folder false",
    "args []",
    "env []",
    "stdin Some(0) \"\"",
    "child false",
    "thread false",
    "connect false",
    "listen false",
    "datagrams false",
    "names false",
    "clocks 5.000001s 946684805.000002s",
];

/// Most bytes that a flood of words may leave on a terminal.
const SHOWN_BYTES_MAX: usize = 1 << 20;

fn job(attack: &str, place: &str) -> Job {
    let orders = format!("-p attack={attack} -p at={place} --partition plugin --reducers 2 --workers 1");
    Job::of(&hostile())
        .input(text())
        .args(&orders)
        .args("--task-timeout 10s --guest-memory 300M --memory 1300M")
}

/// Runs a job, showing everything that its plugins say.
fn shown(job: &Job) -> Ended {
    let mut command = job.command_to_folder();
    command.env("SECRET", "tell nobody").arg("--verbose").arg("--overwrite");
    run(command)
}

#[test]
fn the_machine_is_out_of_sight_and_a_rerun_sees_the_same() {
    for (place, role) in [
        ("map", "mapper"),
        ("combine", "combiner"),
        ("reduce-close", "reducer"),
        ("partition-open", "partitioner"),
    ] {
        let job = job("look-around", place);
        let seen = || -> Vec<String> {
            let ended = shown(&job);
            assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
            let mark = format!("{role} info: seen: ");
            ended.stderr.lines().filter_map(|line| Some(line.strip_prefix(&mark)?.to_owned())).collect()
        };
        let first = seen();
        assert_eq!(first[..IN_SIGHT.len()], *IN_SIGHT, "{place}");
        assert!(first[IN_SIGHT.len()].starts_with("random "), "{first:?}");
        assert_eq!(seen(), first, "{place}: a rerun");
    }
}

/// Nothing of it can drive a terminal, or pass for a line of the engine's.
#[track_caller]
fn assert_tame(what: &str, said: &str) {
    let wild = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!said.contains(wild), "{what}: {said:?}");
    for forged in ["all is well", "the job is done"] {
        let line = format!("mr-engine: {forged}");
        assert!(!said.lines().any(|said| said.starts_with(&line)), "{what}: {said:?}");
    }
}

#[test]
fn words_cannot_drive_a_terminal() {
    for attack in ["log-escapes", "error-escapes", "error-lines", "counter-escapes"] {
        for place in ["map", "combine", "reduce", "partition"] {
            let ended = shown(&job(attack, place));
            assert_tame(&format!("{attack} at {place}"), &ended.stderr);
        }
    }
    let job = Job::staged().arg("other").file("other", ordered("text-escapes", "describe")).input(text());
    assert_tame("a job", &shown(&job).stderr);
    let mut inspect = crate::support::process::command(&job.path(""));
    inspect.args(["inspect", "other", "--no-cache"]);
    let ended = run(inspect);
    assert_tame("inspect", &String::from_utf8_lossy(&ended.stdout));
    assert_tame("inspect", &ended.stderr);
}

#[test]
fn floods_of_words_are_cut() {
    for attack in ["log-flood", "stdout-flood"] {
        let job = job(attack, "map");
        let ended = shown(&job);
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("of a flood"), "{attack} is not shown at all");
        assert!(ended.stderr.contains(" log lines left out\n"), "{attack}");
        assert!(ended.stderr.len() < SHOWN_BYTES_MAX, "{attack}: {} bytes", ended.stderr.len());
        assert_eq!(lines_of(&job.path("out")), counted(&text()));
    }
    let failed = job("error-long", "map").fails(6, &["failed for good"]);
    assert!(failed.stderr.len() < SHOWN_BYTES_MAX, "{} bytes", failed.stderr.len());
}
