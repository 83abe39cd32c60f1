//! Why connections are refused and closed, so that both sides can say so.
//!
//! A close carries a class as its code and a [`CloseReason`] in postcard as its reason. Faults of
//! certificates are refused by TLS before anything else is heard, as alerts; they are mapped to the
//! same [`Refusal`]s here. Peers of other versions read this too: variants are only ever appended.

use std::fmt;

use quinn::{ConnectionError, TransportErrorCode, VarInt};
use serde::{Deserialize, Serialize};

use crate::node::NodeRole;

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Us,
    /// The other one.
    Peer,
}

/// Why a peer is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Its certificate was issued by another authority.
    ForeignAuthority,
    /// Its certificate has expired or is not valid yet.
    Expired,
    /// It showed no certificate.
    NoCertificate,
    /// Its certificate is malformed, forged, or names no node.
    BadCertificate,
    /// Its certificate is not for this side of a connection: a client that listens.
    WrongPurpose,
    /// Its certificate is for another cluster.
    WrongCluster,
    /// Its role is not served here, or not the one that was dialled.
    WrongRole {
        /// The role in its certificate.
        role: NodeRole,
    },
    /// It is another node than the one that was dialled.
    WrongName,
    /// The two sides speak different versions of the protocol.
    Version {
        /// What the dialling side speaks.
        dialer: u16,
        /// What the listening side speaks.
        listener: u16,
    },
    /// The other side speaks no version of the protocol at all.
    NoProtocol,
    /// Too many connections or handshakes; later there may be room. Also said while shutting down.
    Busy,
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    /// A frame claims to be larger than its kind may be.
    #[error("a frame of {bytes} bytes where {bytes_max} are allowed")]
    Oversized {
        /// What it claims, in bytes.
        bytes: u32,
        /// What is allowed, in bytes.
        bytes_max: u32,
    },
    /// A stream ended within a frame, or before one that was due.
    #[error("a stream that ends within a frame")]
    Truncated,
    /// A frame does not decode to the message that was due, or has bytes left over.
    #[error("a frame that is no message")]
    Garbage,
    /// A stream was opened, and its first frame did not come in time.
    #[error("a stream without a first frame in time")]
    Silent,
    /// A stream is of a kind that is not known, or not due.
    #[error("a stream of unknown kind {kind}")]
    UnknownStream {
        /// Its first byte.
        kind: u8,
    },
    /// A segment has more bytes than its header says.
    #[error("a segment longer than its header says")]
    SegmentTooLong,
    /// A frame began and did not end in time.
    #[error("a frame that does not end in time")]
    Slow,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// Nothing is left to say.
    Done,
    /// The side that closes is going down; what it had not taken up may be asked of another.
    Shutdown,
    /// The other side is not let in.
    Refused(Refusal),
    /// The other side broke the protocol.
    Fault(Fault),
    /// The reason is not known to this version.
    Unknown,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// One side closed it.
    By {
        /// Which.
        side: Side,
        /// Why.
        reason: CloseReason,
    },
    /// Nothing was heard from the peer for the idle timeout.
    Idle,
    /// The peer does not know the connection: it was restarted.
    Reset,
    /// QUIC itself failed.
    Transport {
        /// QUIC's reason.
        reason: String,
    },
}

impl Refusal {
    /// The sentence for people; `by` is the side that refuses.
    pub fn sentence(self, by: Side) -> String {
        let whose = match by {
            Side::Us => "the peer's",
            Side::Peer => "this node's",
        };
        match self {
            Refusal::ForeignAuthority => format!(
                "{whose} certificate was issued by another authority; nodes of one cluster share one ca.pem"
            ),
            Refusal::Expired => format!(
                "{whose} certificate has expired or is not valid yet; issue a new one and restart, or check the clocks"
            ),
            Refusal::NoCertificate => {
                "no certificate was shown; every node needs one of the cluster".to_owned()
            }
            Refusal::BadCertificate => {
                format!("{whose} certificate is malformed, forged, or not one of mr-engine")
            }
            Refusal::WrongPurpose => {
                format!("{whose} certificate is a client's, and clients are not dialled")
            }
            Refusal::WrongCluster => format!("{whose} certificate is for another cluster"),
            Refusal::WrongRole { role } => {
                format!("{whose} certificate is for the role {role}, which is not the one wanted here")
            }
            Refusal::WrongName => {
                format!("{whose} certificate is for another node than the one that was dialled")
            }
            Refusal::Version { dialer, listener } => format!(
                "the dialling side speaks mr-engine/{dialer} and the listening side mr-engine/{listener}; \
                 install the same release on both"
            ),
            Refusal::NoProtocol => {
                "the two sides have no protocol in common; is the address that of an mr-engine?".to_owned()
            }
            Refusal::Busy => {
                "the listening side is at its limit or shutting down; try again later".to_owned()
            }
        }
    }

    /// The refusal that a TLS alert stands for, if it is about certificates or protocols.
    fn of_alert(code: TransportErrorCode) -> Option<Self> {
        let alert = u8::try_from(u64::from(code).checked_sub(CRYPTO_ERROR)?).ok()?;
        Some(match alert {
            45 => Refusal::Expired,
            48 => Refusal::ForeignAuthority,
            116 => Refusal::NoCertificate,
            120 => Refusal::NoProtocol,
            43 => Refusal::WrongPurpose,
            // bad_certificate, certificate_revoked, certificate_unknown, access_denied, decrypt_error
            42 | 44 | 46 | 49 | 51 => Refusal::BadCertificate,
            _ => return None,
        })
    }
}

/// Where QUIC's codes for TLS alerts begin (RFC 9001, 4.8).
const CRYPTO_ERROR: u64 = 0x100;

impl CloseReason {
    /// The code and the reason that travel in the close.
    pub fn encode(self) -> (u32, Vec<u8>) {
        let class = match self {
            CloseReason::Done => 0,
            CloseReason::Shutdown => 1,
            CloseReason::Refused(_) => 2,
            CloseReason::Fault(_) => 3,
            CloseReason::Unknown => 4,
        };
        // Serialising a plain enum into memory does not fail; an empty reason would be read as unknown.
        (class, postcard::to_stdvec(&self).unwrap_or_default())
    }

    /// Reads a close. A connection that was dropped has code 0 and no reason.
    pub fn decode(code: u64, reason: &[u8]) -> Self {
        if code == 0 && reason.is_empty() {
            return CloseReason::Done;
        }
        postcard::from_bytes(reason).unwrap_or(CloseReason::Unknown)
    }
}

impl Closed {
    /// What QUIC says, with the reason `ours` if this side closed.
    pub(crate) fn of(error: ConnectionError, ours: Option<CloseReason>) -> Self {
        let refused = |side, refusal| Closed::By { side, reason: CloseReason::Refused(refusal) };
        match error {
            ConnectionError::ApplicationClosed(close) => {
                let reason = CloseReason::decode(close.error_code.into_inner(), &close.reason);
                Closed::By { side: Side::Peer, reason }
            }
            ConnectionError::LocallyClosed => {
                Closed::By { side: Side::Us, reason: ours.unwrap_or(CloseReason::Done) }
            }
            ConnectionError::TimedOut => Closed::Idle,
            ConnectionError::Reset => Closed::Reset,
            ConnectionError::ConnectionClosed(close) => match Refusal::of_alert(close.error_code) {
                Some(refusal) => refused(Side::Peer, refusal),
                None if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                    refused(Side::Peer, Refusal::Busy)
                }
                None if close.error_code == TransportErrorCode::APPLICATION_ERROR => {
                    Closed::By { side: Side::Peer, reason: CloseReason::Unknown }
                }
                None => Closed::Transport { reason: close.to_string() },
            },
            ConnectionError::TransportError(error) => match Refusal::of_alert(error.code) {
                Some(refusal) => refused(Side::Us, refusal),
                None => Closed::Transport { reason: error.to_string() },
            },
            ConnectionError::VersionMismatch => refused(Side::Us, Refusal::NoProtocol),
            ConnectionError::CidsExhausted => Closed::Transport { reason: error.to_string() },
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |side: &Side| match side {
            Side::Us => "this side",
            Side::Peer => "the peer",
        };
        match self {
            Closed::By { side, reason: CloseReason::Done } => write!(f, "{} hung up", who(side)),
            Closed::By { side, reason: CloseReason::Shutdown } => write!(f, "{} is shutting down", who(side)),
            Closed::By { side, reason: CloseReason::Refused(refusal) } => {
                write!(f, "{} refused the connection: {}", who(side), refusal.sentence(*side))
            }
            Closed::By { side: Side::Us, reason: CloseReason::Fault(fault) } => {
                write!(f, "the peer broke the protocol: {fault}")
            }
            Closed::By { side: Side::Peer, reason: CloseReason::Fault(fault) } => {
                write!(f, "the peer says that this side broke the protocol: {fault}")
            }
            Closed::By { side, reason: CloseReason::Unknown } => {
                write!(f, "{} hung up for a reason unknown to this version", who(side))
            }
            Closed::Idle => f.write_str("nothing was heard from the peer for too long"),
            Closed::Reset => f.write_str("the peer was restarted"),
            Closed::Transport { reason } => write!(f, "the connection failed: {reason}"),
        }
    }
}

/// A code for the wire. All of ours are small.
pub(crate) fn code(class: u32) -> VarInt {
    VarInt::from_u32(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_survive_the_wire() {
        for reason in [
            CloseReason::Done,
            CloseReason::Shutdown,
            CloseReason::Refused(Refusal::Version { dialer: 2, listener: 1 }),
            CloseReason::Refused(Refusal::WrongRole { role: NodeRole::Client }),
            CloseReason::Fault(Fault::Oversized { bytes: u32::MAX, bytes_max: 1 << 20 }),
        ] {
            let (code, bytes) = reason.encode();
            assert_eq!(CloseReason::decode(u64::from(code), &bytes), reason);
        }
        assert_eq!(CloseReason::decode(0, b""), CloseReason::Done);
        assert_eq!(CloseReason::decode(2, b"\xff\xff"), CloseReason::Unknown);
        assert_eq!(CloseReason::decode(9, b""), CloseReason::Unknown);
    }

    /// Other releases decode these bytes: the encoding of a version mismatch never changes.
    #[test]
    fn a_version_mismatch_has_fixed_bytes() {
        let reason = CloseReason::Refused(Refusal::Version { dialer: 2, listener: 1 });
        assert_eq!(reason.encode(), (2, vec![2, 8, 2, 1]));
    }
}
