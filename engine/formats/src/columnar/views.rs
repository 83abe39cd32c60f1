//! Text and bytes as Arrow's views tell of them: short ones lie in their views, long ones in buffers. Most are
//! short, of lengths that nobody can foresee: those are copied without a question.

use std::ops::Range;

use arrow_array::BinaryViewArray;
use arrow_buffer::{Buffer, ScalarBuffer};

/// Longest value that lies in its view, in bytes.
const SHORT_BYTES: usize = 12;
/// What [`Views::copy`] writes at once: so many bytes have to be behind the last place.
pub(crate) const SLACK_BYTES: usize = 16;

/// For each length of a short value, the bits behind it.
const BEHIND: [u128; SHORT_BYTES + 1] = {
    let mut behind = [u128::MAX; SHORT_BYTES + 1];
    let mut length = 1;
    while length <= SHORT_BYTES {
        behind[length] = u128::MAX << (8 * length);
        length += 1;
    }
    behind
};

/// The values of a column.
#[derive(Debug)]
pub(crate) struct Views {
    views: ScalarBuffer<u128>,
    buffers: Vec<Buffer>,
}

impl Views {
    /// The values of `array`; empty where they are missing, which they are in the rows of `nulls`.
    pub fn new(array: &BinaryViewArray, nulls: &[u32]) -> Self {
        let mut views = array.views().clone();
        if !nulls.is_empty() {
            // What is behind a view of nothing may be anything.
            let mut clean = views.to_vec();
            for row in nulls {
                clean[*row as usize] = 0;
            }
            views = clean.into();
        }
        Self { views, buffers: array.data_buffers().to_vec() }
    }

    /// Adds the length of each value.
    pub fn add_lengths(&self, lengths: &mut [u32]) {
        for (length, view) in lengths.iter_mut().zip(&*self.views) {
            *length = length.saturating_add(parts(*view)[0]);
        }
    }

    /// The value of a row.
    #[inline]
    pub fn value<'a>(&'a self, row: usize, short: &'a mut [u8; 16]) -> &'a [u8] {
        let view = self.views[row];
        let length = parts(view)[0] as usize;
        if length <= SHORT_BYTES {
            *short = (view >> 32).to_le_bytes();
            return &short[..length];
        }
        self.long(view)
    }

    /// Copies the values of `rows` to their cursors and `ahead` bytes beyond, and moves these behind the value and
    /// two bytes more. Not zero if there is a zero byte in one of them.
    pub fn copy(&self, rows: Range<usize>, ahead: usize, data: &mut [u8], cursors: &mut [u32]) -> u64 {
        let mut zeros = 0;
        for (cursor, view) in cursors.iter_mut().zip(&self.views[rows]) {
            let [bytes, ..] = parts(*view);
            let (at, length) = (*cursor as usize + ahead, bytes as usize);
            match (BEHIND.get(length), data[at..].first_chunk_mut::<SLACK_BYTES>()) {
                (Some(behind), Some(room)) => {
                    let value = *view >> 32;
                    let there = u128::from_le_bytes(*room) & behind;
                    *room = (there | (value & !behind)).to_le_bytes();
                    zeros |= zero_byte(value | behind);
                }
                _ => zeros |= copy_long(&mut data[at..at + length], self.long(*view)),
            }
            *cursor = cursor.wrapping_add(bytes).wrapping_add(2 + super::rows::length(ahead));
        }
        zeros
    }

    /// A value that lies in a buffer: arrays check that it does where they are made.
    #[inline]
    fn long(&self, view: u128) -> &[u8] {
        let [length, _, buffer, offset] = parts(view).map(|part| part as usize);
        &self.buffers[buffer][offset..offset + length]
    }
}

/// Length, first bytes, number of the buffer and place therein.
#[inline]
fn parts(view: u128) -> [u32; 4] {
    let bytes = view.to_le_bytes();
    let (parts, _) = bytes.as_chunks::<4>();
    [0, 1, 2, 3].map(|part| u32::from_le_bytes(parts[part]))
}

/// Not zero if one of the bytes is.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

/// The same of twice as many.
#[inline]
fn zero_byte(words: u128) -> u64 {
    let bytes = words.to_le_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    zero_bytes(u64::from_le_bytes(words[0])) | zero_bytes(u64::from_le_bytes(words[1]))
}

/// Copies bytes that are few, mostly: without a call from 8 to 32 of them. Not zero if one of them is.
#[inline]
pub(crate) fn copy_long(to: &mut [u8], from: &[u8]) -> u64 {
    match from.len() {
        16..=32 => copy_ends::<16>(to, from, |half| zero_byte(u128::from_le_bytes(half))),
        8..16 => copy_ends::<8>(to, from, |half| zero_bytes(u64::from_le_bytes(half))),
        _ => {
            to.copy_from_slice(from);
            u64::from(has_zero(from))
        }
    }
}

/// Copies the first and the last `N` bytes, which meet. Not zero if one of them is.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8], zero: impl Fn([u8; N]) -> u64) -> u64 {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else { return 0 };
    let end = to.len();
    to[..N].copy_from_slice(first);
    to[end - N..].copy_from_slice(last);
    zero(*first) | zero(*last)
}

/// Whether there is a zero byte: eight at a time, for strings are short.
#[inline]
pub(crate) fn has_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().any(|word| zero_bytes(u64::from_le_bytes(*word)) != 0) || rest.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_are_copied_and_their_zeros_seen() {
        let values: Vec<Option<Vec<u8>>> = (0..200_usize)
            .map(|row| {
                (row % 7 != 3).then(|| (0..row % 41).map(|byte| (byte + row).to_le_bytes()[0] | 1).collect())
            })
            .collect();
        let array: BinaryViewArray = values.iter().map(Option::as_deref).collect();
        let nulls: Vec<u32> = (0..200).filter(|row| row % 7 == 3).collect();
        let views = Views::new(&array, &nulls);
        let (mut lengths, mut expected, mut cursors) = (vec![0; 200], Vec::new(), Vec::new());
        views.add_lengths(&mut lengths);
        for (row, value) in values.iter().enumerate() {
            let value = value.as_deref().unwrap_or_default();
            assert_eq!((lengths[row] as usize, views.value(row, &mut [0; 16])), (value.len(), value));
            cursors.push(u32::try_from(expected.len()).unwrap());
            expected.push(9);
            expected.extend_from_slice(value);
            expected.extend_from_slice(&[0, 0]);
        }
        let mut data = vec![0; expected.len() + SLACK_BYTES];
        cursors.iter().for_each(|cursor| data[*cursor as usize] = 9);
        assert_eq!(views.copy(0..200, 1, &mut data, &mut cursors), 0);
        assert_eq!(data[..expected.len()], expected);
        assert_eq!(cursors.last().map(|end| *end as usize), Some(expected.len()));
        for length in 1..41 {
            for place in 0..length {
                let mut value = vec![1; length];
                value[place] = 0;
                let array: BinaryViewArray = [Some(value)].into_iter().collect();
                let copied = Views::new(&array, &[]).copy(0..1, 0, &mut [0; 64], &mut [0]);
                assert_ne!(copied, 0, "byte {place} of {length}");
            }
        }
    }
}
