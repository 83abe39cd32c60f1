//! One record for each file: all of its bytes.

use mr_model::BatchBuf;

use crate::error::{FormatError, OnBad};
use crate::open::RecordReader;
use crate::tape::Tape;

/// Reads a file as one record.
pub(crate) struct WholeReader {
    tape: Tape<'static>,
    key: Vec<u8>,
    done: bool,
}

impl WholeReader {
    /// All of `tape` as the value of `key`.
    pub(crate) fn new(tape: Tape<'static>, key: Vec<u8>) -> Self {
        Self { tape, key, done: false }
    }
}

impl RecordReader for WholeReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        _target: usize,
        _bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(false);
        }
        // Behind records of other files, if there are any, as the caller puts them together.
        let from = batch.values.bytes();
        while self.tape.more()? {
            let bytes = self.tape.bytes();
            if batch.values.bytes() - from + bytes.len() > self.tape.record_bytes_max() {
                return Err(self.tape.too_long(0));
            }
            batch.values.data_mut().extend_from_slice(bytes);
            self.tape.consume(self.tape.bytes().len());
        }
        batch.keys.push(&self.key);
        batch.values.close_cell();
        offsets.push(0);
        Ok(false)
    }

    fn bytes_read(&self) -> u64 {
        self.tape.bytes_read()
    }
}
