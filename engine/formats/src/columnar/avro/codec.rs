//! Compression of Avro's blocks, each of which is decoded as a whole, to no more than it may become.

use std::io::Read;

/// Decoded bytes of a block that nobody counts against its stored ones.
const EXPANSION_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Largest window of Zstandard, as a power of two: that of its own tool's greatest level.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Bytes of the checksum behind a block of Snappy.
const CHECKSUM_BYTES: usize = 4;

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
}

impl Codec {
    pub fn of_name(name: &[u8]) -> Result<Self, String> {
        Ok(match name {
            b"null" => Codec::Null,
            b"deflate" => Codec::Deflate,
            b"snappy" => Codec::Snappy,
            b"zstandard" => Codec::Zstandard,
            b"bzip2" => Codec::Bzip2,
            other => {
                let name = String::from_utf8_lossy(&other[..other.len().min(40)]);
                return Err(format!(
                    "its blocks are compressed with {name:?}; null, deflate, snappy, zstandard and bzip2 can be read"
                ));
            }
        })
    }

    /// Decodes a block.
    ///
    /// # Errors
    /// The end of a sentence about the block.
    pub fn decode(self, stored: Vec<u8>, bytes_max: u64, expansion_max: u64) -> Result<Vec<u8>, String> {
        let most =
            (stored.len() as u64).saturating_mul(expansion_max.max(1)).saturating_add(EXPANSION_FREE_BYTES);
        let most = most.min(bytes_max);
        let input = stored.as_slice();
        match self {
            Codec::Null => Ok(stored),
            Codec::Deflate => read(flate2::read::DeflateDecoder::new(input), most),
            Codec::Bzip2 => read(bzip2::read::MultiBzDecoder::new(input), most),
            Codec::Zstandard => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(input).map_err(|error| damaged(&error))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|error| damaged(&error))?;
                read(decoder, most)
            }
            Codec::Snappy => snappy(input, most),
        }
    }
}

fn read(decoder: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::new();
    let read = decoder.take(most.saturating_add(1)).read_to_end(&mut decoded);
    read.map_err(|error| damaged(&error))?;
    if decoded.len() as u64 > most { Err(too_large(most)) } else { Ok(decoded) }
}

fn snappy(stored: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let Some((stored, checksum)) = stored.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err("is damaged: it has no checksum".into());
    };
    let bytes = snap::raw::decompress_len(stored).map_err(|error| damaged(&error))?;
    if bytes as u64 > most {
        return Err(too_large(most));
    }
    let decoded = snap::raw::Decoder::new().decompress_vec(stored).map_err(|error| damaged(&error))?;
    if crc32fast::hash(&decoded) != u32::from_be_bytes(*checksum) {
        return Err("is damaged: its checksum does not fit".into());
    }
    Ok(decoded)
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("is damaged: {error}")
}

fn too_large(most: u64) -> String {
    format!("becomes more than {most} bytes, which is the limit for its size")
}
