//! LZ4 frames, end to end, cut between them. Frames to be skipped are passed over.
//!
//! The frame is taken apart here, as `lz4_flex` takes a file that is cut off for one that ends.

use std::hash::Hasher;
use std::sync::Arc;

use mr_model::Compression::Lz4 as NAME;
use twox_hash::XxHash32;

use super::feed::Feed;
use super::{Decoder, Frame, Step, corrupt, cut_off, first_frame, read_up_to, trailing};
use crate::error::FormatError;
use crate::source::Source;

/// How frames begin.
const MAGIC: u32 = 0x184d_2204;
/// How frames begin that are to be skipped: 16 in a row.
const SKIPPED: u32 = 0x184d_2a50;
/// Longest header of a frame, in bytes.
const HEADER_BYTES_MAX: usize = 19;
/// How far a block that is linked to those ahead of it looks back, in bytes.
const HISTORY_BYTES: usize = 64 * 1024;
/// The bit of a block's length that says that it is stored as it is.
const STORED: u32 = 1 << 31;

/// Whether `word` begins a frame of either kind.
pub(super) fn is_magic(word: u32) -> bool {
    word == MAGIC || is_skipped(word)
}

fn is_skipped(word: u32) -> bool {
    word & !0xf == SKIPPED
}

pub(super) struct Lz4<'a> {
    feed: Feed<'a>,
    /// Where the frame begins.
    frame: u64,
    header: Option<Header>,
    /// A block as it is stored.
    stored: Vec<u8>,
    /// History, then the block; `at..filled` are to be handed out.
    block: Vec<u8>,
    at: usize,
    filled: usize,
    /// Decoded bytes of the frame and their hash.
    bytes: u64,
    hash: XxHash32,
}

impl<'a> Lz4<'a> {
    /// The frames that begin at `start` or behind it.
    pub(super) fn new(source: Arc<dyn Source + 'a>, start: u64) -> Result<Self, FormatError> {
        let first = first_frame(source.as_ref(), start, is_magic, next_frame)?;
        Ok(Self {
            feed: Feed::new(source, first),
            frame: first,
            header: None,
            stored: Vec::new(),
            block: Vec::new(),
            at: 0,
            filled: 0,
            bytes: 0,
            hash: XxHash32::with_seed(0),
        })
    }

    fn cut_off(&self) -> FormatError {
        cut_off(NAME, self.frame, self.feed.source().bytes())
    }

    /// Goes to the next frame with data: false at the end of the file.
    fn enter(&mut self) -> Result<bool, FormatError> {
        loop {
            self.frame = self.feed.position();
            if self.feed.fill()?.is_empty() {
                return Ok(false);
            }
            match read_header(self.feed.source(), self.frame)? {
                (header, None) => self.feed.seek(self.frame + header),
                (bytes, Some(header)) => {
                    self.feed.seek(self.frame + bytes);
                    self.block.resize(HISTORY_BYTES + header.block_bytes_max, 0);
                    (self.at, self.filled) = (HISTORY_BYTES, HISTORY_BYTES);
                    (self.bytes, self.hash) = (0, XxHash32::with_seed(0));
                    self.header = Some(header);
                    return Ok(true);
                }
            }
        }
    }

    /// Decodes the next block of the frame, to where it is handed out from or at once to `out`, and tells how many
    /// bytes are there.
    fn next_block(&mut self, header: Header, out: &mut [u8]) -> Result<usize, FormatError> {
        let word = self.word()?;
        if word == 0 {
            self.leave(header)?;
            return Ok(0);
        }
        self.read_stored(header, (word & !STORED) as usize)?;
        let direct = !header.linked && out.len() >= header.block_bytes_max;
        if header.linked {
            // What linked blocks look back at is kept right ahead of them.
            let keep = self.filled.min(HISTORY_BYTES);
            self.block.copy_within(self.filled - keep..self.filled, HISTORY_BYTES - keep);
        }
        let (history, own) = self.block.split_at_mut(HISTORY_BYTES);
        let history = if header.linked { &*history } else { &[] };
        let room = if direct { out } else { own };
        let room = &mut room[..header.block_bytes_max];
        let decoded = if word & STORED != 0 {
            room[..self.stored.len()].copy_from_slice(&self.stored);
            self.stored.len()
        } else {
            let known = usize::try_from(self.bytes).unwrap_or(usize::MAX).min(history.len());
            let known = &history[history.len() - known..];
            lz4_flex::block::decompress_into_with_dict(&self.stored, room, known)
                .map_err(|_| corrupt(NAME, self.frame, "a block cannot be decoded"))?
        };
        if header.content_checksum {
            self.hash.write(&room[..decoded]);
        }
        self.bytes += decoded as u64;
        if direct {
            return Ok(decoded);
        }
        (self.at, self.filled) = (HISTORY_BYTES, HISTORY_BYTES + decoded);
        Ok(0)
    }

    /// Reads a block of `length` bytes as it is stored.
    fn read_stored(&mut self, header: Header, length: usize) -> Result<(), FormatError> {
        if length > header.block_bytes_max {
            return Err(corrupt(NAME, self.frame, "a block is longer than its frame allows"));
        }
        self.stored.resize(length, 0);
        if !self.feed.take(&mut self.stored)? {
            return Err(self.cut_off());
        }
        if header.block_checksums && self.word()? != hash_of(&self.stored) {
            return Err(corrupt(NAME, self.frame, "the checksum of a block is another one"));
        }
        Ok(())
    }

    /// Checks what follows the last block.
    fn leave(&mut self, header: Header) -> Result<(), FormatError> {
        if header.content_bytes.is_some_and(|bytes| bytes != self.bytes) {
            return Err(corrupt(NAME, self.frame, "their length is another one"));
        }
        if header.content_checksum && u64::from(self.word()?) != self.hash.finish() {
            return Err(corrupt(NAME, self.frame, "their checksum is another one"));
        }
        self.header = None;
        Ok(())
    }

    fn word(&mut self) -> Result<u32, FormatError> {
        let mut word = [0; 4];
        if !self.feed.take(&mut word)? {
            return Err(self.cut_off());
        }
        Ok(u32::from_le_bytes(word))
    }
}

impl Decoder for Lz4<'_> {
    fn decode(&mut self, out: &mut [u8]) -> Result<Step, FormatError> {
        let Some(header) = self.header else {
            return Ok(if self.enter()? { Step::Unit(self.frame) } else { Step::End });
        };
        if self.at == self.filled {
            return self.next_block(header, out).map(Step::Bytes);
        }
        let bytes = out.len().min(self.filled - self.at);
        out[..bytes].copy_from_slice(&self.block[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(Step::Bytes(bytes))
    }

    fn position(&self) -> u64 {
        self.feed.position()
    }
}

/// The lower half of a hash has all of it.
fn hash_of(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    block_bytes_max: usize,
    /// Blocks look back at those ahead of them.
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_bytes: Option<u64>,
}

/// Reads the header of a frame and tells its length; without a header, that of a frame to be skipped.
fn read_header(source: &dyn Source, at: u64) -> Result<(u64, Option<Header>), FormatError> {
    let mut front = [0; HEADER_BYTES_MAX];
    let read = read_up_to(source, at, &mut front)?;
    let missing = || cut_off(NAME, at, source.bytes());
    let word = |at: usize| u32::from_le_bytes([front[at], front[at + 1], front[at + 2], front[at + 3]]);
    if read < 4 || !is_magic(word(0)) {
        return Err(trailing(NAME, at));
    }
    if is_skipped(word(0)) {
        let bytes = 8 + u64::from(word(4));
        let whole = read >= 8 && at + bytes <= source.bytes();
        return if whole { Ok((bytes, None)) } else { Err(missing()) };
    }
    let (flags, block) = (front[4], front[5]);
    let (sized, keyed) = (flags & 0x08 != 0, flags & 0x01 != 0);
    let bytes = 7 + if sized { 8 } else { 0 } + if keyed { 4 } else { 0 };
    if read < bytes {
        return Err(missing());
    }
    if flags >> 6 != 1 || flags & 0x02 != 0 || block & 0x8f != 0 || (block >> 4) < 4 {
        return Err(corrupt(NAME, at, "their header is of no known kind"));
    }
    if hash_of(&front[4..bytes - 1]).to_le_bytes()[1] != front[bytes - 1] {
        return Err(corrupt(NAME, at, "the checksum of their header is another one"));
    }
    if keyed {
        return Err(corrupt(NAME, at, "they need a dictionary, which is not supported"));
    }
    let content = u64::from(word(6)) | (u64::from(word(10)) << 32);
    let header = Header {
        block_bytes_max: 1 << (8 + 2 * (block >> 4)),
        linked: flags & 0x20 == 0,
        block_checksums: flags & 0x10 != 0,
        content_checksum: flags & 0x04 != 0,
        content_bytes: sized.then_some(content),
    };
    Ok((bytes as u64, Some(header)))
}

/// Goes through the headers of the frame at `at` and of its blocks.
pub(super) fn next_frame(source: &dyn Source, at: u64) -> Result<Frame, FormatError> {
    let (bytes, header) = read_header(source, at)?;
    let Some(header) = header else { return Ok(Frame { end: at + bytes, data: false }) };
    let checksum = if header.block_checksums { 4 } else { 0 };
    let mut end = at + bytes;
    loop {
        let mut word = [0; 4];
        if read_up_to(source, end, &mut word)? < 4 {
            return Err(cut_off(NAME, at, source.bytes()));
        }
        end += 4;
        match u32::from_le_bytes(word) & !STORED {
            0 if word == [0; 4] => break,
            length => end += u64::from(length) + checksum,
        }
    }
    end += if header.content_checksum { 4 } else { 0 };
    if end > source.bytes() {
        return Err(cut_off(NAME, at, source.bytes()));
    }
    Ok(Frame { end, data: true })
}
