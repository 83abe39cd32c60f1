//! Bytes of a range in order, plain or decoded, in a window that moves over them: what readers of text look
//! at. Owns how much is held at a time and which place the range ends at. Must not know of records beyond
//! their greatest length.
//!
//! Offsets here count bytes as they are read: for a plain file those of the file, for a compressed one those
//! decoded since its reading began. [`Tape::place`] makes of them what records are told to be at.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use mr_model::Compression;
use mr_model::limit::MIB;

use crate::compress::{self, Decoder, Step};
use crate::error::FormatError;
use crate::source::Source;

/// Bytes that a window begins with, and that are read at a time: enough to hide the cost of a call, small
/// enough to stay in a core's second-level cache.
const WINDOW_BYTES: usize = 256 * 1024;
/// Decoded bytes that cost nobody anything, whatever they came from, in bytes.
const EXPANSION_FREE_BYTES: u64 = 64 * MIB;
/// What the offset of a unit of compressed data (a frame, a block) is multiplied with, to leave room for the
/// places within it.
const UNIT_SHIFT: u32 = 20;

/// What people are told of the place of a record: where its frame or block begins in the file; of gzip data how many
/// decoded bytes are ahead of it.
pub fn told_place(place: u64, compression: Compression) -> u64 {
    match compression {
        Compression::None | Compression::Gzip => place,
        Compression::Bzip2 | Compression::Zstd | Compression::Lz4 => place >> UNIT_SHIFT,
    }
}

/// What bounds a tape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// What a record is called in a sentence: "line".
    pub(crate) record: &'static str,
    /// Longest record, in bytes.
    pub(crate) record_bytes_max: u64,
    /// Most decoded bytes for each compressed byte.
    pub(crate) expansion_max: u64,
}

/// A window over the bytes of a range, and as far behind it as its last record goes.
pub(crate) struct Tape<'a> {
    input: Input<'a>,
    bounds: Bounds,
    range: Range<u64>,
    /// Records behind the range are read as well: nobody else does.
    to_end: bool,
    /// Bytes `at..filled` are there and unread.
    window: Vec<u8>,
    at: usize,
    filled: usize,
    /// Offset of the byte at `at`.
    offset: u64,
    /// Nothing follows what is in the window.
    ended: bool,
    /// A zero byte was read.
    has_zeros: bool,
}

enum Input<'a> {
    Plain(Arc<dyn Source + 'a>),
    Decoded(Decoded<'a>),
}

struct Decoded<'a> {
    decoder: Box<dyn Decoder + 'a>,
    compression: Compression,
    /// Units that begin in the window or ahead of it: the first one is that of the first byte in the window.
    units: VecDeque<Unit>,
    /// Bytes decoded so far.
    bytes: u64,
    /// Offset at which the first unit behind the range begins, once it is known.
    range_end: Option<u64>,
}

/// A unit of compressed data.
#[derive(Debug, Clone, Copy)]
struct Unit {
    /// Offset of its first decoded byte.
    decoded: u64,
    /// Where it begins in the file.
    file: u64,
}

impl<'a> Tape<'a> {
    /// The bytes of a plain file from `start` on, for the records that begin in `range`.
    pub(crate) fn plain(source: Arc<dyn Source + 'a>, start: u64, range: Range<u64>, bounds: Bounds) -> Self {
        Self::new(Input::Plain(source), start, range, bounds)
    }

    /// The decoded bytes of the units that begin in `range`, and of those behind it.
    ///
    /// # Errors
    /// The file does not begin as the compression says.
    pub(crate) fn decoded(
        source: Arc<dyn Source + 'a>,
        compression: Compression,
        range: Range<u64>,
        bounds: Bounds,
    ) -> Result<Self, FormatError> {
        let decoder = compress::open(source, compression, range.start)?;
        let decoded = Decoded { decoder, compression, units: VecDeque::new(), bytes: 0, range_end: None };
        Ok(Self::new(Input::Decoded(decoded), 0, range, bounds))
    }

    fn new(input: Input<'a>, offset: u64, range: Range<u64>, bounds: Bounds) -> Self {
        Self {
            input,
            bounds,
            range,
            to_end: false,
            window: Vec::new(),
            at: 0,
            filled: 0,
            offset,
            ended: false,
            has_zeros: false,
        }
    }

    /// Takes all records to the end of the file for those of the range.
    pub(crate) fn read_to_end(mut self) -> Self {
        self.to_end = true;
        self
    }

    /// What is in the window.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.window[self.at..self.filled]
    }

    /// Offset of the first byte in the window.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing follows what is in the window.
    #[inline]
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether there may be a zero byte in the window.
    #[inline]
    pub(crate) fn has_zeros(&self) -> bool {
        self.has_zeros
    }

    /// The longest record, in bytes.
    pub(crate) fn record_bytes_max(&self) -> usize {
        usize::try_from(self.bounds.record_bytes_max).unwrap_or(usize::MAX)
    }

    /// Moves on by `bytes`, at most what is in the window.
    #[inline]
    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.filled - self.at);
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// The last offset at which a record of the range may begin. For decoded bytes that is the first one behind
    /// the range's units, as the byte ahead of a record decides: the next range cannot see that byte and skips
    /// its first record. [`u64::MAX`] until it is known, which it is as soon as bytes behind it are in the window.
    pub(crate) fn last(&self) -> u64 {
        match &self.input {
            _ if self.to_end => u64::MAX,
            Input::Plain(_) => self.range.end.saturating_sub(1),
            Input::Decoded(decoded) => decoded.range_end.unwrap_or(u64::MAX),
        }
    }

    /// What a record at `offset` is told to be at: its place in a plain file and in gzip data as it is decoded
    /// from the beginning. In data of other compressions, which may be read from several places, it is where its
    /// unit begins in the file, times 2^20, plus how many decoded bytes it is behind that: ascending, whatever
    /// ranges are read, and of no two records the same as long as no unit expands to a million times its length.
    #[inline]
    pub(crate) fn place(&self, offset: u64) -> u64 {
        match &self.input {
            Input::Plain(_) => offset,
            Input::Decoded(decoded) if decoded.compression == Compression::Gzip => offset,
            Input::Decoded(decoded) => {
                let unit = decoded.unit(offset);
                (unit.file << UNIT_SHIFT).wrapping_add(offset.saturating_sub(unit.decoded))
            }
        }
    }

    /// Bytes of the range as it lies in the file that are behind the first one in the window.
    pub(crate) fn bytes_read(&self) -> u64 {
        let reached = match &self.input {
            Input::Plain(_) => self.offset,
            Input::Decoded(decoded) => decoded.decoder.position(),
        };
        reached.min(self.range.end).saturating_sub(self.range.start)
    }

    /// Reads more of the record at the front of the window, behind what is there; false at the end of the bytes.
    ///
    /// # Errors
    /// As [`Tape::more`], and the record is longer than allowed.
    pub(crate) fn more_of_record(&mut self) -> Result<bool, FormatError> {
        // One byte more tells that a record ends, and one more a newline of two bytes.
        if (self.filled - self.at) as u64 > self.bounds.record_bytes_max.saturating_add(2) {
            return Err(self.too_long(self.offset));
        }
        self.more()
    }

    /// Reads more behind what is in the window, which grows as far as it has to; false, and nothing, at the end
    /// of the bytes.
    ///
    /// # Errors
    /// The file cannot be read or decoded.
    pub(crate) fn more(&mut self) -> Result<bool, FormatError> {
        if self.ended {
            return Ok(false);
        }
        self.make_room();
        let room = &mut self.window[self.filled..];
        let read = match &mut self.input {
            Input::Plain(source) => {
                read_plain(source.as_ref(), self.offset + (self.filled - self.at) as u64, room)?
            }
            Input::Decoded(decoded) => decoded.read(room, self.offset, &self.range, self.bounds)?,
        };
        self.has_zeros |= memchr::memchr(0, &self.window[self.filled..self.filled + read]).is_some();
        self.filled += read;
        self.ended = read == 0;
        Ok(read > 0)
    }

    /// Moves on behind the first byte that `end` finds in what it is given, or to the end of the bytes; no further
    /// than the last place at which a record of the range may begin.
    pub(crate) fn skip_past(&mut self, end: fn(&[u8]) -> Option<usize>) -> Result<(), FormatError> {
        while self.offset <= self.last() {
            if let Some(end) = end(self.bytes()) {
                self.consume(end + 1);
                return Ok(());
            }
            self.consume(self.filled - self.at);
            if !self.more()? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Something wrong with the record at `offset`, which is in the window.
    pub(crate) fn bad(&self, offset: u64, reason: impl Into<String>) -> FormatError {
        let (offset, reason) = self.told(offset, reason.into());
        FormatError::Bad { offset, reason }
    }

    /// Place and reason as people are told of them: for decoded bytes the place is that of their unit in the file.
    pub(crate) fn told(&self, offset: u64, reason: String) -> (u64, String) {
        match &self.input {
            Input::Plain(_) => (offset, reason),
            Input::Decoded(decoded) => {
                let (unit, name) = (decoded.unit(offset), decoded.compression);
                let into = offset.saturating_sub(unit.decoded);
                (unit.file, format!("{reason} ({into} bytes into the {name} data that begin here)"))
            }
        }
    }

    /// The error of a record that begins at the front of the window and has no end within reach.
    pub(crate) fn too_long(&self, offset: u64) -> FormatError {
        let Bounds { record, record_bytes_max, .. } = self.bounds;
        self.bad(
            offset,
            format!(
                "the {record} is longer than {record_bytes_max} bytes, the limit for a record; raise it with \
                 --max-record if this is text"
            ),
        )
    }

    /// Makes room behind what is in the window: moves it to the front, or lets it grow.
    fn make_room(&mut self) {
        let unread = self.filled - self.at;
        if self.at > 0 {
            self.window.copy_within(self.at..self.filled, 0);
            (self.at, self.filled) = (0, unread);
        }
        if self.window.len() < WINDOW_BYTES {
            self.window.resize(WINDOW_BYTES, 0);
        } else if self.window.len() - unread < WINDOW_BYTES / 2 {
            self.window.resize(self.window.len() * 2, 0);
        }
    }
}

/// Reads from a plain file: 0 bytes at its end.
fn read_plain(source: &dyn Source, offset: u64, room: &mut [u8]) -> Result<usize, FormatError> {
    if offset >= source.bytes() {
        return Ok(0);
    }
    match source.read_at(offset, room)? {
        0 => Err(FormatError::Shrunk { offset }),
        read => Ok(read),
    }
}

impl Decoded<'_> {
    /// Decodes into `room`: 0 bytes at the end. `offset` is that of the window.
    fn read(
        &mut self,
        room: &mut [u8],
        offset: u64,
        range: &Range<u64>,
        bounds: Bounds,
    ) -> Result<usize, FormatError> {
        loop {
            match self.decoder.decode(room)? {
                Step::End => return Ok(0),
                Step::Bytes(0) => {}
                Step::Bytes(bytes) => {
                    self.bytes += bytes as u64;
                    self.check_expansion(range, bounds)?;
                    return Ok(bytes);
                }
                Step::Unit(file) => {
                    if file >= range.end && self.range_end.is_none() {
                        self.range_end = Some(self.bytes);
                    }
                    while self.units.get(1).is_some_and(|next| next.decoded <= offset) {
                        self.units.pop_front();
                    }
                    // One without bytes is nobody's place.
                    if self.units.back().is_some_and(|last| last.decoded == self.bytes) {
                        self.units.pop_back();
                    }
                    self.units.push_back(Unit { decoded: self.bytes, file });
                }
            }
        }
    }

    fn check_expansion(&self, range: &Range<u64>, bounds: Bounds) -> Result<(), FormatError> {
        let read = self.decoder.position().saturating_sub(range.start);
        let allowed = EXPANSION_FREE_BYTES.saturating_add(read.saturating_mul(bounds.expansion_max));
        if self.bytes <= allowed {
            return Ok(());
        }
        let (unit, name) = (self.unit(self.bytes), self.compression);
        Err(FormatError::bad(
            unit.file,
            format!(
                "the {name} data expand to more than {} times their length; raise that with \
                 --max-expansion if they are meant to",
                bounds.expansion_max
            ),
        ))
    }

    /// The unit of the byte at `offset`.
    #[inline]
    fn unit(&self, offset: u64) -> Unit {
        if let (Some(first), true) = (self.units.front(), self.units.len() == 1) {
            return *first;
        }
        let behind = self.units.partition_point(|unit| unit.decoded <= offset);
        let unit = behind.checked_sub(1).and_then(|index| self.units.get(index));
        unit.or(self.units.front()).copied().unwrap_or(Unit { decoded: 0, file: 0 })
    }
}
