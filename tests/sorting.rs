//! Total order: parts one after the other are the sorted input, whatever the keys look like.

use proptest::strategy::Strategy;

use crate::support::naive::{fixed_records, raw};
use crate::support::random::{Arrangement, Random, property};
use crate::support::{Done, Job, MIB};

/// Sorts records of 100 bytes by their first 10.
#[track_caller]
fn sort(input: &[u8], args: &str) -> Done {
    let mut records = fixed_records(input, 100, 10);
    records.sort_by(|a, b| a.0.cmp(&b.0));
    Job::new("sort").input(input).args("--input-format fixed:100:10").args(args).check_whole(&raw(&records))
}

/// Records whose keys have `distinct` values, at most, in the order of `shape`.
fn records(count: usize, distinct: u64, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..count)
        .flat_map(|number| {
            let key = Random::new(random.below(distinct)).bytes(10);
            [key, format!("{number:090}").into_bytes()].concat()
        })
        .collect()
}

#[test]
fn fixed_records_come_out_in_total_order() {
    let shapes = (0..3000usize, (0..4u32).prop_map(|digits| 10u64.pow(digits * 2)), proptest::num::u64::ANY);
    property(
        24,
        &(shapes, Arrangement::any(), 1..9u32),
        |((count, distinct, seed), arrangement, reducers)| {
            let input = records(count, distinct, seed);
            let done = sort(&input, &format!("--reducers {reducers} {}", arrangement.args(input.len())));
            assert_eq!(done.parts.len(), reducers as usize);
        },
    );
}

#[test]
fn ranges_are_about_even() {
    let input = records(100_000, u64::MAX, 1);
    let done = sort(&input, "--reducers 8 --split-size 1M --workers 2 --memory 64M");
    for (name, part) in &done.parts {
        let share = part.len() as f64 / input.len() as f64;
        assert!((0.06..0.19).contains(&share), "{name} has {share} of the input and should have an eighth");
    }
}

#[test]
fn equal_keys_keep_their_order_and_go_to_one_part() {
    let done = sort(&records(20_000, 1, 2), "--reducers 4 --split-size 100K --workers 2 --memory 64M");
    assert_eq!(done.parts.iter().filter(|(_, part)| !part.is_empty()).count(), 1);
}

#[test]
fn half_of_the_records_may_have_one_key() {
    let mut input = records(10_000, u64::MAX, 3);
    input.extend(records(10_000, 1, 4));
    sort(&input, "--reducers 5 --split-size 100K --workers 2 --memory 64M");
}

#[test]
fn a_sort_larger_than_the_budget_spills_and_merges_in_passes() {
    let input = records(MIB, u64::MAX, 5);
    let args = "--reducers 2 --split-size 3M --workers 1 --memory 15M";
    let done = sort(&input, args);
    let fan_in = Job::new("sort").input("").args(args).fan_in();
    assert!(done.number("spill_files") > fan_in, "{} runs, {fan_in} at once", done.number("spill_files"));
}

#[test]
fn sorted_and_reversed_inputs_are_sorted() {
    let mut records: Vec<_> = fixed_records(&records(20_000, u64::MAX, 6), 100, 10);
    records.sort();
    let args = "--reducers 4 --split-size 100K --workers 2 --memory 64M";
    let even = |done: Done| done.parts.iter().all(|(_, part)| part.len() > 200_000);
    assert!(even(sort(&raw(&records), args)));
    records.reverse();
    assert!(even(sort(&raw(&records), args)));
}
