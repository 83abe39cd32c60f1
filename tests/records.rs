//! Shuffles of every shape: records from nothing to megabytes, few keys and many, groups and shuffles
//! that are larger than the memory budget, one reducer and a thousand. A digest of each group's values
//! tells whether one is missing, twice, changed or out of order.

use proptest::strategy::Strategy;

use crate::support::naive::{self, Remap, digested, fixed_records, line_records};
use crate::support::random::{Arrangement, Random, property};
use crate::support::{Job, MIB};

/// Map with `remap`, digest with `gather`.
fn digest_job(remap: Remap, input: &[u8]) -> Job {
    Job::staged().stage("map", "remap").stage("reduce", "gather").args(&remap.args()).input(input)
}

#[test]
fn no_arrangement_changes_a_byte() {
    let remaps = (0..5usize, 1..4u64, 0..100usize);
    let remaps = remaps.prop_map(|(keep, repeat, pad)| Remap { keep, repeat, pad, ..Remap::default() });
    let values = (0..5000usize, proptest::num::u64::ANY, remaps, Arrangement::any(), 1..12usize);
    property(40, &values, |(records, seed, remap, arrangement, reducers)| {
        let input = Random::new(seed).bytes(records * 13);
        let expected = digested(&fixed_records(&input, 13, 5), remap, reducers);
        let args =
            format!("--input-format fixed:13:5 --reducers {reducers} {}", arrangement.args(input.len()));
        digest_job(remap, &input).args(&args).check(&expected);
    });
}

#[test]
fn records_of_every_length_pass() {
    let lengths = [0, 1, 2, 7, 8, 9, 15, 16, 17, 255, 256, 65_535, 65_536, 262_144, 1_000_000, MIB - 32];
    let mut random = Random::new(7);
    let mut text = Vec::new();
    for length in lengths.iter().chain(lengths.iter().rev()) {
        text.extend(random.bytes(*length).iter().map(|byte| byte.max(&b' ')));
        text.push(b'\n');
    }
    let records = line_records(&text);
    let long_values = Remap { keep: 7, ..Remap::default() };
    let long_keys = Remap { from_value: true, ..Remap::default() };
    for remap in [long_values, long_keys] {
        let job = digest_job(remap, &text).args("--reducers 3 --split-size 1M --workers 2 --memory 64M");
        job.check(&digested(&records, remap, 3));
    }
}

#[test]
fn the_longest_records_pass() {
    let mut text = Vec::new();
    for letter in b"abcd" {
        text.extend(std::iter::repeat_n(*letter, 16 * MIB - 8));
        text.push(b'\n');
    }
    let remap = Remap { keep: 3, ..Remap::default() };
    let args = "--max-record 16M --workers 1 --memory 256M --guest-memory 100M --split-size 20M";
    digest_job(remap, &text).args(args).check(&digested(&line_records(&text), remap, 1));
}

#[test]
fn a_group_may_be_larger_than_the_budget() {
    // One key with 100 MiB of values.
    let input: Vec<u8> = (0..100u64).flat_map(u64::to_be_bytes).collect();
    let remap = Remap { keep: 0, repeat: 1024, pad: 1024, ..Remap::default() };
    let job = digest_job(remap, &input)
        .args("--input-format fixed:8:0 --split-size 200 --reducers 2 --workers 2 --memory 64M");
    let done = job.check(&digested(&fixed_records(&input, 8, 0), remap, 2));
    assert!(done.number("shuffle_bytes") >= 100 * MIB as u64);
    assert!(done.number("spill_files") > 0);
    assert_eq!(done.number("reduce_groups"), 1);
}

#[test]
fn many_runs_are_merged_in_passes() {
    let input = Random::new(3).bytes(16 * 1500);
    let remap = Remap { keep: 3, repeat: 400, pad: 200, ..Remap::default() };
    let job = digest_job(remap, &input)
        .args("--input-format fixed:16:8 --split-size 400 --reducers 1 --workers 1 --memory 27M");
    let fan_in = job.fan_in();
    let done = job.check(&digested(&fixed_records(&input, 16, 8), remap, 1));
    assert!(done.number("spill_files") > fan_in, "{} runs, {fan_in} at once", done.number("spill_files"));
}

#[test]
fn small_records_spill_too() {
    // 400,000 records of next to nothing: here the budget goes to what a record costs beside its bytes.
    let input = Random::new(4).bytes(2 * 2000);
    let remap = Remap { keep: 2, repeat: 200, ..Remap::default() };
    let job = digest_job(remap, &input)
        .args("--input-format fixed:2:2 --split-size 1000 --reducers 3 --workers 2 --memory 54M");
    let done = job.check(&digested(&fixed_records(&input, 2, 2), remap, 3));
    assert!(done.number("spill_files") > 0);
}

#[test]
fn one_reducer_or_a_thousand() {
    let input = Random::new(5).bytes(20 * 5000);
    let records = fixed_records(&input, 20, 2);
    for reducers in [1, 2, 63, 1000] {
        let args = format!("--input-format fixed:20:2 --reducers {reducers} --split-size 30000 --memory 64M");
        let job = digest_job(Remap::default(), &input).args(&args).args("--workers 2");
        job.check(&digested(&records, Remap::default(), reducers));
    }
}

#[test]
fn values_are_combined_before_they_are_shuffled() {
    // Few keys are combined in memory; with many, those runs are that go to disk.
    for (keys, records, shuffled_max) in [(50, 200_000, 10_000), (150_000, 400_000, 390_000)] {
        let mut random = Random::new(keys);
        let record = |_| [&random.below(keys).to_be_bytes()[4..], &[0; 4], &[1, 2, 3, 4]].concat();
        let input: Vec<u8> = (0..records).flat_map(record).collect();
        let shuffled = naive::shuffle(fixed_records(&input, 12, 4), 3, naive::by_hash);
        let expected: Vec<Vec<u8>> =
            shuffled.iter().map(|records| naive::text(&naive::reduce(records, naive::sum))).collect();
        let job = Job::staged().stage("combine", "sum").stage("reduce", "gather").input(&input);
        let args = "--input-format fixed:12:4 --reducers 3 --split-size 3M --workers 1 --memory 27M";
        let done = job.args("-p how=sum").args(args).check(&expected);
        assert!(done.number("shuffle_records") < shuffled_max, "{}", done.report);
        assert!(done.number("combine_input_records") > done.number("combine_output_records"));
    }
}

#[test]
fn no_budget_changes_a_byte() {
    let remaps = (0..9usize, 100..300u64, 0..100usize);
    let remaps = remaps.prop_map(|(keep, repeat, pad)| Remap { keep, repeat, pad, ..Remap::default() });
    let values = (500..1500usize, proptest::num::u64::ANY, remaps, Arrangement::any(), 1..5usize);
    property(10, &values, |(records, seed, remap, arrangement, reducers)| {
        let input = Random::new(seed).bytes(records * 11);
        let expected = digested(&fixed_records(&input, 11, 9), remap, reducers);
        let shape = format!("--input-format fixed:11:9 --reducers {reducers}");
        let job = || digest_job(remap, &input).args(&shape);
        let roomy = job().args("--memory 1G").check(&expected);
        assert_eq!(roomy.number("spill_files"), 0);
        let tight = job().args(&arrangement.tight_args(input.len())).check(&expected);
        assert_eq!(tight.number("shuffle_bytes"), roomy.number("shuffle_bytes"));
    });
}
