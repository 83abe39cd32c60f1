//! The memory budget holds: jobs over ten times as much data as they may hold peak below the budget and
//! what the process itself takes.

use std::collections::BTreeMap;
use std::fs;

use crate::support::naive::{Remap, digested, fixed_records};
use crate::support::process::measured;
use crate::support::random::Random;
use crate::support::{Done, Job, MIB};

/// What the process takes beside the budget, in MiB: code, stacks, compiled plugins.
const PROCESS_MIB: usize = 64;

/// Runs the job, which must succeed, with a budget of `mib` MiB, and peak where it may.
#[track_caller]
fn within(mib: usize, job: &Job) -> Done {
    let mut command = job.command_to_folder();
    command.args(["--json", "--memory"]).arg(format!("{mib}M"));
    let (ended, peak_mib) = measured(&command, &job.path("."), &job.path("other"));
    let done = job.judge_done(ended);
    assert!(peak_mib <= mib + PROCESS_MIB, "peak of {peak_mib} MiB with a budget of {mib} MiB");
    eprintln!("peak of {peak_mib} MiB with a budget of {mib} MiB");
    done
}

/// Puts the same content into `in` ten times, on disk once.
fn ten_times(job: Job, bytes: &[u8]) -> Job {
    let job = job.file("in/0", bytes);
    for copy in 1..10 {
        fs::hard_link(job.path("in/0"), job.path(&format!("in/{copy}"))).unwrap();
    }
    job
}

#[test]
fn sorting_ten_times_the_budget() {
    let mut random = Random::new(21);
    let input: Vec<u8> = (0..420_000).flat_map(|_| [random.bytes(10), vec![b'.'; 90]].concat()).collect();
    let args = "--input-format fixed:100:10 --reducers 3 --workers 2 --split-size 16M";
    let job = ten_times(Job::new("sort").args(args), &input);
    let done = within(40, &job);
    assert!(done.number("input_bytes") >= 400 * MIB as u64);
    assert!(done.number("spill_files") > 20);
    let mut expected: Vec<&[u8]> = input.chunks(100).collect();
    expected.sort_unstable();
    let got = done.parts.iter().flat_map(|(_, part)| part.chunks(100));
    let expected = expected.iter().flat_map(|record| std::iter::repeat_n(*record, 10));
    assert!(got.eq(expected), "the parts are not the sorted input");
}

#[test]
fn counting_ten_times_the_budget() {
    let mut random = Random::new(22);
    let text: Vec<u8> = (0..3_000_000u64)
        .flat_map(|word| {
            let end = if word % 8 == 7 { '\n' } else { ' ' };
            format!("w{:x}{end}", random.below(1 << 22)).into_bytes()
        })
        .collect();
    let job = ten_times(Job::new("wordcount").args("--reducers 2 --workers 1 --split-size 16M"), &text);
    let done = within(28, &job);
    assert!(done.number("input_bytes") >= 200 * MIB as u64);
    assert!(done.number("spill_files") > 0);
    let mut counts = BTreeMap::<&[u8], u64>::new();
    for word in text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 10;
    }
    let mut lines: Vec<&[u8]> =
        done.parts.iter().flat_map(|(_, part)| part.split_inclusive(|b| *b == b'\n')).collect();
    lines.sort_unstable();
    let mut expected: Vec<Vec<u8>> =
        counts.iter().map(|(word, count)| [word, format!("\t{count}\n").as_bytes()].concat()).collect();
    expected.sort_unstable();
    assert!(lines == expected, "the counts differ");
}

#[test]
fn one_group_of_ten_times_the_budget() {
    let input: Vec<u8> = (0..300u64).flat_map(u64::to_be_bytes).collect();
    let remap = Remap { keep: 0, repeat: 1000, pad: 1000, ..Remap::default() };
    let job = Job::staged()
        .stage("map", "remap")
        .stage("reduce", "gather")
        .args(&remap.args())
        .args("--input-format fixed:8:0 --split-size 80 --workers 1")
        .input(&input);
    let done = within(28, &job);
    assert!(done.number("shuffle_bytes") >= 280 * MIB as u64);
    assert_eq!(done.whole(), digested(&fixed_records(&input, 8, 0), remap, 1)[0]);
}

#[test]
fn long_records_are_part_of_the_budget() {
    let mut text = Vec::new();
    for letter in b'a'..b'u' {
        text.extend(std::iter::repeat_n(letter, 16 * MIB - 1));
        text.push(b'\n');
    }
    let job =
        Job::new("sort").input(&text).args("--max-record 16M --workers 1 --split-size 64M --reducers 1");
    let done = within(80, &job);
    assert!(done.whole() == text, "the lines were sorted already");
}

#[test]
fn what_formats_gather_is_part_of_the_budget() {
    let mut random = Random::new(23);
    let mut text = Vec::new();
    for row in 0..400 {
        // Rows of all lengths up to 100 KB, that no compression makes much smaller.
        text.extend((0..row * 250).map(|_| b"0123456789abcdef"[usize::try_from(random.below(16)).unwrap()]));
        text.push(b'\n');
    }
    let args = "--reducers 0 --workers 1 --split-size 1G --output-format";
    for format in ["parquet", "jsonl --output-compression bzip2", "jsonl --output-compression zstd"] {
        let job = ten_times(Job::staged().args(&format!("{args} {format}")), &text);
        let done = within(60, &job);
        assert_eq!(done.number("output_records"), 4000, "{format}");
    }
}
