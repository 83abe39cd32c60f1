//! What can go wrong when dialling, listening and exchanging messages.

use std::net::SocketAddr;
use std::time::Duration;

use crate::close::{CloseReason, Closed, Fault, Refusal, Side};
use crate::node::NodeId;

/// A connection that did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectError {
    /// The address is not `HOST:PORT`, or its host has no address.
    Address {
        /// The address.
        address: String,
        /// The system's reason.
        reason: String,
    },
    /// The peer did not answer in time.
    Unanswered {
        /// The address.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// One side does not let the other in.
    Refused {
        /// The address.
        address: String,
        /// The peer, as far as its certificate was read.
        peer: Option<NodeId>,
        /// The side that refuses.
        by: Side,
        /// Why.
        refusal: Refusal,
    },
    /// The connection ended before it was of use.
    Closed {
        /// The address.
        address: String,
        /// How.
        closed: Closed,
    },
}

impl ConnectError {
    /// The error for a connection that ended while it was set up.
    pub(crate) fn closed(address: &str, peer: Option<&NodeId>, closed: Closed) -> Self {
        let address = address.to_owned();
        match closed {
            Closed::By { side, reason: CloseReason::Refused(refusal) } => {
                ConnectError::Refused { address, peer: peer.cloned(), by: side, refusal }
            }
            closed => ConnectError::Closed { address, closed },
        }
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConnectError::Address { address, reason } => {
                write!(f, "{address} is no address that can be dialled: {reason}; give HOST:PORT")
            }
            ConnectError::Unanswered { address, after } => {
                write!(f, "{address} did not answer within {after:?}; is it running, and does UDP reach it?")
            }
            ConnectError::Refused { address, peer, by, refusal } => {
                let sentence = refusal.sentence(*by);
                match (peer, by) {
                    (Some(peer), Side::Us) => write!(f, "{peer} at {address} is refused: {sentence}"),
                    (Some(peer), Side::Peer) => {
                        write!(f, "{peer} at {address} refused the connection: {sentence}")
                    }
                    (None, Side::Us) => write!(f, "{address} is refused: {sentence}"),
                    (None, Side::Peer) => write!(f, "{address} refused the connection: {sentence}"),
                }
            }
            ConnectError::Closed { address, closed } => {
                write!(f, "no connection to {address}: {closed}")
            }
        }
    }
}

impl std::error::Error for ConnectError {}

/// A socket that cannot be had, or an identity that cannot use it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The system refuses the socket.
    #[error("{address} cannot be listened on or sent from: {reason}")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// TLS refuses the identity.
    #[error("the certificate of {node} cannot be used: {reason}")]
    Identity {
        /// Whose.
        node: NodeId,
        /// The reason.
        reason: String,
    },
    /// A limit is out of QUIC's range.
    #[error("the limit {limit} is out of range")]
    Limit {
        /// Its name in [`crate::Limits`].
        limit: &'static str,
    },
}

/// A request, message or stream that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The connection is gone.
    #[error("{0}")]
    Closed(Closed),
    /// The peer gave up this stream; the connection goes on.
    #[error("the peer gave up without an answer")]
    Abandoned,
    /// It took too long.
    #[error("no answer and no progress within {after:?}")]
    Deadline {
        /// How long was waited.
        after: Duration,
    },
    /// The peer broke the protocol; the connection was closed for it.
    #[error("the peer broke the protocol: {0}")]
    Fault(Fault),
    /// Our own message is too large; nothing was sent.
    #[error("a message is larger than the {bytes_max} bytes that its kind may have")]
    TooLarge {
        /// What is allowed, in bytes.
        bytes_max: usize,
    },
    /// Our own message cannot be encoded; nothing was sent.
    #[error("a message cannot be encoded: {reason}")]
    Encoding {
        /// The reason.
        reason: String,
    },
}
