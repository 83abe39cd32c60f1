//! The network of a cluster: QUIC with mutual TLS 1.3 only, and on it requests, channels and segments.
//!
//! Owns: who nodes are (certificates with a role and a name, issued by the cluster's authority), sockets
//! and connections, what lies on a stream and how large it may be, deadlines, back-pressure, and an
//! orderly end. Generic over the messages of its users. Must not know of jobs, tasks, workers' disks or
//! schedules; must not retry, and must not offer anything without TLS.
//!
//! The dialling side opens streams and the listening side serves them. A connection begins with a
//! greeting, in which each side lets the other in or says why not; both get to know the reason as one
//! [`Refusal`]. After that a peer that breaks the protocol is cut off with a [`Fault`], a node that
//! goes down says [`CloseReason::Shutdown`], and a stream that is given up never looks like a short one.
//!
//! In reading order: [`node`], [`authority`] and [`identity`] (who), [`limits`], [`close`] and [`error`]
//! (how it ends), [`endpoint`], [`greeting`], `tls` and `reset` (connections), [`remote`] and [`peer`] (the other
//! side), [`request`], [`channel`] and [`segment`] (what is said, in the frames of `frame` and `decoder`), [`server`]
//! and `session` (the listening side), [`pool`].

pub mod authority;
pub mod channel;
pub mod close;
#[doc(hidden)]
pub mod decoder;
pub mod endpoint;
pub mod error;
mod frame;
pub mod greeting;
pub mod identity;
pub mod limits;
pub mod node;
pub mod peer;
pub mod pool;
pub mod remote;
pub mod request;
mod reset;
pub mod segment;
pub mod server;
mod session;
mod tls;

pub use authority::{Authority, Certificate};
pub use channel::{Channel, Receiver, Sender};
pub use close::{CloseReason, Closed, Fault, Refusal, Side};
pub use endpoint::{Dialer, Listener};
pub use error::{BindError, ConnectError, ExchangeError};
pub use greeting::Expected;
pub use identity::{Identity, IdentityError, IdentityFiles};
pub use limits::Limits;
pub use node::{NodeId, NodeRole};
pub use peer::Peer;
pub use pool::Pool;
pub use remote::Remote;
pub use request::Responder;
pub use segment::{
    SegmentAnswer, SegmentError, SegmentHasher, SegmentInfo, SegmentReader, SegmentResponder, SegmentWriter,
};
pub use server::{Handler, Never, Server, ServerError, ServerHandle};
pub use tls::PROTOCOL_VERSION;
