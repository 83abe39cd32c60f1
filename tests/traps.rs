//! Plugins that trap on some records: within `--max-rejects` these are left out and kept with place and reason,
//! and the rest is as if they had never been there, however the input is cut and whoever runs the job.

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Work};
use crate::support::naive::{Remap, digested, line_records};
use crate::support::process::run;
use crate::support::random::{Arrangement, Random, property};
use crate::support::{Job, assert_same_bytes};

/// What marked lines ask for, and what the reasons say then.
const MARKS: [(&str, &str); 4] = [
    ("boom u", "trapped: wasm trap: wasm `unreachable` instruction executed, in "),
    ("boom p", "trapped: panicked at tests/guests/src/marks.rs:"),
    ("boom o", "trapped: wasm trap: out of bounds memory access, in "),
    ("boom d", "trapped: panicked at tests/guests/src/marks.rs:"),
];

/// Lines some of which are marked, one in so many.
fn text(seed: u64, lines: u64, one_in: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut text = Vec::new();
    for _ in 0..lines {
        match random.below(one_in) {
            0 => {
                let (mark, _) = MARKS[usize::try_from(random.below(4)).unwrap()];
                text.extend_from_slice(format!("{mark} {}\n", random.below(9)).as_bytes());
            }
            _ => {
                text.extend_from_slice(format!("word-{} and more\n", random.below(lines / 3 + 1)).as_bytes())
            }
        }
    }
    text
}

fn is_marked(line: &[u8]) -> bool {
    line.starts_with(b"boom ")
}

/// Place and content of the marked lines.
fn marked(text: &[u8]) -> Vec<(u64, String)> {
    let mut offset = 0;
    let mut marked = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if is_marked(line) {
            marked.push((offset, String::from_utf8_lossy(line).trim_end().to_owned()));
        }
        offset += line.len() as u64;
    }
    marked
}

/// Every marked line is a reject, in order, with a reason that fits.
#[track_caller]
fn assert_rejected(rejects: &[Value], text: &[u8]) {
    let marked = marked(text);
    assert_eq!(rejects.len(), marked.len());
    for (reject, (offset, line)) in rejects.iter().zip(marked) {
        assert_eq!((&reject["offset"], &reject["sample"]), (&json!(offset), &json!(line)));
        let (_, reason) = MARKS.iter().find(|(mark, _)| line.starts_with(mark)).unwrap();
        let said = reject["reason"].as_str().unwrap();
        assert!(said.starts_with(reason) && !said.contains('\n'), "{line}: {said}");
    }
}

/// Counts of the lines that are left, as the plugin `unruly` writes them.
fn counts(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    lines.retain(|line| !line.is_empty() && !is_marked(line));
    lines.sort_unstable();
    let counted = lines.chunk_by(|a, b| a == b);
    counted.flat_map(|run| [run[0], format!("\t{}\n", run.len()).as_bytes()].concat()).collect()
}

/// A job of a mapper that sees chunks of lines.
fn chunks(text: &[u8]) -> Job {
    Job::new("unruly").input(text).args("-p mode=marked --max-rejects 1000 --reducers 1")
}

/// A job of a mapper that sees rows; its output tells the place of every line.
fn rows(text: &[u8]) -> Job {
    Job::staged().stage("map", "brittle").stage("reduce", "gather").input(text).args("--max-rejects 1000")
}

#[test]
fn no_arrangement_changes_what_is_left() {
    let texts = (proptest::num::u64::ANY, 1..400u64, 2..60u64);
    let values = (texts, Arrangement::any(), 1..5usize);
    property(12, &values, |((seed, lines, one_in), arrangement, reducers)| {
        let text = text(seed, lines, one_in);
        let args = arrangement.args(text.len());
        let done = chunks(&text).args(&args).check_whole(&counts(&text));
        assert_rejected(&done.rejects, &text);
        assert_eq!(done.report["counters"]["lines"], lines - done.rejects.len() as u64);
        assert_eq!(done.report["input_records"], lines);

        let mut left = line_records(&text);
        left.retain(|(_, line)| !is_marked(line));
        let expected = digested(&left, Remap { from_value: true, ..Remap::default() }, reducers);
        let done = rows(&text).args(&format!("{args} --reducers {reducers}")).check(&expected);
        assert_rejected(&done.rejects, &text);
    });
}

#[test]
fn they_may_be_anywhere_in_a_large_split() {
    // Many batches, and a marked line in most of them: more than an attempt could begin again for one by one.
    let text = text(5, 600_000, 15_000);
    assert!(text.len() > 40 * 256 * 1024 && marked(&text).len() > 30);
    for job in [chunks(&text), rows(&text).args("--reducers 1")] {
        let done = job.args("--workers 1 --split-size 64M").done();
        assert_rejected(&done.rejects, &text);
        assert_eq!(done.report["map_output_records"], 600_000 - done.rejects.len());
    }
}

#[test]
fn what_is_left_goes_straight_into_parts_and_ranges() {
    let text = text(6, 20_000, 100);
    let left: Vec<u8> = text
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !is_marked(line))
        .flat_map(|line| [line.strip_suffix(b"\n").unwrap(), b"\t1\n"].concat())
        .collect();
    let job = Job::new("unruly").input(&text).args("-p mode=marked --max-rejects 2% --reducers 0");
    let done = job.args("--split-size 20K").check_whole(&left);
    assert_rejected(&done.rejects, &text);
    // The places that boundaries are made from are full of marked lines, too.
    for reducers in [1, 4] {
        let args = format!("--partition range --split-size 20K --reducers {reducers}");
        let done = Job::new("unruly")
            .input(&text)
            .args("-p mode=marked --max-rejects 1000")
            .args(&args)
            .check_whole(&counts(&text));
        assert_rejected(&done.rejects, &text);
        assert_eq!(done.parts.iter().filter(|(_, part)| !part.is_empty()).count(), reducers);
    }
}

#[test]
fn the_share_is_judged_in_the_end() {
    let text = b"boom u\na\nb\nboom p\nc\nd\ne\nf\ng\nh\n";
    let job = |share: &str| {
        let args = format!("-p mode=marked --max-rejects {share} --split-size 10 --reducers 1");
        Job::new("unruly").input(text).args(&args)
    };
    let done = job("20%").check_whole(&counts(text));
    assert_rejected(&done.rejects, text);
    let says = [
        "2 of 10 records were rejected, the last one of in at byte 11 (trapped: panicked at ",
        "it cannot go on; while mapping the line at byte 11: \"boom p\"), and 10% are allowed",
    ];
    job("10%").fails(6, &says);
    job("1").fails(
        6,
        &["rejected a record of in at byte 11 (trapped: panicked at ", "and 1 rejects are allowed"],
    );
    // None is the default.
    let none = Job::new("unruly").input(text).args("-p mode=marked");
    none.fails(6, &["map task 0 attempt 0 failed: the mapper trapped on in at byte 0: wasm trap: "]);
}

#[test]
fn a_plugin_that_always_traps_ends_soon() {
    let text = "boom u\n".repeat(50_000);
    let job = |rejects: &str| {
        let args = format!("-p mode=marked --workers 1 --max-rejects {rejects}");
        Job::new("unruly").input(&text).args(&args)
    };
    job("7")
        .fails(6, &["rejected a record of in at byte 49 (trapped: wasm trap: ", "and 7 rejects are allowed"]);
    let many = "; it traps on more than 1000 records of one task, and no more are skipped\n";
    let record = "\n  on: boom u\n";
    job("90%").fails(6, &["the mapper trapped on in at byte 7000: ", many, record]);
    job("100%").args("--partition range --reducers 3").fails(6, &[many]);
}

#[test]
fn a_record_that_traps_only_behind_others_is_not_skipped() {
    let text = format!("first.\n{}last..\n", "boom x\n".repeat(8));
    let job = Job::new("unruly").input(&text).args("-p mode=third --max-rejects 10");
    let says = [
        "the mapper trapped on in at byte 14: ",
        "; nothing is skipped, since no record of that batch traps by itself\n",
        "\n  on: one of the 3 records from there on; none fails by itself\n",
    ];
    job.fails(6, &says);
}

/// The marked lines, each once.
fn marked_keys(text: &[u8]) -> Vec<String> {
    let mut keys: Vec<String> = marked(text).into_iter().map(|(_, line)| line).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Every marked line is the key of a rejected group, in whatever partition, with a reason that fits.
#[track_caller]
fn assert_rejected_groups(rejects: &[Value], text: &[u8]) {
    let mut keys: Vec<&str> = rejects.iter().map(|reject| reject["sample"].as_str().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, marked_keys(text));
    for reject in rejects {
        let (_, reason) =
            MARKS.iter().find(|(mark, _)| reject["sample"].as_str().unwrap().starts_with(mark)).unwrap();
        assert!(reject["reason"].as_str().unwrap().starts_with(reason), "{reject}");
    }
}

#[test]
fn groups_that_trap_the_reducer_are_left_out() {
    let args = "-p mode=marked -p role=reducer --max-rejects 100";
    let values = (proptest::num::u64::ANY, 1..400u64, 2..30u64, Arrangement::any());
    property(8, &values, |(seed, lines, one_in, arrangement)| {
        let text = text(seed, lines, one_in);
        let job = Job::new("unruly").input(&text).args(args).args("--reducers 1");
        let done = job.args(&arrangement.args(text.len())).check_whole(&counts(&text));
        assert_rejected_groups(&done.rejects, &text);
        let groups = done.number("reduce_groups") - done.rejects.len() as u64;
        assert_eq!(done.report["counters"].get("groups").and_then(Value::as_u64).unwrap_or(0), groups);
    });
    // Groups of more values than a batch holds, one behind the other.
    let long = ["boom o 1\n", "boom u 2\n", "even\n"].map(|line| line.repeat(70_000)).concat();
    let text = [text(3, 30_000, 300), long.into_bytes()].concat();
    let job = Job::staged().stage("map", "unruly").stage("reduce", "unruly").input(&text).args(args);
    let done = job.args("--reducers 1 --split-size 400K").check_whole(&counts(&text));
    assert_rejected_groups(&done.rejects, &text);
}

#[test]
fn reducers_that_cannot_be_helped_fail_the_job() {
    let text: String = (0..3_000).map(|number| format!("boom u{number:05}\n")).collect();
    let job = |args: &str| Job::new("unruly").input(&text).args("-p role=reducer --reducers 1").args(args);
    let many =
        "; it traps on more than 1000 groups of one task, and no more are skipped\n  on: boom u01000\n";
    job("-p mode=marked --max-rejects 100%").fails(6, &["the reducer trapped: ", many]);
    job("-p mode=marked --max-rejects 7")
        .fails(6, &["rejected a record (trapped: wasm trap: ", "and 7 rejects are allowed"]);
    job("-p mode=third --max-rejects 7").fails(
        6,
        &["the reducer trapped: ", "; nothing is skipped, since no group of that batch traps by itself\n"],
    );
}

#[test]
fn nothing_of_what_is_begun_again_counts() {
    let text = [text(8, 30_000, 3_000), b"boom u\n".to_vec()].concat();
    let args = "-p mode=marked --max-rejects 100 --workers 1 --split-size 64M --max-task-records 40000";
    let job = Job::new("unruly").input(&text).args(args);
    let mut command = job.command_to_folder();
    command.arg("--verbose");
    let ended = run(command);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("maps task 0").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_cluster_leaves_out_the_same() {
    let cluster = Cluster::steady(2);
    let text = text(9, 30_000, 300);
    let input = cluster.path("text");
    std::fs::write(&input, &text).unwrap();
    let args = "-p mode=marked --max-rejects 1% --split-size 20K";
    let shuffled = Work::new("unruly", input.clone(), &format!("{args} --reducers 3"));
    let straight = Work::new("unruly", input.clone(), &format!("{args} --reducers 0"));
    for (work, id) in [(&shuffled, "shuffled"), (&straight, "straight")] {
        cluster.check(work, id);
        let rejects = std::fs::read_to_string(cluster.output(id).join("_rejects.jsonl")).unwrap();
        let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_rejected(&rejects, &text);
        assert_eq!(cluster.winners(id), ["worker-1", "worker-2"]);
    }
    let reduced = Work::new("unruly", input.clone(), &format!("{args} -p role=reducer --reducers 3"));
    cluster.check(&reduced, "reduced");
    let rejects = std::fs::read_to_string(cluster.output("reduced").join("_rejects.jsonl")).unwrap();
    let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_rejected_groups(&rejects, &text);
    let mut sorted: Vec<u8> = Vec::new();
    let parts = cluster.parts("shuffled");
    let mut lines: Vec<&[u8]> = parts.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.iter().for_each(|line| sorted.extend_from_slice(line));
    assert_same_bytes("all parts", &sorted, &counts(&text));
    let always = Work::new("unruly", input, &format!("{args} -p role=mapper --reducers 1"));
    cluster
        .submit(&always.shaped("-p mode=third --max-rejects 5"), "third")
        .fails(6, &["nothing is skipped"]);
}
