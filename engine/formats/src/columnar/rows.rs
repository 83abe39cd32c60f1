//! Columns of a batch laid into rows: one tuple of `wit/ENCODING.md` for each. Where all tuples are of one length,
//! the place of every value is known; else lengths come first. Every column is then written in one loop of its
//! own, each value to its place, a few hundred rows at a time, so that what is written stays in the first cache.

use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_buffer::NullBuffer;
use arrow_schema::ArrowError;
use mr_model::ColumnBuf;

use super::fields::Column;
use super::lanes::{Cells, Lane, float_word, signed_word};
use super::views::{SLACK_BYTES, copy_long, has_zero};

/// The keys or the values of a batch.
#[derive(Debug)]
pub(crate) struct Tuples {
    lanes: Vec<Lane>,
    /// Which lanes hold no zero byte in any of their values, so that nothing is escaped. Views are believed to
    /// until one is seen while it is copied: looking ahead costs as much as copying.
    plain: Vec<bool>,
    /// Length of each row's tuple; of none, where all have that of the longest.
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
        let believed = lanes.iter().map(|lane| !sure && matches!(lane.cells, Cells::Views(_))).collect();
        let even = lanes.iter().all(Lane::is_even);
        let lengths = if even { Vec::new() } else { vec![0; batch.num_rows()] };
        let mut tuples = Self { lanes, plain: believed, lengths, longest: 0 };
        tuples.measure();
        Ok(tuples)
    }

    /// Takes the length of each tuple, with what is escaped in those lanes that are not believed to be plain.
    fn measure(&mut self) {
        let least: usize = self.lanes.iter().map(Lane::least_length).sum();
        self.lengths.fill(length(least));
        for (lane, plain) in self.lanes.iter().zip(&mut self.plain) {
            match &lane.cells {
                Cells::Views(views) if *plain => views.add_lengths(&mut self.lengths),
                _ => *plain = lane.add_lengths(&mut self.lengths),
            }
        }
        self.longest = self.lengths.iter().max().map_or(least, |longest| *longest as usize);
    }

    /// Length of a row's tuple, in bytes.
    #[inline]
    pub fn length(&self, row: usize) -> usize {
        self.lengths.get(row).map_or(self.longest, |length| *length as usize)
    }

    /// Length of the longest tuple, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Rows that cannot be read, each with the number of the column and why, in order of columns.
    pub fn bad_rows(&self) -> impl Iterator<Item = (usize, usize, Misfit)> {
        self.lanes.iter().enumerate().flat_map(|(column, lane)| {
            let missing = lane.nulls.iter().filter(|_| !lane.nullable);
            let misfits = lane.misfits.iter().map(move |row| (*row, column, Misfit::Value));
            missing.map(move |row| (*row as usize, column, Misfit::Missing)).chain(misfits)
        })
    }

    /// Appends the tuples of `rows`. `cursors` is memory to work with. False, and nothing is appended, where lengths
    /// turned out to be others: they are right then.
    pub fn append(&mut self, rows: Range<usize>, out: &mut ColumnBuf, cursors: &mut Vec<u32>) -> bool {
        if self.lengths.is_empty() {
            self.append_even(rows, out);
            return true;
        }
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
        data.resize(end as usize + SLACK_BYTES, 0);
        let (mut right, mut ahead) = (true, 0);
        for (lane, plain) in self.lanes.iter().zip(&mut self.plain) {
            if lane.is_even() {
                lane.put(rows.clone(), data, Places::Cursors(ahead, cursors));
                ahead += lane.least_length();
            } else {
                let written = lane.write(rows.clone(), *plain, data, ahead, cursors);
                (*plain, right) = (*plain && written, right && written);
                ahead = 0;
            }
        }
        if right {
            data.truncate(end as usize);
            cursors.iter_mut().for_each(|cursor| *cursor += length(ahead));
            // Every cursor is where its row ends now.
            out.close_cells(cursors);
        } else {
            data.truncate(start);
            self.measure();
        }
        right
    }

    /// Appends tuples that are all of one length.
    fn append_even(&self, rows: Range<usize>, out: &mut ColumnBuf) {
        let data = out.data_mut();
        let (start, apart, mut at) = (data.len(), self.longest, 0);
        data.resize(start + rows.len() * apart, 0);
        for lane in &self.lanes {
            lane.put(rows.clone(), data, Places::Even { start, apart, at });
            at += lane.least_length();
        }
        out.close_even_cells(rows.len(), apart);
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

/// Where the values of a lane go.
#[derive(Clone, Copy)]
enum Places<'a> {
    /// In tuples that are all of one length, from the first one on, so far within each.
    Even { start: usize, apart: usize, at: usize },
    /// So far behind their cursors.
    Cursors(usize, &'a [u32]),
}

impl Places<'_> {
    /// The place of one of them.
    fn of(&self, row: usize) -> usize {
        match self {
            Places::Even { start, apart, at } => start + row * apart + at,
            Places::Cursors(ahead, cursors) => cursors[row] as usize + ahead,
        }
    }

    /// Writes a cell to each.
    #[inline]
    fn put<T, const N: usize>(
        self,
        data: &mut [u8],
        values: impl Iterator<Item = T>,
        cell: impl Fn(T) -> [u8; N],
    ) {
        match self {
            Places::Even { start, apart, at } => {
                for (row, value) in data[start..].chunks_exact_mut(apart).zip(values) {
                    row[at..at + N].copy_from_slice(&cell(value));
                }
            }
            Places::Cursors(ahead, cursors) => {
                for (cursor, value) in cursors.iter().zip(values) {
                    data[*cursor as usize + ahead..][..N].copy_from_slice(&cell(value));
                }
            }
        }
    }
}

impl Lane {
    /// Whether its values are all of one length.
    fn is_even(&self) -> bool {
        !matches!(
            self.cells,
            Cells::Views(_) | Cells::Binary(_) | Cells::LargeBinary(_) | Cells::Fixed(_) | Cells::Made { .. }
        )
    }

    /// Bytes that a value takes at least: its flag, its number, the end of its bytes.
    fn least_length(&self) -> usize {
        let fixed = match &self.cells {
            Cells::Bools(_) => 1,
            _ if self.is_even() => 8,
            _ => 2,
        };
        usize::from(self.nullable) + fixed
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

    /// Writes the values of `rows`, all of one length, to their places.
    fn put(&self, rows: Range<usize>, data: &mut [u8], places: Places<'_>) {
        match &self.cells {
            Cells::Signed(numbers) => {
                self.put_words(data, places, numbers[rows.clone()].iter().map(|number| signed_word(*number)))
            }
            Cells::Signed32(numbers) => {
                let words = numbers[rows.clone()].iter().map(|number| signed_word((*number).into()));
                self.put_words(data, places, words);
            }
            Cells::Unsigned(numbers) => {
                self.put_words(data, places, numbers[rows.clone()].iter().copied());
            }
            Cells::Floats(numbers) => {
                self.put_words(data, places, numbers[rows.clone()].iter().map(|number| float_word(*number)));
            }
            Cells::Words(words) => self.put_words(data, places, words[rows.clone()].iter().copied()),
            Cells::Bools(bytes) if self.nullable => {
                places.put(data, bytes[rows.clone()].iter(), |byte| [1, *byte]);
            }
            Cells::Bools(bytes) => places.put(data, bytes[rows.clone()].iter(), |byte| [*byte]),
            _ => {}
        }
        let (bytes, zero) = (self.least_length(), self.zero.to_be_bytes());
        for null in self.nulls_of(&rows) {
            let cell = &mut data[places.of(null)..][..bytes];
            cell.fill(0);
            if let Some(word) = cell.last_chunk_mut::<8>() {
                *word = zero;
            }
        }
    }

    #[inline]
    fn put_words(&self, data: &mut [u8], places: Places<'_>, words: impl Iterator<Item = u64>) {
        if self.nullable {
            places.put(data, words, |word| {
                let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
                [1, a, b, c, d, e, f, g, h]
            });
        } else {
            places.put(data, words, u64::to_be_bytes);
        }
    }

    /// Those of `rows` that have no value, counted from the first of `rows`.
    fn nulls_of(&self, rows: &Range<usize>) -> impl Iterator<Item = usize> {
        let (start, end) = (rows.start, rows.end);
        let first = self.nulls.partition_point(|row| (*row as usize) < start);
        self.nulls[first..]
            .iter()
            .map(|row| *row as usize)
            .take_while(move |row| *row < end)
            .map(move |row| row - start)
    }

    /// Writes the values of `rows`, bytes, so far `ahead` of their cursors, which move behind them. What is to be
    /// zero is zero already. False where a value of what is believed to be plain has a zero byte.
    fn write(
        &self,
        rows: Range<usize>,
        plain: bool,
        data: &mut [u8],
        mut ahead: usize,
        cursors: &mut [u32],
    ) -> bool {
        if self.nullable {
            Places::Cursors(ahead, cursors).put(data, rows.clone(), |_| [1]);
            for null in self.nulls_of(&rows) {
                data[cursors[null] as usize + ahead] = 0;
            }
            ahead += 1;
        }
        let start = rows.start;
        match &self.cells {
            Cells::Views(views) if plain => return views.copy(rows, ahead, data, cursors) == 0,
            _ if plain => self.visit_bytes(rows, |row, bytes| {
                let at = cursors[row - start] as usize + ahead;
                copy_long(&mut data[at..at + bytes.len()], bytes);
                cursors[row - start] = length(at + bytes.len() + 2);
            }),
            _ => self.visit_bytes(rows, |row, bytes| {
                let mut at = cursors[row - start] as usize + ahead;
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
    fn visit_bytes(&self, rows: Range<usize>, mut visit: impl FnMut(usize, &[u8])) {
        let there = self.there.as_ref();
        match &self.cells {
            Cells::Views(views) => rows.for_each(|row| visit(row, views.value(row, &mut [0; 16]))),
            Cells::Binary(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::LargeBinary(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::Fixed(array) => visit_rows(rows, there, |row| array.value(row), visit),
            Cells::Made { ends, bytes } => {
                let begin = |row: usize| row.checked_sub(1).map_or(0, |ahead| ends[ahead]);
                visit_rows(rows, there, |row| &bytes[begin(row)..ends[row]], visit);
            }
            _ => {}
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

/// A length within a batch, or the longest there is: rows of that length are refused.
#[inline]
pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
