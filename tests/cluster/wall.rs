//! The second wall: what a process that runs a plugin may do, seen from outside while it runs and from
//! inside by trying; what its death costs; and what is refused because compiling it costs too much.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::bomb;
use crate::support::cluster::handed::Handed;
use crate::support::cluster::{Cluster, Setup, Work, eventually, number};
use crate::support::job::names;
use crate::support::process::{command, plugin, run, shared_cache};

/// A cluster of one worker with options of its own.
fn one(options: &[&str]) -> Cluster {
    let mut cluster = Cluster::without_workers(Setup { lease: "30s", ..Setup::default() });
    cluster.add_worker(options);
    cluster.wait_until_live(1);
    cluster
}

/// Work that takes its time in each of its four map tasks.
fn slow() -> Work {
    Work::toil(700, 0).shaped("--split-size 100K --reducers 1").with("--no-speculation")
}

/// The processes that a worker has started.
fn executors(worker: Pid) -> Vec<Pid> {
    let numbers =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = format!("PPid:\t{worker}");
    let mut found: Vec<Pid> =
        numbers.filter_map(Pid::from_raw).filter(|pid| status(*pid).contains(&parent)).collect();
    found.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
    found
}

/// What the system tells of a process; nothing of one that has ended.
fn status(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// The process of an attempt, which is not the first one: before that, a component was tried out in a
/// process that looks the same.
#[track_caller]
fn at_work(cluster: &Cluster, job: &Handed) -> Pid {
    job.maps(1);
    let worker = cluster.workers[0].pid();
    eventually("a process that runs an attempt", || {
        executors(worker).into_iter().find(|pid| status(*pid).contains("Seccomp:\t2"))
    })
}

/// What is seen of a process.
#[derive(Debug)]
struct Seen {
    status: String,
    session: Pid,
    limits: String,
    /// What only those see who may look at any process.
    private: Option<(Vec<u8>, Vec<PathBuf>)>,
}

/// Looks at a process; none if it has ended.
fn look(pid: Pid) -> Option<Seen> {
    let text = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let session = rustix::process::getsid(Some(pid)).ok()?;
    let limits = text("limits")?;
    let private = text("environ").map(|environment| (environment.into_bytes(), descriptors(pid)));
    Some(Seen { status: text("status")?, session, limits, private })
}

#[test]
fn a_process_that_runs_a_plugin_has_next_to_nothing() {
    let mut cluster = one(&[]);
    let job = cluster.submit(&slow(), "job");
    let worker = cluster.workers[0].pid();
    let (pid, seen) = eventually("a process that runs an attempt", || {
        let pid = at_work(&cluster, &job);
        let seen = look(pid)?;
        // Its code is there when it has begun in earnest.
        let kinds = seen.private.as_ref().map(|(_, files)| kinds(files, &cluster));
        kinds.is_none_or(|kinds| kinds.contains(&"code".to_owned())).then_some((pid, seen))
    });
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapInh:\t0000000000000000"] {
        assert!(seen.status.contains(line), "{line:?} is not in {seen:?}");
    }
    assert!(seen.session == pid && worker != pid, "{seen:?}");
    let limit = |name: &str| {
        let line = seen.limits.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("{seen:?}"))
    };
    assert_eq!(limit("Max core file size"), "0");
    let data: u64 = limit("Max data size").parse().unwrap();
    assert!((64 << 20..1 << 30).contains(&data), "{data} bytes");
    if let Some((environment, files)) = &seen.private {
        assert_eq!(environment, b"");
        let mut kinds = kinds(files, &cluster);
        kinds.retain(|kind| kind != "input");
        assert_eq!(kinds, ["code", "null", "pipe", "socket"]);
    }
    job.done();
    cluster.assert_idle(&["job"]);
}

/// What the descriptors of a process are for.
fn kinds(files: &[PathBuf], cluster: &Cluster) -> Vec<String> {
    let mut kinds: Vec<String> = files.iter().map(|path| kind(path, cluster)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Where the descriptors of a process lead.
fn descriptors(pid: Pid) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

/// What a descriptor is for.
fn kind(path: &Path, cluster: &Cluster) -> String {
    let name = path.to_str().unwrap();
    let known = [("socket:", "socket"), ("pipe:", "pipe"), ("/memfd:code", "code"), ("/dev/null", "null")];
    if let Some((_, kind)) = known.iter().find(|(begin, _)| name.starts_with(begin)) {
        return (*kind).to_owned();
    }
    let own = cluster.path("");
    if path.starts_with(&own) { name.to_owned() } else { "input".to_owned() }
}

#[test]
fn what_a_process_that_runs_a_plugin_tries_is_refused() {
    let cluster = Cluster::without_workers(Setup::default());
    let file = |name: &str| {
        let path = cluster.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        path
    };
    let (input, other) = (file("in/text"), file("lives/1/other-job/run"));
    let own = cluster.path("lives/1/job/map-000000-0");
    fs::create_dir_all(&own).unwrap();
    let mut probe = command(&cluster.path(""));
    probe.args(["executor", "--probe"]).arg("--read").arg(&input).arg("--write").arg(&own);
    let keys = names(&cluster.path("ids")).into_iter().filter(|name| name.ends_with(".key"));
    let keys: Vec<PathBuf> = keys.map(|name| cluster.path("ids").join(name)).collect();
    assert!(keys.len() > 2, "{keys:?}");
    let forbidden = [
        PathBuf::from("/etc/passwd"),
        PathBuf::from("/dev/null"),
        PathBuf::from("/proc/self/environ"),
        cluster.path("ids"),
        cluster.path("in"),
        cluster.path("outputs"),
        other.clone(),
        other.parent().unwrap().to_owned(),
        own.parent().unwrap().to_owned(),
    ];
    let forbidden = [keys, forbidden.to_vec()].concat();
    for path in &forbidden {
        probe.arg("--forbidden").arg(path);
    }
    let tried = run(probe);
    assert_eq!(tried.code(), Some(0), "{}", tried.stderr);
    let said = String::from_utf8(tried.stdout).unwrap();
    if said.contains("missing ") {
        eprintln!("skipped: this machine lacks walls: {said}");
        return;
    }
    let (eperm, eacces, enomem) = (1, 13, 12);
    let mut calls = 0;
    for line in said.lines() {
        let (what, came) = line.rsplit_once(' ').unwrap();
        let expected = match what.split(' ').next().unwrap() {
            "granted" => "done".to_owned(),
            "forbidden" => eacces.to_string(),
            "memory" => enomem.to_string(),
            "call" | "code" | "thread" => eperm.to_string(),
            other => panic!("{other}"),
        };
        assert_eq!(came, expected, "{what}");
        calls += usize::from(what.starts_with("call "));
    }
    let tried = |kind: &str| said.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!((tried("granted"), tried("forbidden")), (2, forbidden.len()));
    assert!(calls > 35, "{said}");
}

#[test]
fn a_process_that_is_killed_costs_one_attempt() {
    let mut cluster = one(&[]);
    let job = cluster.submit(&slow(), "job");
    let mut kills = 0;
    eventually("a failed attempt", || {
        let view = job.view()?;
        // One that had just done its work cost nothing: then it is the next one's turn.
        if number(&view, "attempts_failed") == 0 && kills < number(&view, "map_tasks") {
            kills += 1;
            let _ = kill_process(at_work(&cluster, &job), Signal::KILL);
        }
        (number(&view, "attempts_failed") > 0).then_some(())
    });
    let view = job.done();
    assert_eq!(number(&view, "attempts_failed"), 1, "{view}");
    let logs = cluster.run(&["job", "logs", "job"]);
    let said = String::from_utf8(logs.stdout).unwrap();
    assert!(said.contains("attempt 0 was killed by signal 9 (SIGKILL)"), "{said}");
    assert!(cluster.workers[0].is_running());
    cluster.assert_idle(&["job"]);
}

#[test]
fn processes_end_with_their_worker() {
    let mut cluster = one(&[]);
    let job = cluster.submit(&slow(), "job");
    at_work(&cluster, &job);
    let worker = cluster.workers[0].pid();
    let started = eventually("a process at work, and one that waits", || {
        let started = executors(worker);
        (started.len() >= 2).then_some(started)
    });
    cluster.workers[0].kill();
    eventually("the end of all processes", || {
        started.iter().all(|pid| test_kill_process(*pid).is_err()).then_some(())
    });
    cluster.start_worker(0);
    job.done();
    cluster.assert_idle(&["job"]);
}

#[test]
fn threads_yield_the_same() {
    let mut cluster = one(&["--isolation", "none"]);
    let worker = cluster.workers[0].pid();
    cluster.check(&Work::small_sort(), "sort");
    assert_eq!(executors(worker), []);
    cluster.workers[0].wait_for("only one wall is between them");
    cluster.add_worker(&["--isolation", "require"]);
    cluster.wait_until_live(2);
    cluster.check(&Work::small_count(), "count");
    cluster.assert_idle(&["count", "sort"]);
}

#[test]
fn what_costs_too_much_to_compile_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.wasm");
    bomb::write(&plugin("wordcount"), &path, 64);
    for (option, value, over) in [
        (
            "--compile-time",
            "1s",
            "processor time: more than 1 s, and 1 s are allowed (raise it with --compile-time",
        ),
        (
            "--compile-memory",
            "256M",
            "memory: more than 256 MiB, and 256 MiB are allowed (raise it with --compile-memory",
        ),
    ] {
        let mut inspect = command(dir.path());
        inspect.args(["inspect", "bomb.wasm", "--no-cache", option, value]);
        let ended = run(inspect);
        let said = ended.stderr.strip_prefix("compiling bomb.wasm (64.14 MiB) for this machine, once\n");
        let expected = format!(
            "mr-engine: compiling plugin bomb.wasm went over its limit of {over}, or make the plugin smaller)\n"
        );
        assert_eq!((ended.code(), said), (Some(7), Some(expected.as_str())), "{}", ended.stderr);
    }
}

#[test]
fn a_worker_outlives_what_costs_too_much_to_compile() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.wasm");
    bomb::write(&plugin("wordcount"), &path, 6);
    let cache = dir.path().join("cache");
    let mut cluster =
        one(&["--compile-time", "1s", "--compile-memory", "1G", "--cache-dir", cache.to_str().unwrap()]);
    let work = Work::small_count();
    let mut submit = cluster.command(&["submit", "--json", "--job-id", "bomb"]);
    submit.arg("--output").arg(cluster.output("bomb")).arg(&path).arg("--input").arg(work.input());
    submit.arg("--cache-dir").arg(shared_cache());
    let ended = run(submit);
    assert_eq!(ended.code(), Some(7), "{}", ended.stderr);
    let sentence = "the mapper went over its limit of processor time to compile: more than 1 s, and 1 s are \
                    allowed (raise it with worker --compile-time)";
    assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    cluster.check(&work, "count");
    cluster.assert_idle(&["count"]);
}
