//! What a caller sees of all formats: where a file may be cut, what its rows are, a reader of a range. Only
//! passes on to the modules of the formats.

use std::ops::Range;
use std::sync::Arc;

use mr_model::{BatchBuf, Compression, Fields, InputFormat, Row, StageTypes};

use crate::error::{FormatError, OnBad};
use crate::source::Source;
use crate::{columnar, kv};

/// How records are read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Longest record, in bytes.
    pub record_bytes_max: u64,
    /// Most decoded bytes for each compressed byte, beyond the first 64 MiB decoded: beyond it, the file is
    /// taken for one made to fill memory or disks.
    pub expansion_max: u64,
    /// Rows of [`InputFormat::Lines`] are chunks of whole lines with their newlines.
    pub chunks: bool,
    /// What rows are, where the format has fields: from [`describe`].
    pub row: Option<Row>,
    /// What keys that tell the place have ahead of the offset: the path as an element of a tuple, where keys
    /// are `tuple<text,u64>`.
    pub path_key: Option<Vec<u8>>,
    /// Key of the record of a whole file: its path.
    pub whole_key: Vec<u8>,
}

/// Reads the records of a range of a file, in order.
pub trait RecordReader: Send {
    /// Appends records until `batch` holds about `target` bytes (of keys and values, and 8 for each row), and
    /// the place of each of them to `offsets`. True while records may follow; false at the end of the range,
    /// where this call may have appended the last ones. Never true without a row in `batch`.
    ///
    /// # Errors
    /// What is wrong with the file, and what `bad` answers. The reader is of no use after that.
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        bad: OnBad<'_>,
    ) -> Result<bool, FormatError>;

    /// Bytes of the range, as it lies in the file, that were read so far: all of them at its end.
    fn bytes_read(&self) -> u64;
}

/// Opens a reader of the records of `range`. A record belongs to the range that holds its first byte; where a
/// format or a compression has units of its own (frames, blocks, row groups) to the range that holds the first
/// byte of its unit. So, ranges that tile a file give all of its records once and in order.
///
/// # Errors
/// The file cannot be read or does not begin as its format does, or its rows lack a field.
pub fn open(
    source: Arc<dyn Source>,
    format: InputFormat,
    compression: Compression,
    range: Range<u64>,
    options: ReadOptions,
) -> Result<Box<dyn RecordReader>, FormatError> {
    match format {
        InputFormat::Kv => kv::open(source, range, options),
        InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro => {
            columnar::open(source, format, range, options)
        }
        _ => {
            let _ = compression;
            Err(FormatError::bad(0, format!("files of the format {format} cannot be read yet")))
        }
    }
}

/// Where a file may be cut into ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cuts {
    /// At every byte.
    Anywhere,
    /// Nowhere, and why, as a clause for people.
    Nowhere(&'static str),
    /// Where a range may begin, ascending; no more places than there are splits.
    At(Vec<u64>),
}

/// Where `source` may be cut into ranges of about `split_bytes` bytes.
///
/// # Errors
/// The file cannot be read or does not begin as its format does.
pub fn cuts(
    source: &dyn Source,
    format: InputFormat,
    compression: Compression,
    split_bytes: u64,
) -> Result<Cuts, FormatError> {
    let _ = compression;
    match format {
        InputFormat::Kv => kv::cuts(source, split_bytes),
        InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro => {
            columnar::cuts(source, format, split_bytes)
        }
        _ => Ok(Cuts::Nowhere("it cannot be split yet")),
    }
}

/// What the rows of a file are: `asked` are the fields of the value (none: all that are not in `key`), `key`
/// those of the key. None for formats without rows.
///
/// # Errors
/// The file cannot be read, does not begin as its format does, or lacks a field.
pub fn describe(
    source: &dyn Source,
    format: InputFormat,
    compression: Compression,
    asked: Option<&Fields>,
    key: Option<&Fields>,
) -> Result<Option<Row>, FormatError> {
    let _ = compression;
    match format {
        InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro => {
            columnar::describe(source, format, asked, key).map(Some)
        }
        _ => Ok(None),
    }
}

/// Types of the records of a file of keys and values.
///
/// # Errors
/// The file cannot be read or is no such file.
pub fn kv_types(source: &dyn Source) -> Result<StageTypes, FormatError> {
    kv::types(source)
}
