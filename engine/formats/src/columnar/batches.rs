//! A reader of records over batches of columns, whatever format they come from: lays rows, gives them keys,
//! reports those that cannot be read. What the crates of the formats panic on becomes an error of the file.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use mr_model::{BatchBuf, ColumnBuf};

use super::fields::{Column, Plan};
use super::rows::{Misfit, Tuples};
use crate::error::{BadRecord, FormatError, OnBad};
use crate::open::{ReadOptions, RecordReader};

/// Rows that are read at a time.
pub(crate) const BATCH_ROWS: usize = 8192;
/// Rows that are laid at a time: what is laid stays in the first cache until every column is.
const LAID_ROWS: usize = 512;

/// Bytes that a batch takes for a row beside key and value: their ends.
const ENDS_BYTES: usize = 8;

/// Rows as a format reads them.
#[derive(Debug)]
pub(crate) struct Rows {
    pub batch: RecordBatch,
    /// Place of the first one: what keys tell, and count on from.
    pub place: u64,
    /// Number of the first row among those of `within`, for people.
    pub number: u64,
    /// What rows are numbered in: "the file", "the block".
    pub within: &'static str,
    /// Where the group (block, batch) that holds them begins in the file.
    pub offset: u64,
}

/// What a format gives: its rows, in order.
pub(crate) trait Batches: Send {
    /// The next rows, with the columns of the plan in the file's order; none at the end.
    fn next(&mut self) -> Result<Option<Rows>, FormatError>;

    /// Bytes of the range that were read so far.
    fn bytes_read(&self) -> u64;
}

/// Reads records from batches of columns.
pub(crate) struct ColumnarReader {
    batches: Box<dyn Batches>,
    plan: Plan,
    indices: Vec<usize>,
    path_key: Vec<u8>,
    record_bytes_max: u64,
    range: Range<u64>,
    open: Option<Open>,
    cursors: Vec<u32>,
    ended: bool,
}

/// Rows that are being handed out.
struct Open {
    rows: Rows,
    keys: Option<Tuples>,
    values: Tuples,
    /// Rows that cannot be read, in order: row, column among those of key and value, why.
    bad: Vec<(usize, usize, Misfit)>,
    /// The next row, and the next one of `bad`.
    at: usize,
    bad_at: usize,
}

impl Open {
    /// The end of the rows that are laid next: none of them is bad.
    fn end(&self) -> usize {
        let end = self.bad.get(self.bad_at).map_or(self.rows.batch.num_rows(), |(row, ..)| *row);
        end.min(self.at + LAID_ROWS)
    }
}

impl ColumnarReader {
    pub fn new(batches: Box<dyn Batches>, plan: Plan, range: Range<u64>, options: ReadOptions) -> Self {
        Self {
            batches,
            indices: plan.indices(),
            plan,
            path_key: options.path_key.unwrap_or_default(),
            record_bytes_max: options.record_bytes_max,
            range,
            open: None,
            cursors: Vec::new(),
            ended: false,
        }
    }

    /// Opens the next rows; false at the end.
    fn advance(&mut self) -> Result<bool, FormatError> {
        let batches = &mut self.batches;
        let Some(rows) = guarded(self.range.start, || batches.next())? else {
            self.ended = true;
            return Ok(false);
        };
        let open = guarded(rows.offset, || self.lay(rows))?;
        self.open = Some(open);
        Ok(true)
    }

    fn lay(&self, rows: Rows) -> Result<Open, FormatError> {
        let position = |index: usize| self.indices.binary_search(&index).unwrap_or(usize::MAX);
        let tuples = |columns: &[Column], sure: bool| {
            Tuples::new(&rows.batch, columns, position, sure).map_err(|error| damaged(rows.offset, &error))
        };
        let keys = if self.plan.key.is_empty() { None } else { Some(tuples(&self.plan.key, true)?) };
        let values = tuples(&self.plan.value, false)?;
        let of_keys = keys.iter().flat_map(Tuples::bad_rows);
        let behind = self.plan.key.len();
        let of_values = values.bad_rows().map(|(row, column, why)| (row, column + behind, why));
        let mut bad: Vec<_> = of_keys.chain(of_values).collect();
        bad.sort_unstable();
        bad.dedup_by_key(|(row, ..)| *row);
        Ok(Open { rows, keys, values, bad, at: 0, bad_at: 0 })
    }

    /// The end of the rows up to `end` that fit in a batch with so much room.
    fn fitting(&self, open: &Open, end: usize, room: usize, empty: bool) -> Result<usize, FormatError> {
        let place_bytes = self.path_key.len() + 8;
        let bytes = |row: usize| {
            open.keys.as_ref().map_or(place_bytes, |keys| keys.length(row)) + open.values.length(row)
        };
        // A short way for rows that all fit, as most do.
        let longest = open.keys.as_ref().map_or(place_bytes, Tuples::longest) + open.values.longest();
        let short = longest as u64 <= self.record_bytes_max;
        if short && (end - open.at).saturating_mul(longest + ENDS_BYTES) <= room {
            return Ok(end);
        }
        let (mut size, mut to) = (0, open.at);
        while to < end {
            if !short && bytes(to) as u64 > self.record_bytes_max {
                return Err(self.too_long(open, to, bytes(to)));
            }
            size += bytes(to) + ENDS_BYTES;
            if size > room && !(empty && to == open.at) {
                break;
            }
            to += 1;
        }
        Ok(to)
    }

    fn too_long(&self, open: &Open, row: usize, bytes: usize) -> FormatError {
        let (number, within, max) = (open.rows.number + row as u64, open.rows.within, self.record_bytes_max);
        let reason = format!(
            "row {number} of {within} has {bytes} bytes, and {max} is the limit for a record; raise it with \
             --max-record"
        );
        FormatError::bad(open.rows.offset, reason)
    }

    /// Hands out the rows up to `to`. False, and nothing is handed out, where they are longer than was believed.
    fn take(&mut self, open: &mut Open, to: usize, batch: &mut BatchBuf, offsets: &mut Vec<u64>) -> bool {
        if !open.values.append(open.at..to, &mut batch.values, &mut self.cursors) {
            return false;
        }
        match &mut open.keys {
            Some(keys) => {
                keys.append(open.at..to, &mut batch.keys, &mut self.cursors);
            }
            None => self.put_places(open.rows.place + open.at as u64, to - open.at, &mut batch.keys),
        }
        offsets.resize(offsets.len() + (to - open.at), open.rows.offset);
        open.at = to;
        true
    }

    /// Appends the keys of `rows` rows, the first of which is at `place`.
    fn put_places(&mut self, place: u64, rows: usize, keys: &mut ColumnBuf) {
        let (path, places) = (self.path_key.len(), place..);
        let data = keys.data_mut();
        let from = data.len();
        data.resize(from + rows * (path + 8), 0);
        if path == 0 {
            for (key, place) in data[from..].as_chunks_mut::<8>().0.iter_mut().zip(places) {
                *key = place.to_be_bytes();
            }
        } else {
            for (key, place) in data[from..].chunks_exact_mut(path + 8).zip(places) {
                key[..path].copy_from_slice(&self.path_key);
                key[path..].copy_from_slice(&place.to_be_bytes());
            }
        }
        keys.close_even_cells(rows, path + 8);
    }

    /// Reports the rows at the front that cannot be read.
    fn report(&self, open: &mut Open, bad: OnBad<'_>) -> Result<(), FormatError> {
        while let Some((row, column, why)) = open.bad.get(open.bad_at).filter(|(row, ..)| *row == open.at) {
            let Some(Column { name, datatype, .. }) =
                self.plan.key.iter().chain(&self.plan.value).nth(*column)
            else {
                break;
            };
            let (number, within) = (open.rows.number + *row as u64, open.rows.within);
            let reason = match why {
                Misfit::Missing => format!(
                    "row {number} of {within} has no {name:?}: ask for {name}:{datatype}? where values may be missing"
                ),
                Misfit::Value => format!("{name:?} of row {number} of {within} is no {datatype}"),
            };
            bad(BadRecord { offset: open.rows.offset, reason, sample: &[] })?;
            open.at += 1;
            open.bad_at += 1;
        }
        Ok(())
    }
}

impl RecordReader for ColumnarReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        loop {
            let Some(mut open) = self.open.take() else {
                if !self.advance()? {
                    return Ok(false);
                }
                continue;
            };
            self.report(&mut open, bad)?;
            if open.at == open.rows.batch.num_rows() {
                continue;
            }
            let room = target.saturating_sub(batch.size());
            let end = open.end();
            let to = self.fitting(&open, end, room, batch.rows() == 0)?;
            if to > open.at && !self.take(&mut open, to, batch, offsets) {
                self.open = Some(open);
                continue;
            }
            let full = to < end;
            self.open = Some(open);
            if full || batch.size() >= target {
                return Ok(true);
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        let all = self.range.end - self.range.start;
        if self.ended { all } else { self.batches.bytes_read().min(all) }
    }
}

/// What the crate of a format says of a file.
pub(crate) fn damaged(offset: u64, error: &dyn std::fmt::Display) -> FormatError {
    let error = error.to_string();
    let line = error.lines().next().unwrap_or_default();
    FormatError::bad(offset, format!("it is damaged, or not what its format says: {line}"))
}

/// Does what may panic on a file that is not what its format says.
pub(crate) fn guarded<T>(
    offset: u64,
    work: impl FnOnce() -> Result<T, FormatError>,
) -> Result<T, FormatError> {
    let before = GUARDED.replace(true);
    // What panicked is not used any more: the error ends the reading.
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    done.unwrap_or_else(|panic| Err(damaged(offset, &words_of(&*panic))))
}

thread_local! {
    /// Whether this thread does what may panic on a file.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread would become an error of the file that it reads, so that nobody has to be told
/// of the panic itself.
pub fn panics_are_caught() -> bool {
    GUARDED.get()
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "its reader gave up".into())
}
