//! The commands beside `submit`, and what the binary tells about itself.

use std::fs;

use serde_json::Value;

use crate::support::Job;
use crate::support::process::{Ended, command, plugin, run, shared_cache};

/// Runs the binary with these arguments alone.
fn engine(args: &[&str]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(dir.path());
    command.args(args);
    run(command)
}

#[track_caller]
fn stdout(ended: Ended) -> String {
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    String::from_utf8(ended.stdout).unwrap()
}

fn inspect(name: &str, args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(dir.path());
    command.arg("inspect").arg(plugin(name)).args(args).arg("--cache-dir").arg(shared_cache());
    stdout(run(command)).replace(&plugin(name).display().to_string(), "PLUGIN")
}

fn hash(name: &str) -> String {
    blake3::hash(&fs::read(plugin(name)).unwrap()).to_hex().to_string()
}

/// Lines that do not begin with one of these words.
fn without<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    text.lines().filter(|line| !words.iter().any(|word| line.starts_with(word))).collect()
}

#[test]
fn help_lists_commands_and_exit_codes() {
    let help = stdout(engine(&["--help"]));
    let codes = "\
Exit codes:
    0  the job is done (also when the reader of standard output went away)
    1  a fault of the engine or of the machine
    2  command line, setting, key or certificate is wrong, or names what is not there or allowed
    3  an input is missing, unreadable, changed or malformed
    4  the output exists, cannot be written or published
    5  a plugin cannot be built or used: no component, wrong version, unsigned, stages do not fit
    6  a plugin failed: it trapped, answered with an error or rejected too many records
    7  a limit was passed: memory, time, record size
    8  no space left on a disk
    9  the cluster cannot be reached, has no workers, or refuses
   10  a plugin does not yield what its tests expect (`mr-engine test`)
   11  a condition of the job holds that fails it (`--fail-if`); nothing was published
  130  interrupted or cancelled; no output was left (a job on a cluster may go on: it is said so)
";
    assert!(help.ends_with(codes), "{help}");
    let commands = [
        "new",
        "build",
        "test",
        "submit",
        "run",
        "explain",
        "inspect",
        "check",
        "keygen",
        "sign",
        "verify",
        "limits",
        "jobs",
        "job",
        "workers",
        "cluster",
        "coordinator",
        "worker",
    ];
    for command in commands.into_iter().chain(["completions"]) {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let own = stdout(engine(&[command, "--help"]));
        assert!(own.contains(&format!("Usage: mr-engine {command} ")), "{own}");
    }
    assert_eq!(stdout(engine(&["--version"])), "mr-engine 0.1.0\n");
}

#[test]
fn no_command_and_unknown_ones_are_usage_errors() {
    for (args, words) in
        [(&[][..], "Usage: mr-engine"), (&["fly"], "'fly'"), (&["completions", "vi"], "'vi'")]
    {
        let ended = engine(args);
        assert_eq!((ended.code(), ended.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn completions_know_every_command_and_option() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(engine(&["completions", shell]));
        for word in ["submit", "explain", "inspect", "completions", "overwrite", "split-size"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn inspect_tells_what_a_plugin_is() {
    let text = inspect("grep", &[]);
    let expected = [
        &format!("blake3   {}", hash("grep")),
        "plugin   grep 0.1.0 (built with guest-sdk-rust 0.1.0)",
        "roles    mapper",
        "types    map emits unit, text",
        "param    ignore-case: bool = false  letters match in either case",
        "param    invert: bool = false  emit the lines that do not match",
        "param    pattern: text, required  regular expression, in the syntax of Rust's regex crate",
        "signed   by nobody",
    ];
    assert_eq!(without(&text, &["file ", "imports "]), expected);
    assert!(text.starts_with("file     PLUGIN ("), "{text}");
    assert!(text.contains("\nimports  mr:engine/output@0.1.0: emits records, "), "{text}");

    let roles = |name: &str| {
        inspect(name, &[]).lines().find_map(|line| line.strip_prefix("roles    ").map(str::to_owned))
    };
    assert_eq!(roles("wordcount").as_deref(), Some("mapper, combiner, reducer"));
    assert_eq!(roles("place").as_deref(), Some("partitioner"));
    assert_eq!(roles("sort").as_deref(), Some("none: every stage is the identity"));
    assert!(inspect("rogue", &[]).contains("\nplugin   does not describe itself\n"));

    let json: Value = serde_json::from_str(&inspect("wordcount", &["--json"])).unwrap();
    assert_eq!(json["roles"], serde_json::json!(["mapper", "combiner", "reducer"]));
    assert_eq!((&json["blake3"], &json["info"]["name"]), (&hash("wordcount").into(), &"wordcount".into()));
    assert_eq!(json["bytes"], fs::metadata(plugin("wordcount")).unwrap().len());
}

#[test]
fn inspect_refuses_what_submit_refuses() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "no plugin").unwrap();
    let mut command = command(dir.path());
    command.args(["inspect", "text"]);
    let ended = run(command);
    assert_eq!((ended.code(), ended.stdout.len()), (Some(5), 0));
    let expected =
        "mr-engine: plugin text is not a WebAssembly file; a plugin is a compiled component (.wasm)\n";
    assert_eq!(ended.stderr, expected);
}

#[test]
fn explain_tells_what_would_run_and_runs_nothing() {
    let job = Job::new("wordcount")
        .input("word\n".repeat(1000))
        .args("--split-size 2K --workers 2 --memory 64M --reducers 3");
    let mut command = job.command("explain");
    command.args(["--output", "out"]);
    let text = stdout(run(command));
    let whose =
        format!("{} (wordcount 0.1.0, blake3 {})", plugin("wordcount").display(), &hash("wordcount")[..12]);
    let expected = [
        "input    4.88 KiB in 1 files, format lines".to_owned(),
        format!("map      3 tasks: mapper of {whose}"),
        "           split 0: 2.00 KiB of in from byte 0".to_owned(),
        "           split 1: 2.00 KiB of in from byte 2048".to_owned(),
        "           split 2: 904 B of in from byte 4096".to_owned(),
        format!("combine  combiner of {whose}"),
        "shuffle  by hash".to_owned(),
        format!("reduce   3 tasks: reducer of {whose}"),
    ];
    assert_eq!(without(&text, &["memory ", "output ", "permits "]), expected);
    assert!(text.contains("\npermits  time without progress: 10 min\n"), "{text}");
    assert!(text.contains("\npermits  wall clock: denied: it starts in the year 2000\n"), "{text}");
    assert!(text.contains("\noutput   out: "), "{text}");
    assert!(text.contains("\nmemory   64.00 MiB for 2 workers: "), "{text}");
    assert!(!job.path("out").exists() && !job.path("work").exists());

    let mut command = job.command("explain");
    command.arg("--json");
    let plan: Value = serde_json::from_str(&stdout(run(command))).unwrap();
    assert_eq!((&plan["input_bytes"], &plan["workers"]), (&5000.into(), &2.into()));
    assert_eq!(plan["splits"].as_array().unwrap().len(), 3);
    assert_eq!(plan["stages"]["mapper"]["blake3"], hash("wordcount").as_str());
    assert_eq!(plan["stages"]["partitioner"], Value::Null);
}

#[test]
fn explain_refuses_what_submit_refuses() {
    let job = Job::new("grep").input("a\n");
    let ended = run(job.command("explain"));
    assert_eq!((ended.code(), ended.stdout.len()), (Some(5), 0));
    assert!(ended.stderr.starts_with("mr-engine: parameter pattern: "), "{}", ended.stderr);
}

#[test]
fn explain_shows_defaults_of_parameters() {
    let job = Job::new("grep").input("a\n").args("-p pattern=a");
    let text = stdout(run(job.command("explain")));
    let params: Vec<&str> = text.lines().filter(|line| line.starts_with("param ")).collect();
    assert_eq!(params, ["param    ignore-case = false", "param    invert = false", "param    pattern = a"]);
}
