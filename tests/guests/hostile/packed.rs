//! Packed columns by hand: well made ones, and ones that lie.

use crate::bindings::mr::engine::types::{Batch, Column};

/// Records of variable length, packed as an honest plugin packs them.
#[derive(Default)]
pub struct Packed {
    rows: u32,
    keys: (Vec<u8>, Vec<u8>),
    values: (Vec<u8>, Vec<u8>),
}

impl Packed {
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        for ((ends, data), cell) in [(&mut self.keys, key), (&mut self.values, value)] {
            data.extend_from_slice(cell);
            ends.extend_from_slice(&length(data).to_le_bytes());
        }
        self.rows += 1;
    }

    pub fn into_batch(self) -> Batch {
        let column = |(ends, data)| Column { width: 0, ends, data };
        Batch { rows: self.rows, keys: column(self.keys), values: column(self.values) }
    }
}

/// The cells of a column that the host made.
pub fn cells(column: &Column, rows: u32) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    (0..rows as usize).map(move |row| {
        let end = match column.ends.as_chunks::<4>().0.get(row) {
            Some(end) => u32::from_le_bytes(*end) as usize,
            None => start + column.width as usize,
        };
        let cell = &column.data[start..end];
        start = end;
        cell
    })
}

/// A column whose ends and bytes need not agree.
pub fn column(ends: &[u32], data: &[u8]) -> Column {
    Column { width: 0, ends: numbers(ends.iter().copied()), data: data.to_vec() }
}

/// A column of cells of `width` bytes each, all alike.
pub fn even(rows: u32, width: u32, byte: u8) -> Column {
    Column { width, ends: Vec::new(), data: vec![byte; rows as usize * width as usize] }
}

/// Numbers as they lie in packed buffers.
pub fn numbers(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_le_bytes).collect()
}

fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}
