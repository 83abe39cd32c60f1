//! The other end of a connection: who it is, where it is, and how the connection ended.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use quinn::{ConnectionError, ReadError, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::close::{CloseReason, Closed, Fault, code};
use crate::error::ExchangeError;
use crate::limits::Limits;
use crate::node::NodeId;

/// The node at the other end of a connection. Cheap to clone; the connection lives as long as any
/// clone or stream of it, or until it is closed.
#[derive(Debug, Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connection: quinn::Connection,
    node: NodeId,
    limits: Arc<Limits>,
    /// Bytes of large frames that may be put together now.
    frames: Arc<Semaphore>,
    /// QUIC does not remember what this side said when it closed.
    closed_with: OnceLock<CloseReason>,
}

impl Remote {
    /// Wraps a connection whose certificate was checked.
    pub(crate) fn new(connection: quinn::Connection, node: NodeId, limits: Arc<Limits>) -> Self {
        let frames = Arc::new(Semaphore::new(limits.frames_bytes_max));
        let closed_with = OnceLock::new();
        Self { shared: Arc::new(Shared { connection, node, limits, frames, closed_with }) }
    }

    /// Who it is, from its certificate.
    pub fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// Where its packets come from.
    pub fn address(&self) -> SocketAddr {
        canonical(self.shared.connection.remote_address())
    }

    /// Whether both stand for the same connection, and not for two of the same node.
    pub fn is_same_connection(&self, other: &Remote) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Ends the connection at once; what is in flight is lost. The first reason given counts. While more
    /// is in flight than the network takes, quinn 0.11 does not send it, and the peer finds the connection
    /// [`Closed::Reset`] or [`Closed::Idle`] instead.
    pub fn close(&self, reason: CloseReason) {
        let reason = *self.shared.closed_with.get_or_init(|| reason);
        let (class, bytes) = reason.encode();
        self.shared.connection.close(code(class), &bytes);
    }

    /// Waits for the end of the connection.
    pub async fn closed(&self) -> Closed {
        let error = self.shared.connection.closed().await;
        self.ended(error)
    }

    /// How the connection ended, if it has.
    pub fn close_reason(&self) -> Option<Closed> {
        self.shared.connection.close_reason().map(|error| self.ended(error))
    }

    /// The limits that the connection is under.
    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Waits for room to put together a frame of `bytes` bytes, on all streams of the connection.
    pub(crate) async fn frame_room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = bytes.min(self.shared.limits.frames_bytes_max);
        // Nobody closes the semaphore, so there always is room in the end.
        self.shared.frames.clone().acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX)).await.ok()
    }

    /// The QUIC connection.
    pub(crate) fn connection(&self) -> &quinn::Connection {
        &self.shared.connection
    }

    /// Closes the connection for a fault of the peer, and names the error for the caller.
    pub(crate) fn fault(&self, fault: Fault) -> ExchangeError {
        self.close(CloseReason::Fault(fault));
        ExchangeError::Fault(fault)
    }

    /// What QUIC says about the end of the connection, in our words.
    pub(crate) fn ended(&self, error: ConnectionError) -> Closed {
        Closed::of(error, self.shared.closed_with.get().copied())
    }

    /// The error for a failed read.
    pub(crate) fn read_error(&self, error: ReadError) -> ExchangeError {
        match error {
            ReadError::ConnectionLost(error) => ExchangeError::Closed(self.ended(error)),
            ReadError::Reset(_)
            | ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => ExchangeError::Abandoned,
        }
    }

    /// The error for a failed write.
    pub(crate) fn write_error(&self, error: WriteError) -> ExchangeError {
        match error {
            WriteError::ConnectionLost(error) => ExchangeError::Closed(self.ended(error)),
            WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
                ExchangeError::Abandoned
            }
        }
    }
}

/// An address as people write it: IPv4 without its IPv6 clothes.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
