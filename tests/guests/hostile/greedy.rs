//! Attacks on what there is only so much of: time, stack, memory, handles, log, counters, output.

use std::hint::black_box;
use std::time::Duration;

use crate::bindings::mr::engine::logging::{Level, log};
use crate::bindings::mr::engine::types::{Batch, Column, Error};
use crate::bindings::mr::engine::{config, counters, group_values, output};
use crate::bindings::wasi::random::random;
use crate::packed::{Packed, even, numbers};

/// Bytes in MiB.
const MIB: u32 = 1 << 20;
/// Rows of a batch without bytes: as many as the engine takes at once.
const EMPTY_ROWS: u32 = 4 << 20;
/// Bytes of a batch of output: little enough for guests that may have little memory.
const OUTPUT_BYTES: u32 = 4 * MIB;

/// Does what `attack` says; false where it is none of these.
pub fn attack(attack: &str) -> Result<bool, Error> {
    match attack {
        "spin" => spin(),
        "spin-asking" => loop {
            black_box(config::get("attack"));
        },
        "spin-emitting" => loop {
            output::emit(0, &Packed::default().into_batch());
        },
        "spin-counting" => loop {
            counters::add(&[("spins".to_owned(), 1)]);
        },
        "spin-fetching" => while group_values::next().is_some() || black_box(true) {},
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "recurse" => log(Level::Info, &recurse(1).to_string()),
        "allocate" => allocate(),
        "grow" => grow(),
        "handles" => (0..100_000).for_each(|_| drop_nothing()),
        "random" => drop(random::get_random_bytes(1 << 40)),
        "random-often" => loop {
            black_box(random::get_random_bytes(MIB.into()));
        },
        "counters" => (0..100_000).for_each(|i| counters::add(&[(format!("counter-{i}"), 1)])),
        "log-flood" => flood_log(),
        "log-endless" => loop {
            log(Level::Debug, "a line of a flood that has no end");
            counters::add(&[("lines".to_owned(), 1)]);
        },
        "stdout-flood" => flood_stdout(),
        "records" => loop {
            output::emit(0, &empty_records(EMPTY_ROWS));
        },
        "a-billion-records" => (0..239).for_each(|_| output::emit(0, &empty_records(EMPTY_ROWS))),
        "bytes" => loop {
            output::emit(0, &wide_records());
        },
        "bytes-apart" => (0..u64::MAX).for_each(|batch| output::emit(0, &scattered_records(batch))),
        "record-large" => output::emit(0, &one_record(2 * MIB)),
        "value-huge" => output::emit(0, &one_record(900 * MIB)),
        "batch-large" => output::emit(0, &one_record(33 * MIB)),
        "call-large" => output::emit(0, &one_record(120 * MIB)),
        "rejects" => loop {
            output::reject(0, "not wanted");
        },
        _ => return Ok(false),
    }
    Ok(true)
}

#[inline(never)]
fn spin() -> ! {
    let mut turn = 0u64;
    loop {
        turn = black_box(turn.wrapping_add(1));
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    match black_box(depth) {
        0 => 0,
        depth => recurse(depth + 1) + black_box(depth),
    }
}

/// Wants memory until there is none, as a program does that never frees.
fn allocate() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1u8; MIB as usize]));
    }
}

/// Wants pages until there are none, and then gives up.
fn grow() -> ! {
    #[cfg(target_family = "wasm")]
    while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {}
    std::process::abort()
}

#[link(wasm_import_module = "wasi:clocks/monotonic-clock@0.2.9")]
unsafe extern "C" {
    /// A handle to an alarm, as the sleep of the standard library asks for it.
    #[link_name = "subscribe-duration"]
    fn subscribe_duration(nanos: u64) -> u32;
}

/// Takes a handle and never gives it back.
fn drop_nothing() {
    // SAFETY: the function is WASI's, with its very types.
    black_box(unsafe { subscribe_duration(1) });
}

fn flood_log() {
    for line in 0..200_000 {
        log(Level::Debug, &format!("line {line} of a flood"));
    }
}

fn flood_stdout() {
    for line in 0..50_000 {
        println!("line {line} of a flood");
        eprintln!("line {line} of a flood");
    }
    print!("{}", "x".repeat(10 << 20));
    print!("{}", "no end ".repeat(1000));
}

/// Records without a byte.
pub fn empty_records(rows: u32) -> Batch {
    Batch { rows, keys: even(rows, 0, 0), values: even(rows, 0, 0) }
}

/// Records of the size that is common.
fn wide_records() -> Batch {
    let width = 1024;
    let rows = OUTPUT_BYTES / (width + 8);
    Batch { rows, keys: even(rows, width, b'k'), values: even(rows, 8, 0) }
}

/// The same with another key each, which no combiner makes fewer.
fn scattered_records(batch: u64) -> Batch {
    let mut records = wide_records();
    for (row, key) in (0u64..).zip(records.keys.data.as_chunks_mut::<1024>().0) {
        let number = (batch << 32 | row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        key[..8].copy_from_slice(&number.to_be_bytes());
    }
    records
}

fn one_record(bytes: u32) -> Batch {
    let keys = Column { width: 0, ends: numbers([bytes].into_iter()), data: vec![b'x'; bytes as usize] };
    Batch { rows: 1, keys, values: even(1, 8, 0) }
}
