//! What a plugin is working on at the moment, so that an error, a reject and above all a panic
//! name their record.
//!
//! Setting it costs a few stores for each record. It points at bytes of the batch in hand:
//! [`Scope`] forgets them before the batch goes away, also when a panic unwinds.

use std::cell::Cell;
use std::fmt::Write;

/// Bytes of a key or value that are shown.
const SAMPLE_BYTES_MAX: usize = 256;

/// The kind of work, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing of a batch.
    Nothing,
    /// Mapping a line, the sample's key.
    Line {
        row: u32,
        offset: u64,
    },
    /// Mapping a chunk of lines, too big to be shown.
    Chunk {
        row: u32,
        offset: u64,
    },
    /// Mapping a record: its key and value.
    Record {
        row: u32,
    },
    /// Combining or reducing a group: its key.
    Group {
        row: u32,
        combining: bool,
    },
    Partitioning {
        row: u32,
    },
}

/// Bytes that are alive until the scope ends.
#[derive(Clone, Copy)]
struct Sample {
    start: *const u8,
    len: usize,
}

impl Sample {
    const EMPTY: Self = Self { start: std::ptr::null(), len: 0 };
}

thread_local! {
    static CURRENT: Cell<(Doing, Sample, Sample)> =
        const { Cell::new((Doing::Nothing, Sample::EMPTY, Sample::EMPTY)) };
}

/// While it lives, the bytes given to [`set`] may be looked at: it must not outlive the batch.
pub(crate) struct Scope;

impl Scope {
    pub(crate) fn enter() -> Self {
        CURRENT.set((Doing::Nothing, Sample::EMPTY, Sample::EMPTY));
        Self
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // In the sandbox a panic does not unwind, and its hook has told the record.
        if std::thread::panicking() {
            eprintln!("{}", describe());
        }
        CURRENT.set((Doing::Nothing, Sample::EMPTY, Sample::EMPTY));
    }
}

/// Notes what is done next. Outside of a [`Scope`] nothing is kept by anyone.
#[inline]
pub(crate) fn set(doing: Doing, key: &[u8], value: &[u8]) {
    let key = Sample { start: key.as_ptr(), len: key.len() };
    let value = Sample { start: value.as_ptr(), len: value.len() };
    CURRENT.set((doing, key, value));
}

/// Row or group of the batch in hand.
pub(crate) fn row() -> Option<u32> {
    match CURRENT.get().0 {
        Doing::Nothing => None,
        Doing::Line { row, .. }
        | Doing::Chunk { row, .. }
        | Doing::Record { row }
        | Doing::Group { row, .. }
        | Doing::Partitioning { row } => Some(row),
    }
}

/// What is being done, for people: `while mapping the line at byte 17: "..."`. Empty if nothing.
pub(crate) fn describe() -> String {
    let (doing, key, value) = CURRENT.get();
    // SAFETY: the samples are slices of the batch in hand, set within the scope of the exported
    // call that owns the batch; the scope's end has replaced them with nothing.
    let (key, value) = unsafe { (bytes_of(&key), bytes_of(&value)) };
    match doing {
        Doing::Nothing => String::new(),
        Doing::Line { offset, .. } => {
            format!("while mapping the line at byte {offset}: {}", sample(key))
        }
        Doing::Chunk { offset, .. } => {
            format!("while mapping the {} bytes at byte {offset}", key.len())
        }
        Doing::Record { row } => {
            format!("while mapping record {row} of a batch: key {}, value {}", sample(key), sample(value))
        }
        Doing::Group { combining, .. } => {
            let verb = if combining { "combining" } else { "reducing" };
            format!("while {verb} the group with key {}", sample(key))
        }
        Doing::Partitioning { .. } => format!("while partitioning the key {}", sample(key)),
    }
}

/// # Safety
/// The bytes must be alive and not written to.
unsafe fn bytes_of(sample: &Sample) -> &[u8] {
    if sample.len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(sample.start, sample.len) }
}

/// Escaped, in quotes, cut.
fn sample(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SAMPLE_BYTES_MAX)];
    let mut text = format!("\"{}\"", shown.escape_ascii());
    if shown.len() < bytes.len() {
        let _ = write!(text, "... ({} bytes)", bytes.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_in_hand_is_described_and_forgotten() {
        let scope = Scope::enter();
        set(Doing::Line { row: 2, offset: 17 }, b"a\xff\n", &[]);
        assert_eq!(row(), Some(2));
        assert_eq!(describe(), r#"while mapping the line at byte 17: "a\xff\n""#);
        set(Doing::Group { row: 0, combining: false }, &[b'k'; 300], &[]);
        assert_eq!(
            describe(),
            format!("while reducing the group with key \"{}\"... (300 bytes)", "k".repeat(256))
        );
        drop(scope);
        assert_eq!((row(), describe().as_str()), (None, ""));
    }
}
