//! A server whose handler does what it is asked and reports what it sees.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mr_net::{
    Channel, Closed, ConnectError, Handler, Identity, Limits, Listener, NodeId, NodeRole, Remote, Responder,
    SegmentInfo, SegmentResponder, Server, ServerError, ServerHandle,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::soon;

/// More than goes out at once, so that it takes a while to arrive.
pub const WAITED: &[u8] = &[7; 1 << 20];

#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Answered with the same bytes.
    Echo(Vec<u8>),
    /// Answered with so many bytes.
    Produce(usize),
    /// Answered with [`WAITED`] when the gate opens; reports when it is given up.
    Wait,
    /// Never answered.
    Ignore,
}

#[derive(Debug, PartialEq)]
pub enum Event {
    Connected(NodeId),
    Disconnected(NodeId, Closed),
    Refused(ConnectError),
    /// A handler waits at the gate.
    Waiting,
    GivenUp,
    /// What the other end of a channel did last.
    ChannelEnd(String),
}

/// What a segment's name stands for.
pub enum Stored {
    Bytes(Vec<u8>),
    /// Announced with the hash of something else.
    Corrupt(Vec<u8>),
    /// Announced with these lengths: told, sent.
    Mismatched(u64, usize),
    /// So many bytes of noise-free filling, counted while they are sent.
    Counted(u64),
}

pub struct Service {
    segments: HashMap<u64, Stored>,
    gate: Arc<Semaphore>,
    /// Bytes of counted segments that were handed to the network.
    written: Arc<AtomicU64>,
    events: UnboundedSender<Event>,
    seen: Option<UnboundedReceiver<Event>>,
}

impl Default for Service {
    fn default() -> Self {
        let (events, seen) = unbounded_channel();
        let (gate, written) = (Arc::new(Semaphore::new(0)), Arc::default());
        Self { segments: HashMap::new(), gate, written, events, seen: Some(seen) }
    }
}

impl Service {
    pub fn with_segments(segments: impl IntoIterator<Item = (u64, Stored)>) -> Self {
        Self { segments: HashMap::from_iter(segments), ..Self::default() }
    }

    fn report(&self, event: Event) {
        // Nobody looks at what happens after a test.
        let _ = self.events.send(event);
    }

    async fn send(&self, stored: &Stored, responder: SegmentResponder) {
        // Faults of the peer are seen by the test at the other end.
        let _ = match stored {
            Stored::Bytes(bytes) => responder.send_from(SegmentInfo::of(bytes), &mut bytes.as_slice()).await,
            Stored::Corrupt(bytes) => {
                let info = SegmentInfo { hash: 1, ..SegmentInfo::of(bytes) };
                responder.send_from(info, &mut bytes.as_slice()).await
            }
            Stored::Mismatched(told, sent) => {
                let info = SegmentInfo { bytes: *told, hash: 1 };
                responder.send_from(info, &mut vec![0; *sent].as_slice()).await
            }
            Stored::Counted(bytes) => {
                let piece = Bytes::from(vec![7; 64 << 10]);
                let mut hasher = mr_net::SegmentHasher::default();
                (0..*bytes / piece.len() as u64).for_each(|_| hasher.update(&piece));
                let mut writer = responder.found(hasher.info()).await.unwrap();
                for _ in 0..*bytes / piece.len() as u64 {
                    writer.write(piece.clone()).await.unwrap();
                    self.written.fetch_add(piece.len() as u64, Ordering::SeqCst);
                }
                writer.finish().await
            }
        };
    }
}

impl Handler for Service {
    type Request = Ask;
    type Response = Vec<u8>;
    type Opening = String;
    type Up = u64;
    type Down = u64;
    type Key = u64;

    async fn request(&self, _remote: &Remote, request: Ask, mut responder: Responder<Vec<u8>>) {
        let response = match request {
            Ask::Echo(bytes) => bytes,
            Ask::Produce(bytes) => vec![0; bytes],
            Ask::Ignore => return,
            Ask::Wait => {
                self.report(Event::Waiting);
                tokio::select! {
                    permit = self.gate.acquire() => permit.unwrap().forget(),
                    () = responder.given_up() => return self.report(Event::GivenUp),
                }
                WAITED.to_vec()
            }
        };
        // Faults of the peer are seen by the test at the other end.
        let _ = responder.answer(&response).await;
    }

    async fn channel(&self, _remote: &Remote, opening: String, channel: Channel<u64, u64>) {
        let (mut sender, mut receiver) = channel.split();
        if opening == "deaf" {
            self.report(Event::Waiting);
            self.gate.acquire().await.unwrap().forget();
            return;
        }
        let ended = loop {
            match receiver.receive().await {
                Ok(Some(number)) => sender.send(&(number + 1)).await.unwrap(),
                Ok(None) => {
                    break sender.finish().await.map_or_else(|e| e.to_string(), |()| "finished".into());
                }
                Err(error) => break error.to_string(),
            }
        };
        self.report(Event::ChannelEnd(ended));
    }

    async fn segment(&self, _remote: &Remote, key: u64, responder: SegmentResponder) {
        match self.segments.get(&key) {
            Some(stored) => self.send(stored, responder).await,
            None => responder.gone().await.unwrap(),
        }
    }

    fn connected(&self, remote: &Remote) {
        self.report(Event::Connected(remote.node().clone()));
    }

    fn disconnected(&self, remote: &Remote, closed: &Closed) {
        self.report(Event::Disconnected(remote.node().clone(), closed.clone()));
    }

    fn refused(&self, _from: SocketAddr, error: &ConnectError) {
        self.report(Event::Refused(error.clone()));
    }
}

/// A server in a task.
pub struct Running {
    pub address: String,
    pub handle: ServerHandle,
    pub shutdown: CancellationToken,
    pub gate: Arc<Semaphore>,
    pub written: Arc<AtomicU64>,
    events: UnboundedReceiver<Event>,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    pub fn start(identity: &Identity, roles: &[NodeRole], service: Service, limits: Limits) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), identity, roles, service, limits)
    }

    /// Starts a server at an address of the caller's choice.
    pub fn start_at(
        address: SocketAddr,
        identity: &Identity,
        roles: &[NodeRole],
        mut service: Service,
        limits: Limits,
    ) -> Self {
        let listener = Listener::bind(address, identity, roles, limits).unwrap();
        let events = service.seen.take().unwrap();
        let (gate, written) = (service.gate.clone(), service.written.clone());
        let server = Server::new(listener, Arc::new(service));
        let (handle, shutdown) = (server.handle(), CancellationToken::new());
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { address: handle.address().to_string(), handle, shutdown, gate, written, events, task }
    }

    /// The next thing that happens.
    pub async fn event(&mut self) -> Event {
        soon("an event", self.events.recv()).await.expect("the server is there")
    }

    /// What happened already, if anything did.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// The next connection that is not let in.
    pub async fn refusal(&mut self) -> ConnectError {
        match self.event().await {
            Event::Refused(error) => error,
            other => panic!("refused was awaited, and {other:?} came"),
        }
    }

    /// How the next connection that ends does.
    pub async fn disconnection(&mut self) -> Closed {
        loop {
            if let Event::Disconnected(_, closed) = self.event().await {
                return closed;
            }
        }
    }

    /// Shuts the server down.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.shutdown.cancel();
        soon("the server's end", self.task).await.unwrap()
    }

    /// Waits for the end of a server that was told to shut down.
    pub async fn ended(self) -> Result<(), ServerError> {
        soon("the server's end", self.task).await.unwrap()
    }
}
