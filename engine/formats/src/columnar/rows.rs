//! Columns of a batch laid into rows: one tuple of `wit/ENCODING.md` for each. Lengths come first, so that
//! every column is then written in one loop of its own, each value to its place.

use std::ops::Range;

use arrow_array::{BinaryViewArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::ArrowError;
use mr_model::ColumnBuf;

use super::fields::Column;
use super::lanes::{Cells, Lane};

/// The keys or the values of a batch.
#[derive(Debug)]
pub(crate) struct Tuples {
    lanes: Vec<Lane>,
    /// Which lanes hold no zero byte in any of their values, so that nothing is escaped. Views are believed to
    /// until one is seen while it is copied: looking ahead costs as much as copying.
    plain: Vec<bool>,
    /// Length of each row's tuple, and of the longest.
    lengths: Vec<u32>,
    longest: usize,
}

impl Tuples {
    /// The tuples of `columns`. `position` tells where a column of the file is in the batch. Where lengths are to be
    /// `sure`, [`Tuples::append`] always succeeds.
    pub fn new(
        batch: &RecordBatch,
        columns: &[Column],
        position: impl Fn(usize) -> usize,
        sure: bool,
    ) -> Result<Self, ArrowError> {
        let lane = |column: &Column| {
            let array = batch.columns().get(position(column.index));
            let array = array.ok_or_else(|| ArrowError::SchemaError("a column is missing".into()))?;
            Lane::new(array, &column.datatype, column.nullable)
        };
        let lanes = columns.iter().map(lane).collect::<Result<Vec<_>, _>>()?;
        let believed = lanes.iter().map(|lane| !sure && lane.is_all_views()).collect();
        let (lengths, longest) = (vec![0; batch.num_rows()], 0);
        let mut tuples = Self { lanes, plain: believed, lengths, longest };
        tuples.measure();
        Ok(tuples)
    }

    /// Takes the length of each tuple, with what is escaped in those lanes that are not believed to be plain.
    fn measure(&mut self) {
        self.lengths.fill(self.lanes.iter().map(Lane::least_length).sum());
        for (lane, plain) in self.lanes.iter().zip(&mut self.plain) {
            match &lane.cells {
                Cells::Views(array) if *plain => add_view_lengths(array, &mut self.lengths),
                _ => *plain = lane.add_lengths(&mut self.lengths),
            }
        }
        self.longest = self.lengths.iter().max().map_or(0, |longest| *longest as usize);
    }

    /// Length of each row's tuple, in bytes.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// Length of the longest tuple, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Rows that cannot be read, each with the number of the column and why, in order of columns.
    pub fn bad_rows(&self) -> impl Iterator<Item = (usize, usize, Misfit)> {
        self.lanes.iter().enumerate().flat_map(|(column, lane)| {
            let missing = lane
                .there
                .iter()
                .filter(|_| !lane.nullable)
                .flat_map(|there| (0..there.len()).filter(|row| there.is_null(*row)));
            let misfits = lane.misfits.iter().map(move |row| (*row, column, Misfit::Value));
            missing.map(move |row| (row, column, Misfit::Missing)).chain(misfits)
        })
    }

    /// Appends the tuples of `rows`. `cursors` is memory to work with. False, and nothing is appended, where lengths
    /// turned out to be others: they are right then.
    pub fn append(&mut self, rows: Range<usize>, out: &mut ColumnBuf, cursors: &mut Vec<u32>) -> bool {
        let data = out.data_mut();
        let start = data.len();
        // A batch is far below what a u32 counts.
        let mut end = length(start);
        cursors.clear();
        cursors.extend(self.lengths[rows.clone()].iter().map(|length| {
            let begin = end;
            end = end.wrapping_add(*length);
            begin
        }));
        data.resize(end as usize, 0);
        let mut right = true;
        for (lane, plain) in self.lanes.iter().zip(&mut self.plain) {
            if !lane.write(rows.clone(), *plain, data, cursors) {
                (*plain, right) = (false, false);
            }
        }
        if right {
            // Every cursor is where its row ends now.
            out.close_cells(cursors);
        } else {
            data.truncate(start);
            self.measure();
        }
        right
    }
}

/// Why a value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Misfit {
    /// It is missing, and may not be.
    Missing,
    /// It does not fit the type that it is read as.
    Value,
}

impl Lane {
    /// Bytes that a value takes at least: its flag, its number, the end of its bytes.
    fn least_length(&self) -> u32 {
        let fixed = match &self.cells {
            Cells::Words(_) => 8,
            Cells::Bools(_) => 1,
            _ => 2,
        };
        u32::from(self.nullable) + fixed
    }

    /// Whether its values are views, none of them missing.
    fn is_all_views(&self) -> bool {
        matches!(self.cells, Cells::Views(_)) && self.there.is_none()
    }

    /// Adds what each value takes beyond that to `lengths`. Answers whether no value has a zero byte.
    fn add_lengths(&self, lengths: &mut [u32]) -> bool {
        let mut plain = true;
        self.visit_bytes(0..lengths.len(), |row, bytes| {
            let mut more = bytes.len();
            if has_zero(bytes) {
                plain = false;
                more += bytes.iter().filter(|byte| **byte == 0).count();
            }
            lengths[row] = lengths[row].saturating_add(length(more));
        });
        plain
    }

    /// Writes the values of `rows` at their cursors, which move behind them. What is to be zero is zero already.
    /// False where a value of what is believed to be plain has a zero byte.
    fn write(&self, rows: Range<usize>, plain: bool, data: &mut [u8], cursors: &mut [u32]) -> bool {
        if self.nullable {
            match &self.there {
                None => cursors.iter_mut().for_each(|cursor| put(data, cursor, &[1])),
                Some(there) => {
                    for (cursor, row) in cursors.iter_mut().zip(rows.clone()) {
                        put(data, cursor, &[u8::from(there.is_valid(row))]);
                    }
                }
            }
        }
        let start = rows.start;
        match &self.cells {
            Cells::Words(words) => {
                for (cursor, word) in cursors.iter_mut().zip(&words[rows]) {
                    put(data, cursor, &word.to_be_bytes());
                }
            }
            Cells::Bools(bools) => {
                for (cursor, byte) in cursors.iter_mut().zip(&bools[rows]) {
                    put(data, cursor, &[*byte]);
                }
            }
            _ if plain => {
                let mut zeros = 0;
                self.visit_bytes(rows, |row, bytes| {
                    let at = cursors[row - start] as usize;
                    zeros |= copy_short(&mut data[at..at + bytes.len()], bytes);
                    cursors[row - start] += length(bytes.len() + 2);
                });
                return zeros == 0;
            }
            _ => self.visit_bytes(rows, |row, bytes| {
                let mut at = cursors[row - start] as usize;
                for byte in bytes {
                    data[at] = *byte;
                    at += 1;
                    if *byte == 0 {
                        data[at] = 0xff;
                        at += 1;
                    }
                }
                cursors[row - start] = length(at + 2);
            }),
        }
        true
    }

    /// Visits the bytes of each of `rows`; what is missing is empty. Nothing where values are no bytes.
    #[inline]
    fn visit_bytes(&self, rows: Range<usize>, visit: impl FnMut(usize, &[u8])) {
        let there = self.there.as_ref();
        match &self.cells {
            Cells::Words(_) | Cells::Bools(_) => {}
            Cells::Views(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::Binary(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::LargeBinary(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::Fixed(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::Made { ends, bytes } => {
                let begin = |row: usize| row.checked_sub(1).map_or(0, |ahead| ends[ahead]);
                visit_rows(rows, there, |row| &bytes[begin(row)..ends[row]], visit);
            }
        }
    }
}

#[inline]
fn visit_rows<'a>(
    rows: Range<usize>,
    there: Option<&NullBuffer>,
    value: impl Fn(usize) -> &'a [u8],
    mut visit: impl FnMut(usize, &[u8]),
) {
    match there {
        None => rows.for_each(|row| visit(row, value(row))),
        Some(there) => {
            rows.for_each(|row| visit(row, if there.is_valid(row) { value(row) } else { &[] }));
        }
    }
}

#[inline]
fn put<const N: usize>(data: &mut [u8], cursor: &mut u32, bytes: &[u8; N]) {
    let at = *cursor as usize;
    data[at..at + N].copy_from_slice(bytes);
    *cursor += length(N);
}

/// A length within a batch, or the longest there is: rows of that length are refused.
#[inline]
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Adds the lengths of views as they are.
fn add_view_lengths(array: &BinaryViewArray, lengths: &mut [u32]) {
    for (length, view) in lengths.iter_mut().zip(array.views()) {
        let [a, b, c, d, ..] = view.to_le_bytes();
        *length = length.saturating_add(u32::from_le_bytes([a, b, c, d]));
    }
}

/// Not zero if one of the bytes is.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

/// Copies bytes that are few, mostly: without a call up to 16 of them. Not zero if one of them is.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) -> u64 {
    match from.len() {
        8..=16 => copy_ends::<8>(to, from, u64::from_le_bytes),
        4..8 => copy_ends::<4>(to, from, |four| u64::from(u32::from_le_bytes(four)) | !0 << 32),
        _ => {
            to.copy_from_slice(from);
            u64::from(has_zero(from))
        }
    }
}

/// Copies the first and the last `N` bytes, which meet. Not zero if one of them is.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8], word: impl Fn([u8; N]) -> u64) -> u64 {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return 0 };
    let end = to.len();
    to[..N].copy_from_slice(first);
    to[end - N..].copy_from_slice(last);
    zero_bytes(word(*first)) | zero_bytes(word(*last))
}

/// Whether there is a zero byte: eight at a time, for strings are short.
#[inline]
fn has_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().any(|word| zero_bytes(u64::from_le_bytes(*word)) != 0) || rest.contains(&0)
}
