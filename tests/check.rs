//! `mr-engine check`: all that submit would refuse, found before, and all of it at once.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Ended, command, plugin, run, shared_cache};

/// A folder in which things are checked.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = command(self.0.path());
        command.args(args).env("MR_ENGINE_CACHE_DIR", shared_cache());
        run(command)
    }

    /// What is found, as lines of verdict, subject and sentence; the job's after the plugins'.
    #[track_caller]
    fn check(&self, code: i32, args: &[&str]) -> Vec<String> {
        let json = self.run(&[&["check", "--json"], args].concat());
        assert_eq!(json.code(), Some(code), "{args:?}: {}", json.stderr);
        let report: Value = serde_json::from_slice(&json.stdout).unwrap();
        let plugins = report["plugins"].as_array().unwrap().iter();
        let found = plugins.map(|plugin| &plugin["findings"]).chain([&report["job"]]);
        let lines: Vec<String> = found.flat_map(|lines| lines.as_array().unwrap()).map(line).collect();
        // People are told the same.
        let text = self.run(&[&["check"], args].concat());
        let text = String::from_utf8(text.stdout).unwrap();
        let told: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let wanted: Vec<String> =
            lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(told, wanted);
        lines
    }

    /// What would be refused.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> Vec<String> {
        let lines = self.check(5, args).into_iter();
        lines.filter_map(|line| line.strip_prefix("refused ").map(str::to_owned)).collect()
    }
}

fn line(finding: &Value) -> String {
    let part = |name: &str| finding[name].as_str().unwrap();
    format!("{} {} {}", part("verdict"), part("about"), part("sentence"))
}

fn path(name: &str) -> String {
    plugin(name).display().to_string()
}

#[test]
fn what_would_run_is_fine() {
    let bench = Bench::new();
    let found = bench.check(0, &[&path("wordcount")]);
    assert!(found.iter().all(|line| line.starts_with("ok ")), "{found:#?}");
    for words in [
        "ok file a component of ",
        "ok import mr:engine/output@0.1.0: emits records",
        "ok import wasi:cli/environment@",
        "ok role mapper with open, map-batch, close",
        "ok role plugin with describe",
        "ok memory ",
        "ok tables ",
        "ok instances ",
        "ok load compiles, starts, and describes itself as wordcount 0.1.0",
        "ok stages the stages of ",
    ] {
        assert!(found.iter().any(|line| line.starts_with(words)), "{words:?} is not in {found:#?}");
    }
    for name in ["grep", "inverted-index", "sort", "place", "toil", "sum"] {
        bench.check(0, &[&path(name)]);
    }
    // A plugin that does not describe itself can be used, and deserves a word.
    let rogue = bench.check(0, &[&path("rogue")]);
    let warning = "warning role it does not describe itself, so types and parameters are not checked";
    assert!(rogue.iter().any(|line| line.starts_with(warning)), "{rogue:#?}");
    // Several at once, and a whole job.
    let both = bench.check(0, &[&path("wordcount"), &path("grep")]);
    assert_eq!(both.iter().filter(|line| line.starts_with("ok load ")).count(), 2);
    bench.write("in", "a\n");
    let args = [&path("grep"), "-p", "pattern=a", "--input", "in", "--reduce", &path("wordcount")];
    let misfit = bench.refused(&args);
    assert!(misfit.iter().all(|line| line.starts_with("types ")) && !misfit.is_empty(), "{misfit:#?}");
    bench.check(0, &[&path("grep"), "-p", "pattern=a", "--input", "in"]);
}

#[test]
fn everything_that_is_wrong_with_a_plugin_is_found() {
    let bench = Bench::new();
    let component = r#"(component
        (import "wasi:http/types@0.2.0" (instance))
        (import "mr:engine/output@0.9.0" (instance))
        (core module $m (memory 2000))
        (core instance (instantiate $m))
        (instance $i)
        (export "mr:engine/mapper@0.1.0" (instance $i)))"#;
    bench.write("bad.wasm", wat::parse_str(component).unwrap());
    bench.write("key.pem", include_str!("../engine/policy/tests/data/openssl.pub.pem"));
    bench.write("policy.toml", "[permissions]\nmax-rejects = 3\n\n[plugins]\nsigned-by = [\"key.pem\"]\n");
    let args = [
        "bad.wasm",
        "--policy",
        "policy.toml",
        "--guest-memory",
        "64M",
        "--max-rejects",
        "4",
        "--param",
        "a=b",
    ];
    let expected = [
        "import imports wasi:http/types@0.2.0, which this engine does not offer; plugins may import mr:engine@0.1.0 and \
         WASI 0.2 (cli, clocks, filesystem, io, random, sockets)",
        "import is built for mr:engine/output@0.9.0, and this engine speaks mr:engine@0.1.0; build it with an SDK for \
         that version",
        "role does not fit mr:engine/mapper@0.1.0: function `open`: it is missing; build it against this engine's \
         wit/engine.wit",
        "role does not fit mr:engine/mapper@0.1.0: function `map-batch`: it is missing; build it against this engine's \
         wit/engine.wit",
        "role does not fit mr:engine/mapper@0.1.0: function `close`: it is missing; build it against this engine's \
         wit/engine.wit",
        "memory 125 MiB of linear memory to begin with, and 64 MiB are allowed; raise --guest-memory, or build it with \
         less",
        "policy is not signed, and the policy policy.toml takes plugins that are signed by key.pem; sign it with \
         `mr-engine sign`",
        "policy the job sets its limit of rejects to 4, and the policy policy.toml allows 3; give --max-rejects 3 or less",
    ];
    assert_eq!(bench.refused(&args), expected);
    let ended = bench.run(&[&["check"][..], &args].concat());
    assert_eq!(ended.stderr, "mr-engine: 8 checks are refused, and so would a job be\n");
}

#[test]
fn everything_that_is_wrong_with_a_job_is_found() {
    let bench = Bench::new();
    bench.write("in", "a\n");
    let (words, index, grep, sort) = (path("wordcount"), path("inverted-index"), path("grep"), path("sort"));
    assert_eq!(
        bench.refused(&["--map", &sort, "--reduce", &grep]),
        [
            format!("stages {sort} has no mapper; it has no role at all"),
            format!("stages {grep} has no reducer; it has mapper"),
        ]
    );
    let misfit = |role: &str| {
        format!(
            "types the mapper of {words} emits values of type u64, and the {role} of {index} takes tuple<text,u64>"
        )
    };
    let args =
        ["--map", &words, "--reduce", &index, "-p", "depth=3", "-p", "mr.x=1", "--partition", "plugin"];
    assert_eq!(
        bench.refused(&args),
        [
            "param parameter depth: the plugin takes no parameters".to_owned(),
            "param parameter mr.x: names are not empty and do not begin with \"mr.\"".to_owned(),
            misfit("reducer"),
            "options no component of the job has the role partitioner".to_owned(),
        ]
    );
    // Parameters that are missing count once the job is meant to run.
    bench.check(0, &[&grep]);
    assert_eq!(bench.refused(&[&grep, "--input", "in"]).len(), 1);
    assert_eq!(bench.refused(&[&words, "--input", "nothing"]), ["input input nothing does not exist"]);
    let ended = bench.run(&["check", &words, &grep, "--reduce", &index]);
    assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("several plugins are checked one by one"), "{}", ended.stderr);
}

/// Every sentence with which submit refuses a plugin is among what check finds of it.
#[test]
fn check_finds_what_submit_refuses() {
    let bench = Bench::new();
    bench.write("in", "a\n");
    let wordcount = fs::read(plugin("wordcount")).unwrap();
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let large = r#"(component (core module $m (memory 20000)) (core instance (instantiate $m))
        (instance $i) (export "mr:engine/mapper@0.1.0" (instance $i)))"#;
    let files = [
        b"#!/bin/sh\n".to_vec(),
        Vec::new(),
        wat("(module)"),
        wat("(component)"),
        wordcount[..wordcount.len() / 2].to_vec(),
        wat(r#"(component (import "env" (instance)))"#),
        wat(r#"(component (instance $i) (export "mr:engine/mapper@0.2.0" (instance $i)))"#),
        wat(r#"(component (instance $i) (export "mr:engine/mapper@0.1.0" (instance $i)))"#),
        wat(large),
    ];
    for (number, bytes) in files.iter().enumerate() {
        bench.write("bad.wasm", bytes);
        let submitted = bench.run(&["submit", "bad.wasm", "--input", "in", "--quiet"]);
        assert_eq!(submitted.code(), Some(5), "file {number}: {}", submitted.stderr);
        let said = submitted.stderr.trim_end().strip_prefix("mr-engine: plugin bad.wasm ").unwrap();
        let found = bench.refused(&["bad.wasm"]);
        // The size of memory is told before anything is started, in words of its own.
        let is_found = found.iter().any(|line| line.ends_with(said) || line.starts_with("memory "));
        assert!(is_found, "file {number}: {said:?} is not in {found:#?}");
    }
    assert_eq!(bench.refused(&["nothing.wasm"]), ["file does not exist; check the path"]);
}
