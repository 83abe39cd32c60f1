//! Lines: one record for each, or as many whole ones as fit in each. The rules are those of plain lines in
//! `mr-storage`, for what it does not read itself: decoded bytes above all.

use mr_model::BatchBuf;

use super::{filled, push_place};
use crate::error::{FormatError, OnBad};
use crate::open::RecordReader;
use crate::tape::Tape;

/// What records of lines look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rows {
    /// The key tells the place, behind these bytes; the value is the line.
    Values(Vec<u8>),
    /// The key is the line.
    Keys,
    /// As values, whole lines with their newlines in each.
    Chunks(Vec<u8>),
}

/// Reads lines.
pub(crate) struct LinesReader {
    tape: Tape<'static>,
    rows: Rows,
    /// The first line belongs to the range ahead.
    skip: bool,
}

impl LinesReader {
    /// The lines of `tape`, whose first one is skipped if `skip`.
    pub(crate) fn new(tape: Tape<'static>, rows: Rows, skip: bool) -> Self {
        Self { tape, rows, skip }
    }

    fn fill_lines(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
    ) -> Result<bool, FormatError> {
        while filled(batch) < target {
            if self.tape.offset() > self.tape.last() {
                return Ok(false);
            }
            let mut taken = self.push_lines(batch, offsets, target)?;
            if taken == 0 && !self.tape.more_of_record()? {
                taken = self.tape.bytes().len();
                if taken == 0 {
                    return Ok(false);
                }
                self.push_line(batch, offsets, 0, taken)?;
            }
            self.tape.consume(taken);
        }
        Ok(true)
    }

    /// Appends the whole lines of the window, until the batch is full, and tells how many bytes they have.
    fn push_lines(
        &self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
    ) -> Result<usize, FormatError> {
        let bytes = self.tape.bytes();
        let last = self.tape.last().saturating_sub(self.tape.offset());
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            if start as u64 > last {
                break;
            }
            self.push_line(batch, offsets, start, end)?;
            start = end + 1;
            if filled(batch) >= target {
                break;
            }
        }
        Ok(start)
    }

    #[inline]
    fn push_line(
        &self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        start: usize,
        end: usize,
    ) -> Result<(), FormatError> {
        let offset = self.tape.offset() + start as u64;
        let line = &self.tape.bytes()[start..end];
        if line.len() > self.tape.record_bytes_max() {
            return Err(self.tape.too_long(offset));
        }
        let place = self.tape.place(offset);
        match &self.rows {
            Rows::Keys => batch.push(line, b""),
            Rows::Values(prefix) | Rows::Chunks(prefix) => {
                push_place(batch, prefix, place);
                batch.values.push(line);
            }
        }
        offsets.push(place);
        Ok(())
    }

    fn fill_chunks(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
    ) -> Result<bool, FormatError> {
        loop {
            let room = target.saturating_sub(filled(batch));
            if batch.rows() > 0 && room <= target / 4 {
                return Ok(true);
            }
            // How lines are put together must not depend on how much of them is read at once.
            while self.tape.bytes().len() < room && self.tape.more()? {}
            if self.tape.offset() > self.tape.last() || self.tape.bytes().is_empty() {
                return Ok(false);
            }
            let Some(chunk) = self.next_chunk(room, batch.rows() > 0)? else { return Ok(true) };
            self.check_lengths(chunk)?;
            let place = self.tape.place(self.tape.offset());
            if let Rows::Values(prefix) | Rows::Chunks(prefix) = &self.rows {
                push_place(batch, prefix, place);
            }
            batch.values.push(&self.tape.bytes()[..chunk]);
            offsets.push(place);
            self.tape.consume(chunk);
        }
    }

    /// Length of the whole lines in the next `room` bytes, or of one that is longer; none if that is to come
    /// `later`.
    fn next_chunk(&mut self, room: usize, later: bool) -> Result<Option<usize>, FormatError> {
        if let Some(whole) = self.whole_lines(room) {
            return Ok(Some(whole));
        }
        if later {
            return Ok(None);
        }
        loop {
            if let Some(newline) = memchr::memchr(b'\n', self.tape.bytes()) {
                return Ok(Some(newline + 1));
            }
            if !self.tape.more_of_record()? {
                return Ok(Some(self.tape.bytes().len()));
            }
        }
    }

    /// Length of the whole lines of the range at the front of the window, in its first `room` bytes.
    fn whole_lines(&self, room: usize) -> Option<usize> {
        let bytes = self.tape.bytes();
        let last = self.tape.last() - self.tape.offset();
        let last = usize::try_from(last).ok().and_then(|last| Some((last, bytes.get(last..)?)));
        let end = match last.map(|(last, rest)| (last, memchr::memchr(b'\n', rest))) {
            Some((last, Some(newline))) => last + newline + 1,
            _ if self.tape.ended() => bytes.len(),
            _ => usize::MAX,
        };
        if end <= room {
            return Some(end);
        }
        memchr::memrchr(b'\n', &bytes[..room.min(bytes.len())]).map(|newline| newline + 1)
    }

    /// Refuses lines over the limit in the first `bytes` bytes. Looks for the last newline within reach rather
    /// than at every line, and at nothing where all of them together are short enough.
    fn check_lengths(&self, bytes: usize) -> Result<(), FormatError> {
        let (lines, max) = (&self.tape.bytes()[..bytes], self.tape.record_bytes_max());
        let mut start = 0;
        while lines.len() - start > max {
            match memchr::memrchr(b'\n', &lines[start..=start + max]) {
                Some(newline) => start += newline + 1,
                None => return Err(self.tape.too_long(self.tape.offset() + start as u64)),
            }
        }
        Ok(())
    }
}

impl RecordReader for LinesReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        _bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        if std::mem::take(&mut self.skip) {
            self.tape.skip_past(|bytes| memchr::memchr(b'\n', bytes))?;
        }
        match self.rows {
            Rows::Chunks(_) => self.fill_chunks(batch, offsets, target.max(1)),
            _ => self.fill_lines(batch, offsets, target.max(1)),
        }
    }

    fn bytes_read(&self) -> u64 {
        self.tape.bytes_read()
    }
}
