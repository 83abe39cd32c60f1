//! Jobs over lines of text: sequences of words, the largest numbers.

use std::collections::BTreeMap;

use super::parts;
use crate::support::Job;
use crate::support::naive::lines;
use crate::support::random::{Arrangement, Random, Text, property};

/// White space as the SDKs have it.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

#[test]
fn sequences_of_words_are_counted() {
    let values = (Text::any(300), Arrangement::any(), 1..5usize, 1..6usize);
    property(16, &values, |(text, arrangement, reducers, n)| {
        let text = text.write();
        let mut counts = BTreeMap::<Vec<u8>, u64>::new();
        for line in lines(&text) {
            let words: Vec<&[u8]> = line.split(is_space).filter(|word| !word.is_empty()).collect();
            for sequence in words.windows(n) {
                *counts.entry(sequence.join(&b' ')).or_default() += 1;
            }
        }
        let groups = counts.into_iter().map(|(sequence, count)| {
            let line = [&sequence, format!("\t{count}\n").as_bytes()].concat();
            (sequence, line)
        });
        let args = format!("-p n={n} --reducers {reducers} {}", arrangement.args(text.len()));
        Job::new("ngrams").input(&text).args(&args).check(&parts(groups, reducers));
    });
}

#[test]
fn the_largest_numbers_are_found() {
    let values = (proptest::num::u64::ANY, 0..3000u64, 1..60usize, 1..100u64, Arrangement::any());
    property(20, &values, |(seed, rows, k, distinct, arrangement)| {
        let mut random = Random::new(seed);
        let row = |_| (random.below(distinct) as f64 / 4.0 - 5.0, format!("w{}", random.below(500)));
        let rows: Vec<(f64, String)> = (0..rows).map(row).collect();
        let mut sorted: Vec<(f64, String)> =
            rows.iter().map(|(number, word)| (*number, format!("{word}\t{number}\n"))).collect();
        let input: String = sorted.iter().map(|(_, line)| line.as_str()).collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let expected: String = sorted.iter().take(k).map(|(_, line)| line.as_str()).collect();
        let args = format!("-p k={k} --reducers 1 {}", arrangement.args(input.len()));
        Job::new("top-k").input(&input).args(&args).check_whole(expected.as_bytes());
    });
}

#[test]
fn the_largest_numbers_may_be_in_any_column() {
    let job = |args: &str| Job::new("top-k").input("1\tx\n3\ty\n2\tz\nnone\n").args(args);
    job("-p k=2 -p column=1 --max-rejects 1 --reducers 1").check_whole(b"3\ty\n2\tz\n");
    job("-p k=2 -p column=1 --reducers 1").fails(6, &["there is no number in the column"]);
    job("-p k=0").fails(6, &["k=0 is not between 1 and 100000"]);
}
