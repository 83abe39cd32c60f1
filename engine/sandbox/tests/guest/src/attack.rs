//! What a plugin must not get away with, by name. Anything else is no attack.

use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

use crate::emit_one;
use crate::mr::engine::types::{Batch, Column, Error, ErrorKind};
use crate::mr::engine::{counters, group_values, logging, output, side_input};
use crate::packed::pack;
use crate::wasi::{leak_stdout, random_bytes};

pub fn attack(mode: &str) -> Result<(), Error> {
    let fail = |kind, row| Err(Error { kind, message: format!("as told: {mode}"), row });
    match mode {
        "invalid-input" => return fail(ErrorKind::InvalidInput, Some(1)),
        "transient" => return fail(ErrorKind::Transient, None),
        "fatal" => return fail(ErrorKind::Fatal, Some(1_000_000)),
        "long-error" => {
            return Err(Error { kind: ErrorKind::Fatal, message: "\u{1b}".repeat(100_000), row: None });
        }
        "spin" => spin(),
        "spin-emitting" => loop {
            emit_one(b"k", b"v");
        },
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "allocate" => allocate(),
        "grow" => while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {},
        "recurse" => logging::log(logging::Level::Info, &recurse(1).to_string()),
        "panic" => panic!("a plain panic"),
        "panic-with-hook" => {
            std::panic::set_hook(Box::new(|panic| logging::log(logging::Level::Error, &panic.to_string())));
            panic!("a told panic");
        }
        "exit" => std::process::exit(1),
        "flood-log" => flood_log(),
        "counters" => (0..2000).for_each(|i| counters::add(&[(format!("counter-{i}"), 1)])),
        "counter-odd" => counters::add(&[("a\nb".into(), 1)]),
        "random-large" => random_bytes(2 << 20),
        // Nothing is dropped, so that every stream stays a handle.
        "handles" => (0..2000).for_each(|_| leak_stdout()),
        "counter-name" => counters::add(&[("x".repeat(1000), 1)]),
        "bad-port" => output::emit(7, &batch(0, &[], b"", &[], b"")),
        "bad-row" => output::reject(9, "no such row"),
        "next" => drop(group_values::next()),
        "side-input" => drop(side_input::read("dictionary", 0, 1)),
        "no-side-input" => assert_eq!(side_input::size("dictionary"), None),
        "read-side" => read_side(),
        "look-around" => look_around(),
        "nan" => numbers_that_are_none(),
        "odd-text" => odd_text(),
        "partition-length" => output::emit_partitioned(&batch(1, &[1], b"k", &[1], b"v"), &[0; 3]),
        "partition-range" => {
            output::emit_partitioned(&batch(1, &[1], b"k", &[1], b"v"), &pack([4].into_iter()))
        }
        _ => malformed(mode),
    }
    Ok(())
}

/// Ten digits are read as wit/engine.wit says.
fn read_side() {
    assert_eq!(side_input::size("digits"), Some(10));
    let reads: [(u64, u32, &[u8]); 6] = [
        (0, 10, b"0123456789"),
        (3, 4, b"3456"),
        (8, u32::MAX, b"89"),
        (10, 1, b""),
        (u64::MAX, u32::MAX, b""),
        (4, 0, b""),
    ];
    for (offset, len, expected) in reads {
        assert_eq!(side_input::read("digits", offset, len), expected);
    }
}

fn malformed(mode: &str) {
    let bad = match mode {
        "ends-order" => batch(2, &[2, 1], b"kk", &[1, 2], b"vv"),
        "ends-past" => batch(1, &[9], b"k", &[1], b"v"),
        "ends-length" => batch(2, &[1], b"k", &[1, 2], b"vv"),
        "values-short" => batch(2, &[1, 2], b"kk", &[1, 1], b"vv"),
        "rows-many" => batch(u32::MAX, &[], b"", &[], b""),
        "batch-large" => batch(1, &[33 << 20], &vec![0; 33 << 20], &[0], b""),
        "call-large" => batch(1, &[120 << 20], &vec![0; 120 << 20], &[0], b""),
        _ => return,
    };
    output::emit(0, &bad);
}

fn batch(rows: u32, key_ends: &[u32], keys: &[u8], value_ends: &[u32], values: &[u8]) -> Batch {
    let column = |ends: &[u32], data: &[u8]| Column {
        width: 0,
        ends: pack(ends.iter().copied()),
        data: data.to_vec(),
    };
    Batch { rows, keys: column(key_ends, keys), values: column(value_ends, values) }
}

#[inline(never)]
fn spin() {
    let mut i = 0u64;
    loop {
        i = core::hint::black_box(i + 1);
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    match core::hint::black_box(depth) {
        0 => 0,
        depth => recurse(depth + 1) + core::hint::black_box(depth),
    }
}

fn allocate() {
    let mut held = Vec::new();
    loop {
        held.push(core::hint::black_box(vec![1u8; 1 << 20]));
    }
}

fn flood_log() {
    for i in 0..100_000 {
        logging::log(logging::Level::Debug, &format!("line {i}"));
    }
    println!("{}", "x".repeat(10_000_000));
    print!("{}", "no end ".repeat(1000));
}

/// Emits the bits of results that no number stands for.
fn numbers_that_are_none() {
    let [zero, one, endless] = core::hint::black_box([0.0f64, -1.0, f64::INFINITY]);
    for nan in [zero / zero, endless - endless, one.sqrt(), -(zero / zero) * one] {
        emit_one(b"nan", format!("{:x}", nan.to_bits()).as_bytes());
    }
}

/// Passes text that is none.
fn odd_text() {
    // SAFETY: none; the host is to notice.
    let text = unsafe { String::from_utf8_unchecked([b"odd ".as_slice(), &[0xff]].concat()) };
    logging::log(logging::Level::Info, &text);
}

/// Emits whatever can be seen of the machine and of the run.
fn look_around() {
    let mut random = [0u8; 16];
    // The hash seeds of the standard library are random numbers of the host.
    for half in random.chunks_mut(8) {
        use std::hash::{BuildHasher, RandomState};
        half.copy_from_slice(&RandomState::new().hash_one(1).to_le_bytes());
    }
    let started = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let slept = started.elapsed();
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut input = String::new();
    let stdin = std::io::stdin().read_to_string(&mut input);
    let facts = [
        format!("args {:?}", std::env::args().collect::<Vec<_>>()),
        format!("env {:?}", std::env::vars().collect::<Vec<_>>()),
        format!("cwd {}", std::env::current_dir().is_ok_and(|cwd| cwd.read_dir().is_ok())),
        format!("root {}", std::fs::read_dir("/").is_ok()),
        format!("passwd {}", std::fs::read("/etc/passwd").is_ok()),
        format!("write {}", std::fs::write("/tmp/x", "x").is_ok()),
        format!("tcp {}", std::net::TcpStream::connect("127.0.0.1:80").is_ok()),
        format!("listen {}", std::net::TcpListener::bind("127.0.0.1:0").is_ok()),
        format!("udp {}", std::net::UdpSocket::bind("127.0.0.1:0").is_ok()),
        format!("stdin {:?} {input:?}", stdin.ok()),
        format!("slept {}", slept.as_secs()),
        format!("year 2000 {}", wall.as_secs() / 10_000 == 946_684_800 / 10_000),
        format!("random {random:?} {slept:?} {wall:?}"),
    ];
    facts.iter().for_each(|fact| emit_one(b"fact", fact.as_bytes()));
}
