//! Sockets: the [`Listener`] that others dial and the [`Dialer`] that dials them.
//!
//! A socket carries any number of connections. What a dialled connection is used for is in
//! [`crate::peer`], what happens to those that come in, in [`crate::server`].

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::{Endpoint, TokioRuntime};
use tokio::time::timeout;

use crate::close::{CloseReason, Closed, Refusal, Side, code};
use crate::error::{BindError, ConnectError};
use crate::greeting::{Expected, Unwelcome, as_dialer};
use crate::identity::Identity;
use crate::limits::{FAREWELL_TIMEOUT, Limits};
use crate::node::{NodeId, NodeRole};
use crate::peer::Peer;
use crate::remote::canonical;
use crate::tls::{PROTOCOL_VERSION, client_config, endpoint_config, server_config};

/// A bound socket that others can dial, once a [`crate::Server`] runs on it.
#[derive(Debug)]
pub struct Listener {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    pub(crate) node: NodeId,
    pub(crate) roles: Vec<NodeRole>,
    pub(crate) limits: Arc<Limits>,
}

impl Listener {
    /// Binds `address` (port 0: any free one) for peers of the given roles. Needs a tokio runtime.
    pub fn bind(
        address: SocketAddr,
        identity: &Identity,
        roles: &[NodeRole],
        limits: Limits,
    ) -> Result<Self, BindError> {
        let config = server_config(identity, &limits)?;
        let endpoint = open_socket(address, Some(config), identity, &limits)?;
        let address = endpoint.local_addr().map_err(|error| socket_error(address, &error))?;
        Ok(Self {
            endpoint,
            address,
            node: identity.node().clone(),
            roles: roles.to_vec(),
            limits: Arc::new(limits),
        })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A socket to dial from. Cheap to clone; clones share the socket.
#[derive(Debug, Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    node: NodeId,
    limits: Arc<Limits>,
}

impl Dialer {
    /// Opens a socket for both families of addresses, or for IPv4 where there is no IPv6. Needs a
    /// tokio runtime.
    pub fn new(identity: &Identity, limits: Limits) -> Result<Self, BindError> {
        Self::speaking(PROTOCOL_VERSION, identity, limits)
    }

    pub(crate) fn speaking(version: u16, identity: &Identity, limits: Limits) -> Result<Self, BindError> {
        let config = client_config(identity, &limits, version)?;
        let any_v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut endpoint = open_socket(any_v6, None, identity, &limits)
            .or_else(|_| open_socket(any_v4, None, identity, &limits))?;
        endpoint.set_default_client_config(config);
        Ok(Self { endpoint, node: identity.node().clone(), limits: Arc::new(limits) })
    }

    /// Connects to `HOST:PORT` and checks who answers. The addresses of a host are tried in turn, as
    /// long as nobody answers.
    pub async fn dial(&self, address: &str, expected: impl Into<Expected>) -> Result<Peer, ConnectError> {
        let bad = |reason: String| ConnectError::Address { address: address.to_owned(), reason };
        let resolved = timeout(self.limits.handshake, tokio::net::lookup_host(address)).await;
        let resolved = resolved.map_err(|_| bad("its name was not resolved in time".to_owned()))?;
        let resolved = resolved.map_err(|error| bad(error.to_string()))?;
        let expected = expected.into();
        let mut outcome = Err(bad("it has no address".to_owned()));
        for candidate in resolved {
            outcome = self.dial_at(address, candidate, &expected).await;
            if !matches!(outcome, Err(ConnectError::Unanswered { .. })) {
                return outcome;
            }
        }
        outcome
    }

    /// Hangs up on every peer and waits, briefly, until they have heard it.
    pub async fn close(&self) {
        farewell(&self.endpoint, CloseReason::Done).await;
    }

    async fn dial_at(
        &self,
        address: &str,
        candidate: SocketAddr,
        expected: &Expected,
    ) -> Result<Peer, ConnectError> {
        let after = self.limits.handshake;
        let greeted = timeout(after, self.greet(candidate, expected)).await;
        let greeted = greeted.map_err(|_| ConnectError::Unanswered { address: address.to_owned(), after })?;
        greeted.map_err(|unwelcome| match unwelcome.closed {
            Closed::Idle => ConnectError::Unanswered { address: address.to_owned(), after },
            closed => ConnectError::closed(address, unwelcome.peer.as_ref(), closed),
        })
    }

    async fn greet(&self, candidate: SocketAddr, expected: &Expected) -> Result<Peer, Unwelcome> {
        let unwelcome = |closed| Unwelcome { peer: None, closed };
        // The name is not looked at: nodes are known by what is in their certificates.
        let connecting = self.endpoint.connect(candidate, &candidate.ip().to_string()).map_err(|error| {
            let closed = match error {
                quinn::ConnectError::EndpointStopping => {
                    Closed::By { side: Side::Us, reason: CloseReason::Shutdown }
                }
                quinn::ConnectError::UnsupportedVersion => {
                    Closed::By { side: Side::Us, reason: CloseReason::Refused(Refusal::NoProtocol) }
                }
                error => Closed::Transport { reason: error.to_string() },
            };
            unwelcome(closed)
        })?;
        let connection = connecting.await.map_err(|error| unwelcome(Closed::of(error, None)))?;
        let remote = as_dialer(connection, &self.node, expected, &self.limits).await?;
        Ok(Peer::new(remote))
    }
}

/// Closes all connections of a socket and gives the peers a moment to hear it.
pub(crate) async fn farewell(endpoint: &Endpoint, reason: CloseReason) {
    let (class, bytes) = reason.encode();
    endpoint.close(code(class), &bytes);
    // A peer that acknowledges nothing is not worth waiting for.
    let _ = timeout(FAREWELL_TIMEOUT, endpoint.wait_idle()).await;
}

fn open_socket(
    address: SocketAddr,
    config: Option<quinn::ServerConfig>,
    identity: &Identity,
    limits: &Limits,
) -> Result<Endpoint, BindError> {
    let socket = UdpSocket::bind(address).map_err(|error| socket_error(address, &error))?;
    Endpoint::new(endpoint_config(identity, limits)?, config, socket, Arc::new(TokioRuntime))
        .map_err(|error| socket_error(address, &error))
}

fn socket_error(address: SocketAddr, error: &std::io::Error) -> BindError {
    BindError::Socket { address: canonical(address), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Authority, Certificate};
    use crate::greeting::as_listener;

    /// The other side of a mismatch is in the tests of connections.
    #[tokio::test]
    async fn a_newer_dialer_is_told_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path()).unwrap();
        let issue = |role, name| authority.issue(&Certificate::new(role, name, &[])).unwrap();
        let coordinator = issue(NodeRole::Coordinator, "c");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(any, &coordinator, &[NodeRole::Worker], Limits::default()).unwrap();
        let address = listener.address().to_string();
        let listening = tokio::spawn(async move {
            let connection = listener.endpoint.accept().await.unwrap().await.unwrap();
            let greeted = as_listener(connection, &listener.node, &listener.roles, &listener.limits).await;
            farewell(&listener.endpoint, CloseReason::Done).await;
            greeted.err().map(|unwelcome| unwelcome.closed)
        });

        let newer = PROTOCOL_VERSION + 1;
        let refusal = Refusal::Version { dialer: newer, listener: PROTOCOL_VERSION };
        let dialer = Dialer::speaking(newer, &issue(NodeRole::Worker, "w"), Limits::default()).unwrap();
        let error = dialer.dial(&address, NodeRole::Coordinator).await.unwrap_err();
        let peer = Some(coordinator.node().clone());
        assert_eq!(error, ConnectError::Refused { address, peer, by: Side::Peer, refusal });
        let reason = CloseReason::Refused(refusal);
        assert_eq!(listening.await.unwrap(), Some(Closed::By { side: Side::Us, reason }));
    }
}
