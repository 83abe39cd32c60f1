//! The hostile guest, the text that it works on, and what comes of the text where the guest does no harm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::process::plugin;

/// What the guest's component holds before its orders.
const MARK: &[u8] = b"mr-hostile-orders:";
/// Bytes of its orders.
const ORDERS_BYTES: usize = 63;
/// Bytes of the interface's version where exports are named, and another one of the same length.
const VERSIONS: [&[u8]; 2] = [b"@0.1.0", b"@0.7.0"];

/// The guest without orders.
pub fn hostile() -> PathBuf {
    plugin("hostile")
}

/// The component of the guest with orders written into it: those of `describe`, which has no parameters.
pub fn ordered(attack: &str, place: &str) -> Vec<u8> {
    let mut bytes = fs::read(hostile()).unwrap();
    let at = find(&bytes, MARK) + MARK.len();
    let orders = format!("{attack}@{place}");
    assert!(orders.len() <= ORDERS_BYTES, "{orders}");
    bytes[at..at + ORDERS_BYTES].fill(0);
    bytes[at..at + orders.len()].copy_from_slice(orders.as_bytes());
    bytes
}

/// The guest as if it were built for another version of the interface.
pub fn of_another_version() -> Vec<u8> {
    let mut bytes = fs::read(hostile()).unwrap();
    let name = b"mr:engine/";
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(name.len()).position(|window| window == name) {
        from += at + name.len();
        let end = bytes[from..].iter().position(|byte| *byte == b'@').map_or(from, |end| from + end);
        if bytes[end..].starts_with(VERSIONS[0]) {
            bytes[end..end + VERSIONS[1].len()].copy_from_slice(VERSIONS[1]);
        }
    }
    bytes
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("the guest takes orders")
}

/// Some lines of words, which repeat often enough to be combined.
pub fn text() -> String {
    "first line\n".to_owned() + &"boom boom\n".repeat(50) + "the last\n"
}

/// The lines that counting the words of a text yields, sorted.
pub fn counted(text: &str) -> Vec<String> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for word in text.split_ascii_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    counts.iter().map(|(word, count)| format!("{word}\t{count}")).collect()
}

/// All lines of the parts of an output, sorted.
pub fn lines_of(output: &Path) -> Vec<String> {
    let parts = fs::read_dir(output).unwrap().map(|entry| entry.unwrap().path());
    let parts =
        parts.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")));
    let mut lines: Vec<String> = parts
        .flat_map(|part| fs::read_to_string(part).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines
}
