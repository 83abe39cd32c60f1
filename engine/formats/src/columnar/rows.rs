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
    /// Which lanes hold no zero byte in any of their values, so that nothing is escaped.
    plain: Vec<bool>,
    /// Length of each row's tuple, and of the longest.
    lengths: Vec<u32>,
    longest: usize,
}

impl Tuples {
    /// The tuples of `columns`. `position` tells where a column of the file is in the batch.
    pub fn new(
        batch: &RecordBatch,
        columns: &[Column],
        position: impl Fn(usize) -> usize,
    ) -> Result<Self, ArrowError> {
        let lane = |column: &Column| {
            let array = batch.columns().get(position(column.index));
            let array = array.ok_or_else(|| ArrowError::SchemaError("a column is missing".into()))?;
            Lane::new(array, &column.datatype, column.nullable)
        };
        let lanes = columns.iter().map(lane).collect::<Result<Vec<_>, _>>()?;
        let least = lanes.iter().map(Lane::least_length).sum();
        let mut lengths = vec![least; batch.num_rows()];
        let plain = lanes.iter().map(|lane| lane.add_lengths(&mut lengths)).collect();
        let longest = lengths.iter().max().map_or(0, |longest| *longest as usize);
        Ok(Self { lanes, plain, lengths, longest })
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

    /// Appends the tuples of `rows`. `cursors` is memory to work with.
    pub fn append(&self, rows: Range<usize>, out: &mut ColumnBuf, cursors: &mut Vec<u32>) {
        let data = out.data_mut();
        // A batch is far below what a u32 counts.
        let mut end = u32::try_from(data.len()).unwrap_or(u32::MAX);
        cursors.clear();
        cursors.extend(self.lengths[rows.clone()].iter().map(|length| {
            let begin = end;
            end = end.wrapping_add(*length);
            begin
        }));
        data.resize(end as usize, 0);
        for (lane, plain) in self.lanes.iter().zip(&self.plain) {
            lane.write(rows.clone(), *plain, data, cursors);
        }
        // Every cursor is where its row ends now.
        out.close_cells(cursors);
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

    /// Adds what each value takes beyond that to `lengths`. Answers whether no value has a zero byte.
    fn add_lengths(&self, lengths: &mut [u32]) -> bool {
        if let (Cells::Views(array), None) = (&self.cells, &self.there)
            && add_plain_views(array, lengths)
        {
            return true;
        }
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
    fn write(&self, rows: Range<usize>, plain: bool, data: &mut [u8], cursors: &mut [u32]) {
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
            _ if plain => self.visit_bytes(rows, |row, bytes| {
                let at = cursors[row - start] as usize;
                copy_short(&mut data[at..at + bytes.len()], bytes);
                cursors[row - start] += length(bytes.len() + 2);
            }),
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

/// Adds the lengths of views without a zero byte, most of which hold their bytes themselves; false, and nothing
/// is added, where there is one.
fn add_plain_views(array: &BinaryViewArray, lengths: &mut [u32]) -> bool {
    /// Most bytes that a view holds itself: four behind their length, and eight.
    const INLINE_BYTES_MAX: u32 = 12;
    let views = array.views();
    let (mut zeros, mut long) = (0, false);
    for view in views.iter() {
        let [low, high] = halves(*view);
        let bytes = low & 0xffff_ffff;
        long |= bytes > u64::from(INLINE_BYTES_MAX);
        // What is behind the bytes is made something else than zero.
        let bits = bytes.min(u64::from(INLINE_BYTES_MAX)) * 8;
        let front = low >> 32 | u64::MAX << bits.min(32);
        let behind = if bits >= 96 { 0 } else { u64::MAX << bits.saturating_sub(32) };
        zeros |= zero_bytes(front) | zero_bytes(high | behind);
    }
    if long {
        zeros = u64::from((0..views.len()).any(|row| has_zero(array.value(row))));
    }
    if zeros == 0 {
        for (length, view) in lengths.iter_mut().zip(views) {
            let [a, b, c, d, ..] = view.to_le_bytes();
            *length = length.saturating_add(u32::from_le_bytes([a, b, c, d]));
        }
    }
    zeros == 0
}

/// The lower and the upper half of a view.
#[inline]
fn halves(view: u128) -> [u64; 2] {
    let bytes = view.to_le_bytes();
    let ([low, high], _) = bytes.as_chunks::<8>() else { return [0, 0] };
    [u64::from_le_bytes(*low), u64::from_le_bytes(*high)]
}

/// Not zero if one of the bytes is.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

/// Copies bytes that are few, mostly: without a call up to 16 of them.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) {
    match from.len() {
        8..=16 => copy_ends::<8>(to, from),
        4..8 => copy_ends::<4>(to, from),
        2..4 => copy_ends::<2>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first and the last `N` bytes, which meet.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        let end = to.len();
        to[..N].copy_from_slice(first);
        to[end - N..].copy_from_slice(last);
    }
}

/// Whether there is a zero byte: eight at a time, for strings are short.
#[inline]
fn has_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().any(|word| zero_bytes(u64::from_le_bytes(*word)) != 0) || rest.contains(&0)
}
