//! Attacks on the interface itself: batches that do not hold what they say, numbers out of range, text that
//! is none, lengths that no memory has, calls that are not allowed here; and every way to fail.

use crate::bindings::mr::engine::logging::{Level, log};
use crate::bindings::mr::engine::types::{Batch, Column, Error, ErrorKind};
use crate::bindings::mr::engine::{config, counters, group_values, output, side_input};
use crate::packed::{column, even, numbers};

/// A length that no guest of the tests has the memory for, in bytes.
const CLAIMED_BYTES: usize = 0x7000_0000;
/// Where claimed bytes would begin.
const CLAIMED_AT: usize = 0x1000_0000;
/// What a terminal takes for orders: a title, a cleared screen, a line that looks like the engine's, a
/// direction of writing, a ring of the bell.
pub const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\rmr-engine: all is well\u{202e}\u{7f}";

/// Does what `attack` says; false where it is none of these.
pub fn attack(attack: &str) -> Result<bool, Error> {
    match attack {
        "panic" => panic(),
        "trap" => std::process::abort(),
        "exit" => std::process::exit(3),
        "invalid" => return answer(ErrorKind::InvalidInput, "it is no input".to_owned()),
        "transient" => return answer(ErrorKind::Transient, "not today".to_owned()),
        "fatal" => return answer(ErrorKind::Fatal, "it is no job".to_owned()),
        "row-far" => return blame(1_000_000),
        "error-long" => return answer(ErrorKind::Fatal, "long ".repeat(10_000_000)),
        "error-huge" => return answer(ErrorKind::Fatal, "x".repeat(1_000_000_000)),
        "error-claimed" => return answer(ErrorKind::Fatal, claimed_text()),
        "error-escapes" => return answer(ErrorKind::Fatal, ESCAPES.to_owned()),
        "error-lines" => return answer(ErrorKind::Fatal, "it ends\nmr-engine: the job is done".to_owned()),
        "error-utf8" => return answer(ErrorKind::Fatal, not_text()),
        "port" => output::emit(7, &batch(&[1], b"k", &[1], b"v")),
        "partition-far" => {
            output::emit_partitioned(&batch(&[1], b"k", &[1], b"v"), &numbers([4000].into_iter()));
        }
        "partitions-few" => output::emit_partitioned(&batch(&[1], b"k", &[1], b"v"), &[0; 3]),
        "reject-far" => output::reject(1_000_000, "no such row"),
        "reject-utf8" => output::reject(0, &not_text()),
        "next" => drop(group_values::next()),
        "side-input" => drop(side_input::read("dictionary", 0, u32::MAX)),
        "counter-name" => counters::add(&[("x".repeat(1000), 1)]),
        "counter-empty" => counters::add(&[(String::new(), 1)]),
        "counter-utf8" => counters::add(&[(not_text(), 1)]),
        "counter-escapes" => counters::add(&[(ESCAPES.to_owned(), 1)]),
        "counter-claimed" => claim_counters(),
        "config-utf8" => drop(config::get(&not_text())),
        "log-utf8" => log(Level::Info, &not_text()),
        "log-claimed" => log(Level::Info, &std::mem::ManuallyDrop::new(claimed_text())),
        "log-escapes" => {
            log(Level::Info, ESCAPES);
            println!("{ESCAPES}");
            eprintln!("{ESCAPES}");
        }
        "value-claimed" => claim_value(),
        _ => return Ok(malformed(attack)),
    }
    Ok(true)
}

fn malformed(attack: &str) -> bool {
    let bad = match attack {
        "ends-fall" => batch(&[2, 1], b"kk", &[1, 2], b"vv"),
        "ends-over" => batch(&[9], b"k", &[1], b"v"),
        "ends-short" => batch(&[1], b"kk", &[1], b"v"),
        "ends-few" => Batch { rows: 2, ..batch(&[1], b"k", &[1, 2], b"vv") },
        "ends-odd" => {
            Batch { keys: Column { ends: vec![1], ..column(&[], b"k") }, ..batch(&[1], b"k", &[1], b"v") }
        }
        "widths" => Batch { rows: 2, keys: even(3, 4, b'k'), values: even(2, 8, 0) },
        "width-huge" => {
            Batch { rows: u32::MAX, keys: Column { width: u32::MAX, ..even(0, 0, 0) }, values: even(0, 0, 0) }
        }
        "rows-differ" => Batch { rows: 1, ..batch(&[1, 2], b"kk", &[1], b"v") },
        "rows-claimed" => Batch { rows: u32::MAX, keys: even(0, 0, 0), values: even(0, 0, 0) },
        _ => return false,
    };
    output::emit(0, &bad);
    true
}

#[expect(clippy::panic, reason = "panicking is one of the things it is told to do")]
fn panic() -> ! {
    panic!("it cannot go on")
}

fn answer(kind: ErrorKind, message: String) -> Result<bool, Error> {
    Err(Error { kind, message, row: None })
}

fn blame(row: u32) -> Result<bool, Error> {
    Err(Error { kind: ErrorKind::InvalidInput, message: "it was this one".to_owned(), row: Some(row) })
}

// The very imports that the bindings call, which no claim can be made through.
#[link(wasm_import_module = "mr:engine/counters@0.1.0")]
unsafe extern "C" {
    #[link_name = "add"]
    fn raw_add(deltas: usize, count: usize);
}

/// Where a list begins, and its length in bytes.
type Raw = (usize, usize);

#[link(wasm_import_module = "mr:engine/output@0.1.0")]
unsafe extern "C" {
    #[link_name = "emit"]
    fn raw_emit(
        port: u32,
        rows: u32,
        key_width: u32,
        key_ends: usize,
        key_ends_bytes: usize,
        keys: usize,
        keys_bytes: usize,
        value_width: u32,
        value_ends: usize,
        value_ends_bytes: usize,
        values: usize,
        values_bytes: usize,
    );
}

/// Counters that would fill more than all memory there can be.
fn claim_counters() {
    // SAFETY: none. The host must notice.
    unsafe { raw_add(CLAIMED_AT, 0x1fff_ffff) }
}

/// A record of 5 GB: its key and its value are each as long as a length can be.
fn claim_value() {
    let end = 2_684_354_559u32.to_le_bytes();
    let (ends, data): (Raw, Raw) = ((end.as_ptr() as usize, 4), (CLAIMED_AT, 2_684_354_559));
    // SAFETY: none. The host must notice.
    unsafe { raw_emit(0, 1, 0, ends.0, ends.1, data.0, data.1, 0, ends.0, ends.1, data.0, data.1) }
}

fn batch(key_ends: &[u32], keys: &[u8], value_ends: &[u32], values: &[u8]) -> Batch {
    let rows = u32::try_from(key_ends.len()).unwrap_or(u32::MAX);
    Batch { rows, keys: column(key_ends, keys), values: column(value_ends, values) }
}

/// Bytes that are not UTF-8, as a string.
pub fn not_text() -> String {
    // SAFETY: none. The host must notice; nothing here looks into it.
    unsafe { String::from_utf8_unchecked(b"not \xff\xfe text".to_vec()) }
}

/// Almost 2 GiB that are not there.
pub fn claimed_bytes() -> Vec<u8> {
    // SAFETY: none. The host must notice; nothing here looks into it.
    unsafe { Vec::from_raw_parts(CLAIMED_AT as *mut u8, CLAIMED_BYTES, CLAIMED_BYTES) }
}

/// The same as text.
pub fn claimed_text() -> String {
    // SAFETY: none, as above.
    unsafe { String::from_utf8_unchecked(claimed_bytes()) }
}
