//! How a job is run and judged: [`process`] (the binary), [`job`] (a job in a folder of its own),
//! [`naive`] (what the result must be), [`random`] (what it is made from), [`disk`] (small ones), [`bomb`]
//! (plugins that take long to compile),
//! [`cluster`] (clusters of processes).

pub mod bomb;
pub mod cluster;
pub mod disk;
pub mod job;
pub mod naive;
pub mod process;
pub mod random;

pub use job::{Done, Job};

/// Bytes in MiB.
pub const MIB: usize = 1 << 20;

/// Fails with the first difference rather than with megabytes.
#[track_caller]
pub fn assert_same_bytes(what: &str, got: &[u8], expected: &[u8]) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).take_while(|(got, expected)| got == expected).count();
    let around = |bytes: &[u8]| {
        let from = at.saturating_sub(40).min(bytes.len());
        bytes[from..bytes.len().min(at + 40)].escape_ascii().to_string()
    };
    panic!(
        "{what}: {} bytes and {} expected; they differ at byte {at}:\n     got {}\nexpected {}",
        got.len(),
        expected.len(),
        around(got),
        around(expected)
    );
}
