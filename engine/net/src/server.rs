//! The listening side as a service: lets connections in, hands what they ask for to a [`Handler`], and
//! drains at shutdown.
//!
//! Every connection and every stream has a task of its own, so that a peer that is slow, silent or
//! hostile holds up nobody else. Seats are counted: handshakes, connections in all, connections of one
//! node. What happens on a connection is in `session`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use quinn::{Endpoint, Incoming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channel::Channel;
use crate::close::{CloseReason, Closed, Refusal, Side};
use crate::endpoint::{Listener, farewell};
use crate::error::ConnectError;
use crate::greeting::{Unwelcome, as_listener};
use crate::limits::Limits;
use crate::node::{NodeId, NodeRole};
use crate::remote::{Remote, canonical};
use crate::request::Responder;
use crate::segment::SegmentResponder;
use crate::session::Session;

/// What a listening node does for its peers. Each call runs in a task of its own and is dropped
/// where it waits if it outlasts the drain. What a peer may ask for depends on `remote.node().role()`.
pub trait Handler: Send + Sync + 'static {
    /// Requests that are answered. [`Never`] where there are none; so for the other types.
    type Request: DeserializeOwned + Send;
    /// Answers to them.
    type Response: Serialize + Send;
    /// The first message of a channel.
    type Opening: DeserializeOwned + Send;
    /// Messages of a channel from the dialling side to this one.
    type Up: DeserializeOwned + Send;
    /// Messages of a channel from this side to the dialling one.
    type Down: Serialize + Send;
    /// What names a segment.
    type Key: DeserializeOwned + Send;

    /// Carries out a request.
    fn request(
        &self,
        remote: &Remote,
        request: Self::Request,
        responder: Responder<Self::Response>,
    ) -> impl Future<Output = ()> + Send;

    /// Lives through a channel. Has to end it at shutdown, or it is cut off when the drain times out.
    fn channel(
        &self,
        remote: &Remote,
        opening: Self::Opening,
        channel: Channel<Self::Down, Self::Up>,
    ) -> impl Future<Output = ()> + Send;

    /// Sends a segment, or says that it is gone.
    fn segment(
        &self,
        remote: &Remote,
        key: Self::Key,
        responder: SegmentResponder,
    ) -> impl Future<Output = ()> + Send;

    /// A node was let in.
    fn connected(&self, _remote: &Remote) {}

    /// A connection ended.
    fn disconnected(&self, _remote: &Remote, _closed: &Closed) {}

    /// A connection did not come about.
    fn refused(&self, _from: SocketAddr, _error: &ConnectError) {}
}

/// A message that does not exist: a peer that sends one breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Never {}

/// Why a server ended otherwise than asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The socket failed.
    #[error("the socket at {address} failed")]
    SocketLost {
        /// Its address.
        address: SocketAddr,
    },
    /// Connections did not end in time at shutdown and were cut off.
    #[error("{connections} connections did not end in time and were cut off")]
    DrainTimedOut {
        /// How many.
        connections: usize,
    },
}

/// A listener with a handler, ready to run.
#[derive(Debug)]
pub struct Server<H> {
    listener: Listener,
    handler: Arc<H>,
    seats: Arc<Seats>,
}

/// Looks at a running server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    address: SocketAddr,
    seats: Arc<Seats>,
}

impl ServerHandle {
    /// The address that peers dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that are open or being set up.
    pub fn connections(&self) -> usize {
        self.seats.connections_max - self.seats.connections.available_permits()
    }
}

impl<H: Handler> Server<H> {
    /// Puts a handler behind a listener.
    pub fn new(listener: Listener, handler: Arc<H>) -> Self {
        let seats = Arc::new(Seats::new(&listener.limits));
        Self { listener, handler, seats }
    }

    /// A handle to look at the server while it runs.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { address: self.listener.address, seats: self.seats.clone() }
    }

    /// Serves until `shutdown`; then takes up nothing new, lets streams in flight end, says goodbye
    /// and returns.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        let endpoint = self.listener.endpoint.clone();
        let reception = Arc::new(Reception {
            node: self.listener.node.clone(),
            roles: self.listener.roles.clone(),
            limits: self.listener.limits.clone(),
            handler: self.handler.clone(),
            seats: self.seats.clone(),
            drain: shutdown.clone(),
            abort: CancellationToken::new(),
        });
        let connections = TaskTracker::new();
        let lost = loop {
            let incoming = tokio::select! {
                biased;
                () = shutdown.cancelled() => break false,
                incoming = endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { break true };
            if let Some((incoming, seat)) = self.seats.admit(incoming) {
                connections.spawn(reception.clone().receive(incoming, seat));
            }
        };
        if lost {
            reception.abort.cancel();
            return Err(ServerError::SocketLost { address: self.listener.address });
        }
        connections.close();
        let drained = timeout(self.listener.limits.drain, drain(&endpoint, &connections)).await;
        let cut_off = if drained.is_err() { connections.len() } else { 0 };
        reception.abort.cancel();
        farewell(&endpoint, CloseReason::Shutdown).await;
        if cut_off > 0 { Err(ServerError::DrainTimedOut { connections: cut_off }) } else { Ok(()) }
    }
}

/// Waits for the connections and turns newcomers away at once, so that they need not time out.
async fn drain(endpoint: &Endpoint, connections: &TaskTracker) {
    loop {
        tokio::select! {
            biased;
            () = connections.wait() => return,
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => incoming.refuse(),
                None => return connections.wait().await,
            },
        }
    }
}

/// What every connection of a server shares.
struct Reception<H> {
    node: NodeId,
    roles: Vec<NodeRole>,
    limits: Arc<Limits>,
    handler: Arc<H>,
    seats: Arc<Seats>,
    drain: CancellationToken,
    abort: CancellationToken,
}

impl<H: Handler> Reception<H> {
    /// Takes a connection through handshake, greeting and life.
    async fn receive(self: Arc<Self>, incoming: Incoming, seat: Seat) {
        let from = canonical(incoming.remote_address());
        let after = self.limits.handshake;
        let greeted = tokio::select! {
            biased;
            () = self.abort.cancelled() => return,
            greeted = timeout(after, self.greet(incoming)) => greeted,
        };
        let address = from.to_string();
        let (remote, chair) = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(Unwelcome { peer, closed })) => {
                let error = ConnectError::closed(&address, peer.as_ref(), closed);
                return self.handler.refused(from, &error);
            }
            Err(_) => {
                return self.handler.refused(from, &ConnectError::Unanswered { address, after });
            }
        };
        let _connection = seat.settle();
        let _chair = chair;
        Session::new(remote, self.handler.clone(), self.drain.clone(), self.abort.clone()).run().await;
    }

    async fn greet(&self, incoming: Incoming) -> Result<(Remote, Chair), Unwelcome> {
        let unknown = |error| Unwelcome { peer: None, closed: Closed::of(error, None) };
        let connecting = incoming.accept().map_err(unknown)?;
        let connection = connecting.await.map_err(unknown)?;
        let remote = as_listener(connection, &self.node, &self.roles, &self.limits).await?;
        let chair = self.seats.clone().take_chair(remote.node());
        let chair = chair.ok_or_else(|| {
            let reason = CloseReason::Refused(Refusal::Busy);
            remote.close(reason);
            Unwelcome { peer: Some(remote.node().clone()), closed: Closed::By { side: Side::Us, reason } }
        })?;
        Ok((remote, chair))
    }
}

/// How much room there is.
#[derive(Debug)]
struct Seats {
    connections: Arc<Semaphore>,
    connections_max: usize,
    handshakes: Arc<Semaphore>,
    handshakes_max: usize,
    retry_from: usize,
    by_node: Mutex<HashMap<NodeId, usize>>,
    by_node_max: usize,
}

impl Seats {
    fn new(limits: &Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            connections_max: limits.connections_max,
            handshakes: Arc::new(Semaphore::new(limits.handshakes_max)),
            handshakes_max: limits.handshakes_max,
            retry_from: limits.retry_from,
            by_node: Mutex::default(),
            by_node_max: limits.connections_per_peer_max,
        }
    }

    /// Lets a newcomer begin its handshake, or turns it away, or asks it to prove its address.
    fn admit(&self, incoming: Incoming) -> Option<(Incoming, Seat)> {
        let in_progress = self.handshakes_max - self.handshakes.available_permits();
        if in_progress >= self.retry_from && !incoming.remote_address_validated() {
            // Retry is always possible for an address that was not validated.
            let _ = incoming.retry();
            return None;
        }
        let connection = self.connections.clone().try_acquire_owned();
        let handshake = self.handshakes.clone().try_acquire_owned();
        match (connection, handshake) {
            (Ok(connection), Ok(handshake)) => Some((incoming, Seat { connection, _handshake: handshake })),
            _ => {
                incoming.refuse();
                None
            }
        }
    }

    /// Room for one more connection of a node, if it has not too many.
    fn take_chair(self: Arc<Self>, node: &NodeId) -> Option<Chair> {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = by_node.entry(node.clone()).or_default();
        if *taken >= self.by_node_max {
            return None;
        }
        *taken += 1;
        drop(by_node);
        Some(Chair { node: node.clone(), seats: self })
    }
}

/// A connection that is being set up.
struct Seat {
    connection: OwnedSemaphorePermit,
    _handshake: OwnedSemaphorePermit,
}

impl Seat {
    /// Gives back what only the handshake needs.
    fn settle(self) -> OwnedSemaphorePermit {
        self.connection
    }
}

/// One connection of a node; counted until dropped.
struct Chair {
    node: NodeId,
    seats: Arc<Seats>,
}

impl Drop for Chair {
    fn drop(&mut self) {
        let mut by_node = self.seats.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = by_node.get_mut(&self.node) {
            *taken -= 1;
            if *taken == 0 {
                by_node.remove(&self.node);
            }
        }
    }
}
