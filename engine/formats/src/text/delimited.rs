//! Rows of delimited text: CSV, TSV and their relatives, as tuples of typed values.
//!
//! Rows are those of the `csv` crate (see `rows`), but for two: a file that ends within quotes is refused, and so
//! is a row with another number of values than the first one, unless the job goes on without it. An empty value
//! without quotes is a null where the field may be null. Where a range begins in the middle of a file of quoted
//! values, `sync` finds the first row.

use std::ops::Range;
use std::sync::Arc;

use mr_model::{BatchBuf, ColumnBuf, Compression, Delimited};

use super::header::{Cell, front_tape, locate, read_front, unclosed};
use super::rows::{Dialect, Finder, Kind, Parsed, Span, is_newline};
use super::{filled, push_place, sample, sync};
use crate::cell::{self, Shown};
use crate::error::{BadRecord, FormatError, OnBad};
use crate::open::{ReadOptions, RecordReader};
use crate::source::{Borrowed, Source};
use crate::tape::{Bounds, Tape};

/// Reads rows of delimited text.
pub(crate) struct DelimitedReader {
    tape: Tape<'static>,
    dialect: Dialect,
    columns: Columns,
    source: Arc<dyn Source>,
    stop: Stop,
    /// The first row belongs to the range ahead.
    skip: bool,
    /// Place of the first row with data.
    data: u64,
    spans: Vec<Span>,
    scratch: Vec<u8>,
}

/// Where the rows of a range end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Where the tape says.
    Tape,
    /// At the first row that is found behind the byte ahead of this place, which is not looked for yet.
    Behind(u64),
    /// At a row that begins here.
    At(u64),
    /// At the end of the file.
    End,
}

/// Why rows were no longer pushed.
enum Pause {
    Full,
    More,
    /// The row is behind where those of the range end.
    Behind,
}

/// Which values go where.
struct Columns {
    key: Vec<Cell>,
    value: Vec<Cell>,
    /// Values that each row has.
    count: usize,
    /// What keys that tell the place have ahead of it.
    prefix: Vec<u8>,
    header: bool,
}

impl DelimitedReader {
    /// A reader of the rows of `range`; none if the file has no row at all.
    ///
    /// # Errors
    /// The file cannot be read, or its header lacks a field.
    pub(crate) fn open(
        source: Arc<dyn Source>,
        delimited: Delimited,
        compression: Compression,
        range: Range<u64>,
        options: &ReadOptions,
    ) -> Result<Option<Self>, FormatError> {
        let mut front_tape = front_tape(source.clone(), compression, options.record_bytes_max)?;
        let Some(front) = read_front(&mut front_tape, delimited)? else { return Ok(None) };
        let row = options.row.clone().unwrap_or_default();
        let (key, value) =
            locate(&front, delimited.header, &row).map_err(|reason| FormatError::bad(0, reason))?;
        let keep = key.iter().chain(&value).map(|cell| cell.column + 1).max().unwrap_or(0);
        let prefix = options.path_key.clone().unwrap_or_default();
        let count = front.values.len();
        let columns = Columns { key, value, count, prefix, header: delimited.header };
        let dialect = Dialect::new(delimited);
        let data = front_tape.place(front.data);
        let bounds = Bounds {
            record: "row",
            record_bytes_max: options.record_bytes_max,
            expansion_max: options.expansion_max,
        };
        let (tape, stop, skip) = if compression == Compression::None {
            let start = match range.start {
                0 => front.data,
                start => sync_behind(source.as_ref(), start, front.data, dialect, bounds)?,
            };
            let stop = if range.end < source.bytes() { Stop::Behind(range.end) } else { Stop::End };
            (Tape::plain(source.clone(), start, range, bounds), stop, false)
        } else {
            let (skip, to_end) = (range.start > 0, dialect.quote.is_some());
            let tape = Tape::decoded(source.clone(), compression, range, bounds)?;
            let tape = if to_end || compression == Compression::Gzip { tape.read_to_end() } else { tape };
            (tape, Stop::Tape, skip)
        };
        let (spans, scratch) = (vec![Span::NONE; keep], Vec::new());
        Ok(Some(Self { tape, dialect, columns, source, stop, skip, data, spans, scratch }))
    }

    /// Pushes the rows in the window, and tells how many bytes they have.
    fn push_rows(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        bad: OnBad<'_>,
    ) -> Result<(usize, Pause), FormatError> {
        let limit = match self.stop {
            Stop::Tape => self.tape.last().saturating_add(1),
            Stop::Behind(place) | Stop::At(place) => place,
            Stop::End => u64::MAX,
        };
        let (bytes, base) = (self.tape.bytes(), self.tape.offset());
        let (all, plain) = (self.tape.ended(), !self.tape.has_zeros());
        let mut finder = Finder::new(self.dialect, bytes);
        let mut at = 0;
        loop {
            while bytes.get(at).is_some_and(|byte| is_newline(*byte)) {
                at += 1;
            }
            if at == bytes.len() {
                return Ok((at, Pause::More));
            }
            let offset = base + at as u64;
            if offset >= limit {
                return Ok((at, Pause::Behind));
            }
            if filled(batch) >= target {
                return Ok((at, Pause::Full));
            }
            let parsed = Dialect::parse(&mut finder, at, all, &mut self.spans);
            let (row, next, columns) = match parsed {
                Parsed::Row { end, next, columns } => (&bytes[at..end], next, columns),
                Parsed::More => return Ok((at, Pause::More)),
                Parsed::Unclosed(quote) => return Err(unclosed(&self.tape, base + quote as u64)),
            };
            at = next;
            if row.len() > self.tape.record_bytes_max() {
                return Err(self.tape.too_long(offset));
            }
            let place = self.tape.place(offset);
            if place < self.data {
                continue;
            }
            let values = Values { bytes, spans: &self.spans, dialect: self.dialect, plain };
            match self.columns.push(&values, columns, place, &mut self.scratch, batch) {
                Ok(()) => offsets.push(place),
                Err(fault) => {
                    let (offset, reason) = self.tape.told(offset, fault.reason(&self.columns));
                    bad(BadRecord { offset, reason, sample: sample(row) })?;
                }
            }
        }
    }

    /// Decides whether the row at the front of the window, or the end of the file, is where the rows of the range
    /// end.
    fn at_stop(&mut self) -> Result<bool, FormatError> {
        let at = self.tape.offset();
        match self.stop {
            Stop::Tape | Stop::End => Ok(true),
            Stop::Behind(place) => {
                let max = self.tape.record_bytes_max() as u64;
                let found = sync::first_row(self.source.as_ref(), place.saturating_sub(1), self.dialect, max)?;
                self.stop = Stop::At(found.row.max(self.data));
                self.at_stop()
            }
            Stop::At(row) if row > at => Ok(false),
            Stop::At(row) if row == at => Ok(true),
            Stop::At(row) => Err(self.tape.bad(
                row,
                format!(
                    "the quotes around here do not tell where rows begin, as they should within {} bytes; raise \
                     that with --max-record, or say quote=none if quotes mean nothing in this file",
                    self.tape.record_bytes_max()
                ),
            )),
        }
    }
}

/// The first row behind the byte ahead of `start` that has data.
fn sync_behind(
    source: &dyn Source,
    start: u64,
    data: u64,
    dialect: Dialect,
    bounds: Bounds,
) -> Result<u64, FormatError> {
    Ok(sync::first_row(source, start - 1, dialect, bounds.record_bytes_max)?.row.max(data))
}

/// What a reader of the rows of `range` of a plain file needs of it, ascending and apart: for those who have to copy
/// it first. Looks where rows begin at both ends of the range, and so at about as much as the longest record twice.
///
/// # Errors
/// The file cannot be read, or its first row is too long.
pub(crate) fn delimited_footprint(
    source: &dyn Source,
    delimited: Delimited,
    range: Range<u64>,
    record_bytes_max: u64,
) -> Result<Vec<Range<u64>>, FormatError> {
    let file = Arc::new(Borrowed(source));
    let mut tape = front_tape(file, Compression::None, record_bytes_max)?;
    // One byte more tells that no empty line follows.
    let front = read_front(&mut tape, delimited)?.map_or(source.bytes(), |front| front.data + 1);
    let from = range.start.saturating_sub(1);
    let mut to = range.end;
    for place in [range.start, range.end] {
        if place > 0 && place < source.bytes() {
            let found = sync::first_row(source, place - 1, Dialect::new(delimited), record_bytes_max)?;
            to = to.max(found.looked).max(found.row);
        }
    }
    let (front, to) = (front.min(source.bytes()), to.min(source.bytes()));
    let apart = front < from;
    let first = 0..if apart { front } else { to.max(front) };
    Ok([Some(first), apart.then_some(from..to)].into_iter().flatten().collect())
}

impl RecordReader for DelimitedReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        if std::mem::take(&mut self.skip) {
            self.tape.skip_past(|bytes| memchr::memchr2(b'\n', b'\r', bytes))?;
        }
        loop {
            let (taken, pause) = self.push_rows(batch, offsets, target.max(1), bad)?;
            self.tape.consume(taken);
            match pause {
                Pause::Full => return Ok(true),
                Pause::Behind if self.at_stop()? => return Ok(false),
                Pause::Behind => {}
                Pause::More => {
                    let more = self.tape.more_of_record()?;
                    if !more && self.tape.bytes().is_empty() {
                        self.at_stop()?;
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        self.tape.bytes_read()
    }
}

/// The values of a row.
struct Values<'a> {
    /// What they lie in.
    bytes: &'a [u8],
    spans: &'a [Span],
    dialect: Dialect,
    /// There is no zero byte among them.
    plain: bool,
}

/// What is wrong with a row.
enum Fault {
    Ragged(usize),
    /// The field has a value that is not of its type.
    Value(usize, Vec<u8>, bool),
}

impl Columns {
    /// Appends a row to `batch`, or nothing.
    #[inline]
    fn push(
        &self,
        values: &Values<'_>,
        columns: usize,
        place: u64,
        scratch: &mut Vec<u8>,
        batch: &mut BatchBuf,
    ) -> Result<(), Fault> {
        if columns != self.count {
            return Err(Fault::Ragged(columns));
        }
        let lengths = (batch.keys.bytes(), batch.values.bytes());
        let pushed = push_cells(&self.key, values, scratch, &mut batch.keys)
            .and_then(|()| push_cells(&self.value, values, scratch, &mut batch.values));
        if let Err((column, quoted)) = pushed {
            batch.keys.data_mut().truncate(lengths.0);
            batch.values.data_mut().truncate(lengths.1);
            let value =
                values.spans.get(column).map(|span| values.dialect.value(values.bytes, *span, scratch));
            return Err(Fault::Value(column, value.unwrap_or_default().to_vec(), quoted));
        }
        if self.key.is_empty() {
            push_place(batch, &self.prefix, place);
        } else {
            batch.keys.close_cell();
        }
        batch.values.close_cell();
        Ok(())
    }
}

/// Appends the values of `cells`; on an error tells the column and whether its value is quoted.
#[inline]
fn push_cells(
    cells: &[Cell],
    values: &Values<'_>,
    scratch: &mut Vec<u8>,
    column: &mut ColumnBuf,
) -> Result<(), (usize, bool)> {
    let out = column.data_mut();
    for cell in cells {
        // Parts of a span are read one by one, as they were written: all of it at once has to wait for them.
        let Some(span) = values.spans.get(cell.column) else { return Err((cell.column, false)) };
        let (start, length, kind) = (span.start, span.end - span.start, span.kind);
        if cell.nullable {
            if length == 0 && kind == Kind::Plain {
                cell::push_null(out, &cell.datatype);
                continue;
            }
            cell::push_bool(out, true);
        }
        let pushed = if kind != Kind::Escaped && values.plain {
            cell::push_part(out, &cell.datatype, values.bytes, start, length)
        } else {
            cell::push_text(out, &cell.datatype, values.dialect.value(values.bytes, *span, scratch))
        };
        pushed.map_err(|_| (cell.column, kind != Kind::Plain))?;
    }
    Ok(())
}

impl Fault {
    fn reason(self, columns: &Columns) -> String {
        match self {
            Fault::Ragged(has) => {
                let (first, count) = (if columns.header { "header" } else { "first row" }, columns.count);
                format!("the row has {has} values and the {first} {count}")
            }
            Fault::Value(column, value, quoted) => {
                let cell = columns.key.iter().chain(&columns.value).find(|cell| cell.column == column);
                let Some(Cell { name, datatype, .. }) = cell else { return "a value is missing".to_owned() };
                if value.is_empty() && !quoted {
                    return format!(
                        "the field {name:?} is empty and has to be a {datatype}; ask for {name}:{datatype}? if it \
                         may be missing"
                    );
                }
                format!("the field {name:?} is {}, which is no {datatype}", Shown(&value))
            }
        }
    }
}
