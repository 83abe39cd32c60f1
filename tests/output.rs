//! What a job leaves: complete parts with a manifest that vouches for them, in the place that was asked
//! for, and nothing of anybody else's touched.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::json;

use crate::support::job::names;
use crate::support::naive::wordcount;
use crate::support::process::{Running, plugin, run};
use crate::support::{Job, assert_same_bytes};

const TEXT: &str = "to be\nor not\nto be\n";
const COUNTS: &str = "be\t2\nnot\t1\nor\t1\nto\t2\n";

fn count() -> Job {
    Job::new("wordcount").input(TEXT)
}

#[test]
fn the_manifest_tells_how_the_output_came_about() {
    let job = Job::new("grep")
        .stage("partitioner", "place")
        .input("a\nxa\nb\n")
        .args("-p pattern=a --reducers 2 --job-id the-job");
    let done = job.check(&[b"a\nxa\n".to_vec(), Vec::new()]);
    let hash = |name: &str| blake3::hash(&fs::read(plugin(name)).unwrap()).to_hex().to_string();
    let part = |name: &str, rows: u64, content: &str| {
        let blake3 = blake3::hash(content.as_bytes()).to_hex();
        json!({ "name": name, "rows": rows, "bytes": content.len(), "blake3": blake3.as_str() })
    };
    let expected = json!({
        "engine": "0.1.0",
        "job": "the-job",
        "plugins": [
            { "roles": ["mapper"], "name": "grep", "blake3": hash("grep") },
            { "roles": ["partitioner"], "name": "place", "blake3": hash("place") },
        ],
        "params": { "ignore-case": "false", "invert": "false", "pattern": "a" },
        "inputs": [{
            "name": "", "format": "lines", "compression": null, "expansion_max": 1000, "key": "offset", "chunks": true,
            "row": null, "types": { "key": "u64", "value": "bytes" },
            "mapper": hash("grep"),
        }],
        "files": [{ "path": "in", "bytes": 7, "input": 0, "modified_ns": done.manifest["files"][0]["modified_ns"], "tag": null }],
        "output": {
            "format": "text", "compression": "none", "names": null, "part_bytes_max": null,
            "types": { "key": "unit", "value": "text" }, "ports": [],
        },
        "partitioning": "plugin",
        "reducers": 2,
        "parts": [part("part-r-00000", 2, "a\nxa\n"), part("part-r-00001", 0, "")],
        "counters": { "lines matched": 2 },
        "sides": [],
        "rejects": 0,
    });
    assert_eq!(done.manifest, expected);
}

#[test]
fn parts_are_named_by_stage_and_number() {
    let part_names = |job: Job| job.done().parts.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(part_names(count().args("--reducers 2")), ["part-r-00000", "part-r-00001"]);
    let grep = Job::new("grep").args("-p pattern=e").input(TEXT);
    assert_eq!(part_names(grep.args("--reducers 0 --split-size 10")), ["part-m-00000", "part-m-00001"]);
}

#[test]
fn an_output_can_be_the_next_input() {
    let first = count().args("--reducers 3");
    first.done();
    let out = first.path("out");
    let next = Job::new("wordcount").reads(&[out.to_str().unwrap()]);
    next.check_whole(b"1\t2\n2\t2\nbe\t1\nnot\t1\nor\t1\nto\t1\n");
}

#[test]
fn what_is_there_is_not_replaced_unasked() {
    let job = count().file("out/precious", "mine");
    let refused = run(job.command_to_folder());
    assert_eq!(refused.code(), Some(4));
    assert_eq!(
        refused.stderr,
        "mr-engine: output out exists already; remove it, choose another, or replace it with --overwrite\n"
    );
    assert_eq!(fs::read(job.path("out/precious")).unwrap(), b"mine");
    job.assert_no_leftovers();
}

#[test]
fn only_a_former_output_is_overwritten() {
    let refusal = "mr-engine: output out is neither an empty folder nor a former output (with _SUCCESS or \
        _manifest.json in it), so --overwrite leaves it alone; remove it or choose another\n";
    for precious in ["out/precious", "out"] {
        let job = count().file(precious, "mine").args("--overwrite");
        let refused = run(job.command_to_folder());
        assert_eq!((refused.code(), refused.stderr.as_str()), (Some(4), refusal));
        assert_eq!(fs::read(job.path(precious)).unwrap(), b"mine");
        job.assert_no_leftovers();
    }
    let empty = count().args("--overwrite");
    fs::create_dir(empty.path("out")).unwrap();
    empty.check_whole(COUNTS.as_bytes());
}

#[test]
fn the_old_output_stays_until_the_new_one_is_complete() {
    let job = Job::new("unruly").input("boom\na\n");
    job.check_whole(b"a\t1\nboom\t1\n");
    for role in ["mapper", "reducer"] {
        let mut command = job.command_to_folder();
        command.args(["--overwrite", "-p", "mode=fatal", "-p"]).arg(format!("role={role}"));
        assert_eq!(run(command).code(), Some(6));
        assert_eq!(fs::read(job.path("out/part-r-00000")).unwrap(), b"a\t1\nboom\t1\n");
        job.assert_no_leftovers();
    }
    // A part of another name: nothing of the old output is left in the new.
    job.args("--overwrite --reducers 0").check_whole(b"boom\t1\na\t1\n");
}

#[test]
fn missing_parents_are_made_and_go_again_with_a_failure() {
    let to = |job: &Job| {
        let mut command = job.command("submit");
        command.args(["--output", "other/deep/out"]);
        run(command)
    };
    let job = count();
    assert_eq!(to(&job).code(), Some(0));
    assert_eq!(fs::read(job.path("other/deep/out/part-r-00000")).unwrap(), COUNTS.as_bytes());
    assert_eq!(names(&job.path("other/deep")), ["out"]);
    let failing = Job::new("unruly").input("boom").args("-p mode=fatal");
    assert_eq!(to(&failing).code(), Some(6));
    assert!(!failing.path("other").exists());
}

#[test]
fn an_output_below_a_file_cannot_be_made() {
    let job = count();
    let mut command = job.command("submit");
    command.args(["--output", "in/out"]);
    let refused = run(command);
    assert_eq!(refused.code(), Some(4));
    assert_eq!(refused.stderr, "mr-engine: output in/out cannot be created: Not a directory (os error 20)\n");
    job.assert_no_leftovers();
}

#[test]
fn without_an_output_the_result_goes_to_standard_output() {
    let text = TEXT.repeat(1000);
    for reducers in [1, 4] {
        let job = Job::new("wordcount").input(&text).args(&format!("--reducers {reducers} --workers 2"));
        let mut command = job.command("submit");
        command.arg("--quiet");
        let ended = run(command);
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
        assert_same_bytes("standard output", &ended.stdout, &wordcount(text.as_bytes(), reducers).concat());
        job.assert_no_leftovers();
        assert!(!job.path("out").exists());
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    // More than a pipe holds, in several parts.
    let text: String = (0..200_000).map(|number| format!("word-{number}\n")).collect();
    let job = Job::new("sort").input(&text).args("--reducers 3 --split-size 500K --workers 2 --memory 64M");
    let mut command = job.command("submit");
    command.stdout(Stdio::piped());
    let (running, stdout) = Running::start_unread(command);
    let mut first = String::new();
    let mut reader = BufReader::new(stdout.unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let ended = running.end();
    assert_eq!(first, "word-0\n");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("(the reader left early)"), "{}", ended.stderr);
    job.assert_no_leftovers();
}

#[test]
fn a_slow_reader_gets_everything() {
    let text: String = (0..50_000).map(|number| format!("{number:08}\n")).collect();
    let job = Job::new("sort").input(&text).args("--reducers 3 --split-size 100K --workers 2 --memory 64M");
    let mut command = job.command("submit");
    command.stdout(Stdio::piped());
    let (running, stdout) = Running::start_unread(command);
    let mut stdout = stdout.unwrap();
    let mut got = Vec::new();
    let mut few = [0; 7000];
    loop {
        let bytes = stdout.read(&mut few).unwrap();
        if bytes == 0 {
            break;
        }
        got.extend_from_slice(&few[..bytes]);
    }
    assert_eq!(running.end().code(), Some(0));
    assert_same_bytes("standard output", &got, text.as_bytes());
}

#[test]
fn quiet_is_silent_and_people_get_a_summary() {
    let job = count();
    let mut command = job.command_to_folder();
    command.arg("--quiet");
    let ended = run(command);
    assert_eq!((ended.code(), ended.stdout, ended.stderr), (Some(0), Vec::new(), String::new()));

    let job = count();
    let ended = run(job.command_to_folder());
    assert_eq!((ended.code(), ended.stdout), (Some(0), Vec::new()));
    let said: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.get(8..9) == Some(" ") && !line.starts_with("done "))
        .collect();
    let expected = [
        "input    3 records, 19 B in 1 file and 1 split",
        "map      4 records, 41 B emitted",
        "shuffle  4 records, 41 B, nothing spilled",
        "reduce   4 groups in 1 task",
        "output   4 records, 21 B in 1 part in out",
    ];
    assert_eq!(said, expected);
}

#[test]
fn progress_as_json_goes_where_the_result_does_not() {
    let job = count();
    let done = job.done();
    let planned = done.events.iter().find(|event| event["event"] == "planned").unwrap();
    let facts = json!({ "event": "planned", "job": done.report["job"], "input_files": 1, "input_bytes": 19,
        "map_tasks": 1, "reduce_tasks": 1 });
    assert_eq!(planned, &facts);

    let mut command = job.command("submit");
    command.arg("--json");
    let ended = run(command);
    assert_same_bytes("standard output", &ended.stdout, COUNTS.as_bytes());
    let last = ended.stderr.lines().last().unwrap();
    let report: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!((&report["event"], &report["output_records"]), (&json!("finished"), &json!(4)));
}

#[test]
fn output_can_be_forced_to_disk() {
    count().args("--sync").check_whole(COUNTS.as_bytes());
}
