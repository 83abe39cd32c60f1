//! The hash of what a mapper emits: batch by batch as it comes, before it is partitioned, sorted and
//! combined. What becomes of it afterwards depends on memory; this depends on split and plugin alone, so
//! that two attempts at a task can be compared.

use mr_model::{Batch, Column};
use xxhash_rust::xxh3::Xxh3;

/// Hash of an emission under way.
#[derive(Default)]
pub(crate) struct Emission(Xxh3);

impl Emission {
    /// Adds a batch; `partitions` is what the mapper chose itself, empty where it did not.
    pub fn add(&mut self, batch: Batch<'_>, partitions: &[u8]) {
        self.number(u64::from(batch.rows()));
        self.column(batch.keys);
        self.column(batch.values);
        self.bytes(partitions);
    }

    /// The hash of all that was added.
    pub fn hash(&self) -> u128 {
        self.0.digest128()
    }

    fn column(&mut self, column: Column<'_>) {
        let (width, ends, data) = column.parts();
        self.number(u64::from(width));
        self.bytes(ends);
        self.bytes(data);
    }

    /// Bytes with their length, so that what is laid end to end stays apart.
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use mr_model::BatchBuf;

    use super::*;

    fn hash(records: &[(&str, &str)], partitions: &[u8]) -> u128 {
        let mut batch = BatchBuf::default();
        records.iter().for_each(|(key, value)| batch.push(key.as_bytes(), value.as_bytes()));
        let mut emission = Emission::default();
        emission.add(batch.view(), partitions);
        emission.hash()
    }

    #[test]
    fn keys_values_order_and_partitions_count() {
        let one = hash(&[("ab", "1"), ("c", "2")], &[]);
        assert_eq!(one, hash(&[("ab", "1"), ("c", "2")], &[]));
        let others = [
            hash(&[("a", "b1"), ("c", "2")], &[]),
            hash(&[("a", "1"), ("bc", "2")], &[]),
            hash(&[("c", "2"), ("ab", "1")], &[]),
            hash(&[("ab", "1"), ("c", "3")], &[]),
            hash(&[("ab", "1"), ("c", "2")], &[0; 8]),
            hash(&[("ab", "1")], &[]),
        ];
        assert!(others.iter().all(|other| *other != one));
    }
}
