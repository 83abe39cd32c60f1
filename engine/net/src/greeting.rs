//! The greeting: the first stream of a connection, on which both sides let each other in.
//!
//! TLS has checked the chains by then. What is left is the version, the cluster, the role and the
//! name, each of which either side may refuse with a reason that the other one gets to read. The
//! dialling side says its verdict on the stream and not by closing, because a close that is sent
//! before the handshake is confirmed may lose its reason.

use std::sync::Arc;

use tokio::time::timeout;

use crate::close::{CloseReason, Closed, Fault, Refusal, Side, code};
use crate::error::ExchangeError;
use crate::frame::{Inbound, Outbound, StreamKind};
use crate::limits::{FAREWELL_TIMEOUT, GREETING_BYTES_MAX, Limits};
use crate::node::{NodeId, NodeRole};
use crate::remote::Remote;
use crate::tls::{PROTOCOL_VERSION, agreed};

/// Who is expected at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its role.
    pub role: NodeRole,
    /// Its name, unless any will do.
    pub name: Option<String>,
}

impl From<NodeRole> for Expected {
    fn from(role: NodeRole) -> Self {
        Self { role, name: None }
    }
}

impl Expected {
    /// One node.
    pub fn named(role: NodeRole, name: impl Into<String>) -> Self {
        Self { role, name: Some(name.into()) }
    }
}

/// A greeting that failed: how the connection ended, and whose it was as far as is known.
pub(crate) struct Unwelcome {
    pub(crate) peer: Option<NodeId>,
    pub(crate) closed: Closed,
}

/// Lets in whom this side dialled.
pub(crate) async fn as_dialer(
    connection: quinn::Connection,
    us: &NodeId,
    expected: &Expected,
    limits: &Arc<Limits>,
) -> Result<Remote, Unwelcome> {
    let Some(node) = agreed(&connection).1 else {
        return Err(refuse(&connection, None, Refusal::BadCertificate));
    };
    let verdict = judge_listener(&node, us, expected);
    let remote = Remote::new(connection, node, limits.clone());
    let greeting = exchange(&remote, verdict);
    if let Err(refusal) = verdict {
        // The peer gets a moment to hear it; what it says does not matter.
        let _ = timeout(FAREWELL_TIMEOUT.min(limits.handshake / 2), greeting).await;
        return Err(refuse(remote.connection(), Some(remote.node()), refusal));
    }
    match greeting.await {
        Ok(()) => Ok(remote),
        Err(error) => Err(unwelcome(&remote, &error)),
    }
}

/// Lets in who dialled this side.
pub(crate) async fn as_listener(
    connection: quinn::Connection,
    us: &NodeId,
    roles: &[NodeRole],
    limits: &Arc<Limits>,
) -> Result<Remote, Unwelcome> {
    let (version, node) = agreed(&connection);
    if let Err(refusal) = judge_version(version) {
        return Err(refuse(&connection, node.as_ref(), refusal));
    }
    let Some(node) = node else {
        return Err(refuse(&connection, None, Refusal::BadCertificate));
    };
    if let Err(refusal) = judge_dialer(&node, us, roles) {
        return Err(refuse(&connection, Some(&node), refusal));
    }
    let remote = Remote::new(connection, node, limits.clone());
    match answer(&remote).await {
        Ok(Ok(())) => Ok(remote),
        Ok(Err(refusal)) => {
            let closed = Closed::By { side: Side::Peer, reason: CloseReason::Refused(refusal) };
            Err(Unwelcome { peer: Some(remote.node().clone()), closed })
        }
        Err(error) => Err(unwelcome(&remote, &error)),
    }
}

/// Closes a connection that is refused by this side.
fn refuse(connection: &quinn::Connection, peer: Option<&NodeId>, refusal: Refusal) -> Unwelcome {
    let reason = CloseReason::Refused(refusal);
    let (class, bytes) = reason.encode();
    connection.close(code(class), &bytes);
    Unwelcome { peer: peer.cloned(), closed: Closed::By { side: Side::Us, reason } }
}

fn judge_version(version: Option<u16>) -> Result<(), Refusal> {
    match version {
        Some(PROTOCOL_VERSION) => Ok(()),
        Some(dialer) => Err(Refusal::Version { dialer, listener: PROTOCOL_VERSION }),
        None => Err(Refusal::NoProtocol),
    }
}

fn judge_listener(node: &NodeId, us: &NodeId, expected: &Expected) -> Result<(), Refusal> {
    if node.cluster() != us.cluster() {
        return Err(Refusal::WrongCluster);
    }
    if node.role() != expected.role {
        return Err(Refusal::WrongRole { role: node.role() });
    }
    match &expected.name {
        Some(name) if name != node.name() => Err(Refusal::WrongName),
        _ => Ok(()),
    }
}

fn judge_dialer(node: &NodeId, us: &NodeId, roles: &[NodeRole]) -> Result<(), Refusal> {
    if node.cluster() != us.cluster() {
        return Err(Refusal::WrongCluster);
    }
    if !roles.contains(&node.role()) {
        return Err(Refusal::WrongRole { role: node.role() });
    }
    Ok(())
}

/// Tells the listening side the verdict on it and waits for its own.
async fn exchange(remote: &Remote, verdict: Result<(), Refusal>) -> Result<(), ExchangeError> {
    let (mut outbound, mut inbound) = remote.open(StreamKind::Greeting).await?;
    outbound.write(&verdict, GREETING_BYTES_MAX).await?;
    outbound.end();
    inbound.expect::<()>(GREETING_BYTES_MAX).await
}

/// Hears the dialling side's verdict and lets it in.
async fn answer(remote: &Remote) -> Result<Result<(), Refusal>, ExchangeError> {
    let accepted = remote.connection().accept_bi().await;
    let (send, receive) = accepted.map_err(|error| ExchangeError::Closed(remote.ended(error)))?;
    let mut inbound = Inbound::new(remote.clone(), receive);
    let mut outbound = Outbound::new(remote.clone(), send);
    let kind = inbound.kind().await?;
    if kind != StreamKind::Greeting {
        return Err(remote.fault(Fault::UnknownStream { kind: kind as u8 }));
    }
    let verdict: Result<(), Refusal> = inbound.expect(GREETING_BYTES_MAX).await?;
    outbound.write(&(), GREETING_BYTES_MAX).await?;
    outbound.end();
    Ok(verdict)
}

fn unwelcome(remote: &Remote, error: &ExchangeError) -> Unwelcome {
    let closed = match error {
        ExchangeError::Closed(closed) => closed.clone(),
        // A fault has closed the connection; a greeting that was given up ends it.
        error => remote.close_reason().unwrap_or_else(|| {
            remote.close(CloseReason::Done);
            Closed::Transport { reason: error.to_string() }
        }),
    };
    Unwelcome { peer: Some(remote.node().clone()), closed }
}
