//! Attacks on the interface itself: batches that do not hold what they say, numbers out of range, text that
//! is none, lengths that no memory has, calls that are not allowed here; and every way to fail.

use crate::bindings::mr::engine::logging::{Level, log};
use crate::bindings::mr::engine::types::{Batch, Column, Error, ErrorKind};
use crate::bindings::mr::engine::{config, counters, group_values, output, side_input};
use crate::packed::{column, even, numbers};

/// A length that no guest's memory has, in bytes: with its address it is past the end of all 4 GiB.
const CLAIMED_BYTES: usize = 0xf000_0000;
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
        "value-claimed" => {
            let keys = Column { width: 0, ends: numbers([u32::MAX].into_iter()), data: claimed_bytes() };
            let lie = std::mem::ManuallyDrop::new(Batch { rows: 1, keys, values: even(1, 8, 0) });
            output::emit(0, &lie);
            return true;
        }
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

fn claim_counters() {
    let bytes = std::mem::ManuallyDrop::new(claimed_bytes());
    let pairs = bytes.len() / size_of::<(String, i64)>();
    // SAFETY: none. The host must notice.
    counters::add(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), pairs) });
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

/// Almost 4 GiB that are not there.
pub fn claimed_bytes() -> Vec<u8> {
    // SAFETY: none. The host must notice; nothing here looks into it.
    unsafe { Vec::from_raw_parts(CLAIMED_AT as *mut u8, CLAIMED_BYTES, CLAIMED_BYTES) }
}

/// The same as text.
pub fn claimed_text() -> String {
    // SAFETY: none, as above.
    unsafe { String::from_utf8_unchecked(claimed_bytes()) }
}
