//! Packed columns by hand, as an SDK has them.

use crate::mr::engine::types::{Batch, Column};

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
            ends.extend_from_slice(&(data.len() as u32).to_le_bytes());
        }
        self.rows += 1;
    }

    pub fn clear(&mut self) {
        self.rows = 0;
        for (ends, data) in [&mut self.keys, &mut self.values] {
            ends.clear();
            data.clear();
        }
    }

    /// The batch; the buffers stay for the next one in real SDKs, here they are copied.
    pub fn batch(&self) -> Batch {
        let column =
            |(ends, data): &(Vec<u8>, Vec<u8>)| Column { width: 0, ends: ends.clone(), data: data.clone() };
        Batch { rows: self.rows, keys: column(&self.keys), values: column(&self.values) }
    }
}

pub fn cells(column: &Column, rows: u32) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    (0..rows as usize).map(move |row| {
        let end = match column.ends.chunks_exact(4).nth(row) {
            Some(end) => u32::from_le_bytes(end.try_into().unwrap()) as usize,
            None => start + column.width as usize,
        };
        let cell = &column.data[start..end];
        start = end;
        cell
    })
}

pub fn pack(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_le_bytes).collect()
}
