//! Every attack in every place where it can be made, without a cluster: the exit code, the very sentence, and
//! nothing left behind.

use super::attacks::{ANYWHERE, ATTACKS, Attack, fits, role};
use super::guest::{counted, hostile, lines_of, ordered, text};
use crate::support::Job;
use crate::support::process::run;

/// The stage that a place belongs to, as sentences name it.
fn stage(place: &str) -> &'static str {
    if place.starts_with("reduce") { "reduce" } else { "map" }
}

/// Runs one attack in one place; what is wrong with what came of it.
fn run_attack(attack: &Attack, place: &str) -> Option<String> {
    let mut job = Job::of(&hostile()).input(text()).args("--workers 1 --memory 1300M --reducers 3");
    job = job.args(attack.options).args(&format!("-p attack={} -p at={place}", attack.name));
    job = job.args(if place.starts_with("partition") { "--partition plugin" } else { "--partition hash" });
    let ended = run(job.command_to_folder());
    let (code, said) = (ended.code(), ended.stderr);
    let sentence = said.lines().find_map(|line| line.strip_prefix("mr-engine: ")).unwrap_or_default();
    let output = job.path("out");
    let as_it_has_to = if attack.code == 0 {
        code == Some(0) && lines_of(&output) == counted(&text())
    } else {
        job.assert_no_leftovers();
        let why = attack.sentence.replace("ROLE", role(place));
        let expected = format!("{} task * attempt * failed: {why}", stage(place));
        code == Some(attack.code) && !output.exists() && fits(&expected, sentence)
    };
    (!as_it_has_to).then(|| format!("{} at {place}: {code:?} {sentence:?}", attack.name))
}

/// Makes all attacks in these places.
#[track_caller]
fn run_attacks(of_role: &str) {
    let places: Vec<&&str> = ANYWHERE.iter().filter(|place| place.starts_with(of_role)).collect();
    let mut made = 0;
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        for place in attack.places.iter().filter(|place| places.contains(place)) {
            made += 1;
            wrong.extend(run_attack(attack, place));
        }
    }
    assert!(made > 40, "{made} attacks");
    assert!(wrong.is_empty(), "{} of {made} attacks:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn in_the_mapper() {
    run_attacks("map");
}

#[test]
fn in_the_combiner() {
    run_attacks("combine");
}

#[test]
fn in_the_reducer() {
    run_attacks("reduce");
}

#[test]
fn in_the_partitioner() {
    run_attacks("partition");
}

/// Attacks of `describe`: the exit code is always 5, and the sentence names the file.
#[rustfmt::skip]
const DESCRIBING: &[(&str, &str)] = &[
    ("recurse", "goes over the limit of call stack: more than 1 MiB, and 1 MiB are allowed"),
    ("panic", "does not describe itself: wasm trap: wasm `unreachable` instruction executed, in hostile::rude::panic*"),
    ("exit", "does not describe itself: it exited with status 1"),
    ("allocate", "goes over the limit of memory at the start: * MiB, and * MiB are allowed"),
    ("handles", "goes over the limit of handles: more than 1024, and 1024 are allowed"),
    ("log-utf8", "does not describe itself: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    ("log-claimed", "does not describe itself: what it passed lies outside of its memory (string pointer/length out of bounds of memory)"),
    ("spin-asking", "does not describe itself: it called config.get while it was being described; `describe` and start-up must not call imports"),
    ("counters", "does not describe itself: it called counters.add while it was being described; `describe` and start-up must not call imports"),
    ("ends-fall", "does not describe itself: it called output.emit while it was being described; `describe` and start-up must not call imports"),
    ("rejects", "does not describe itself: it called output.reject while it was being described; `describe` and start-up must not call imports"),
    ("next", "does not describe itself: it called group-values.next while it was being described; `describe` and start-up must not call imports"),
    ("side-input", "does not describe itself: it called side-input.read while it was being described; `describe` and start-up must not call imports"),
    ("buffers-outside", "does not describe itself: it called config.get-all while it was being described; `describe` and start-up must not call imports"),
    ("text-utf8", "does not describe itself: it passed text that is not UTF-8 (invalid utf-8 sequence of 1 bytes from index 4)"),
    ("text-claimed", "does not describe itself: what it passed lies outside of its memory (string pointer/length out of bounds of memory)"),
    ("text-long", "does not describe itself: a text is longer than 4096 bytes"),
    ("text-escapes", "does not describe itself: a text holds control characters"),
    ("facts-bad", "describes itself wrongly: its attribute map.key = \"int\" cannot be understood: *"),
    ("facts-many", "describes itself wrongly: it describes itself with 100011 attributes; 512 are allowed"),
];

/// Runs a job of the guest that attacks when it is asked to describe itself.
#[track_caller]
fn described(attack: &str, code: i32, why: &str) {
    let job = Job::staged().own_cache().arg("other").file("other", ordered(attack, "describe")).input(text());
    let failed = job.fails(code, &[]);
    let sentence =
        failed.stderr.lines().find_map(|line| line.strip_prefix("mr-engine: ")).unwrap_or_default();
    assert!(fits(&format!("plugin other {why}"), sentence), "{attack}: {sentence:?}");
}

#[test]
fn while_it_is_described() {
    DESCRIBING.iter().for_each(|(attack, why)| described(attack, 5, why));
}

#[test]
#[ignore = "make chaos"]
fn for_ever_while_it_is_described() {
    let why = "goes over the limit of time to start and to describe itself: 5.*s, and 5.0s are allowed";
    described("spin", 5, why);
}

/// Attacks that need gigabytes or minutes.
#[rustfmt::skip]
const FOR_REAL: &[(&str, i32, &str, &str)] = &[
    ("error-huge", 7, "the mapper went over its limit of bytes of one host call*: more than 96 MiB, and 96 MiB are allowed", ""),
    ("value-huge", 7, "the mapper went over its limit of bytes of one host call*: more than 96 MiB, and 96 MiB are allowed", ""),
    ("bytes-apart", 7, "the mapper went over its limit of task output bytes*: * bytes, and 4294967296 bytes are allowed *", "--max-task-output 4G"),
    ("a-billion-records", 7, "the mapper went over its limit of task output records*: *, and 1000000000 are allowed *", "--max-task-records 1000000000"),
];

#[test]
#[ignore = "make chaos"]
fn for_real() {
    for (attack, code, why, options) in FOR_REAL {
        let job = Job::of(&hostile()).input(text()).args("--workers 1 --memory 6G --guest-memory 1300M");
        let job = job.args(options).args(&format!("--task-timeout 60s -p attack={attack} -p at=map"));
        let failed = job.fails(*code, &[]);
        let sentence =
            failed.stderr.lines().find_map(|line| line.strip_prefix("mr-engine: ")).unwrap_or_default();
        assert!(fits(&format!("map task 0 attempt 0 failed: {why}"), sentence), "{attack}: {sentence:?}");
    }
}
