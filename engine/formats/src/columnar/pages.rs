//! What the pages of a Parquet file claim, looked at before its crate makes room for it: their headers are read
//! one after another, as the crate does, and anything unusual in them is refused, so that both read the same.

use std::ops::Range;

use flate2::bufread::MultiGzDecoder;
use parquet::arrow::ProjectionMask;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::file_bytes::read_bytes;
use crate::error::FormatError;
use crate::source::Source;

/// Most bytes of a page, as it lies and decoded: it is in memory as a whole. Writers aim at 1 MiB, and miss it
/// where rows are long.
const PAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes that a header is looked for in at first, and at most: minima and maxima of long values may be in it.
const HEADER_BYTES: u64 = 256;
const HEADER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What a byte of gzip becomes at most.
const GZIP_EXPANSION_MAX: u64 = 1032;
/// Structs within structs: what is deeper is no header.
const DEPTH_MAX: u32 = 8;

/// Checks the pages of the columns of a row group that are read. Answers what they become, in bytes.
///
/// # Errors
/// A page that is larger than it may be, or what is no page; what the source says.
pub(crate) fn decoded_bytes(
    source: &dyn Source,
    group: &RowGroupMetaData,
    mask: &ProjectionMask,
) -> Result<u64, FormatError> {
    let mut decoded = 0_u64;
    for (leaf, chunk) in group.columns().iter().enumerate() {
        if mask.leaf_included(leaf) {
            let mut place = place(chunk);
            while place.start < place.end {
                decoded = decoded.saturating_add(check_page(source, chunk.compression(), &mut place)?);
            }
        }
    }
    Ok(decoded)
}

/// Where the pages of a column are.
fn place(chunk: &ColumnChunkMetaData) -> Range<u64> {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let start = u64::try_from(start).unwrap_or(0);
    start..start.saturating_add(u64::try_from(chunk.compressed_size()).unwrap_or(0))
}

/// Checks the page that begins at the start of `place`, which moves behind it. Answers its decoded bytes.
fn check_page(source: &dyn Source, codec: Compression, place: &mut Range<u64>) -> Result<u64, FormatError> {
    let at = place.start;
    let (header_bytes, header) = read_header(source, place)?;
    let claims = |what: &str| FormatError::bad(at, format!("the header of the page that begins here {what}"));
    let (Ok(stored), Ok(decoded)) = (u64::try_from(header.stored), u64::try_from(header.decoded)) else {
        return Err(claims("says that it has less than no bytes"));
    };
    let body = at + header_bytes..at.saturating_add(header_bytes).saturating_add(stored);
    if body.end > place.end {
        return Err(claims("says that it goes on behind its column"));
    }
    if stored.max(decoded) > PAGE_BYTES_MAX {
        let reason = format!(
            "says that it has {} bytes, and {PAGE_BYTES_MAX} is the limit; write the file with smaller pages",
            stored.max(decoded)
        );
        return Err(claims(&reason));
    }
    if u64::try_from(header.words).ok().is_none_or(|words| words > decoded) {
        return Err(claims(&format!("says that {} values are in its {decoded} bytes", header.words)));
    }
    if matches!(codec, Compression::GZIP(_)) && stored.saturating_mul(GZIP_EXPANSION_MAX) > PAGE_BYTES_MAX {
        check_gzip(&read_bytes(source, body.start, stored)?, decoded)
            .map_err(|()| claims(&format!("says that it becomes {decoded} bytes, and it becomes more")))?;
    }
    place.start = body.end;
    Ok(decoded)
}

/// Refuses what becomes more than it says: the crate would find out with all of it in memory.
fn check_gzip(body: &[u8], decoded: u64) -> Result<(), ()> {
    let counted =
        std::io::copy(&mut std::io::Read::take(MultiGzDecoder::new(body), decoded + 1), &mut std::io::sink());
    // What is damaged is told by the crate.
    if counted.is_ok_and(|bytes| bytes > decoded) { Err(()) } else { Ok(()) }
}

/// What a header says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Bytes of the page as it lies and decoded.
    stored: i32,
    decoded: i32,
    /// Values of a dictionary.
    words: i32,
}

/// The header at the start of `place`, and its length in bytes.
fn read_header(source: &dyn Source, place: &Range<u64>) -> Result<(u64, Header), FormatError> {
    let rest = (place.end - place.start).min(HEADER_BYTES_MAX);
    let mut bytes = HEADER_BYTES.min(rest);
    loop {
        let front = read_bytes(source, place.start, bytes)?;
        let mut thrift = Thrift { rest: &front };
        if let Some(header) = thrift.header() {
            return Ok(((front.len() - thrift.rest.len()) as u64, header));
        }
        if bytes == rest {
            return Err(FormatError::bad(place.start, "no page begins here, where its column says so"));
        }
        bytes = (bytes * 16).min(rest);
    }
}

/// Types of fields in the compact protocol of Thrift.
mod kind {
    pub const BOOLS: std::ops::RangeInclusive<u8> = 1..=2;
    pub const I8: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const F64: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
}

/// Reads the compact protocol of Thrift; none where it ends too early or is not what a header is.
struct Thrift<'a> {
    rest: &'a [u8],
}

impl Thrift<'_> {
    fn header(&mut self) -> Option<Header> {
        let mut header = Header::default();
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (2, kind::I32) => header.decoded = self.i32()?,
                (3, kind::I32) => header.stored = self.i32()?,
                (1 | 4, kind::I32) => drop(self.i32()?),
                (7, kind::STRUCT) => header.words = self.of_kind(field)?,
                (5 | 6 | 8, kind::STRUCT) => drop(self.of_kind(field)?),
                (..=8, _) => return None,
                _ => self.skip(kind, 0)?,
            }
        }
        Some(header)
    }

    /// The part of a header that is for pages of one kind. Answers its first number.
    fn of_kind(&mut self, page: i16) -> Option<i32> {
        let (mut first, mut field) = (0, 0);
        while let Some(kind) = self.field(&mut field)? {
            match (page, field, kind) {
                (5 | 7 | 8, 1, kind::I32) => first = self.i32()?,
                (5, 2..=4, kind::I32) | (7, 2, kind::I32) | (8, 2..=6, kind::I32) => drop(self.i32()?),
                (5, 5, kind::STRUCT) | (8, 8, kind::STRUCT) => self.skip(kind, 0)?,
                (7, 3, kind) | (8, 7, kind) if kind::BOOLS.contains(&kind) => {}
                (5, ..=5, _) | (7, ..=3, _) | (8, ..=8, _) => return None,
                _ => self.skip(kind, 0)?,
            }
        }
        Some(first)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn i64(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.i64()?).ok()
    }

    /// The kind of the next field, whose number is put into `field`; nothing at the end of the struct.
    #[expect(clippy::option_option, reason = "no more fields is not no header")]
    fn field(&mut self, field: &mut i16) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *field = match i16::from(byte >> 4) {
            0 => i16::try_from(self.i64()?).ok()?,
            more => field.checked_add(more)?,
        };
        Some(Some(byte & 15))
    }

    /// Reads over a field.
    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind {
            1 | 2 => Some(()),
            kind::I8 => self.take(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::F64 => self.take(8),
            kind::BINARY => {
                let bytes = self.varint()?;
                self.take(bytes)
            }
            kind::LIST | kind::SET => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                (0..count).try_for_each(|_| self.skip_element(byte & 15, depth))
            }
            kind::MAP => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            kind::STRUCT => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Reads over an element: a boolean is a byte there.
    fn skip_element(&mut self, kind: u8, depth: u32) -> Option<()> {
        if kind::BOOLS.contains(&kind) { self.take(1) } else { self.skip(kind, depth + 1) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_that_becomes_more_than_it_says_is_refused() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&vec![0; 3_000_000]).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(check_gzip(&gzip, 3_000_000), Ok(()));
        assert_eq!(check_gzip(&gzip, 2_999_999), Err(()));
        assert_eq!(check_gzip(&gzip[..100], 1000), Err(()));
        assert_eq!(check_gzip(b"nothing", 1000), Ok(()), "the crate tells what is damaged");
    }
}
