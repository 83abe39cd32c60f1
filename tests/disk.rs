//! Disks that are full, while map output is spilled and while the output is written: the job says so,
//! with its exit code, and leaves nothing there.

use std::fs::OpenOptions;

use crate::support::Job;
use crate::support::disk::SmallDisk;
use crate::support::job::names;
use crate::support::process::{Running, run};

/// A job with some 30 MiB to shuffle and to write, more than its memory.
fn job() -> Job {
    let text: String = (0..300_000).map(|number| format!("{number:0100}\n")).collect();
    Job::new("sort").input(&text).args("--workers 1 --memory 16M --split-size 4M")
}

#[test]
fn no_space_to_spill() {
    let job = job();
    let Some(_disk) = SmallDisk::mount(&job.path("work"), 8 << 20) else { return };
    job.fails(8, &["mr-engine: map task ", "no space left for work/job-", "(os error 28)", "--work-dir"]);
}

#[test]
fn no_space_for_the_output() {
    let job = job();
    let Some(_disk) = SmallDisk::mount(&job.path("other"), 8 << 20) else { return };
    let mut command = job.command("submit");
    command.args(["--output", "other/out"]);
    let failed = job.judge_failed(run(command), 8);
    for words in ["mr-engine: reduce task 0 ", "no space left for other/.out.job-", "(os error 28)"] {
        assert!(failed.stderr.contains(words), "{words:?} is not in {:?}", failed.stderr);
    }
    assert_eq!(names(&job.path("other")), [""; 0], "left beside the output");
}

#[test]
fn no_space_behind_standard_output() {
    let job = Job::new("wordcount").input("a b c\n").args("--reducers 2 --quiet");
    let mut command = job.command("submit");
    command.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let failed = job.judge_failed(Running::start_unread(command).0.end(), 8);
    let expected = "mr-engine: no space left for the standard output: ";
    assert!(failed.stderr.starts_with(expected), "{}", failed.stderr);
}

#[test]
fn a_folder_for_temporary_files_that_cannot_be_made() {
    let job = job().file("work", "a file");
    let failed = run(job.command_to_folder());
    assert_eq!(failed.code(), Some(4), "{}", failed.stderr);
    assert!(failed.stderr.starts_with("mr-engine: work cannot be used: "), "{}", failed.stderr);
}
