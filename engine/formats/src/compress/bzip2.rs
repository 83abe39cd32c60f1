//! bzip2: blocks of bits, each decoded by itself, so that a file is cut between any two of them.
//!
//! A block begins with 48 bits that are looked for at every bit, as Hadoop does. What lies between two of
//! these marks is shifted to whole bytes and put between a header and an end of its own, with the block's own
//! checksum as that of all. The marks can also turn up within a block, once in 2^48 bits: a block that ends too
//! early is tried again up to the next mark. Blocks that are read follow each other without a gap, so that
//! nothing that is damaged goes by unseen.

use std::sync::Arc;

use bzip2::{Decompress, Status};
use mr_model::Compression::Bzip2 as NAME;

use super::{Decoder, Step, corrupt, cut_off, read_up_to, trailing};
use crate::error::FormatError;
use crate::source::Source;

/// How blocks begin: the digits of pi.
const BLOCK: u64 = 0x3141_5926_5359;
/// How the end of a stream begins: the digits of its root.
const END: u64 = 0x1772_4538_5090;
const MAGIC_BITS: u64 = 48;
const MAGIC_MASK: u64 = (1 << MAGIC_BITS) - 1;
/// Bytes at the end of a file that are looked at with zeros behind them.
const TAIL_BYTES: usize = 16;
/// Most bytes of a block as it is stored: 900,000 symbols of 20 bits, and its tables.
const BLOCK_BYTES_MAX: u64 = 2_400_000;
/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Most marks that a block is taken to have within it: there is one in millions of blocks by chance, and more only
/// in a file that somebody made to keep others busy.
const MARKS_PASSED_MAX: u32 = 3;
/// Header of the stream that a block is put into: the greatest size of blocks.
const HEADER: &[u8] = b"BZh9";

pub(super) struct Bzip2<'a> {
    bits: Bits<'a>,
    /// First bit of the block that comes next or is being decoded.
    at: u64,
    /// The block that is being decoded.
    block: Option<Block>,
    /// Checksum of all blocks of the stream, where it was read from its beginning.
    sum: Option<u32>,
    done: bool,
}

struct Block {
    raw: Decompress,
    /// The block as a stream of its own, read up to `read`.
    stream: Vec<u8>,
    read: usize,
    /// What follows it.
    end: Mark,
    written: bool,
    crc: u32,
    /// How many marks within it were passed over.
    passed: u32,
}

/// A mark in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    bit: u64,
    is_end: bool,
}

impl<'a> Bzip2<'a> {
    /// The blocks that begin in the byte `start` or behind it.
    pub(super) fn new(source: Arc<dyn Source + 'a>, start: u64) -> Result<Self, FormatError> {
        let mut decoder = Self { bits: Bits::new(source), at: 0, block: None, sum: None, done: false };
        if start == 0 {
            decoder.next_stream(0)?;
            return Ok(decoder);
        }
        let mut from = start.saturating_mul(8);
        loop {
            match decoder.bits.find(from, u64::MAX)? {
                Some(Mark { bit, is_end: false }) => {
                    decoder.at = bit;
                    return Ok(decoder);
                }
                Some(Mark { bit, .. }) => from = bit + 1,
                None => {
                    decoder.done = true;
                    return Ok(decoder);
                }
            }
        }
    }

    /// Goes to the first block of the stream at byte `at`, or to the end of the file.
    fn next_stream(&mut self, at: u64) -> Result<(), FormatError> {
        let mut at = at;
        loop {
            let mut header = [0; 4];
            let read = self.bits.read(at, &mut header)?;
            if read == 0 {
                self.done = true;
                return Ok(());
            }
            if at > 0 && !(header.starts_with(b"BZh") && (b'1'..=b'9').contains(&header[3])) {
                return Err(trailing(NAME, at));
            }
            self.sum = Some(0);
            let first = (at + 4) * 8;
            match self.bits.word(first)?.map(|word| word >> 16) {
                Some(BLOCK) => {
                    self.at = first;
                    return Ok(());
                }
                Some(END) => at = self.end_stream(first)?,
                Some(_) => return Err(corrupt(NAME, at, "no block follows their header")),
                None => return Err(cut_off(NAME, at, self.bits.bytes())),
            }
        }
    }

    /// Checks the end of a stream at `bit` and tells the first byte behind it.
    fn end_stream(&mut self, bit: u64) -> Result<u64, FormatError> {
        let missing = cut_off(NAME, bit / 8, self.bits.bytes());
        let Some(word) = self.bits.word(bit + 32)? else { return Err(missing) };
        let told = (word >> 16) & 0xffff_ffff;
        if self.sum.is_some_and(|sum| u64::from(sum) != told) {
            return Err(corrupt(NAME, bit / 8, "the checksum at their end is another one"));
        }
        Ok((bit + MAGIC_BITS + 32).div_ceil(8))
    }

    /// Makes the stream of the block at `self.at`, which goes at least up to `from`.
    fn prepare(&mut self, from: u64, passed: u32) -> Result<Block, FormatError> {
        let unit = self.at / 8;
        let limit = self.at + BLOCK_BYTES_MAX * 8;
        let Some(mark) = self.bits.find(from, limit)? else {
            return Err(if self.bits.bytes() * 8 <= limit {
                cut_off(NAME, unit, self.bits.bytes())
            } else {
                corrupt(NAME, unit, "a block has no end")
            });
        };
        let crc = self.bits.word(self.at + 32)?.unwrap_or_default() >> 16;
        let crc = u32::try_from(crc & 0xffff_ffff).unwrap_or_default();
        let mut stream = HEADER.to_vec();
        self.bits.copy(self.at, mark.bit, &mut stream)?;
        close(&mut stream, mark.bit - self.at, crc);
        Ok(Block { raw: Decompress::new(false), stream, read: 0, end: mark, written: false, crc, passed })
    }

    /// Leaves a block that was decoded.
    fn leave(&mut self, end: Mark, crc: u32) -> Result<(), FormatError> {
        self.sum = self.sum.map(|sum| sum.rotate_left(1) ^ crc);
        self.at = end.bit;
        if end.is_end {
            let behind = self.end_stream(end.bit)?;
            self.next_stream(behind)?;
        }
        Ok(())
    }

    /// Takes the block up to the next mark: the one at its end may be part of it.
    fn extend(&mut self, block: &Block) -> Result<Block, FormatError> {
        let damaged = corrupt(NAME, self.at / 8, "a block cannot be decoded");
        if block.passed == MARKS_PASSED_MAX {
            return Err(damaged);
        }
        self.prepare(block.end.bit + 1, block.passed + 1).map_err(|error| match error {
            FormatError::Bad { .. } => damaged,
            other => other,
        })
    }
}

/// Puts the end of a stream behind a block of `bits` bits.
fn close(stream: &mut Vec<u8>, bits: u64, crc: u32) {
    let used = bits % 8;
    let end = (u128::from(END) << 80 | u128::from(crc) << 48) >> used;
    let end = end.to_be_bytes();
    match stream.last_mut() {
        Some(last) if used > 0 => {
            *last |= end[0];
            stream.extend_from_slice(&end[1..11]);
        }
        _ => stream.extend_from_slice(&end[..10]),
    }
}

impl Decoder for Bzip2<'_> {
    fn decode(&mut self, out: &mut [u8]) -> Result<Step, FormatError> {
        if self.done {
            return Ok(Step::End);
        }
        let Some(mut block) = self.block.take() else {
            self.block = Some(self.prepare(self.at + MAGIC_BITS, 0)?);
            return Ok(Step::Unit(self.at / 8));
        };
        let before = (block.raw.total_in(), block.raw.total_out());
        let status = block.raw.decompress(&block.stream[block.read..], out);
        let read = usize::try_from(block.raw.total_in() - before.0).unwrap_or(usize::MAX);
        let written = usize::try_from(block.raw.total_out() - before.1).unwrap_or(usize::MAX);
        block.read = block.stream.len().min(block.read.saturating_add(read));
        block.written |= written > 0;
        match status {
            Ok(Status::StreamEnd) => self.leave(block.end, block.crc)?,
            Ok(_) if read > 0 || written > 0 => self.block = Some(block),
            _ if block.written => {
                return Err(corrupt(NAME, self.at / 8, "the checksum of a block is another one"));
            }
            _ => self.block = Some(self.extend(&block)?),
        }
        Ok(Step::Bytes(written))
    }

    fn position(&self) -> u64 {
        if self.done { self.bits.bytes() } else { self.at / 8 }
    }
}

/// Bits of a file at any place, through a buffer.
struct Bits<'a> {
    source: Arc<dyn Source + 'a>,
    buffer: Vec<u8>,
    /// Place in the file of the buffer.
    base: u64,
}

impl<'a> Bits<'a> {
    fn new(source: Arc<dyn Source + 'a>) -> Self {
        Self { source, buffer: Vec::new(), base: 0 }
    }

    /// Length of the file.
    fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> Result<usize, FormatError> {
        read_up_to(self.source.as_ref(), at, out)
    }

    /// Bytes from `at` on, `least` of them unless the file ends.
    fn load(&mut self, at: u64, least: usize) -> Result<&[u8], FormatError> {
        let from = usize::try_from(at.wrapping_sub(self.base)).unwrap_or(usize::MAX);
        let at_hand = self.buffer.len().saturating_sub(from);
        if at_hand >= least || at.saturating_add(at_hand as u64) >= self.bytes() {
            return Ok(self.buffer.get(from..).unwrap_or_default());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(READ_BYTES, 0);
        let read = self.read(at, &mut buffer)?;
        buffer.truncate(read);
        (self.buffer, self.base) = (buffer, at);
        Ok(&self.buffer)
    }

    /// The 64 bits from `bit` on, zeros behind the end of the file; none if there are not even 48.
    fn word(&mut self, bit: u64) -> Result<Option<u64>, FormatError> {
        let bytes = self.load(bit / 8, 9)?;
        let mut front = [0; 16];
        let there = bytes.len().min(9);
        front[..there].copy_from_slice(&bytes[..there]);
        let word = (u128::from_be_bytes(front) << (bit % 8)) >> 64;
        let whole = there as u64 * 8 >= bit % 8 + MAGIC_BITS;
        Ok(whole.then_some(u64::try_from(word).unwrap_or_default()))
    }

    /// The first mark at `from` or behind it and ahead of `limit`.
    fn find(&mut self, from: u64, limit: u64) -> Result<Option<Mark>, FormatError> {
        let mut byte = from / 8;
        while byte.saturating_mul(8) < limit {
            let bytes = self.load(byte, TAIL_BYTES)?;
            let mut tail = [0; 2 * TAIL_BYTES];
            let is_tail = bytes.len() < TAIL_BYTES;
            let (bytes, windows, end) = if is_tail {
                tail[..bytes.len()].copy_from_slice(bytes);
                (tail.as_slice(), bytes.len(), byte + bytes.len() as u64)
            } else {
                (bytes, bytes.len() - 8, u64::MAX / 8)
            };
            let found = (0..windows)
                .filter(|i| MARK_BYTES[usize::from(bytes[i + 2])])
                .find_map(|i| mark_in(&bytes[i..i + 8], (byte + i as u64) * 8, from, end * 8));
            if found.is_some() || is_tail {
                return Ok(found.filter(|mark| mark.bit < limit));
            }
            byte += windows as u64;
        }
        Ok(None)
    }

    /// Appends the bits `from..to`, zeros behind the last one.
    fn copy(&mut self, from: u64, to: u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let (shift, end) = (from % 8, from / 8 + (to - from).div_ceil(8));
        let mut byte = from / 8;
        while byte < end {
            let bytes = self.load(byte, 2)?;
            let wanted = usize::try_from(end - byte).unwrap_or(usize::MAX);
            let count = wanted.min(bytes.len().max(2) - 1).min(bytes.len());
            if count == 0 {
                break;
            }
            let next = bytes[1..].iter().chain(std::iter::once(&0));
            let pairs = bytes[..count].iter().zip(next);
            out.extend(
                pairs.map(|(high, low)| (u16::from_be_bytes([*high, *low]) << shift).to_be_bytes()[0]),
            );
            byte += count as u64;
        }
        let rest = (to - from) % 8;
        if let Some(last) = out.last_mut().filter(|_| rest > 0) {
            *last &= 0xff << (8 - rest);
        }
        Ok(())
    }
}

/// The mark that begins in the first of 8 bytes, which has the bit `bit`, at `from` or behind it, and ends ahead
/// of `end`.
fn mark_in(bytes: &[u8], bit: u64, from: u64, end: u64) -> Option<Mark> {
    let word = bytes.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    (0..8_u64).find_map(|shift| {
        let magic = (word >> (16 - shift)) & MAGIC_MASK;
        let bit = bit + shift;
        let is_mark = (magic == BLOCK || magic == END) && bit >= from && bit + MAGIC_BITS <= end;
        is_mark.then_some(Mark { bit, is_end: magic == END })
    })
}

/// Which bytes can be the third of those that a mark lies in.
const MARK_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut shift = 0;
    while shift < 8 {
        table[((BLOCK >> (24 + shift)) & 0xff) as usize] = true;
        table[((END >> (24 + shift)) & 0xff) as usize] = true;
        shift += 1;
    }
    table
};
