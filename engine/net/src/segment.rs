//! Segments: large byte strings, each on a stream of its own, with flow control as back-pressure.
//!
//! The dialling side names a segment; the listening side answers that it is gone, or how long it is
//! and what it hashes to, and then sends it. The receiver checks both at the end. The hash is the one
//! that was taken when the segment was made, so that it covers the disks on the way, too: the network
//! itself is covered by TLS. "Gone" is never "empty", and a transfer cut short is never a short one.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::task::task_tracker::TaskTrackerToken;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::close::Fault;
use crate::error::ExchangeError;
use crate::frame::{Inbound, Outbound, StreamKind};
use crate::limits::{HEADER_BYTES_MAX, SEGMENT_CHUNK_BYTES};
use crate::peer::{Peer, within};
use crate::remote::Remote;

/// Pieces taken from QUIC at once: a call's worth, at most a packet each.
const PIECES: usize = 32;

/// Length and hash of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// Its length, in bytes.
    pub bytes: u64,
    /// Its XXH3-128.
    pub hash: u128,
}

impl SegmentInfo {
    /// Measures a segment that is in memory.
    pub fn of(segment: &[u8]) -> Self {
        Self { bytes: segment.len() as u64, hash: xxh3_128(segment) }
    }
}

/// Measures a segment that is written piece by piece.
#[derive(Clone, Default)]
pub struct SegmentHasher {
    bytes: u64,
    state: Box<Xxh3>,
}

impl SegmentHasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.state.update(piece);
    }

    /// Length and hash of the pieces so far.
    pub fn info(&self) -> SegmentInfo {
        SegmentInfo { bytes: self.bytes, hash: self.state.digest128() }
    }
}

impl std::fmt::Debug for SegmentHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentHasher").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A segment that could not be had, or sent.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The stream or the connection failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// It ended before its length.
    #[error("a segment of {bytes} bytes ended after {received}")]
    Short {
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced.
        bytes: u64,
    },
    /// It is not what was written.
    #[error("a segment of {bytes} bytes arrived with another hash than it was written with")]
    Corrupt {
        /// Its length, in bytes.
        bytes: u64,
    },
    /// What it is read from has another length than was announced.
    #[error("a segment of {bytes} bytes was announced, and its source has another length")]
    Source {
        /// Bytes that were announced.
        bytes: u64,
    },
    /// Its source or its sink failed.
    #[error("a segment cannot be read or written locally: {0}")]
    Local(#[from] std::io::Error),
}

/// What is answered when a segment is asked for.
#[derive(Debug, Serialize, Deserialize)]
enum Header {
    Found(SegmentInfo),
    Gone,
}

/// What became of a segment that was asked for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken apart where it arrives, never kept")]
pub enum SegmentAnswer {
    /// It is there and on its way.
    Found(SegmentReader),
    /// The peer does not have it, or no longer.
    Gone,
}

impl Peer {
    /// Asks for the segment that `key` names. The deadline is for the answer, not for the transfer,
    /// which only has to go on ([`crate::Limits::stall`]).
    pub async fn segment<Key: Serialize>(
        &self,
        key: &Key,
        deadline: Duration,
    ) -> Result<SegmentAnswer, ExchangeError> {
        within(deadline, async {
            let (mut outbound, mut inbound) = self.open(StreamKind::Segment).await?;
            outbound.write(key, HEADER_BYTES_MAX).await?;
            outbound.end();
            Ok(match inbound.expect(HEADER_BYTES_MAX).await? {
                Header::Found(info) => SegmentAnswer::Found(SegmentReader::new(inbound, info)),
                Header::Gone => SegmentAnswer::Gone,
            })
        })
        .await
    }
}

/// A segment on its way here. Memory is bounded by the stream's window, however slowly it is read.
#[derive(Debug)]
pub struct SegmentReader {
    inbound: Inbound,
    info: SegmentInfo,
    hasher: SegmentHasher,
    pieces: Vec<Bytes>,
    /// The pieces that are not handed out yet: `pieces[next..filled]`.
    next: usize,
    filled: usize,
}

impl SegmentReader {
    fn new(inbound: Inbound, info: SegmentInfo) -> Self {
        let pieces = vec![Bytes::new(); PIECES];
        Self { inbound, info, hasher: SegmentHasher::default(), pieces, next: 0, filled: 0 }
    }

    /// Length and hash, as announced.
    pub fn info(&self) -> SegmentInfo {
        self.info
    }

    /// The next piece; none at the end, when length and hash were found right. Nothing may be
    /// believed before that.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SegmentError> {
        if self.next == self.filled && !self.refill().await? {
            return self.check().map(|()| None);
        }
        let piece = std::mem::take(&mut self.pieces[self.next]);
        self.next += 1;
        self.hasher.update(&piece);
        if self.hasher.bytes > self.info.bytes {
            return Err(self.inbound.remote().fault(Fault::SegmentTooLong).into());
        }
        Ok(Some(piece))
    }

    /// Writes the whole segment to `sink` and checks it.
    pub async fn copy_to<W: AsyncWrite + Unpin>(mut self, sink: &mut W) -> Result<SegmentInfo, SegmentError> {
        while let Some(piece) = self.next().await? {
            sink.write_all(&piece).await?;
        }
        sink.flush().await?;
        Ok(self.info)
    }

    async fn refill(&mut self) -> Result<bool, SegmentError> {
        let stall = self.inbound.remote().limits().stall;
        let filled = within(stall, self.inbound.read_raw(&mut self.pieces)).await?;
        (self.next, self.filled) = (0, filled.unwrap_or(0));
        Ok(filled.is_some())
    }

    fn check(&self) -> Result<(), SegmentError> {
        let (received, SegmentInfo { bytes, .. }) = (self.hasher.bytes, self.info);
        if received < bytes {
            return Err(SegmentError::Short { received, bytes });
        }
        if self.hasher.info() != self.info {
            return Err(SegmentError::Corrupt { bytes });
        }
        Ok(())
    }
}

/// Answers the request for a segment. Dropped without an answer, it tells the peer that there is none.
#[derive(Debug)]
pub struct SegmentResponder {
    outbound: Outbound,
    /// Keeps the server from ending before the answer has arrived.
    guard: TaskTrackerToken,
}

impl SegmentResponder {
    pub(crate) fn new(outbound: Outbound, guard: TaskTrackerToken) -> Self {
        Self { outbound, guard }
    }

    /// Says that the segment is not there.
    pub async fn gone(mut self) -> Result<(), SegmentError> {
        let stall = self.outbound.remote().limits().stall;
        let answered = within(stall, async {
            self.outbound.write(&Header::Gone, HEADER_BYTES_MAX).await?;
            self.outbound.deliver().await
        });
        Ok(answered.await?)
    }

    /// Announces the segment; its bytes are then given to the writer.
    pub async fn found(mut self, info: SegmentInfo) -> Result<SegmentWriter, SegmentError> {
        let stall = self.outbound.remote().limits().stall;
        within(stall, self.outbound.write(&Header::Found(info), HEADER_BYTES_MAX)).await?;
        Ok(SegmentWriter { outbound: self.outbound, _guard: self.guard, info, written: 0 })
    }

    /// Announces the segment and sends it from `source`, which has to have exactly its length.
    pub async fn send_from<R: AsyncRead + Unpin>(
        self,
        info: SegmentInfo,
        source: &mut R,
    ) -> Result<(), SegmentError> {
        let mut writer = self.found(info).await?;
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(SEGMENT_CHUNK_BYTES);
            while buffer.len() < SEGMENT_CHUNK_BYTES && source.read_buf(&mut buffer).await? > 0 {}
            if buffer.is_empty() {
                return writer.finish().await;
            }
            writer.write(buffer.split().freeze()).await?;
        }
    }
}

/// A segment on its way out. Dropped before [`SegmentWriter::finish`] it tells the peer that the
/// transfer was cut short.
#[derive(Debug)]
pub struct SegmentWriter {
    outbound: Outbound,
    _guard: TaskTrackerToken,
    info: SegmentInfo,
    written: u64,
}

impl SegmentWriter {
    /// Sends the next bytes, without copying them. Waits while the peer does not keep up, and gives up
    /// when it takes nothing for [`crate::Limits::stall`].
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), SegmentError> {
        self.written += bytes.len() as u64;
        if self.written > self.info.bytes {
            return Err(SegmentError::Source { bytes: self.info.bytes });
        }
        let stall = self.outbound.remote().limits().stall;
        // In chunks, so that a slow peer is seen to go on.
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(SEGMENT_CHUNK_BYTES));
            within(stall, self.outbound.write_raw(chunk)).await?;
        }
        Ok(())
    }

    /// Ends the segment and waits until the peer has it.
    pub async fn finish(mut self) -> Result<(), SegmentError> {
        if self.written != self.info.bytes {
            return Err(SegmentError::Source { bytes: self.info.bytes });
        }
        let stall = self.outbound.remote().limits().stall;
        Ok(within(stall, self.outbound.deliver()).await?)
    }

    /// The peer.
    pub fn remote(&self) -> &Remote {
        self.outbound.remote()
    }
}
