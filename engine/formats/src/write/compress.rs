//! Compression of a whole output file, piece by piece. Settings are fixed and nothing of the machine or
//! the clock goes into the bytes. Zstandard and LZ4 begin a new frame now and then, so that the file can be
//! split again when it is read.

use std::fmt;
use std::io::{self, Write};

use bzip2::write::BzEncoder;
use flate2::{GzBuilder, write::GzEncoder};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use mr_model::Compression;

use super::error::EncodeError;

/// Uncompressed bytes of a Zstandard or LZ4 frame: small against a split, large against what a frame costs.
pub(crate) const FRAME_BYTES: usize = 16 * 1024 * 1024;
/// Level of gzip: that of everybody.
const GZIP_LEVEL: u32 = 6;
/// Level of Zstandard: its own default.
const ZSTD_LEVEL: i32 = 3;

/// Compresses one file.
pub(crate) struct Compressor {
    compression: Compression,
    stream: Stream,
    /// Uncompressed bytes that the open frame has room for.
    room: usize,
    /// There was a frame: a file of none is not a file of its kind.
    begun: bool,
}

/// The open frame, member or stream, which writes to memory of its own.
enum Stream {
    Gzip(GzEncoder<Vec<u8>>),
    Bzip2(BzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    /// Between two frames, or behind the last one.
    Closed,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor, or none where nothing is to be compressed.
    pub fn new(compression: Compression) -> Option<Self> {
        (compression != Compression::None).then_some(Self {
            compression,
            stream: Stream::Closed,
            room: 0,
            begun: false,
        })
    }

    /// Most memory that it takes, in bytes: windows, tables and blocks of its settings.
    pub fn memory_bytes(&self) -> usize {
        match self.compression {
            Compression::None => 0,
            Compression::Gzip => 512 * 1024,
            Compression::Bzip2 => 8 * 1024 * 1024,
            Compression::Zstd => 4 * 1024 * 1024,
            Compression::Lz4 => 1024 * 1024,
        }
    }

    /// Takes bytes, and appends to `out` what is ready.
    pub fn write(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        while !bytes.is_empty() {
            if matches!(self.stream, Stream::Closed) {
                self.begin()?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(self.room));
            let written = match &mut self.stream {
                Stream::Gzip(stream) => pass(stream, now, out, GzEncoder::get_mut),
                Stream::Bzip2(stream) => pass(stream, now, out, BzEncoder::get_mut),
                Stream::Zstd(stream) => pass(stream, now, out, zstd::stream::write::Encoder::get_mut),
                Stream::Lz4(stream) => pass(&mut **stream, now, out, FrameEncoder::get_mut),
                Stream::Closed => Ok(()),
            };
            written.map_err(|error| self.failed(&error))?;
            bytes = rest;
            self.room -= now.len();
            if self.room == 0 {
                self.end(out)?;
            }
        }
        Ok(())
    }

    /// Appends the rest. What nothing was written to becomes a frame (member, stream) of nothing.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !self.begun {
            self.begin()?;
        }
        self.end(out)
    }

    fn begin(&mut self) -> Result<(), EncodeError> {
        let memory = Vec::new();
        self.begun = true;
        (self.stream, self.room) = match self.compression {
            Compression::None => (Stream::Closed, 0),
            Compression::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                (
                    Stream::Gzip(GzBuilder::new().mtime(0).operating_system(255).write(memory, level)),
                    usize::MAX,
                )
            }
            Compression::Bzip2 => {
                (Stream::Bzip2(BzEncoder::new(memory, bzip2::Compression::best())), usize::MAX)
            }
            Compression::Zstd => {
                let stream = zstd::stream::write::Encoder::new(memory, ZSTD_LEVEL).and_then(|mut stream| {
                    stream.include_checksum(true)?;
                    Ok(stream)
                });
                (Stream::Zstd(stream.map_err(|error| self.failed(&error))?), FRAME_BYTES)
            }
            Compression::Lz4 => {
                let info = FrameInfo::new()
                    .block_size(BlockSize::Max256KB)
                    .block_mode(BlockMode::Independent)
                    .content_checksum(true);
                (Stream::Lz4(Box::new(FrameEncoder::with_frame_info(info, memory))), FRAME_BYTES)
            }
        };
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let rest = match std::mem::replace(&mut self.stream, Stream::Closed) {
            Stream::Gzip(stream) => stream.finish(),
            Stream::Bzip2(stream) => stream.finish(),
            Stream::Zstd(stream) => stream.finish(),
            Stream::Lz4(stream) => stream.finish().map_err(io::Error::other),
            Stream::Closed => Ok(Vec::new()),
        };
        out.append(&mut rest.map_err(|error| self.failed(&error))?);
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> EncodeError {
        let format = match self.compression {
            Compression::None => "plain",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
        };
        EncodeError::Writer { format, reason: error.to_string() }
    }
}

/// Compresses `bytes` and moves to `out` what came of it.
fn pass<W: Write>(
    stream: &mut W,
    bytes: &[u8],
    out: &mut Vec<u8>,
    memory: impl Fn(&mut W) -> &mut Vec<u8>,
) -> io::Result<()> {
    stream.write_all(bytes)?;
    out.append(memory(stream));
    Ok(())
}
