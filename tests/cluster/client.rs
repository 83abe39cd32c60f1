//! The command line of the cluster: waiting, leaving, coming back, and being told no.

use rustix::process::Signal;

use crate::support::cluster::{Cluster, Work, eventually};
use crate::support::process::Running;

#[test]
fn who_stops_waiting_leaves_the_job_alone() {
    let mut cluster = Cluster::steady(2);
    let work = Work::toil(150, 150);
    let job = cluster.submit(&work, "job");
    job.maps(1);
    job.signal(Signal::INT);
    let ended = job.end();
    assert_eq!(ended.code(), Some(130), "{}", ended.stderr);
    for words in ["job job goes on", "mr-engine job wait job", "mr-engine job cancel job"] {
        assert!(ended.stderr.contains(words), "{words:?} is not in {:?}", ended.stderr);
    }
    let waited = cluster.run(&["job", "wait", "job"]);
    assert_eq!(waited.code(), Some(0), "{}", waited.stderr);
    assert!(waited.stderr.contains("reduce"), "{}", waited.stderr);
    cluster.assert_yields(&work, "job");
    cluster.assert_idle(&["job"]);
}

#[test]
fn the_same_job_runs_once() {
    let mut cluster = Cluster::steady(2);
    let work = Work::toil(10, 10);
    let first = cluster.submit(&work, "job");
    let second = cluster.submit(&work, "job");
    first.done();
    second.done();
    let attempts = cluster.attempts("job");
    let again = cluster.check(&work, "job");
    assert_eq!(cluster.attempts("job"), attempts);
    assert_eq!(again["number"], 1);
    let other = Work::toil(11, 10);
    let refused = cluster.submit(&other, "job").end();
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("choose another --job-id"), "{}", refused.stderr);
    // The output of another job is in the way.
    let mut taken = cluster.command(&["submit", "--job-id", "other"]);
    taken.arg("--output").arg(cluster.output("job"));
    work.dress(&mut taken);
    let taken = Running::start(taken).end();
    assert_eq!(taken.code(), Some(4), "{}", taken.stderr);
    cluster.assert_yields(&work, "job");
    cluster.assert_idle(&["job"]);
}

#[test]
fn who_does_not_wait_finds_the_job_later() {
    let mut cluster = Cluster::steady(2);
    let work = Work::toil(30, 30);
    let mut submit = cluster.command(&["submit", "--detach", "--job-id", "job"]);
    submit.arg("--output").arg(cluster.output("job"));
    work.dress(&mut submit);
    let left = Running::start(submit).end();
    assert_eq!((left.code(), left.stdout.as_slice()), (Some(0), b"job\n".as_slice()), "{}", left.stderr);
    eventually("the job among the others", || {
        let jobs = cluster.json(&["jobs"]);
        (jobs.len() == 1 && jobs[0]["job"] == "job").then_some(())
    });
    let waited = cluster.run(&["job", "wait", "job", "--json"]);
    assert_eq!(waited.code(), Some(0), "{}", waited.stderr);
    cluster.assert_yields(&work, "job");
    let logs = String::from_utf8(cluster.run(&["job", "logs", "job"]).stdout).unwrap();
    for line in
        ["toils at map task 0\n", "toils at map task 7\n", "group \"key-", "map task 0 attempt 0 on worker-"]
    {
        assert!(logs.contains(line), "{line:?} is not in {logs}");
    }
    let status = String::from_utf8(cluster.run(&["job", "status", "job"]).stdout).unwrap();
    assert!(status.contains("succeeded"), "{status}");
    cluster.assert_idle(&["job"]);
}

#[test]
fn what_is_not_there_is_named() {
    let mut cluster = Cluster::steady(1);
    for command in ["status", "wait", "cancel", "logs"] {
        cluster.says(&["job", command, "nothing"], 2, &["job nothing is not known", "mr-engine jobs"]);
    }
    cluster.says(&["worker", "drain", "nobody"], 2, &["worker nobody is not known", "mr-engine workers"]);
    cluster.coordinator.kill();
    cluster.says(&["jobs", "--away-max", "1s"], 9, &[&cluster.address]);
}
