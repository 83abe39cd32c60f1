//! Jobs whose inputs and outputs are objects of a store or of a web server: what they leave there is what they leave
//! in a folder, as a whole or not at all, whatever dies; and nobody prints what lets them in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use mr_s3::{Fault, SECRET_KEY, Store, Web};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::cluster::{Cluster, Setup, Work, eventually};
use crate::support::job::names_below;
use crate::support::process::{Ended, Running, command, plugin, run};
use crate::support::{Job, assert_same_bytes};

const TEXT: &str = "to be or not to be\nthat is the question\nwhether tis nobler in the mind to suffer\n";

/// A command that is let into the store.
fn into(store: &Store, mut command: Command) -> Command {
    command.envs(store.environment());
    command
}

/// The job with its output at `out` in the store.
fn to_store(store: &Store, job: &Job) -> Command {
    let mut command = into(store, job.command("submit"));
    command.args(["--output", &store.url("out")]);
    command
}

/// Runs a command that must succeed.
#[track_caller]
fn succeeds(command: Command) -> Ended {
    let ended = run(command);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    ended
}

/// Runs a command that must fail so, saying all of this and no secret.
#[track_caller]
fn fails(command: Command, code: i32, says: &[&str]) {
    let ended = run(command);
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    for words in says {
        assert!(ended.stderr.contains(words), "{words:?} is not in {:?}", ended.stderr);
    }
    assert!(!ended.stderr.contains(SECRET_KEY), "{}", ended.stderr);
}

/// What is at `out`, but for the manifest, which is read.
fn output(store: &Store, out: &str) -> (BTreeMap<String, Vec<u8>>, Value) {
    let keys = store.keys();
    let below = keys.iter().filter_map(|key| Some((key, key.strip_prefix(out)?.strip_prefix('/')?)));
    let mut files: BTreeMap<String, Vec<u8>> =
        below.map(|(key, name)| (name.to_owned(), store.object(key).unwrap())).collect();
    let manifest = files.remove("_manifest.json").unwrap_or_default();
    (files, serde_json::from_slice(&manifest).unwrap_or_default())
}

/// The output in the store is that in the folder, and nothing else is there.
#[track_caller]
fn assert_same(store: &Store, out: &str, folder: &Path) {
    let (files, manifest) = output(store, out);
    let mut expected = names_below(folder);
    expected.retain(|name| name != "_manifest.json");
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), expected);
    for (name, bytes) in &files {
        assert_same_bytes(name, bytes, &fs::read(folder.join(name)).unwrap());
    }
    let local: Value = serde_json::from_slice(&fs::read(folder.join("_manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["parts"], local["parts"]);
    assert_eq!(store.uploads(), 0);
}

/// Nothing of an output is there, nor on its way.
#[track_caller]
fn assert_nothing(store: &Store, out: &str) {
    let keys: Vec<String> = store.keys().into_iter().filter(|key| key.starts_with(out)).collect();
    assert_eq!((keys, store.uploads()), (Vec::new(), 0));
}

#[test]
fn a_store_gets_what_a_folder_gets() {
    let store = Store::start();
    let text = TEXT.repeat(2_000);
    store.put("in/a.txt", text.as_bytes());
    store.put("in/b.txt", TEXT.as_bytes());
    let job = |name: &str, args: &str| Job::new(name).args(args).reads(&[&store.url("in")]);
    for job in [
        job("wordcount", "--reducers 3 --split-size 64K --workers 2"),
        job("wordcount", "--reducers 2 --output-compression gzip --output-file-size 50 --overwrite"),
        job("grep", "-p pattern=^t --reducers 0 --split-size 64K --overwrite"),
    ] {
        succeeds(into(&store, job.command_to_folder()));
        succeeds(to_store(&store, &job));
        assert_same(&store, "out", &job.path("out"));
        assert_eq!(crate::support::job::names(&job.path("work")), [""; 0]);
    }
    // What a job left is the next one's input.
    let next = Job::new("wordcount").reads(&[&store.url("out/")]);
    succeeds(into(&store, next.command_to_folder()));
}

#[test]
fn named_outputs_and_rejects_are_part_of_it() {
    let store = Store::start();
    let lines: String = (0..400)
        .map(|line| format!("{}{line} {}x\n", ["a", "z"][line % 2], ["", "!"][line % 3 / 2]))
        .collect();
    let routed = Job::new("route").input(&lines).args("--reducers 2 --split-size 1K");
    succeeds(routed.command_to_folder());
    succeeds(to_store(&store, &routed));
    assert_same(&store, "out", &routed.path("out"));

    let rejecting = Job::new("unruly").input("a\nboom 1\nb\nboom 2\n".repeat(20));
    let rejecting =
        rejecting.args("-p mode=reject -p role=mapper --max-rejects 100 --split-size 50 --overwrite");
    succeeds(rejecting.command_to_folder());
    succeeds(to_store(&store, &rejecting));
    assert!(rejecting.path("out/_rejects.jsonl").is_file());
    assert_same(&store, "out", &rejecting.path("out"));
}

#[test]
fn web_servers_are_read_and_not_written() {
    let web = Web::file(TEXT.as_bytes().to_vec(), "\"one\"", 0);
    let url = web.url("/text");
    let job = Job::new("wordcount").reads(&[&url]);
    let local = Job::new("wordcount").input(TEXT);
    local.done();
    job.check_whole(&fs::read(local.path("out/part-r-00000")).unwrap());
    let mut to_web = job.command("submit");
    to_web.args(["--output", &web.url("/out")]);
    fails(to_web, 2, &["outputs go to folders and to stores, s3://bucket/name"]);
}

#[test]
fn only_a_former_output_is_replaced_and_only_when_asked() {
    let store = Store::start();
    let job = Job::new("wordcount").input(TEXT);
    succeeds(to_store(&store, &job));
    let before = output(&store, "out");
    fails(to_store(&store, &job), 4, &["output s3://bucket/out exists already", "--overwrite"]);
    assert_eq!(output(&store, "out"), before);
    let mut again = to_store(&store, &job);
    again.args(["--overwrite", "--reducers", "2"]);
    succeeds(again);
    assert_eq!(output(&store, "out").0.len(), 3);

    store.put("mine/precious", b"mine");
    let mut foreign = into(&store, job.command("submit"));
    foreign.args(["--overwrite", "--output", &store.url("mine")]);
    fails(foreign, 4, &["output s3://bucket/mine is neither empty nor a former output"]);
    let mut nameless = into(&store, job.command("submit"));
    nameless.args(["--output", "s3://bucket/"]);
    fails(nameless, 4, &["output s3://bucket names no folder"]);
    assert_eq!(store.object("mine/precious").unwrap(), b"mine");
}

#[test]
fn a_job_that_fails_leaves_nothing() {
    let store = Store::start();
    let lines = "a\nb\n".repeat(2_000) + "boom\n";
    let failing =
        Job::new("unruly").input(&lines).args("-p mode=fatal -p role=mapper --split-size 1K --reducers 0");
    fails(to_store(&store, &failing), 6, &["this is no job"]);
    assert_nothing(&store, "out");

    // What was there before stays, also when the store fails in the middle.
    let job = Job::new("wordcount").input(TEXT).args("--reducers 4");
    succeeds(to_store(&store, &job));
    let before = output(&store, "out");
    store.faults().add(usize::MAX, Fault::Status(400), |asked| {
        asked.starts_with("PUT") && asked.contains("part-r-00002") && asked.contains("partNumber")
    });
    let mut again = to_store(&store, &job);
    again.arg("--overwrite");
    fails(again, 4, &["s3://bucket/out/part-r-00002 cannot be used: the store refuses"]);
    assert_eq!((output(&store, "out"), store.uploads()), (before, 0));
}

#[test]
fn an_interrupted_job_leaves_nothing_and_a_killed_one_says_who_holds_the_place() {
    let store = Store::start();
    let slow = Job::new("toil").input("a\nb\nc\n").args("-p map-turns=500000000 --job-id the-slow");
    let is_claimed = || store.object("out/_pending/claim.json").is_some().then_some(());
    let interrupted = Running::start(to_store(&store, &slow));
    eventually("the claim", is_claimed);
    interrupted.signal(Signal::INT);
    assert_eq!(interrupted.end().code(), Some(130));
    assert_nothing(&store, "out");

    let killed = Running::start(to_store(&store, &slow));
    eventually("the claim", is_claimed);
    killed.signal(Signal::KILL);
    killed.end();
    let next = Job::new("wordcount").input(TEXT);
    fails(to_store(&store, &next), 4, &["is being made by another run, of job the-slow", "ten minutes"]);
}

#[test]
fn wrong_credentials_say_what_to_look_at() {
    let store = Store::start();
    store.put("in", TEXT.as_bytes());
    let wrong = "a-wrong-secret-that-nobody-may-print-either";
    let job = Job::new("wordcount").input(TEXT);
    let reading = Job::new("wordcount").reads(&[&store.url("in")]);
    for (mut command, code) in [(to_store(&store, &job), 4), (to_store(&store, &reading), 3)] {
        command.env("AWS_SECRET_ACCESS_KEY", wrong).args(["--verbose"]);
        let ended = run(command);
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains("check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(wrong), "{}", ended.stderr);
    }
    assert_nothing(&store, "out");
}

#[test]
fn an_input_that_is_replaced_is_named() {
    let store = Store::start();
    for name in ["a", "b", "c"] {
        store.put(&format!("in/{name}"), TEXT.repeat(3_000).as_bytes());
    }
    let slow = Job::new("toil").reads(&[&store.url("in")]);
    let slow = slow.args("-p map-turns=20000 --workers 1 --reducers 1");
    let running = Running::start(to_store(&store, &slow));
    eventually("the first object to be read", || {
        let asked = store.faults().asked();
        asked.iter().any(|asked| asked.starts_with("GET /bucket/in/a")).then_some(())
    });
    store.put("in/c", b"another text\n");
    let ended = running.end();
    assert_eq!(ended.code(), Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("s3://bucket/in/c"), "{}", ended.stderr);
    assert_nothing(&store, "out");
}

#[test]
fn a_pipeline_knows_what_is_there() {
    let store = Store::start();
    store.put("in/text", TEXT.as_bytes());
    let dir = tempfile::tempdir().unwrap();
    let plugins = plugin("wordcount").parent().unwrap().to_owned();
    let pipeline = |out: &str| {
        let text = r#"
            [pipeline]
            name = "words"
            [[stage]]
            name = "count"
            plugin = "PLUGINS/wordcount.wasm"
            inputs = ["s3://bucket/in"]
            output = "OUT"
            output-format = "text"
            [[stage]]
            name = "select"
            plugin = "PLUGINS/grep.wasm"
            inputs = ["stage:count"]
            params = { pattern = "^t" }
            reducers = 0
            output = "selected"
        "#;
        let text = text.replace("PLUGINS", plugins.to_str().unwrap()).replace("OUT", out);
        fs::write(dir.path().join("pipe.toml"), text).unwrap();
        let mut command = into(&store, command(dir.path()));
        command.args(["run", "pipe.toml", "--json", "--cache-dir"]);
        command.arg(crate::support::process::shared_cache());
        command
    };
    let summary = |ended: Ended| {
        let text = String::from_utf8(ended.stdout).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (last["ran"].as_u64(), last["reused"].as_u64())
    };
    let run_it = || summary(succeeds(pipeline("s3://bucket/counted")));
    assert_eq!(run_it(), (Some(2), Some(0)));
    let selected = fs::read_to_string(dir.path().join("selected/part-m-00000")).unwrap();
    assert_eq!(selected.lines().filter(|line| line.starts_with("to\t")).count(), 1, "{selected}");
    assert_eq!(run_it(), (Some(0), Some(2)));
    store.remove("counted/_SUCCESS");
    assert_eq!(run_it(), (Some(1), Some(1)));
    assert!(store.object("counted/_SUCCESS").is_some());
    fails(pipeline("gs://bucket/counted"), 2, &["stage count: outputs go to folders and to stores"]);
    store.put("theirs/_SUCCESS", b"");
    store.put("theirs/_manifest.json", br#"{"job":"other","parts":[],"counters":{}}"#);
    fails(pipeline("s3://bucket/theirs"), 4, &["output s3://bucket/theirs exists already"]);
}

#[test]
fn runs_that_come_again_say_what_a_store_cannot() {
    let store = Store::start();
    let job = Job::new("wordcount").reads(&[]);
    let mut watching = to_store(&store, &job);
    watching.args(["--watch", "in", "--once"]);
    fails(watching, 2, &["run a pipeline"]);
    let again = Job::new("wordcount").input(TEXT);
    let mut every = to_store(&store, &again);
    every.args(["--every", "1h"]);
    fails(every, 2, &["--every", "give --overwrite"]);
}

/// A cluster whose nodes are let into the store.
fn cluster(store: &Store, setup: Setup) -> Cluster {
    let environment = store.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Cluster::start(Setup { environment, ..setup })
}

/// Starts a client that submits the work with its output in the store and waits.
fn submitted(cluster: &Cluster, work: &Work, id: &str) -> Running {
    let mut command = cluster.command(&["submit", "--json", "--job-id", id]);
    command.args(["--output", &format!("s3://bucket/{id}")]);
    work.dress(&mut command);
    Running::start(command)
}

/// The end of a job that must yield in the store what it yields in a folder.
#[track_caller]
fn yields(store: &Store, running: Running, work: &Work, id: &str) {
    let ended = running.end();
    assert_eq!(ended.code(), Some(0), "{}{}", ended.stderr, String::from_utf8_lossy(&ended.stdout));
    let folder = tempfile::tempdir().unwrap();
    let (files, manifest) = output(store, id);
    for (name, bytes) in &files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(folder.path().join("_manifest.json"), manifest.to_string()).unwrap();
    work.expected().assert_same_files(folder.path());
    eventually("no upload left", || (store.uploads() == 0).then_some(()));
    assert!(store.keys().iter().all(|key| !key.contains("_pending")), "{:?}", store.keys());
}

/// No node said the secret.
#[track_caller]
fn assert_discreet(cluster: &Cluster) {
    for node in cluster.workers.iter().chain([&cluster.coordinator]) {
        assert!(!node.said().contains(SECRET_KEY), "{} said it", node.name);
    }
}

#[test]
fn a_cluster_writes_to_a_store_what_it_writes_to_a_folder() {
    let store = Store::start();
    let mut cluster = cluster(&store, Setup { lease: "30s", ..Setup::default() });
    let work = Work::small_count();
    yields(&store, submitted(&cluster, &work, "count"), &work, "count");
    // Map output is the output, and both stages reject.
    let lines: String = (0..500).map(|line| format!("{}{line} x\n", ["a", "boom "][line % 2])).collect();
    fs::write(cluster.path("lines"), lines).unwrap();
    let args = "-p mode=reject -p role=mapper --max-rejects 1000 --split-size 500 --reducers 2";
    let work = Work::new("unruly", cluster.path("lines"), args);
    yields(&store, submitted(&cluster, &work, "rejects"), &work, "rejects");
    assert!(store.object("rejects/_rejects.jsonl").is_some());
    let work =
        Work::new("route", cluster.path("lines"), "--reducers 0 --split-size 2K --output-file-size 300");
    yields(&store, submitted(&cluster, &work, "routed"), &work, "routed");

    // From the store to the store; what is there is refused.
    store.put("in/text", TEXT.as_bytes());
    let copy = Work::new("wordcount", "s3://bucket/in".into(), "");
    let mut again = into(&store, cluster.command(&["submit", "--output", "s3://bucket/count"]));
    copy.dress(&mut again);
    fails(again, 4, &["output s3://bucket/count exists already"]);
    let mut from = into(&store, cluster.command(&["submit", "--output", "s3://bucket/copied"]));
    copy.dress(&mut from);
    succeeds(from);
    assert!(store.object("copied/_SUCCESS").is_some());

    // A job that fails leaves nothing, also of rejects.
    let args = "-p mode=fatal -p role=reducer --split-size 500 --reducers 3";
    let failing = submitted(&cluster, &Work::new("unruly", cluster.path("lines"), args), "failed").end();
    assert_eq!(failing.code(), Some(6), "{}", failing.stderr);
    assert_nothing(&store, "failed");
    cluster.assert_idle(&[]);
    assert_discreet(&cluster);
}

#[test]
fn nodes_may_die_while_a_job_writes_to_a_store() {
    let store = Store::start();
    let mut cluster = cluster(&store, Setup { workers: 3, ..Setup::default() });
    let work = Work::toil(50, 400).with("--no-speculation");
    let job = submitted(&cluster, &work, "job");
    // Each worker waits for an answer to what it uploads.
    store.faults().add(usize::MAX, Fault::Silence, |asked| {
        asked.starts_with("PUT /bucket/job/part-") && asked.contains("partNumber")
    });
    eventually("three uploads", || {
        let is_record = |key: &&String| key.starts_with("job/_pending/job/");
        (store.keys().iter().filter(is_record).count() == 3).then_some(())
    });
    cluster.workers.iter_mut().for_each(crate::support::cluster::node::Node::kill);
    cluster.coordinator.kill();
    store.faults().forget();
    cluster.start_coordinator();
    for number in [1, 2] {
        cluster.start_worker(number);
    }
    yields(&store, job, &work, "job");
    assert_discreet(&cluster);
}

#[test]
fn a_coordinator_that_dies_while_it_publishes_goes_on() {
    let store = Store::start();
    let mut cluster = cluster(&store, Setup { lease: "30s", ..Setup::default() });
    let work = Work::small_count();
    for (id, step) in [
        ("first", "POST /bucket/first/part-r-00002"),
        ("second", "PUT /bucket/second/_manifest"),
        ("third", "PUT /bucket/third/_SUCCESS"),
    ] {
        // It is killed while it waits for an answer.
        store.faults().add(usize::MAX, Fault::Silence, move |asked| asked.starts_with(step));
        let job = submitted(&cluster, &work, id);
        eventually(step, || store.faults().asked().iter().any(|asked| asked.starts_with(step)).then_some(()));
        cluster.coordinator.kill();
        store.faults().forget();
        cluster.start_coordinator();
        yields(&store, job, &work, id);
    }
    // It had claimed the place and taken nothing into its journal.
    let is_sweep = |asked: &str| asked.contains("list-type=2") && asked.contains("early%2F_pending");
    store.faults().add(usize::MAX, Fault::Silence, is_sweep);
    let job = submitted(&cluster, &work, "early");
    eventually("the claim", || store.faults().asked().iter().any(|asked| is_sweep(asked)).then_some(()));
    cluster.coordinator.kill();
    store.faults().forget();
    cluster.start_coordinator();
    let ended = job.end();
    assert!(matches!(ended.code(), Some(0 | 9)), "{}", ended.stderr);
    yields(&store, submitted(&cluster, &work, "early"), &work, "early");
    cluster.assert_idle(&[]);
}

#[test]
fn a_cluster_without_credentials_says_what_to_look_at() {
    let store = Store::start();
    let mut environment: BTreeMap<String, String> =
        store.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let wrong = "a-wrong-secret-that-nobody-may-print-either";
    environment.insert("AWS_SECRET_ACCESS_KEY".into(), wrong.into());
    let cluster = Cluster::start(Setup { environment, workers: 1, ..Setup::default() });
    let ended = submitted(&cluster, &Work::small_count(), "job").end();
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"), "{}", ended.stderr);
    let said = cluster.coordinator.said() + &cluster.workers[0].said() + &ended.stderr;
    assert!(!said.contains(wrong), "{said}");
    assert_nothing(&store, "job");
}

#[test]
fn a_policy_opens_prefixes_of_stores() {
    let store = Store::start();
    let policy = "[data]\noutputs = [\"s3://bucket/open\"]\n".to_owned();
    let cluster = cluster(&store, Setup { policy: Some(policy), workers: 1, ..Setup::default() });
    let submit = |out: &str| {
        let mut command = cluster.command(&["submit", "--output", out]);
        Work::small_count().dress(&mut command);
        command
    };
    for closed in ["s3://bucket/opened", "s3://bucket/closed"] {
        let says = format!(
            "the output {closed} is not open to jobs, and the policy policy.toml opens s3://bucket/open only"
        );
        fails(submit(closed), 2, &[&says]);
    }
    succeeds(submit("s3://bucket/open/out"));
    assert!(store.object("open/out/_SUCCESS").is_some());
}
