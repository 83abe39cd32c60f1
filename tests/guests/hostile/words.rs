//! The honest part: counts the words of lines, each role in the plainest way. Dishonest where the orders say
//! so: then it keeps to the letter of the interface, and lies.

use std::cell::Cell;

use crate::bindings::exports::mr::engine::plugin::Info;
use crate::bindings::mr::engine::types::{Batch, Column, GroupedBatch, TaskContext};
use crate::bindings::mr::engine::{counters, group_values, output};
use crate::orders::{due, is_due};
use crate::packed::{Packed, cells, numbers};
use crate::rude::{ESCAPES, claimed_bytes, claimed_text, not_text};

/// What it was told of its task.
#[derive(Clone, Copy)]
struct Task {
    number: u32,
    attempt: u32,
    partitions: u32,
}

thread_local! {
    static TASK: Cell<Task> = const { Cell::new(Task { number: 0, attempt: 0, partitions: 0 }) };
    /// Keys that were placed.
    static PLACED: Cell<u32> = const { Cell::new(0) };
}

/// Keeps what is needed of the context.
pub fn remember(context: &TaskContext) {
    let &TaskContext { task: number, attempt, partitions, .. } = context;
    TASK.set(Task { number, attempt, partitions });
}

/// Emits each word with a 1.
pub fn map(input: &Batch) {
    let mut out = Packed::default();
    for line in cells(&input.values, input.rows) {
        for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            out.push(word, &1u64.to_be_bytes());
        }
    }
    let task = TASK.get();
    match due("map").as_str() {
        "tells-attempt" => out.push(format!("attempt-{}", task.attempt).as_bytes(), &1u64.to_be_bytes()),
        "counters-of-its-own" => {
            (0..600).for_each(|i| counters::add(&[(format!("counter-{}-{i}", task.number), 1)]));
        }
        _ => {}
    }
    output::emit(0, &out.into_batch());
}

/// Emits the sum of each group.
pub fn combine(input: &GroupedBatch) {
    let mut sums = sums(input);
    match due("combine").as_str() {
        "other-key" => sums.iter_mut().for_each(|(key, _)| key.push(b'?')),
        "order" => sums.reverse(),
        "invents" => {
            let more: Vec<_> = (0..1000).map(|_| sums[0].clone()).collect();
            sums.splice(0..1, more);
        }
        "floods" => {
            let more: Vec<_> = (0..1_000_000).map(|_| sums[0].clone()).collect();
            sums.splice(0..1, more);
        }
        _ => {}
    }
    emit(&sums);
}

/// Emits the sum of each group.
pub fn reduce(input: &GroupedBatch) {
    let sums = sums(input);
    if is_due("reduce", "not-its-type") {
        let mut out = Packed::default();
        sums.iter().for_each(|(key, _)| out.push(key, b"many"));
        return output::emit(0, &out.into_batch());
    }
    emit(&sums);
}

fn emit(sums: &[(Vec<u8>, u64)]) {
    let mut out = Packed::default();
    sums.iter().for_each(|(key, sum)| out.push(key, &sum.to_be_bytes()));
    output::emit(0, &out.into_batch());
}

fn sums(input: &GroupedBatch) -> Vec<(Vec<u8>, u64)> {
    let mut values = cells(&input.values, input.rows);
    let ends = input.ends.as_chunks::<4>().0.iter().map(|end| u32::from_le_bytes(*end));
    let mut start = 0;
    let mut sums = Vec::new();
    for (key, end) in cells(&input.keys, input.groups).zip(ends) {
        let sum = values.by_ref().take((end - start) as usize).map(number).fold(0, u64::wrapping_add);
        sums.push((key.to_vec(), sum));
        start = end;
    }
    if input.more
        && let Some((_, sum)) = sums.last_mut()
    {
        while let Some(more) = group_values::next() {
            *sum = cells(&more.cells, more.rows).map(number).fold(*sum, u64::wrapping_add);
        }
    }
    sums
}

/// A value; one that is no number counts as 0.
fn number(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_be_bytes)
}

/// Places keys by their first byte.
pub fn partition(rows: u32, keys: &Column) -> Vec<u8> {
    let partitions = TASK.get().partitions.max(1);
    let honest = cells(keys, rows).map(|key| u32::from(key.first().copied().unwrap_or(0)) % partitions);
    match due("partition").as_str() {
        "few" => numbers(honest.skip(1)),
        "many" => numbers(honest.chain([0])),
        "far" => numbers(honest.map(|place| place + 1000)),
        "claimed" => claimed_bytes(),
        "fickle" => numbers(honest.map(|_| {
            PLACED.set(PLACED.get().wrapping_add(1));
            PLACED.get() % partitions
        })),
        _ => numbers(honest),
    }
}

/// What it says of itself.
pub fn describe() -> Info {
    let attributes = [
        ("map.key", "text"),
        ("map.value", "u64"),
        ("combine.key", "text"),
        ("combine.value", "u64"),
        ("reduce.in.key", "text"),
        ("reduce.in.value", "u64"),
        ("reduce.key", "text"),
        ("reduce.value", "u64"),
        ("partition.key", "text"),
        ("param.attack.help", "what to do"),
        ("param.at.help", "where to do it"),
    ];
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut info = Info {
        name: "hostile".to_owned(),
        version: "0.1.0".to_owned(),
        sdk: "none".to_owned(),
        attributes: attributes.into_iter().map(pair).collect(),
    };
    match due("describe").as_str() {
        "text-utf8" => info.name = not_text(),
        "text-claimed" => info.sdk = claimed_text(),
        "text-escapes" => info.version = ESCAPES.to_owned(),
        "text-long" => info.version = "long ".repeat(100_000),
        "facts-bad" => info.attributes.push(pair(("map.key", "int"))),
        "facts-many" => info.attributes.extend((0..100_000).map(|i| (format!("fact-{i}"), String::new()))),
        "params-many" => {
            info.attributes.extend((0..400).map(|i| (format!("param.p{i}.help"), "x".repeat(4000))))
        }
        _ => {}
    }
    info
}
