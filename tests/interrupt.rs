//! Jobs that are stopped half way: by a signal that asks, after which nothing is left, and by one that
//! does not ask, after which the next job cleans up.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::support::job::names;
use crate::support::process::{Running, run};
use crate::support::{Job, assert_same_bytes};

/// A job of several map tasks with enough equal lines to combine, that never ends if told so.
fn job() -> Job {
    let text: String = (0..300_000).map(|number| format!("boom {:08}\n", number / 10)).collect();
    Job::new("unruly").input(&text).args("--workers 2 --memory 56M --split-size 1M --reducers 2")
}

/// Starts the job so that it spins in a role, and waits until it does.
fn spin(job: &Job, role: &str) -> Running {
    let mut command = job.command_to_folder();
    command.args(["--verbose", "-p", "mode=spin", "-p"]).arg(format!("role={role}"));
    let running = Running::start(command);
    running.wait_for(&format!("{role} warn: spinning"));
    running
}

#[test]
fn a_signal_stops_the_job_and_nothing_is_left() {
    let job = job();
    for role in ["mapper", "combiner", "reducer"] {
        for signal in [Signal::INT, Signal::TERM] {
            let running = spin(&job, role);
            running.signal(signal);
            let failed = job.judge_failed(running.end(), 130);
            let last = failed.stderr.lines().last();
            assert_eq!(
                last,
                Some("mr-engine: the job was cancelled; no output was left"),
                "{role}, {signal:?}"
            );
        }
    }
}

#[test]
fn a_signal_leaves_the_old_output_in_its_place() {
    let job = Job::new("unruly").input("boom\n");
    job.check_whole(b"boom\t1\n");
    let mut command = job.command_to_folder();
    command.args(["--overwrite", "--verbose", "-p", "mode=spin"]);
    let running = Running::start(command);
    running.wait_for("spinning");
    running.signal(Signal::INT);
    assert_eq!(running.end().code(), Some(130));
    job.assert_no_leftovers();
    assert_same_bytes("old output", &fs::read(job.path("out/part-r-00000")).unwrap(), b"boom\t1\n");
}

#[test]
fn what_a_killed_job_leaves_is_swept_by_the_next() {
    let job = job();
    for role in ["mapper", "reducer"] {
        let running = spin(&job, role);
        running.signal(Signal::KILL);
        assert_eq!(running.end().status.signal(), Some(9));
        let left = names(&job.path("."));
        assert!(!job.path("out").exists(), "a killed job published an output");
        assert!(left.iter().any(|name| name.ends_with(".staging")), "{left:?}");
        assert_eq!(names(&job.path("work")).len(), 1);
    }
    let done = job.done();
    assert_eq!(done.number("output_records"), 30_000);
}

#[test]
fn a_live_jobs_files_are_left_alone() {
    let job = job();
    let running = spin(&job, "reducer");
    let ended = run(job.command_to_folder());
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert_eq!(names(&job.path("work")).len(), 1, "the live job's folder");
    running.signal(Signal::INT);
    assert_eq!(running.end().code(), Some(130));
    job.assert_no_leftovers();
    assert!(job.path("out/_SUCCESS").exists(), "the other job's output");
}

#[test]
fn two_runs_of_one_job_do_not_meet() {
    let job = job().args("--job-id the-job");
    let running = spin(&job, "mapper");
    let ended = run(job.command_to_folder());
    let expected = "mr-engine: output out is being made by another run of job the-job\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(4), expected));
    running.signal(Signal::TERM);
    job.judge_failed(running.end(), 130);
    job.done();
}
