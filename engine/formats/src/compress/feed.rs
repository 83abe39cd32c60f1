//! Bytes of a file in order, for decoders: a buffer that is filled again when it is empty.

use std::sync::Arc;

use crate::error::FormatError;
use crate::source::Source;

/// Bytes read at a time.
const FEED_BYTES: usize = 128 * 1024;

/// A place in a file and what was read from there.
pub(super) struct Feed<'a> {
    source: Arc<dyn Source + 'a>,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    /// Place in the file of what is behind the buffer.
    next: u64,
}

impl<'a> Feed<'a> {
    /// Begins at `offset`.
    pub(super) fn new(source: Arc<dyn Source + 'a>, offset: u64) -> Self {
        Self { source, buffer: Vec::new(), at: 0, filled: 0, next: offset }
    }

    /// Bytes that are at hand, reading some if there are none; empty at the end of the file only.
    pub(super) fn fill(&mut self) -> Result<&[u8], FormatError> {
        if self.at == self.filled && self.next < self.source.bytes() {
            self.buffer.resize(FEED_BYTES, 0);
            let read = self.source.read_at(self.next, &mut self.buffer)?;
            if read == 0 {
                return Err(FormatError::Shrunk { offset: self.next });
            }
            (self.at, self.filled) = (0, read);
            self.next += read as u64;
        }
        Ok(&self.buffer[self.at..self.filled])
    }

    /// Moves on within the bytes at hand.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.filled);
    }

    /// Fills all of `out`; false where the file ends first.
    pub(super) fn take(&mut self, out: &mut [u8]) -> Result<bool, FormatError> {
        let mut taken = 0;
        while taken < out.len() {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let part = bytes.len().min(out.len() - taken);
            out[taken..taken + part].copy_from_slice(&bytes[..part]);
            self.consume(part);
            taken += part;
        }
        Ok(true)
    }

    /// The next byte; none at the end of the file.
    pub(super) fn byte(&mut self) -> Result<Option<u8>, FormatError> {
        let byte = self.fill()?.first().copied();
        self.consume(1);
        Ok(byte)
    }

    /// Moves on to a place of the file behind this one.
    pub(super) fn seek(&mut self, offset: u64) {
        let ahead = usize::try_from(offset.saturating_sub(self.position())).unwrap_or(usize::MAX);
        if ahead <= self.filled - self.at {
            self.at += ahead;
        } else {
            (self.at, self.filled, self.next) = (0, 0, offset);
        }
    }

    /// Place in the file of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.next - (self.filled - self.at) as u64
    }

    /// The file.
    pub(super) fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }
}
