//! Files that would fill the memory or take for ever: lines of gigabytes, a few megabytes that decode to gigabytes.
//! They are refused soon, with one sentence, within the job's memory.

use std::fs::{self, File};

use super::copy;
use super::table::{COMPRESSIONS, compressed_once};
use crate::support::process::{measured, run};
use crate::support::{Job, MIB};

/// Memory of the jobs here, and what a process takes beside it, in MiB.
const MEMORY_MIB: usize = 64;
const PROCESS_MIB: usize = 64;

/// Runs a job that must fail because of its input, in bounded memory; what it says.
#[track_caller]
fn complaint(job: &Job) -> String {
    let mut command = job.command_to_folder();
    command.args(["--quiet", "--memory", &format!("{MEMORY_MIB}M")]);
    let (ended, peak_mib) = measured(&command, &job.path("."), &job.path("other"));

    fs::remove_file(job.path("other")).unwrap();
    eprintln!("PEAK {peak_mib} {:?} {}", ended.code(), ended.stderr);
    ended.stderr
}

/// A job of one worker; the memory is for [`complaint`] to say.
fn read(args: &str) -> Job {
    Job::staged().args("--reducers 0 --workers 1").args(args)
}

#[test]
fn a_line_of_ten_gigabytes() {
    for (format, says) in [
        ("lines", "?"),
        ("csv", "?"),
        ("jsonl", "?"),
        ("jsonl --fields a", "?"),
        ("whole", "?"),
        ("parquet", "?"),
        ("arrow", "?"),
        ("avro", "?"),
        ("kv", "?"),
    ] {
        let job = read(&format!("--input-format {format}")).file("in/huge", "");
        File::options().write(true).open(job.path("in/huge")).unwrap().set_len(10 << 30).unwrap();
        {
            let _ = complaint(&job);
        }
    }
}

#[test]
fn a_row_within_quotes_of_ten_gigabytes() {
    let job = read("--input-format csv").file("in/huge", "a,b\n1,\"2");
    File::options().write(true).open(job.path("in/huge")).unwrap().set_len(10 << 30).unwrap();
    {
        let _ = complaint(&job);
    }
}

/// Four gigabytes of one byte, in one file of a few megabytes at most.
fn bomb(byte: u8, ending: &str) -> Vec<u8> {
    compressed_once(&vec![byte; 64 * MIB], ending).repeat(64)
}

#[test]
fn bombs_of_zeros() {
    for ending in COMPRESSIONS {
        for (format, says) in [("lines", "?"), ("csv", "?"), ("jsonl --fields a", "?"), ("whole", "?")] {
            let name = format!("in/bomb.{ending}");
            let job = read(&format!("--input-format {format}")).file(&name, bomb(0, ending));
            {
                let _ = complaint(&job);
            }
        }
    }
}

#[test]
fn bombs_of_newlines() {
    for ending in COMPRESSIONS {
        let name = format!("in/bomb.{ending}");
        // 255 bytes from one are the most that LZ4 makes: no trap by default.
        let job = read("--max-expansion 200 --output-format kv").file(&name, bomb(b'\n', ending));
        {
            let _ = complaint(&job);
        }
    }
}

#[test]
fn a_parquet_file_that_claims_gigabytes() {
    let _ = (copy(""), run);
}
