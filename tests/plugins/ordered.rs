//! Jobs that group by less than they sort by: values in order, ranks, sessions.

use std::collections::BTreeMap;

use super::parts;
use crate::support::Job;
use crate::support::random::{Arrangement, Random, property};

/// Lines of a few keys, of which one is in half of the lines, with a number and a word.
fn rows(seed: u64, rows: u64, keys: u64, numbers: u64) -> Vec<(String, i64, String)> {
    let mut random = Random::new(seed);
    let row = |_| {
        let key = if random.below(2) == 0 { 0 } else { random.below(keys) };
        let number = i64::try_from(random.below(numbers)).unwrap() - i64::try_from(numbers / 2).unwrap();
        // Keys that begin as others do.
        ("k".repeat(usize::try_from(key + 1).unwrap()), number, format!("w{}", random.below(100)))
    };
    (0..rows).map(row).collect()
}

fn text(rows: &[(String, i64, String)]) -> String {
    rows.iter().map(|(key, number, word)| format!("{key}\t{number}\t{word}\n")).collect()
}

/// The cell that a key is shuffled by: a tuple of it alone.
fn cell(key: &str) -> Vec<u8> {
    [key.as_bytes(), &[0, 0]].concat()
}

#[test]
fn lines_of_a_key_are_numbered_in_order() {
    let measures = (proptest::num::u64::ANY, 0..3000u64, 1..30u64, 1..500u64);
    property(
        16,
        &(measures, Arrangement::any(), 1..5usize),
        |((seed, count, keys, numbers), arrangement, reducers)| {
            let rows = rows(seed, count, keys, numbers);
            let mut groups = BTreeMap::<&str, Vec<(i64, &str)>>::new();
            for (key, number, word) in &rows {
                groups.entry(key).or_default().push((*number, word));
            }
            let groups = groups.into_iter().map(|(key, mut lines)| {
                lines.sort_by_key(|(number, _)| *number);
                let line = |(rank, (number, word)): (usize, &(i64, &str))| {
                    format!("{key}\t{}\t{number}\t{word}\n", rank + 1)
                };
                (cell(key), lines.iter().enumerate().map(line).collect::<String>().into_bytes())
            });
            let input = text(&rows);
            let args = format!("--reducers {reducers} {}", arrangement.args(input.len()));
            Job::new("secondary-sort").input(&input).args(&args).check(&parts(groups, reducers));
        },
    );
}

#[test]
fn silence_ends_sessions() {
    let measures = (proptest::num::u64::ANY, 0..3000u64, 1..30u64, 1..100u64);
    property(
        16,
        &(measures, Arrangement::any(), 1..5usize),
        |((seed, count, keys, gap), arrangement, reducers)| {
            let rows = rows(seed, count, keys, 20_000);
            let mut groups = BTreeMap::<&str, Vec<i64>>::new();
            for (key, time, _) in &rows {
                groups.entry(key).or_default().push(*time);
            }
            let groups = groups.into_iter().map(|(user, mut times)| {
                times.sort_unstable();
                let sessions = times.chunk_by(|before, time| time.abs_diff(*before) <= gap);
                let line = |session: &[i64]| {
                    format!("{user}\t{}\t{}\t{}\n", session[0], session[session.len() - 1], session.len())
                };
                (cell(user), sessions.map(line).collect::<String>().into_bytes())
            });
            let input = text(&rows);
            let args = format!("-p gap={gap} --reducers {reducers} {}", arrangement.args(input.len()));
            Job::new("sessions").input(&input).args(&args).check(&parts(groups, reducers));
        },
    );
}
