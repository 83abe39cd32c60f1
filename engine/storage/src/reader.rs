//! Reads a split into batches, whatever its format: what map tasks see of input. Two readers do the work:
//! one for plain text and fixed-length records, one for all other formats and for what is compressed.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mr_model::{BatchBuf, Failure, InputSpec, Place};

use crate::formatted::FormattedReader;
use crate::plain::PlainReader;
use crate::split::Split;

/// What a row costs beside its bytes: counted so that a batch of empty cells has an end.
pub(crate) const ROW_BYTES: usize = 8;

/// How a split is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderOptions {
    /// The input that the split is of.
    pub input: InputSpec,
    /// Longest line or record, in bytes.
    pub record_bytes_max: u64,
    /// Records that may be left out for what is wrong with them; the first beyond it is a failure.
    pub bad_max: u64,
    /// Size that batches aim for, in bytes.
    pub batch_bytes: u32,
}

/// A record that its format or the fields of its input do not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInput {
    /// Where it begins.
    pub place: Place,
    /// What is wrong with it: a clause.
    pub reason: String,
    /// Its beginning.
    pub sample: Vec<u8>,
}

/// Reads the records of one split, in order.
#[derive(Debug)]
pub struct SplitReader(Reader);

#[derive(Debug)]
enum Reader {
    Plain(PlainReader),
    Formatted(FormattedReader),
}

impl SplitReader {
    /// A reader at the start of `split`. Files are opened as reading reaches them.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the split is not one that `plan_splits` makes for this format.
    pub fn open(split: &Split, options: ReaderOptions) -> Result<Self, Failure> {
        Ok(Self(if PlainReader::reads(split, &options) {
            Reader::Plain(PlainReader::open(split, options)?)
        } else {
            Reader::Formatted(FormattedReader::open(split, options)?)
        }))
    }

    /// Replaces the contents of `batch` with the next records, about as many bytes as a batch should
    /// have. False at the end of the split, else there is at least one record.
    ///
    /// # Errors
    /// A file that is gone or not what was planned, and a line or record over the limit. The reader
    /// is of no use after that.
    pub fn next_batch(&mut self, batch: &mut BatchBuf) -> Result<bool, Failure> {
        match &mut self.0 {
            Reader::Plain(reader) => reader.next_batch(batch),
            Reader::Formatted(reader) => reader.next_batch(batch),
        }
    }

    /// Records that were left out since the last call, for what is wrong with them.
    pub fn take_bad(&mut self) -> Vec<BadInput> {
        match &mut self.0 {
            Reader::Plain(_) => Vec::new(),
            Reader::Formatted(reader) => reader.take_bad(),
        }
    }

    /// Where row `row` of the last batch begins in the input; none for a row that it does not have.
    pub fn place(&self, row: u32) -> Option<Place> {
        match &self.0 {
            Reader::Plain(reader) => reader.place(row),
            Reader::Formatted(reader) => reader.place(row),
        }
    }

    /// Bytes of input read so far. Over all splits these add up to the length of the input.
    pub fn bytes_read(&self) -> u64 {
        match &self.0 {
            Reader::Plain(reader) => reader.bytes_read(),
            Reader::Formatted(reader) => reader.bytes_read(),
        }
    }
}

/// Where the rows of a batch came from.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// First row and piece of each run of rows from one piece.
    runs: Vec<(u32, usize)>,
    /// Offset of each row.
    pub offsets: Vec<u64>,
}

impl Places {
    pub fn clear(&mut self) {
        self.runs.clear();
        self.offsets.clear();
    }

    /// The next rows come from `piece`.
    pub fn enter(&mut self, piece: usize) {
        if self.runs.last().is_none_or(|run| run.1 != piece) {
            let row = u32::try_from(self.offsets.len()).unwrap_or(u32::MAX);
            self.runs.push((row, piece));
        }
    }

    #[inline]
    pub fn push(&mut self, offset: u64) {
        self.offsets.push(offset);
    }

    /// Piece and offset of a row.
    pub fn find(&self, row: u32) -> Option<(usize, u64)> {
        let offset = *self.offsets.get(row as usize)?;
        let run = self.runs.partition_point(|run| run.0 <= row).checked_sub(1)?;
        Some((self.runs[run].1, offset))
    }
}

/// Replaces `out` with the path as the first element of a tuple.
pub(crate) fn write_path_element(path: &Path, out: &mut Vec<u8>) {
    out.clear();
    for byte in path.as_os_str().as_bytes() {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}
