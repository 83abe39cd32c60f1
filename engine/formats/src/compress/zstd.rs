//! Zstandard (RFC 8878): frames end to end, cut between them. Frames to be skipped, as the seekable format has
//! them, are passed over.

use std::sync::Arc;

use mr_model::Compression::Zstd as NAME;
use zstd::stream::raw::{Decoder as Raw, InBuffer, Operation, OutBuffer};

use super::feed::Feed;
use super::{Decoder, Frame, Step, corrupt, cut_off, first_frame, read_up_to, trailing};
use crate::error::FormatError;
use crate::source::Source;

/// How frames begin.
const MAGIC: u32 = 0xfd2f_b528;
/// How frames begin that are to be skipped: 16 in a row.
const SKIPPED: u32 = 0x184d_2a50;
/// Longest header of a frame, in bytes.
const HEADER_BYTES_MAX: usize = 18;
/// Largest window of a frame, in bytes: what decoding it takes as memory. The format asks decoders for 8 MiB;
/// `zstd --ultra -22` takes 128 MiB.
const WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Bytes of a block's header.
const BLOCK_HEADER_BYTES: u64 = 3;

/// Whether `word` begins a frame of either kind.
pub(super) fn is_magic(word: u32) -> bool {
    word == MAGIC || is_skipped(word)
}

fn is_skipped(word: u32) -> bool {
    word & !0xf == SKIPPED
}

pub(super) struct Zstd<'a> {
    feed: Feed<'a>,
    raw: Raw<'static>,
    /// Where the frame begins.
    frame: u64,
    inside: bool,
}

impl<'a> Zstd<'a> {
    /// The frames that begin at `start` or behind it.
    pub(super) fn new(source: Arc<dyn Source + 'a>, start: u64) -> Result<Self, FormatError> {
        let first = first_frame(source.as_ref(), start, is_magic, next_frame)?;
        Ok(Self { feed: Feed::new(source, first), raw: Raw::new()?, frame: first, inside: false })
    }

    /// Goes to the next frame with data: false at the end of the file.
    fn enter(&mut self) -> Result<bool, FormatError> {
        loop {
            self.frame = self.feed.position();
            if self.feed.fill()?.is_empty() {
                return Ok(false);
            }
            match read_header(self.feed.source(), self.frame)? {
                Header::Skipped { end } => self.feed.seek(end),
                Header::Data { .. } => {
                    self.raw.reinit()?;
                    return Ok(true);
                }
            }
        }
    }
}

impl Decoder for Zstd<'_> {
    fn decode(&mut self, out: &mut [u8]) -> Result<Step, FormatError> {
        if !self.inside {
            self.inside = self.enter()?;
            return Ok(if self.inside { Step::Unit(self.frame) } else { Step::End });
        }
        let bytes = self.feed.fill()?;
        let at_end = bytes.is_empty();
        let (mut input, mut output) = (InBuffer::around(bytes), OutBuffer::around(out));
        let hint = self.raw.run(&mut input, &mut output);
        let (read, written) = (input.pos, output.pos());
        self.feed.consume(read);
        match hint {
            Err(error) => return Err(corrupt(NAME, self.frame, &error.to_string().to_lowercase())),
            Ok(0) => self.inside = false,
            Ok(_) if at_end && written == 0 => {
                return Err(cut_off(NAME, self.frame, self.feed.source().bytes()));
            }
            Ok(_) => {}
        }
        Ok(Step::Bytes(written))
    }

    fn position(&self) -> u64 {
        self.feed.position()
    }
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Skipped {
        end: u64,
    },
    Data {
        /// Length of the header, in bytes.
        bytes: u64,
        /// A checksum of 4 bytes follows the last block.
        checksum: bool,
    },
}

fn read_header(source: &dyn Source, at: u64) -> Result<Header, FormatError> {
    let mut front = [0; HEADER_BYTES_MAX];
    let read = read_up_to(source, at, &mut front)?;
    let missing = || cut_off(NAME, at, source.bytes());
    let word = |at: usize| u32::from_le_bytes([front[at], front[at + 1], front[at + 2], front[at + 3]]);
    if read >= 4 && !is_magic(word(0)) {
        return Err(trailing(NAME, at));
    }
    if read < 6 {
        return Err(if read < 4 { trailing(NAME, at) } else { missing() });
    }
    if is_skipped(word(0)) {
        let end = at + 8 + u64::from(word(4));
        return if read < 8 || end > source.bytes() { Err(missing()) } else { Ok(Header::Skipped { end }) };
    }
    let descriptor = front[4];
    let single = descriptor & 0x20 != 0;
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_bytes = match descriptor >> 6 {
        0 => usize::from(single),
        size => 1 << size,
    };
    let window_bytes = usize::from(!single);
    let bytes = 5 + window_bytes + dictionary_bytes + content_bytes;
    if read < bytes {
        return Err(missing());
    }
    let number = |from: usize, bytes: usize| {
        front[from..from + bytes].iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    };
    if number(5 + window_bytes, dictionary_bytes) != 0 {
        return Err(corrupt(NAME, at, "they need a dictionary, which is not supported"));
    }
    let window = match content_bytes {
        _ if !single => {
            let base = 1_u64 << (10 + (front[5] >> 3));
            base + (base / 8) * u64::from(front[5] & 7)
        }
        2 => number(bytes - 2, 2) + 256,
        size => number(bytes - size, size),
    };
    if window > WINDOW_BYTES_MAX {
        let reason = format!(
            "the zstd data that begin here need a window of {window} bytes and {WINDOW_BYTES_MAX} are allowed; \
             compress them again without --long"
        );
        return Err(FormatError::bad(at, reason));
    }
    Ok(Header::Data { bytes: bytes as u64, checksum: descriptor & 4 != 0 })
}

/// Goes through the headers of the frame at `at` and of its blocks.
pub(super) fn next_frame(source: &dyn Source, at: u64) -> Result<Frame, FormatError> {
    let (bytes, checksum) = match read_header(source, at)? {
        Header::Skipped { end } => return Ok(Frame { end, data: false }),
        Header::Data { bytes, checksum } => (bytes, checksum),
    };
    let mut end = at + bytes;
    loop {
        let mut header = [0; 4];
        if read_up_to(source, end, &mut header[..3])? < 3 {
            return Err(cut_off(NAME, at, source.bytes()));
        }
        let header = u32::from_le_bytes(header);
        let length = match (header >> 1) & 3 {
            1 => 1,
            3 => return Err(corrupt(NAME, at, "a block is of no known kind")),
            _ => u64::from(header >> 3),
        };
        end += BLOCK_HEADER_BYTES + length;
        if header & 1 == 1 {
            break;
        }
    }
    end += if checksum { 4 } else { 0 };
    if end > source.bytes() {
        return Err(cut_off(NAME, at, source.bytes()));
    }
    Ok(Frame { end, data: true })
}
