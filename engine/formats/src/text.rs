//! Formats of text: lines, records of a fixed length, delimited rows, JSON lines. Each reads from a
//! [`Tape`](crate::tape::Tape), and so does not know whether its file is compressed.

mod delimited;
mod fixed;
mod header;
mod json;
mod json_lines;
mod lines;
mod marks;
mod rows;
mod sync;

pub(crate) use delimited::DelimitedReader;
pub(crate) use delimited::delimited_footprint;
pub(crate) use fixed::FixedReader;
pub(crate) use header::{describe, describe_json};
pub(crate) use json_lines::JsonReader;
pub(crate) use lines::{LinesReader, Rows};

use mr_model::BatchBuf;

/// What a row costs beside its bytes: counted so that a batch of empty cells has an end.
const ROW_BYTES: usize = 8;

/// What counts towards the size of a batch, in bytes.
#[inline]
fn filled(batch: &BatchBuf) -> usize {
    batch.bytes() + batch.rows() as usize * ROW_BYTES
}

/// Appends the key of a record that tells its place.
#[inline]
fn push_place(batch: &mut BatchBuf, prefix: &[u8], place: u64) {
    let data = batch.keys.data_mut();
    if !prefix.is_empty() {
        data.extend_from_slice(prefix);
    }
    data.extend_from_slice(&place.to_be_bytes());
    batch.keys.close_cell();
}

/// The front of a record that a failure shows.
fn sample(record: &[u8]) -> &[u8] {
    &record[..record.len().min(mr_model::limit::RECORD_SAMPLE_BYTES_MAX)]
}
