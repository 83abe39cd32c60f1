//! `cluster up`: everything in one command, and nothing of it afterwards.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::Signal;

use crate::support::cluster::{Work, eventually};
use crate::support::job::names;
use crate::support::process::{Running, command, engine, shared_cache};

/// Processes that know of a folder by its name.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("the name is text");
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(folder).then_some(line)
    });
    lines.collect()
}

#[test]
fn a_command_runs_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let work = Work::small_count();
    let mut submit = command(dir.path());
    submit.args(["submit", "--output", "out"]);
    work.dress(&mut submit);
    let mut up = command(dir.path());
    up.env("MR_ENGINE_CACHE_DIR", shared_cache());
    up.args(["cluster", "up", "--workers", "2", "--"]).arg(engine()).args(submit.get_args());
    let ended = Running::start(up).end();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    work.expected().assert_same_files(&dir.path().join("out"));
    eventually("nothing to be left", || processes(dir.path()).is_empty().then_some(()));
    let left = names(dir.path());
    assert!(!left.iter().any(|name| name.starts_with("mr-engine-cluster")), "{left:?}");

    let mut up = command(dir.path());
    up.args(["cluster", "up", "--workers", "1", "--", "/bin/sh", "-c", "exit 7"]);
    assert_eq!(Running::start(up).end().code(), Some(7));
}

#[test]
fn a_policy_holds_in_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("policy.toml"), "plugins.max-size = \"1K\"\n").unwrap();
    let mut submit = command(dir.path());
    submit.args(["submit", "--output", "out"]);
    Work::small_count().dress(&mut submit);
    let mut up = command(dir.path());
    up.env("MR_ENGINE_CACHE_DIR", shared_cache());
    up.args(["cluster", "up", "--workers", "1", "--policy", "policy.toml", "--"]);
    up.arg(engine()).args(submit.get_args());
    let ended = Running::start(up).end();
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("policy.toml"), "{}", ended.stderr);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn it_leaves_no_process_however_it_ends() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cluster");
        let mut up = command(dir.path());
        up.args(["cluster", "up", "--workers", "2", "--dir"]).arg(&folder);
        let running = Running::start(up);
        eventually("the cluster to be up", || folder.join("client.toml").exists().then_some(()));
        assert!(processes(&folder).len() >= 4, "{:?}", processes(&folder));
        running.signal(signal);
        let ended = running.end();
        if signal == Signal::KILL {
            assert_eq!(ended.status.signal(), Some(9));
        } else {
            assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        }
        eventually("no process to be left", || processes(&folder).is_empty().then_some(()));
    }
}
