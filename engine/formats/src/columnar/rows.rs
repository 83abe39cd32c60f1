//! Columns of a batch laid into rows: one tuple of `wit/ENCODING.md` for each. Lengths come first, so that
//! every column is then written in one loop of its own, each value to its place.

use std::ops::Range;

use arrow_array::RecordBatch;
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
    /// Length of each row's tuple.
    lengths: Vec<u32>,
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
        let mut lengths = vec![0; batch.num_rows()];
        let plain = lanes.iter().map(|lane| lane.add_lengths(&mut lengths)).collect();
        Ok(Self { lanes, plain, lengths })
    }

    /// Length of each row's tuple, in bytes.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
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
    pub fn append(&self, rows: Range<usize>, out: &mut ColumnBuf, cursors: &mut Vec<usize>) {
        let lengths = &self.lengths[rows.clone()];
        let data = out.data_mut();
        let mut end = data.len();
        cursors.clear();
        cursors.extend(lengths.iter().map(|length| {
            let begin = end;
            end += *length as usize;
            begin
        }));
        data.resize(end, 0);
        for (lane, plain) in self.lanes.iter().zip(&self.plain) {
            lane.write(rows.clone(), *plain, data, cursors);
        }
        out.close_cells(lengths);
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
    /// Adds what each value takes to `lengths`. Answers whether no value has a zero byte.
    fn add_lengths(&self, lengths: &mut [u32]) -> bool {
        let flag = u32::from(self.nullable);
        let fixed = match &self.cells {
            Cells::Words(_) => 8,
            Cells::Bools(_) => 1,
            _ => 2,
        };
        for length in lengths.iter_mut() {
            *length += flag + fixed;
        }
        let mut plain = true;
        self.visit_bytes(0..lengths.len(), |row, bytes| {
            let mut more = bytes.len();
            if has_zero(bytes) {
                plain = false;
                more += bytes.iter().filter(|byte| **byte == 0).count();
            }
            lengths[row] = lengths[row].saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        });
        plain
    }

    /// Writes the values of `rows` at their cursors, which move behind them. What is to be zero is zero already.
    fn write(&self, rows: Range<usize>, plain: bool, data: &mut [u8], cursors: &mut [usize]) {
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
                let cursor = &mut cursors[row - start];
                data[*cursor..*cursor + bytes.len()].copy_from_slice(bytes);
                *cursor += bytes.len() + 2;
            }),
            _ => self.visit_bytes(rows, |row, bytes| {
                let cursor = &mut cursors[row - start];
                for byte in bytes {
                    data[*cursor] = *byte;
                    *cursor += 1;
                    if *byte == 0 {
                        data[*cursor] = 0xff;
                        *cursor += 1;
                    }
                }
                *cursor += 2;
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
fn put<const N: usize>(data: &mut [u8], cursor: &mut usize, bytes: &[u8; N]) {
    data[*cursor..*cursor + N].copy_from_slice(bytes);
    *cursor += N;
}

/// Whether there is a zero byte: eight at a time, for strings are short.
#[inline]
fn has_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let zero = |word: u64| word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080 != 0;
    words.iter().any(|word| zero(u64::from_le_bytes(*word))) || rest.contains(&0)
}
