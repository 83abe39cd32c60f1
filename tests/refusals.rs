//! What is refused before anything runs: each with its exit code, in one sentence that names what is at
//! fault, and with nothing written.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Job;
use crate::support::process::{command, plugin, run};

/// Refused with exactly these words.
#[track_caller]
fn refused(job: &Job, code: i32, sentence: &str) {
    let failed = job.fails(code, &[]);
    let loading =
        |line: &&str| line.starts_with("compiling ") || line.starts_with("waiting for another process");
    let said: Vec<&str> = failed.stderr.lines().filter(|line| !loading(line)).collect();
    let expected = sentence.replace("PLUGINS", plugin("wordcount").parent().unwrap().to_str().unwrap());
    assert_eq!(said, [format!("mr-engine: {expected}")]);
}

/// A file that is no plugin.
#[track_caller]
fn refused_plugin(bytes: &[u8], sentence: &str) {
    let job = Job::staged().arg("other").file("other", bytes).input("a\n");
    refused(&job, 5, &format!("plugin other {sentence}"));
}

#[test]
fn inputs_that_are_not_there() {
    let job = |pattern| Job::new("wordcount").reads(&[pattern]);
    refused(&job("nothing"), 3, "input nothing does not exist");
    refused(&job("in/nothing"), 3, "input in/nothing does not exist");
    refused(
        &job("*.log"),
        3,
        "input \"*.log\" matches no file (names that begin with '.' or '_' have to be named)",
    );
    refused(&job("a["), 3, "input \"a[\" is no valid pattern: unclosed character class; missing ']'");
    let stdin = "input '-' is not supported: a job reads its input more than once, so put it in a file";
    refused(&job("-"), 3, stdin);
    // One of several is enough.
    let several = Job::new("wordcount").file("in", "a\n").reads(&["in", "nothing"]);
    refused(&several, 3, "input nothing does not exist");
}

#[test]
fn inputs_that_cannot_be_read() {
    let job = Job::new("wordcount");
    symlink("in", job.path("in")).unwrap();
    refused(&job, 3, "input in cannot be read: Too many levels of symbolic links (os error 40)");

    let job = Job::new("wordcount").file("in/a", "a\n");
    symlink("..", job.path("in/back")).unwrap();
    let failed = job.fails(3, &["mr-engine: input in/back", "a cycle of symbolic links; remove the link"]);
    assert_eq!(failed.stderr.lines().count(), 1);

    let job = Job::new("wordcount").reads(&["/dev/null"]);
    let sentence = "input /dev/null is a device; only regular files and folders of them can be read";
    refused(&job, 3, sentence);

    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: a file without permissions (root may read it)");
        return;
    }
    let job = Job::new("wordcount").input("a\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(job.path("in"), mode).unwrap();
    refused(&job, 3, "input in cannot be read: Permission denied (os error 13)");
}

#[test]
fn inputs_that_do_not_fit_their_format() {
    let sort = |format: &str| Job::new("sort").input("0123456789").args(&format!("--input-format {format}"));
    let sentence = "input in has 10 bytes, which is no multiple of the record length of 7 bytes";
    refused(&sort("fixed:7:2"), 3, sentence);
    let words = Job::new("wordcount").input("0123456789").args("--input-format fixed:5");
    let sentence = "the mapper of PLUGINS/wordcount.wasm reads lines, and the input format is fixed:5:5; use \
        --input-format lines";
    refused(&words, 2, sentence);
}

#[test]
fn files_that_are_no_plugins() {
    refused_plugin(b"#!/bin/sh\n", "is not a WebAssembly file; a plugin is a compiled component (.wasm)");
    refused_plugin(b"", "is not a WebAssembly file; a plugin is a compiled component (.wasm)");
    refused_plugin(
        b"\0asm\x01\0\0\0",
        "is a core WebAssembly module and not a component; build it for the target wasm32-wasip2, or run \
         `wasm-tools component new` on it",
    );
    refused_plugin(
        b"\0asm\x0d\0\x01\0",
        "exports no role; export mr:engine/mapper, combiner, reducer, partitioner or plugin, each @0.1.0",
    );
    refused(
        &Job::staged().arg("nothing.wasm").input("a\n"),
        5,
        "plugin nothing.wasm does not exist; check the path",
    );
    let half = fs::read(plugin("wordcount")).unwrap();
    let job = Job::staged().arg("other").file("other", &half[..half.len() / 2]).input("a\n");
    job.fails(5, &["mr-engine: plugin other cannot be compiled: ", "build it again with current tools"]);
}

#[test]
fn plugins_for_another_version_of_the_interface() {
    let component = fs::read(plugin("grep")).unwrap();
    let other_version = |interface: &str| {
        let (from, to) = (format!("mr:engine/{interface}@0.1.0"), format!("mr:engine/{interface}@0.2.0"));
        let mut patched = component.clone();
        let mut found = 0;
        for at in 0..patched.len() - from.len() {
            if patched[at..].starts_with(from.as_bytes()) {
                patched[at..at + to.len()].copy_from_slice(to.as_bytes());
                found += 1;
            }
        }
        assert!(found > 0, "{from} is in the component");
        patched
    };
    for interface in ["mapper", "output", "plugin"] {
        let sentence = format!(
            "is built for mr:engine/{interface}@0.2.0, and this engine speaks mr:engine@0.1.0; build it with an \
             SDK for that version"
        );
        refused_plugin(&other_version(interface), &sentence);
    }
}

#[test]
fn stages_that_do_not_fit() {
    let job = |name| Job::new(name).input("a\n");
    refused(&job("wordcount").stage("reduce", "grep"), 5, "PLUGINS/grep.wasm has no reducer; it has mapper");
    refused(
        &job("wordcount").stage("map", "sort"),
        5,
        "PLUGINS/sort.wasm has no mapper; it has no role at all",
    );
    refused(
        &job("grep").args("-p pattern=a").stage("partitioner", "wordcount"),
        5,
        "PLUGINS/wordcount.wasm has no partitioner; it has mapper, combiner, reducer",
    );
    refused(
        &job("wordcount").stage("reduce", "inverted-index"),
        5,
        "the mapper of PLUGINS/wordcount.wasm emits values of type u64, and the reducer of \
         PLUGINS/inverted-index.wasm takes tuple<text,u64>",
    );
    refused(
        &Job::staged().stage("reduce", "wordcount").input("a\n"),
        5,
        "the input (lines, without a mapper) emits keys of type u64, and the reducer of PLUGINS/wordcount.wasm \
         takes text",
    );
    refused(
        &Job::staged().stage("map", "inverted-index").stage("combine", "wordcount").input("a\n"),
        5,
        "the mapper of PLUGINS/inverted-index.wasm emits values of type tuple<text,u64>, and the combiner of \
         PLUGINS/wordcount.wasm takes u64",
    );
    refused(
        &job("wordcount").args("--partition plugin"),
        2,
        "no component of the job has the role partitioner",
    );
}

#[test]
fn parameters_that_the_plugin_does_not_take() {
    let grep = |args: &str| Job::new("grep").input("a\n").args(args);
    refused(
        &grep(""),
        5,
        "parameter pattern: the plugin requires it (regular expression, in the syntax of Rust's regex crate); \
         give --param pattern=...",
    );
    refused(
        &grep("-p pattern=a -p patern=b"),
        5,
        "parameter patern: the plugin does not take it; it takes ignore-case, invert, pattern",
    );
    refused(&grep("-p pattern=a -p invert=yes"), 5, "parameter invert: \"yes\" is not of type bool");
    refused(&grep("-p pattern=a -p pattern=b"), 5, "parameter pattern: it is given twice");
    refused(
        &grep("-p pattern=a -p mr.x=b"),
        5,
        "parameter mr.x: names are not empty and do not begin with \"mr.\"",
    );
    let words = Job::new("wordcount").input("a\n").args("-p depth=3");
    refused(&words, 5, "parameter depth: the plugin takes no parameters");
    let remap =
        |keep: &str| Job::staged().stage("map", "remap").input("a\n").args(&format!("-p keep={keep}"));
    refused(&remap("-1"), 5, "parameter keep: \"-1\" is not of type u64");
    refused(&remap(""), 5, "parameter keep: \"\" is not of type u64");
    let huge = Job::new("grep").input("a\n").arg("-p").arg(format!("pattern={}", "x".repeat(70_000)));
    refused(&huge, 5, "parameter pattern: name and value have more than 65536 bytes");
}

#[test]
fn too_little_memory() {
    let job = |args: &str| Job::new("wordcount").input("a\n").args(args);
    refused(
        &job("--memory 10M --workers 2"),
        7,
        "--memory 10 MiB is too small for 2 workers: it takes at least 52 MiB (for each worker 12 MiB for guests, \
         6 MiB for batches and records of up to 1 MiB, 4 MiB to sort); give more memory or use fewer --workers",
    );
    job("--memory 64M --workers 1 --guest-memory 60M")
        .fails(7, &["--memory 64 MiB is too small for 1 workers"]);
    job("--memory 52M --workers 2").done();
    job("--memory 52M --workers 2 --output-format parquet")
        .fails(7, &["for each worker", "4 MiB to sort, ", " to write parquet); give more memory"]);
}

#[test]
fn command_lines_that_make_no_sense() {
    let wordcount = |args: &str| Job::new("wordcount").input("a\n").args(args);
    let cases = [
        ("--param depth", "'--param <NAME=VALUE>': use NAME=VALUE"),
        ("--param =3", "'--param <NAME=VALUE>': use NAME=VALUE"),
        ("--memory lots", "\"lots\" is no size"),
        ("--split-size 0", "\"0\" is no size"),
        ("--task-timeout soon", "\"soon\" is no time"),
        ("--input-format xml", "\"xml\" is no input format"),
        ("--input-format fixed:4:5", "\"fixed:4:5\" is no input format"),
        ("--output-format xml", "\"xml\" is no output format"),
        ("--workers 0", "0 is not in 1..=1024"),
        ("--max-attempts 0", "0 is not in 1..=100"),
        ("--reducers -1", "'-1'"),
        ("--partition by-moon", "'by-moon'"),
        ("--quiet --verbose", "cannot be used with"),
        ("--nothing", "'--nothing'"),
    ];
    for (args, words) in cases {
        wordcount(args).fails(2, &[words]);
    }
    refused(&wordcount("--max-task-time 721h"), 2, "--max-task-time is at most 720 h");
    refused(&wordcount("--task-timeout 25h"), 2, "--task-timeout is at most 24 h");
    refused(&wordcount("--max-record 17M"), 2, "--max-record is at most 16.00 MiB");
    refused(&wordcount("--max-rejects 100001"), 2, "--max-rejects is at most 100,000");
    refused(&wordcount("--reducers 100001"), 2, "--reducers 100001 is over 100000");
    let dir = tempfile::tempdir().unwrap();
    let mut to_a_store = command(dir.path());
    to_a_store.args(["submit", "--input", "/etc/hostname", "--output", "gs://bucket/out"]);
    let ended = run(to_a_store);
    assert_eq!(ended.code(), Some(2));
    assert!(
        ended.stderr.starts_with("mr-engine: --output gs://bucket/out: outputs go to folders and to stores"),
        "{}",
        ended.stderr
    );
    let job = wordcount("--job-id A");
    refused(&job, 2, "--job-id: job id \"A\" is not 1 to 64 characters of a-z, 0-9 and '-'");

    let mut without_input = command(dir.path());
    without_input.arg("submit").arg(plugin("wordcount"));
    let ended = run(without_input);
    assert_eq!(ended.code(), Some(2));
    assert!(ended.stderr.contains("--input <[NAME=]PATH[:FORMAT]>"), "{}", ended.stderr);
}
