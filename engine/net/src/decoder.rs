//! Where a frame ends, and what it says: the part of reading that knows no streams, so that it can be
//! tried with any bytes in any pieces. A length is compared with the cap before anything more is asked
//! for, and memory grows with what has arrived. Must not do I/O.

use bytes::{Buf, BytesMut};
use serde::de::DeserializeOwned;

use crate::close::Fault;

/// Bytes of a frame's length.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Memory that is kept between frames, in bytes; what a large one needed is given back.
pub(crate) const KEPT_BYTES_MAX: usize = 64 << 10;

/// What has arrived of the frame that is being read.
#[derive(Debug, Default)]
pub struct Decoder {
    arrived: BytesMut,
}

impl Decoder {
    /// Bytes that the frame is known to lack, none if it is complete; before its length has arrived,
    /// those of the length.
    ///
    /// # Errors
    /// [`Fault::Oversized`] for a frame that announces more than `bytes_max` bytes.
    pub fn missing(&self, bytes_max: usize) -> Result<usize, Fault> {
        let Some(length) = self.arrived.first_chunk::<LENGTH_BYTES>() else {
            return Ok(LENGTH_BYTES - self.arrived.len());
        };
        let bytes = u32::from_le_bytes(*length);
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        if length > bytes_max {
            let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
            return Err(Fault::Oversized { bytes, bytes_max });
        }
        Ok((LENGTH_BYTES + length).saturating_sub(self.arrived.len()))
    }

    /// Takes the next bytes of the stream, no more than are missing.
    pub fn take(&mut self, bytes: &[u8]) {
        self.arrived.extend_from_slice(bytes);
    }

    /// Whether nothing of a frame has arrived: the stream may end here.
    pub fn is_between(&self) -> bool {
        self.arrived.is_empty()
    }

    /// The message of a complete frame, which leaves room for the next one.
    ///
    /// # Errors
    /// [`Fault::Garbage`] for bytes that are no message, or more than one.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        self.arrived.advance(LENGTH_BYTES.min(self.arrived.len()));
        let Ok((message, [])) = postcard::take_from_bytes(&self.arrived) else { return Err(Fault::Garbage) };
        self.arrived.clear();
        if self.arrived.capacity() > KEPT_BYTES_MAX {
            self.arrived = BytesMut::new();
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_what_arrives_and_is_given_back() {
        let mut decoder = Decoder::default();
        decoder.take(&(1u32 << 20).to_le_bytes());
        assert_eq!(decoder.missing(1 << 20), Ok(1 << 20));
        assert!(decoder.arrived.capacity() < KEPT_BYTES_MAX, "what was announced takes nothing");
        assert_eq!(decoder.missing(1 << 19), Err(Fault::Oversized { bytes: 1 << 20, bytes_max: 1 << 19 }));
        // A vector of so many bytes: its length is a varint of three bytes.
        decoder.take(&postcard::to_stdvec(&vec![7u8; (1 << 20) - 3]).unwrap());
        assert_eq!(decoder.missing(1 << 20), Ok(0));
        assert_eq!(decoder.message::<Vec<u8>>().unwrap().len(), (1 << 20) - 3);
        assert!(decoder.is_between() && decoder.arrived.capacity() < KEPT_BYTES_MAX);
    }
}
