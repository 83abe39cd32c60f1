//! Decoders of compressed files: bytes of a file in, decoded bytes and the places of their units out. Owns
//! how each compression is cut and checked. Must not know of records.
//!
//! A unit is what can be decoded without what is ahead of it: a member of gzip data, a block of bzip2 data, a
//! frame of the others. Every checksum that a format has is checked; bytes may be handed out before that, so
//! that records may have been read when the error comes.

mod bzip2;
mod feed;
mod gzip;
mod lz4;
mod zstd;

use std::sync::Arc;

use mr_model::Compression;

use crate::error::FormatError;
use crate::open::Cuts;
use crate::source::Source;

/// What a decoder did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A unit begins at this place of the file: the bytes that follow are its own.
    Unit(u64),
    /// This many bytes were decoded.
    Bytes(usize),
    /// There is no more.
    End,
}

/// Decodes a file from a place on to its end.
pub(crate) trait Decoder: Send {
    /// Goes on, into the front of `out`, which is not empty.
    fn decode(&mut self, out: &mut [u8]) -> Result<Step, FormatError>;

    /// How far the file was read, in bytes.
    fn position(&self) -> u64;
}

/// A decoder of the units that begin at `start` or behind it; where compressed data cannot be split, there are
/// units at the beginning only.
///
/// # Errors
/// The file cannot be read or does not begin as the compression says.
pub(crate) fn open<'a>(
    source: Arc<dyn Source + 'a>,
    compression: Compression,
    start: u64,
) -> Result<Box<dyn Decoder + 'a>, FormatError> {
    check_magic(source.as_ref(), compression)?;
    Ok(match compression {
        Compression::None => return Err(FormatError::bad(0, "the file is not compressed")),
        Compression::Gzip => Box::new(gzip::Gzip::new(source, start)),
        Compression::Bzip2 => Box::new(bzip2::Bzip2::new(source, start)?),
        Compression::Zstd => Box::new(zstd::Zstd::new(source, start)?),
        Compression::Lz4 => Box::new(lz4::Lz4::new(source, start)?),
    })
}

/// Where a compressed file may be cut.
///
/// # Errors
/// As [`open`], and data that are cut off.
pub(crate) fn cuts(
    source: &dyn Source,
    compression: Compression,
    split_bytes: u64,
) -> Result<Cuts, FormatError> {
    check_magic(source, compression)?;
    Ok(match compression {
        Compression::None | Compression::Bzip2 => Cuts::Anywhere,
        Compression::Gzip => Cuts::Nowhere("gzip data are read from their beginning"),
        Compression::Zstd => frames(source, split_bytes, zstd::next_frame)?,
        Compression::Lz4 => frames(source, split_bytes, lz4::next_frame)?,
    })
}

/// A frame of compressed data, as its headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it ends in the file.
    end: u64,
    /// It holds data: others are skipped.
    data: bool,
}

/// Reads the headers of the frame at a place.
type NextFrame = fn(&dyn Source, u64) -> Result<Frame, FormatError>;

/// The first frame behind each multiple of `split_bytes`.
fn frames(source: &dyn Source, split_bytes: u64, next: NextFrame) -> Result<Cuts, FormatError> {
    let split_bytes = split_bytes.max(1);
    let (mut at, mut ranges, mut data) = (0, vec![0], 0_u64);
    while at < source.bytes() {
        let frame = next(source, at)?;
        let last = ranges.last().copied().unwrap_or(0);
        if frame.data && at / split_bytes > last / split_bytes {
            ranges.push(at);
        }
        data += u64::from(frame.data);
        at = frame.end;
    }
    let whole = "all of its data are one frame, and only frames can be read apart";
    Ok(if data > 1 { Cuts::At(ranges) } else { Cuts::Nowhere(whole) })
}

/// The first frame at `start` or behind it. One that begins at `start` is known by its magic; otherwise all
/// frames are gone through from the beginning.
fn first_frame(
    source: &dyn Source,
    start: u64,
    is_magic: fn(u32) -> bool,
    next: NextFrame,
) -> Result<u64, FormatError> {
    let mut magic = [0; 4];
    if start == 0 || (read_up_to(source, start, &mut magic)? == 4 && is_magic(u32::from_le_bytes(magic))) {
        return Ok(start);
    }
    let mut at = 0;
    while at < start && at < source.bytes() {
        at = next(source, at)?.end;
    }
    Ok(at)
}

/// Reads as many bytes as there are, up to all of `buffer`.
fn read_up_to(source: &dyn Source, offset: u64, buffer: &mut [u8]) -> Result<usize, FormatError> {
    let mut filled = 0;
    while filled < buffer.len() && offset + (filled as u64) < source.bytes() {
        match source.read_at(offset + filled as u64, &mut buffer[filled..])? {
            0 => return Err(FormatError::Shrunk { offset: offset + filled as u64 }),
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Refuses a file that does not begin as its compression says.
fn check_magic(source: &dyn Source, compression: Compression) -> Result<(), FormatError> {
    let mut front = [0; 4];
    let read = read_up_to(source, 0, &mut front)?;
    let word = u32::from_le_bytes(front);
    let fits = match compression {
        Compression::None => true,
        Compression::Gzip => front.starts_with(&gzip::MAGIC),
        Compression::Bzip2 => front.starts_with(b"BZh") && (b'1'..=b'9').contains(&front[3]),
        Compression::Zstd => read == 4 && zstd::is_magic(word),
        Compression::Lz4 => read == 4 && lz4::is_magic(word),
    };
    if fits {
        return Ok(());
    }
    let what = match read {
        0 => "is empty".to_owned(),
        _ => format!("does not begin as {compression} data do"),
    };
    Err(FormatError::bad(
        0,
        format!("the file is read as {compression} and {what}; name its compression with --compression"),
    ))
}

/// The error of a unit that ends too early.
fn cut_off(compression: Compression, unit: u64, end: u64) -> FormatError {
    FormatError::bad(
        unit,
        format!("the {compression} data that begin here are cut off: the file ends at byte {end}"),
    )
}

/// The error of a unit that makes no sense.
fn corrupt(compression: Compression, unit: u64, why: &str) -> FormatError {
    FormatError::bad(unit, format!("the {compression} data that begin here are corrupt: {why}"))
}

/// The error of bytes behind the last unit.
fn trailing(compression: Compression, at: u64) -> FormatError {
    FormatError::bad(at, format!("what follows here is no {compression} data any more"))
}
