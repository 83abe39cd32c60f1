//! Compiled plugins are kept between processes, and never trusted further than they can be checked.

use std::fs;
use std::path::PathBuf;

use crate::support::Job;
use crate::support::job::names;
use crate::support::process::Running;

fn job() -> Job {
    Job::new("wordcount").own_cache().input("a b a\n").args("--overwrite")
}

/// Runs the job, which must succeed; tells whether it compiled the plugin.
#[track_caller]
fn compiles(job: &Job) -> bool {
    let done = job.check_whole(b"a\t2\nb\t1\n");
    let loading = done.events.iter().filter(|event| event["event"] == "loading");
    let said: Vec<&str> = loading.filter_map(|event| event["message"].as_str()).collect();
    let says = |message: &&str| {
        message.starts_with("compiling wordcount.wasm (") && message.ends_with(") for this machine, once")
    };
    assert!(said.iter().all(says), "{said:?}");
    !said.is_empty()
}

/// The only entry of the job's cache.
fn entry(job: &Job) -> PathBuf {
    let engines = names(&job.path("cache"));
    assert_eq!(engines.len(), 1, "{engines:?}");
    let folder = job.path("cache").join(&engines[0]);
    let entries: Vec<String> = names(&folder).into_iter().filter(|name| name.ends_with(".cwasm")).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    folder.join(&entries[0])
}

#[test]
fn a_plugin_is_compiled_once() {
    let job = job();
    assert!(compiles(&job));
    assert!(!compiles(&job));
    assert!(!compiles(&job));
}

#[test]
fn a_damaged_entry_is_compiled_anew() {
    let job = job();
    assert!(compiles(&job));
    let whole = fs::read(entry(&job)).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let cut = whole[..whole.len() / 2].to_vec();
    for damaged in [flipped, cut, Vec::new(), b"\x7fELF no".to_vec()] {
        fs::write(entry(&job), damaged).unwrap();
        assert!(compiles(&job));
        assert!(!compiles(&job), "the entry was not repaired");
    }
}

#[test]
fn an_entry_of_another_plugin_is_not_taken_for_it() {
    let job = job();
    assert!(compiles(&job));
    let other = Job::new("sort").own_cache().input("a\n");
    other.done();
    fs::copy(entry(&other), entry(&job)).unwrap();
    assert!(compiles(&job));
}

#[test]
fn what_others_may_write_to_is_not_read() {
    let job = job();
    assert!(compiles(&job));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(entry(&job), open).unwrap();
    assert!(compiles(&job));
}

#[test]
fn a_cache_that_cannot_be_used_costs_time_only() {
    let job = job().file("cache", "a file");
    assert!(compiles(&job));
    assert!(compiles(&job));
}

#[test]
fn two_processes_may_compile_at_once() {
    let job = job();
    let start = |name: &str| {
        let mut command = job.command("submit");
        command.args(["--output", &format!("other/{name}")]);
        Running::start(command)
    };
    let running: Vec<Running> = ["a", "b", "c"].map(start).into();
    for process in running {
        let ended = process.end();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    }
    for name in ["a", "b", "c"] {
        assert_eq!(fs::read(job.path(&format!("other/{name}/part-r-00000"))).unwrap(), b"a\t2\nb\t1\n");
    }
    assert!(!compiles(&job), "they left a whole entry");
}
