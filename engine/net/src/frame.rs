//! Frames: how messages lie on a stream.
//!
//! A stream begins with one byte, its kind; then come frames, each a little-endian u32 length and
//! that many bytes of postcard (`decoder`). A length is compared with the cap of its kind before
//! anything is read. What breaks these rules closes the connection. Must not know what messages mean.

use std::io;

use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::close::{Fault, code};
use crate::decoder::{Decoder, KEPT_BYTES_MAX, LENGTH_BYTES};
use crate::error::ExchangeError;
use crate::remote::Remote;

/// Code of a stream that was given up.
const ABANDONED: u32 = 1;

/// What a stream is for: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// The first stream of a connection: both sides let each other in.
    Greeting = 0,
    /// One request, one answer.
    Request = 1,
    /// Messages both ways.
    Channel = 2,
    /// One segment.
    Segment = 3,
}

impl StreamKind {
    fn of(kind: u8) -> Option<Self> {
        [Self::Greeting, Self::Request, Self::Channel, Self::Segment]
            .into_iter()
            .find(|known| *known as u8 == kind)
    }
}

/// The sending half of a stream. Dropped before [`Outbound::end`] it is reset, so that a message
/// cut short never looks like one that is complete.
#[derive(Debug)]
pub(crate) struct Outbound {
    remote: Remote,
    stream: SendStream,
    /// Encoded and not yet handed to QUIC. A cancelled write leaves its rest here for the next one.
    pending: Vec<u8>,
    sent: usize,
    ended: bool,
}

impl Outbound {
    /// Wraps a stream that the peer opened.
    pub(crate) fn new(remote: Remote, stream: SendStream) -> Self {
        Self { remote, stream, pending: Vec::new(), sent: 0, ended: false }
    }

    /// Sends a message of at most `bytes_max` bytes. Waits while the peer takes nothing. If this is
    /// cancelled, the message is sent whole by the next call, or not at all.
    pub(crate) async fn write<T: Serialize>(
        &mut self,
        message: &T,
        bytes_max: usize,
    ) -> Result<(), ExchangeError> {
        // One byte alone is the stream's kind, which goes out together with the first frame.
        if self.pending.len() > 1 {
            self.flush().await?;
        }
        let start = self.pending.len();
        if let Err(error) = self.encode(message, bytes_max) {
            self.pending.truncate(start);
            return Err(error);
        }
        self.flush().await
    }

    /// Sends bytes that need no frame, without copying them.
    pub(crate) async fn write_raw(&mut self, bytes: Bytes) -> Result<(), ExchangeError> {
        self.flush().await?;
        self.stream.write_chunk(bytes).await.map_err(|error| self.remote.write_error(error))
    }

    /// Says that nothing follows. What was written is still delivered, unless the connection is closed.
    pub(crate) fn end(&mut self) {
        // An error means that the stream is closed already.
        let _ = self.stream.finish();
        self.ended = true;
    }

    /// Says that nothing follows and waits until the peer has it all.
    pub(crate) async fn deliver(&mut self) -> Result<(), ExchangeError> {
        self.flush().await?;
        self.end();
        match self.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(ExchangeError::Abandoned),
            Err(quinn::StoppedError::ConnectionLost(error)) => {
                Err(ExchangeError::Closed(self.remote.ended(error)))
            }
            Err(quinn::StoppedError::ZeroRttRejected) => Err(ExchangeError::Abandoned),
        }
    }

    /// Waits until the peer no longer wants what this stream would carry.
    pub(crate) async fn unwanted(&mut self) {
        // Whatever the outcome, nobody listens any more.
        let _ = self.stream.stopped().await;
    }

    /// The peer.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    fn encode<T: Serialize>(&mut self, message: &T, bytes_max: usize) -> Result<(), ExchangeError> {
        self.pending.extend_from_slice(&[0; LENGTH_BYTES]);
        let start = self.pending.len();
        let mut sink = CappedSink { buffer: &mut self.pending, left: bytes_max, passed: false };
        let encoded = postcard::to_io(message, &mut sink).map(|_| ());
        if sink.passed {
            return Err(ExchangeError::TooLarge { bytes_max });
        }
        encoded.map_err(|error| ExchangeError::Encoding { reason: error.to_string() })?;
        let length =
            u32::try_from(self.pending.len() - start).map_err(|_| ExchangeError::TooLarge { bytes_max })?;
        self.pending[start - LENGTH_BYTES..start].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ExchangeError> {
        while self.sent < self.pending.len() {
            let written = self.stream.write(&self.pending[self.sent..]).await;
            self.sent += written.map_err(|error| self.remote.write_error(error))?;
        }
        self.sent = 0;
        self.pending.clear();
        self.pending.shrink_to(KEPT_BYTES_MAX);
        Ok(())
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        if !self.ended {
            // An error means that the stream is closed already.
            let _ = self.stream.reset(code(ABANDONED));
        }
    }
}

/// The receiving half of a stream. Dropped before its end, it tells the peer to stop.
#[derive(Debug)]
pub(crate) struct Inbound {
    remote: Remote,
    stream: RecvStream,
    /// What has arrived of the frame being read, so that a cancelled read loses nothing.
    frame: Decoder,
    /// When the frame being read has to be complete.
    deadline: Option<Instant>,
    /// Room for the frame being read, where it is large.
    room: Option<OwnedSemaphorePermit>,
}

impl Inbound {
    /// Wraps a stream that the peer opened.
    pub(crate) fn new(remote: Remote, stream: RecvStream) -> Self {
        Self { remote, stream, frame: Decoder::default(), deadline: None, room: None }
    }

    /// Reads the kind of a stream that the peer opened.
    pub(crate) async fn kind(&mut self) -> Result<StreamKind, ExchangeError> {
        let first = self.stream.read_chunk(1, true).await.map_err(|error| self.remote.read_error(error))?;
        let Some(kind) = first.and_then(|chunk| chunk.bytes.first().copied()) else {
            return Err(self.remote.fault(Fault::Truncated));
        };
        StreamKind::of(kind).ok_or_else(|| self.remote.fault(Fault::UnknownStream { kind }))
    }

    /// Reads the next message of at most `bytes_max` bytes; none at the end of the stream. May be
    /// cancelled and called again.
    pub(crate) async fn read<T: DeserializeOwned>(
        &mut self,
        bytes_max: usize,
    ) -> Result<Option<T>, ExchangeError> {
        loop {
            let missing = self.frame.missing(bytes_max).map_err(|fault| self.remote.fault(fault))?;
            if missing == 0 {
                break;
            }
            if missing > KEPT_BYTES_MAX && self.room.is_none() {
                self.room = self.remote.frame_room(missing).await;
                self.deadline = None;
            }
            match self.next_chunk(missing).await? {
                Some(chunk) => self.frame.take(&chunk),
                None if self.frame.is_between() => return Ok(None),
                None => return Err(self.remote.fault(Fault::Truncated)),
            }
        }
        (self.deadline, self.room) = (None, None);
        self.frame.message().map(Some).map_err(|fault| self.remote.fault(fault))
    }

    /// The next bytes of the stream, at most `missing`. What begins a frame may take for ever to come,
    /// what ends it may not.
    async fn next_chunk(&mut self, missing: usize) -> Result<Option<Bytes>, ExchangeError> {
        let read = self.stream.read_chunk(missing, true);
        let read = if self.frame.is_between() {
            read.await
        } else {
            let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.remote.limits().frame);
            match timeout_at(deadline, read).await {
                Ok(read) => read,
                Err(_) => return Err(self.remote.fault(Fault::Slow)),
            }
        };
        Ok(read.map_err(|error| self.remote.read_error(error))?.map(|chunk| chunk.bytes))
    }

    /// Reads a message that has to be there.
    pub(crate) async fn expect<T: DeserializeOwned>(&mut self, bytes_max: usize) -> Result<T, ExchangeError> {
        self.read(bytes_max).await?.ok_or_else(|| self.remote.fault(Fault::Truncated))
    }

    /// Reads bytes that are in no frame into `chunks`, without copying them; returns how many chunks
    /// were filled, none at the end of the stream.
    pub(crate) async fn read_raw(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, ExchangeError> {
        self.stream.read_chunks(chunks).await.map_err(|error| self.remote.read_error(error))
    }

    /// The peer.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }
}

impl Remote {
    /// Opens a stream and says what it is for. Waits while the peer allows no more.
    pub(crate) async fn open(&self, kind: StreamKind) -> Result<(Outbound, Inbound), ExchangeError> {
        let opened = self.connection().open_bi().await;
        let (send, receive) = opened.map_err(|error| ExchangeError::Closed(self.ended(error)))?;
        let mut outbound = Outbound::new(self.clone(), send);
        // Travels together with the first frame.
        outbound.pending.push(kind as u8);
        Ok((outbound, Inbound::new(self.clone(), receive)))
    }
}

/// A buffer that takes so many bytes and no more.
struct CappedSink<'a> {
    buffer: &'a mut Vec<u8>,
    left: usize,
    passed: bool,
}

impl io::Write for CappedSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.passed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
