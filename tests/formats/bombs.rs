//! Files that would fill the memory or take for ever: lines of gigabytes, a few megabytes that decode to gigabytes.
//! They are refused soon, with one sentence, within the job's memory.

use std::fs::{self, File};

use super::table::{COMPRESSIONS, compressed_once};
use crate::support::process::measured;
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
    assert!(peak_mib <= MEMORY_MIB + PROCESS_MIB, "peak of {peak_mib} MiB");
    fs::remove_file(job.path("other")).unwrap();
    job.judge_failed(ended, 3).stderr
}

/// A job of one worker; the memory is for [`complaint`] to say.
fn read(args: &str) -> Job {
    Job::staged().args("--reducers 0 --workers 1").args(args)
}

/// What is said of a record that is too long, from its place on.
fn too_long(place: &str, record: &str, behind: &str) -> String {
    // A header is looked for before the job's own limit counts.
    let (reading, max) = match record {
        "first row" => ("", 16 * MIB),
        _ => ("map task 0 attempt 0 failed: ", MIB),
    };
    format!(
        "mr-engine: {reading}input in/{place}: the {record} is longer than {max} bytes, the limit for a record; raise \
         it with --max-record if this is text{behind}\n"
    )
}

/// What records of a format are called where the first one is too long.
const RECORDS: [(&str, &str); 4] =
    [("lines", "line"), ("csv", "first row"), ("jsonl --fields a", "line"), ("whole", "file")];

/// Makes `in/huge` longer by ten gigabytes of zeros, of which the disk holds none.
fn lengthen(job: &Job) {
    File::options().write(true).open(job.path("in/huge")).unwrap().set_len(10 << 30).unwrap();
}

#[test]
fn a_line_of_ten_gigabytes() {
    for (format, record) in RECORDS {
        let job = read(&format!("--input-format {format}")).file("in/huge", "");
        lengthen(&job);
        assert_eq!(complaint(&job), too_long("huge at byte 0", record, ""), "{format}");
    }
    for format in ["parquet", "arrow", "avro", "kv"] {
        let job = read(&format!("--input-format {format}")).file("in/huge", "");
        lengthen(&job);
        let said = complaint(&job);
        assert!(said.starts_with("mr-engine: input in/huge at byte 0: it does not begin as "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_row_within_quotes_of_ten_gigabytes() {
    let job = read("--input-format csv").file("in/huge", "a,b\n1,\"2");
    lengthen(&job);
    assert_eq!(complaint(&job), too_long("huge at byte 4", "row", ""));
}

/// Four gigabytes of one byte, in one file of a few megabytes.
fn bomb(byte: u8, ending: &str) -> Vec<u8> {
    compressed_once(&vec![byte; 64 * MIB], ending).repeat(64)
}

#[test]
fn bombs_of_zeros() {
    for (ending, name) in COMPRESSIONS.into_iter().zip(["gzip", "bzip2", "zstd", "lz4"]) {
        let bomb = bomb(0, ending);
        for (format, record) in RECORDS {
            let file = format!("bomb.{ending}");
            let job = read(&format!("--input-format {format}")).file(&format!("in/{file}"), &bomb);
            let place = format!("{file} at byte {}", if ending == "bz2" { 4 } else { 0 });
            let behind = format!(" (0 bytes into the {name} data that begin here)");
            assert_eq!(complaint(&job), too_long(&place, record, &behind), "{ending} {format}");
        }
    }
}

#[test]
fn bombs_of_newlines() {
    for (ending, name) in COMPRESSIONS.into_iter().zip(["gzip", "bzip2", "zstd", "lz4"]) {
        // 255 bytes from one are the most that LZ4 makes: no trap by default.
        let file = format!("in/bomb.{ending}");
        let job = read("--max-expansion 200 --output-format kv").file(&file, bomb(b'\n', ending));
        let said = complaint(&job);
        let place = format!("mr-engine: map task 0 attempt 0 failed: input {file} at byte ");
        let reason = format!(
            ": the {name} data expand to more than 200 times their length; raise that with --max-expansion if they \
             are meant to\n"
        );
        assert!(said.starts_with(&place) && said.ends_with(&reason), "{said}");
    }
}
