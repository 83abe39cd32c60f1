//! Disks that are full, while map output is spilled and while the output is written: the job says so,
//! with its exit code, and leaves nothing there.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

use crate::support::Job;
use crate::support::job::names;
use crate::support::process::{Running, run};

/// A small file system, as long as it is held.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a disk of `bytes` bytes at `path`; none where the system does not let us.
    fn mount(path: &Path, bytes: usize) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let options = std::ffi::CString::new(format!("size={bytes},mode=700")).unwrap();
        match rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            Ok(()) => Some(Self(path.to_owned())),
            Err(error) => {
                eprintln!("skipped: a small disk cannot be mounted: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a test that failed may have left a process there.
        let unmounted = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
        assert!(unmounted.is_ok() || std::thread::panicking(), "the disk is mounted");
    }
}

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
