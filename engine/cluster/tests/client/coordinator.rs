//! A coordinator without a mind: hands all that it is asked to the test, which answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mr_cluster::client::{Client, ClientError, ClientOptions};
use mr_cluster::protocol::{Answer, CoordinatorKey, Down, Opening, Request, SubmitHead, SubmitReply, Up};
use mr_net::{
    Authority, Certificate, Channel, Handler, Identity, Limits, Listener, NodeRole, Remote, Responder,
    SegmentResponder, Server, ServerError,
};
use serde::{Serialize, Serializer};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than any test takes.
pub const LONG: Duration = Duration::from_secs(600);

/// Bounds every wait. Far beyond what anything takes, so that a loaded machine fails no test.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), future).await;
    waited.unwrap_or_else(|_| panic!("{what} takes for ever"))
}

/// An answer, or what is none.
pub enum Said {
    Answer(Answer),
    Garbage,
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Said::Answer(answer) => answer.serialize(serializer),
            // No message has so many variants.
            Said::Garbage => 250u8.serialize(serializer),
        }
    }
}

/// What the coordinator is asked.
enum Asked {
    Request(Request, Responder<Said>),
    Channel(Opening, Channel<Down, Up>),
}

struct Mouthpiece {
    asked: UnboundedSender<Asked>,
}

impl Handler for Mouthpiece {
    type Request = Request;
    type Response = Said;
    type Opening = Opening;
    type Up = Up;
    type Down = Down;
    type Key = CoordinatorKey;

    async fn request(&self, _remote: &Remote, request: Request, responder: Responder<Said>) {
        // A test that has ended listens no more.
        let _ = self.asked.send(Asked::Request(request, responder));
    }

    async fn channel(&self, _remote: &Remote, opening: Opening, channel: Channel<Down, Up>) {
        let _ = self.asked.send(Asked::Channel(opening, channel));
    }

    async fn segment(&self, _remote: &Remote, _key: CoordinatorKey, _responder: SegmentResponder) {}
}

/// A cluster of a coordinator that runs at times, and one client.
pub struct Cluster {
    pub dir: TempDir,
    coordinator: Identity,
    client: Identity,
}

impl Cluster {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(&dir.path().join("identity")).unwrap();
        let issue = |role, name| authority.issue(&Certificate::new(role, name, &[])).unwrap();
        let (coordinator, client) =
            (issue(NodeRole::Coordinator, "coordinator"), issue(NodeRole::Client, "client"));
        Self { dir, coordinator, client }
    }

    pub fn start(&self) -> Coordinator {
        Coordinator::start(&self.coordinator, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts the coordinator where it was before.
    pub fn start_again(&self, address: SocketAddr) -> Coordinator {
        Coordinator::start(&self.coordinator, address)
    }

    pub fn options(&self, address: SocketAddr) -> ClientOptions {
        ClientOptions {
            identity: self.client.clone(),
            coordinator: address.to_string(),
            limits: Limits::default(),
            away_max: LONG,
        }
    }

    pub async fn connect(&self, coordinator: &Coordinator) -> Client {
        soon("connecting", Client::connect(self.options(coordinator.address))).await.unwrap()
    }
}

/// A running coordinator.
pub struct Coordinator {
    pub address: SocketAddr,
    asked: UnboundedReceiver<Asked>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Coordinator {
    fn start(identity: &Identity, address: SocketAddr) -> Self {
        // What is in flight is cut off at the end, as by a crash.
        let limits = Limits { drain: Duration::ZERO, ..Limits::default() };
        let listener = Listener::bind(address, identity, &[NodeRole::Client], limits).unwrap();
        let address = listener.address();
        let (sender, asked) = unbounded_channel();
        let server = Server::new(listener, Arc::new(Mouthpiece { asked: sender }));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { address, asked, shutdown, task }
    }

    /// The next request.
    pub async fn request(&mut self) -> (Request, Responder<Said>) {
        match soon("a request", self.asked.recv()).await {
            Some(Asked::Request(request, responder)) => (request, responder),
            Some(Asked::Channel(opening, _)) => panic!("a request was awaited, and {opening:?} came"),
            None => panic!("the coordinator is gone"),
        }
    }

    /// Answers the next request, which is told.
    pub async fn answer(&mut self, answer: Answer) -> Request {
        let (request, responder) = self.request().await;
        responder.answer(&Said::Answer(answer)).await.unwrap();
        request
    }

    /// The next submission.
    pub async fn submission(&mut self) -> Submitting {
        match soon("a submission", self.asked.recv()).await {
            Some(Asked::Channel(Opening::Submit(head), channel)) => Submitting { head, channel },
            Some(Asked::Channel(other, _)) => panic!("a submission was awaited, and {other:?} came"),
            Some(Asked::Request(other, _)) => panic!("a submission was awaited, and {other:?} came"),
            None => panic!("the coordinator is gone"),
        }
    }

    /// Goes away. All that the test holds of its connections has to be dropped before.
    pub async fn stop(self) -> SocketAddr {
        drop(self.asked);
        self.shutdown.cancel();
        // Whatever was cut off was meant to be.
        let _ = soon("the coordinator's end", self.task).await.unwrap();
        self.address
    }
}

/// A submission that is being taken.
pub struct Submitting {
    pub head: SubmitHead,
    channel: Channel<Down, Up>,
}

impl Submitting {
    pub async fn reply(&mut self, reply: SubmitReply) {
        self.say(Down::Submit(reply)).await;
    }

    pub async fn say(&mut self, down: Down) {
        self.channel.sender.send(&down).await.unwrap();
    }

    pub async fn chunk(&mut self) -> Vec<u8> {
        match soon("a chunk", self.channel.receiver.receive()).await.unwrap() {
            Some(Up::Chunk(chunk)) => chunk,
            other => panic!("a chunk was awaited, and {other:?} came"),
        }
    }

    /// Chunks until so many bytes have come.
    pub async fn chunks(&mut self, bytes: usize) -> Vec<Vec<u8>> {
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        while chunks.iter().map(Vec::len).sum::<usize>() < bytes {
            chunks.push(self.chunk().await);
        }
        chunks
    }

    /// Ends the channel when all that was said has arrived.
    pub async fn finish(self) {
        self.channel.sender.finish().await.unwrap();
    }
}

/// Starts a call whose other side the test then plays.
pub fn begin<T: Send + 'static>(
    call: impl Future<Output = Result<T, ClientError>> + Send + 'static,
) -> JoinHandle<Result<T, ClientError>> {
    tokio::spawn(call)
}
