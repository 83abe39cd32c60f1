//! A worker that lists map output and never sends it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mr_cluster::protocol::{OutputsAnswer, OutputsRequest, SegmentKey, SegmentMeta};
use mr_net::{
    Channel, Handler, Identity, Limits, Listener, Never, NodeRole, Remote, Responder, SegmentInfo,
    SegmentResponder, Server, ServerError,
};
use mr_shuffle::Codec;
use mr_shuffle::run::IndexEntry;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bytes of each segment that it lists.
const BYTES: u64 = 1 << 20;

/// What is seen of a segment that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Asked,
    GivenUp,
}

pub struct Silent {
    pub address: String,
    pub seen: UnboundedReceiver<Seen>,
    _shutdown: tokio_util::sync::DropGuard,
    _task: JoinHandle<Result<(), ServerError>>,
}

struct Service(UnboundedSender<Seen>);

impl Silent {
    pub fn start(identity: &Identity) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(any, identity, &[NodeRole::Worker], Limits::default()).unwrap();
        let address = listener.address().to_string();
        let (see, seen) = unbounded_channel();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Server::new(listener, Arc::new(Service(see))).run(shutdown.clone()));
        Self { address, seen, _shutdown: shutdown.drop_guard(), _task: task }
    }
}

impl Handler for Service {
    type Request = OutputsRequest;
    type Response = OutputsAnswer;
    type Opening = Never;
    type Up = Never;
    type Down = Never;
    type Key = SegmentKey;

    async fn request(&self, _remote: &Remote, request: OutputsRequest, responder: Responder<OutputsAnswer>) {
        let OutputsRequest::Outputs { partition, attempts, .. } = request;
        let entry = IndexEntry {
            partition,
            offset: 40,
            length: BYTES,
            records: 1,
            bytes: BYTES,
            cursor_bytes: 0,
            hash: 1,
        };
        let segment = SegmentMeta { sequence: 0, codec: Codec::None, entry, near: None };
        let answer = attempts.iter().map(|_| Some(vec![segment.clone()])).collect();
        responder.answer(&answer).await.unwrap();
    }

    async fn channel(&self, _remote: &Remote, opening: Never, _channel: Channel<Never, Never>) {
        match opening {}
    }

    async fn segment(&self, _remote: &Remote, _key: SegmentKey, responder: SegmentResponder) {
        let mut writer = responder.found(SegmentInfo { bytes: BYTES, hash: 1 }).await.unwrap();
        writer.write(vec![0; 10].into()).await.unwrap();
        let _ = self.0.send(Seen::Asked);
        // Bytes that nobody takes any more fail once the other side has said so.
        while writer.write(vec![0].into()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = self.0.send(Seen::GivenUp);
    }
}
