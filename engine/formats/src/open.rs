//! What a caller sees of all formats: where a file may be cut, what its rows are, a reader of a range. Only
//! passes on to the modules of the formats.

use std::ops::Range;
use std::sync::Arc;

use mr_model::{BatchBuf, Compression, Delimited, Fields, InputFormat, Row, StageTypes};

use crate::error::{FormatError, OnBad};
use crate::source::Source;
use crate::tape::{Bounds, Tape};
use crate::text::{self, DelimitedReader, FixedReader, JsonReader, LinesReader, Rows};
use crate::whole::WholeReader;
use crate::{columnar, compress, kv};

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
        _ => open_text(source, format, compression, range, options),
    }
}

/// Opens a reader of a format that may be compressed as a whole.
fn open_text(
    source: Arc<dyn Source>,
    format: InputFormat,
    compression: Compression,
    range: Range<u64>,
    options: ReadOptions,
) -> Result<Box<dyn RecordReader>, FormatError> {
    let bytes = range.end.saturating_sub(range.start);
    let whole = unsplit(format, compression).is_some();
    let nothing = range.start >= source.bytes() || bytes == 0;
    if (whole && range.start > 0) || (nothing && format != InputFormat::Whole) {
        return Ok(Box::new(Nothing(bytes)));
    }
    if let InputFormat::Delimited(delimited) = format {
        let reader = DelimitedReader::open(source, delimited, compression, range, &options)?;
        return Ok(reader.map_or_else(|| Box::new(Nothing(bytes)) as _, |reader| Box::new(reader) as _));
    }
    let bounds = Bounds {
        record: record_name(format),
        record_bytes_max: options.record_bytes_max,
        expansion_max: options.expansion_max,
    };
    let (start, skip) = first_place(format, compression, &range);
    let tape = match compression {
        Compression::None => Tape::plain(source, start, range, bounds),
        // A file of nothing is nothing, whatever its name says.
        _ if source.bytes() == 0 => Tape::plain(source, start, range, bounds),
        _ => Tape::decoded(source, compression, range, bounds)?,
    };
    let tape = if whole { tape.read_to_end() } else { tape };
    let prefix = options.path_key.unwrap_or_default();
    Ok(match (format, &options.row) {
        (InputFormat::Whole, _) => Box::new(WholeReader::new(tape, options.whole_key)),
        (InputFormat::Fixed { bytes, key }, _) => Box::new(FixedReader::new(tape, bytes, key)),
        (InputFormat::JsonLines, Some(row)) => Box::new(JsonReader::new(tape, row, prefix, skip)),
        (InputFormat::LineKeys, _) => Box::new(LinesReader::new(tape, Rows::Keys, skip)),
        (InputFormat::Lines, _) if options.chunks => {
            Box::new(LinesReader::new(tape, Rows::Chunks(prefix), skip))
        }
        _ => Box::new(LinesReader::new(tape, Rows::Values(prefix), skip)),
    })
}

/// Where reading of a range begins, and whether the first line there belongs to the range ahead. The byte ahead
/// of a plain range tells whether a line begins with its first one.
fn first_place(format: InputFormat, compression: Compression, range: &Range<u64>) -> (u64, bool) {
    match (format, compression) {
        (InputFormat::Fixed { bytes, .. }, Compression::None) => {
            (range.start.next_multiple_of(u64::from(bytes.max(1))), false)
        }
        (_, Compression::None) => (range.start.saturating_sub(1), range.start > 0),
        _ => (0, range.start > 0),
    }
}

/// Why the records of a file can be read from its beginning only, if so.
fn unsplit(format: InputFormat, compression: Compression) -> Option<&'static str> {
    match (format, compression) {
        (InputFormat::Whole, _) => Some("the whole file is one record"),
        (_, Compression::None) => None,
        (_, Compression::Gzip) => Some("gzip data are read from their beginning"),
        (InputFormat::Fixed { .. }, _) => {
            Some("records of a fixed length are found in compressed data from their beginning only")
        }
        (InputFormat::Delimited(Delimited { quote: Some(_), .. }), _) => Some(
            "rows with quotes are found in compressed data from their beginning only (quote=none splits them)",
        ),
        _ => None,
    }
}

/// What a record is called in a sentence.
fn record_name(format: InputFormat) -> &'static str {
    match format {
        InputFormat::Lines | InputFormat::LineKeys | InputFormat::JsonLines => "line",
        InputFormat::Whole => "file",
        InputFormat::Delimited(_) => "row",
        _ => "record",
    }
}

/// A range without records.
struct Nothing(u64);

impl RecordReader for Nothing {
    fn fill(
        &mut self,
        _batch: &mut BatchBuf,
        _offsets: &mut Vec<u64>,
        _target: usize,
        _bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        Ok(false)
    }

    fn bytes_read(&self) -> u64 {
        self.0
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
    match format {
        InputFormat::Kv => kv::cuts(source, split_bytes),
        InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro => {
            columnar::cuts(source, format, split_bytes)
        }
        _ if compression == Compression::None => {
            Ok(unsplit(format, compression).map_or(Cuts::Anywhere, Cuts::Nowhere))
        }
        _ => {
            let found = compress::cuts(source, compression, split_bytes)?;
            Ok(unsplit(format, compression).map_or(found, Cuts::Nowhere))
        }
    }
}

/// Bytes that a reader of text may look at behind its last record, beyond the longest record: it reads in
/// portions.
const FOOTPRINT_BEHIND: u64 = 64 * 1024;

/// What the reader of `range` may read of the file, ascending and apart: for those who have to copy it first.
///
/// # Errors
/// The file cannot be read or does not begin or end as its format does.
pub fn footprint(
    source: &dyn Source,
    format: InputFormat,
    compression: Compression,
    range: Range<u64>,
    record_bytes_max: u64,
) -> Result<Vec<Range<u64>>, FormatError> {
    let bytes = source.bytes();
    if bytes == 0 {
        return Ok(Vec::new());
    }
    let whole = || Ok(std::iter::once(0..bytes).collect());
    if compression != Compression::None {
        return whole();
    }
    // The byte ahead tells whether a line begins with the first one; the last line may end far behind.
    let behind = range.end.saturating_add(record_bytes_max).saturating_add(FOOTPRINT_BEHIND).min(bytes);
    let lines = range.start.saturating_sub(1)..behind;
    match format {
        InputFormat::Lines | InputFormat::LineKeys | InputFormat::Fixed { .. } | InputFormat::JsonLines => {
            Ok(Vec::from([lines]))
        }
        InputFormat::Delimited(delimited) => {
            crate::text::delimited_footprint(source, delimited, range, record_bytes_max)
        }
        InputFormat::Kv => kv::footprint(source, &range),
        InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro => {
            columnar::footprint(source, format, &range)
        }
        InputFormat::Whole => whole(),
    }
}

/// Memory that the reader of a file takes beside a batch and a long record, in bytes, where its writer made pages,
/// blocks and windows as writers do: for Parquet, for each of `fields` a page as it lies and decoded, and a
/// dictionary.
pub fn reading_bytes(format: InputFormat, compression: Compression, fields: usize) -> u64 {
    match (format, compression) {
        (InputFormat::Parquet, _) => COLUMN_BYTES * fields as u64,
        (InputFormat::Arrow | InputFormat::Avro, _) => BLOCK_BYTES,
        (_, Compression::None | Compression::Gzip) => 0,
        (_, Compression::Bzip2) => BZIP2_BYTES,
        (_, Compression::Zstd | Compression::Lz4) => WINDOW_BYTES,
    }
}

/// What a column of a Parquet file takes while it is read, in bytes.
const COLUMN_BYTES: u64 = 3 << 20;
/// A batch of Arrow IPC or a block of Avro, in bytes.
const BLOCK_BYTES: u64 = 16 << 20;
/// Tables of a decoder of bzip2, in bytes.
const BZIP2_BYTES: u64 = 4 << 20;
/// What zstd asks decoders for, and two of the largest blocks of LZ4, in bytes.
const WINDOW_BYTES: u64 = 8 << 20;

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
    match format {
        InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro => {
            columnar::describe(source, format, asked, key).map(Some)
        }
        InputFormat::Delimited(delimited) => {
            text::describe(source, delimited, compression, asked, key).map(Some)
        }
        InputFormat::JsonLines => text::describe_json(asked, key),
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
