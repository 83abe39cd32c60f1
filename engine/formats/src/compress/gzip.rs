//! gzip (RFC 1952): members end to end, each with a checksum. Read from the beginning of the file only.

use std::sync::Arc;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use mr_model::Compression::Gzip as NAME;

use super::feed::Feed;
use super::{Decoder, Step, corrupt, cut_off, trailing};
use crate::error::FormatError;
use crate::source::Source;

/// How members begin.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The one method of compression.
const DEFLATE: u8 = 8;
/// Flags of a header: parts that follow it.
const HEADER_CRC: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME_FLAG: u8 = 0x08;
const COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;
/// Longest name or comment of a member, in bytes: nobody needs more.
const TEXT_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Gzip<'a> {
    feed: Feed<'a>,
    inflate: Decompress,
    crc: Crc,
    /// Where the member begins.
    member: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the end of a member, or at the beginning.
    Between,
    Inside,
    Done,
}

impl<'a> Gzip<'a> {
    /// All of the file, or nothing if `start` is not its beginning.
    pub(super) fn new(source: Arc<dyn Source + 'a>, start: u64) -> Self {
        let state = if start == 0 { State::Between } else { State::Done };
        Self {
            feed: Feed::new(source, start),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            member: 0,
            state,
        }
    }

    fn cut_off(&self) -> FormatError {
        cut_off(NAME, self.member, self.feed.source().bytes())
    }

    /// Enters the next member: false at the end of the file.
    fn enter(&mut self) -> Result<bool, FormatError> {
        self.member = self.feed.position();
        if self.feed.fill()?.is_empty() || (self.member > 0 && self.only_zeros()?) {
            return Ok(false);
        }
        let mut header = [0; 10];
        let whole = self.feed.take(&mut header)?;
        if self.member > 0 && !header.starts_with(&MAGIC) {
            return Err(trailing(NAME, self.member));
        }
        let flags = header[3];
        match header {
            _ if !whole => return Err(self.cut_off()),
            [_, _, DEFLATE, ..] if flags & RESERVED == 0 => {}
            _ => return Err(corrupt(NAME, self.member, "their header is of no known kind")),
        }
        self.skip_options(flags)?;
        self.inflate.reset(false);
        self.crc.reset();
        Ok(true)
    }

    /// Whether nothing but zeros follows: tapes and block devices pad with them.
    fn only_zeros(&mut self) -> Result<bool, FormatError> {
        loop {
            let bytes = self.feed.fill()?;
            if bytes.is_empty() {
                return Ok(true);
            }
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if zeros < bytes.len() {
                let padded = zeros > 0 || self.feed.position() > self.member;
                return if padded { Err(trailing(NAME, self.member)) } else { Ok(false) };
            }
            self.feed.consume(zeros);
        }
    }

    fn skip_options(&mut self, flags: u8) -> Result<(), FormatError> {
        if flags & EXTRA != 0 {
            let mut length = [0; 2];
            let whole = self.feed.take(&mut length)?
                && self.feed.take(&mut vec![0; usize::from(u16::from_le_bytes(length))])?;
            whole.then_some(()).ok_or_else(|| self.cut_off())?;
        }
        for flag in [NAME_FLAG, COMMENT] {
            if flags & flag != 0 {
                self.skip_text()?;
            }
        }
        if flags & HEADER_CRC != 0 && !self.feed.take(&mut [0; 2])? {
            return Err(self.cut_off());
        }
        Ok(())
    }

    fn skip_text(&mut self) -> Result<(), FormatError> {
        for _ in 0..TEXT_BYTES_MAX {
            match self.feed.byte()? {
                Some(0) => return Ok(()),
                Some(_) => {}
                None => return Err(self.cut_off()),
            }
        }
        Err(corrupt(NAME, self.member, "the name of their file has no end"))
    }

    /// Checks length and checksum behind the data of a member.
    fn leave(&mut self) -> Result<(), FormatError> {
        let mut trailer = [0; 8];
        if !self.feed.take(&mut trailer)? {
            return Err(self.cut_off());
        }
        let told = u64::from_le_bytes(trailer);
        let is = u64::from(self.crc.sum()) | (u64::from(self.crc.amount()) << 32);
        if told != is {
            return Err(corrupt(NAME, self.member, "their checksum is another one"));
        }
        Ok(())
    }
}

impl Decoder for Gzip<'_> {
    fn decode(&mut self, out: &mut [u8]) -> Result<Step, FormatError> {
        if self.state == State::Between {
            self.state = if self.enter()? { State::Inside } else { State::Done };
            if self.state == State::Inside {
                return Ok(Step::Unit(self.member));
            }
        }
        if self.state == State::Done {
            return Ok(Step::End);
        }
        let input = self.feed.fill()?;
        let (at_end, before) = (input.is_empty(), (self.inflate.total_in(), self.inflate.total_out()));
        let status = self.inflate.decompress(input, out, FlushDecompress::None);
        let read = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(usize::MAX);
        let written = usize::try_from(self.inflate.total_out() - before.1).unwrap_or(usize::MAX);
        self.feed.consume(read);
        let Ok(status) = status else {
            return Err(corrupt(NAME, self.member, "they cannot be decoded"));
        };
        self.crc.update(&out[..written.min(out.len())]);
        if status == Status::StreamEnd {
            self.leave()?;
            self.state = State::Between;
        } else if at_end && written == 0 {
            return Err(self.cut_off());
        }
        Ok(Step::Bytes(written))
    }

    fn position(&self) -> u64 {
        self.feed.position()
    }
}
