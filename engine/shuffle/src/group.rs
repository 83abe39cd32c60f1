//! Groups of a sorted stream, packed into batches. A group larger than a batch goes on through
//! [`GroupReader::next_values`].

use mr_model::{ColumnBuf, Failure, GroupedBatchBuf};

use crate::merge::Merge;

/// Reads a merged stream group by group.
#[derive(Debug)]
pub struct GroupReader {
    merge: Merge,
    batch_bytes: usize,
    /// Key and rank of the group that went on past its batch.
    open_key: Vec<u8>,
    open_rank: Option<u128>,
}

impl GroupReader {
    /// Groups of `merge`, in batches of about `batch_bytes` bytes.
    pub fn new(merge: Merge, batch_bytes: usize) -> Self {
        Self { merge, batch_bytes: batch_bytes.max(1), open_key: Vec::new(), open_rank: None }
    }

    /// Fills `batch` with the next groups; false at the end. What is left of a group that went on is
    /// passed over, since its reducer has returned.
    pub fn next_batch(&mut self, batch: &mut GroupedBatchBuf) -> Result<bool, Failure> {
        self.skip_open()?;
        batch.clear();
        while let Some(rank) = self.merge.rank() {
            if batch.size() >= self.batch_bytes {
                return Ok(true);
            }
            let key_start = batch.keys.bytes();
            batch.keys.push(self.merge.key());
            loop {
                batch.values.push(self.merge.value());
                self.merge.advance()?;
                let same = {
                    let column = batch.keys.view();
                    self.merge.key_is(rank, &column.data()[key_start..])
                };
                if !same {
                    break;
                }
                if batch.size() >= self.batch_bytes {
                    batch.close_group();
                    batch.more = true;
                    self.open_key.clear();
                    self.open_key.extend_from_slice(&batch.keys.view().data()[key_start..]);
                    self.open_rank = Some(rank);
                    return Ok(true);
                }
            }
            batch.close_group();
        }
        Ok(batch.groups() > 0)
    }

    /// Fills `values` with the next ones of the group that goes on; false at its end.
    pub fn next_values(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure> {
        values.clear();
        let Some(rank) = self.open_rank else { return Ok(false) };
        while self.merge.key_is(rank, &self.open_key) {
            if values.size() >= self.batch_bytes {
                return Ok(true);
            }
            values.push(self.merge.value());
            self.merge.advance()?;
        }
        self.open_rank = None;
        Ok(values.rows() > 0)
    }

    /// Records and bytes read from the merged stream.
    pub fn passed(&self) -> (u64, u64) {
        self.merge.passed()
    }

    fn skip_open(&mut self) -> Result<(), Failure> {
        if let Some(rank) = self.open_rank.take() {
            while self.merge.key_is(rank, &self.open_key) {
                self.merge.advance()?;
            }
        }
        Ok(())
    }
}
