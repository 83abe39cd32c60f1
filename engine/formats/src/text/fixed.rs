//! Records of a fixed length.

use mr_model::BatchBuf;

use super::filled;
use crate::error::{FormatError, OnBad};
use crate::open::RecordReader;
use crate::tape::Tape;

/// Reads records of a fixed length, the first bytes of which are the key.
pub(crate) struct FixedReader {
    tape: Tape<'static>,
    record: usize,
    key: usize,
}

impl FixedReader {
    /// The records of `tape`, which begins with one, of `record` bytes, `key` of them the key.
    pub(crate) fn new(tape: Tape<'static>, record: u32, key: u32) -> Self {
        let record = (record as usize).max(1);
        Self { tape, record, key: (key as usize).min(record) }
    }

    fn check_end(&self) -> Result<bool, FormatError> {
        match self.tape.bytes().len() {
            0 => Ok(false),
            left => Err(self.tape.bad(
                self.tape.offset(),
                format!("the last record has {left} bytes where records have {}", self.record),
            )),
        }
    }
}

impl RecordReader for FixedReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        _bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        if self.record > self.tape.record_bytes_max() {
            return Err(self.tape.too_long(self.tape.offset()));
        }
        while filled(batch) < target.max(1) {
            if self.tape.offset() > self.tape.last() {
                return Ok(false);
            }
            let mut taken = 0;
            let last = self.tape.last().saturating_sub(self.tape.offset());
            for record in self.tape.bytes().chunks_exact(self.record) {
                if taken as u64 > last || filled(batch) >= target.max(1) {
                    break;
                }
                let (key, value) = record.split_at(self.key);
                batch.push(key, value);
                offsets.push(self.tape.place(self.tape.offset() + taken as u64));
                taken += self.record;
            }
            self.tape.consume(taken);
            if taken == 0 && !self.tape.more()? {
                return self.check_end();
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.tape.bytes_read()
    }
}
