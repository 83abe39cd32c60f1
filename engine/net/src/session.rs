//! One connection of a server: takes up the streams that the peer opens and hands them to the handler.
//!
//! A stream has a time to say what it wants; one that does not, or says what is no message, ends the
//! connection with that fault. QUIC itself bounds how many streams are open at once.

use std::sync::Arc;

use quinn::{RecvStream, SendStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channel::Channel;
use crate::close::{CloseReason, Fault};
use crate::error::ExchangeError;
use crate::frame::{Inbound, Outbound, StreamKind};
use crate::limits::HEADER_BYTES_MAX;
use crate::remote::Remote;
use crate::request::Responder;
use crate::segment::SegmentResponder;
use crate::server::Handler;

/// A connection that was let in.
pub(crate) struct Session<H> {
    remote: Remote,
    handler: Arc<H>,
    streams: TaskTracker,
    /// Requests that may be worked on now, and channels that may be opened.
    requests: Arc<Semaphore>,
    channels: Arc<Semaphore>,
    drain: CancellationToken,
    abort: CancellationToken,
}

/// The first frame of a stream.
enum First<H: Handler> {
    Request(H::Request),
    Opening(H::Opening),
    Key(H::Key),
}

impl<H: Handler> Session<H> {
    pub(crate) fn new(
        remote: Remote,
        handler: Arc<H>,
        drain: CancellationToken,
        abort: CancellationToken,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(remote.limits().requests_max));
        let channels = Arc::new(Semaphore::new(remote.limits().channels_max));
        Self { remote, handler, streams: TaskTracker::new(), requests, channels, drain, abort }
    }

    /// Serves the connection until it ends, or until everything in flight has at shutdown.
    pub(crate) async fn run(self) {
        let session = Arc::new(self);
        session.handler.connected(&session.remote);
        session.clone().accept().await;
        session.streams.close();
        if session.remote.close_reason().is_none() {
            tokio::select! {
                () = session.streams.wait() => {}
                _ = session.remote.closed() => {}
                () = session.abort.cancelled() => {}
            }
            session.remote.close(CloseReason::Shutdown);
        }
        let closed = session.remote.closed().await;
        session.handler.disconnected(&session.remote, &closed);
        session.streams.wait().await;
    }

    /// Takes up streams until the connection ends or the server drains.
    async fn accept(self: Arc<Self>) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.drain.cancelled() => return,
                accepted = self.remote.connection().accept_bi() => accepted,
            };
            let Ok((send, receive)) = accepted else { return };
            let serving = self.clone().serve(send, receive);
            self.streams.spawn(self.abort.clone().run_until_cancelled_owned(serving));
        }
    }

    async fn serve(self: Arc<Self>, send: SendStream, receive: RecvStream) {
        let outbound = Outbound::new(self.remote.clone(), send);
        let mut inbound = Inbound::new(self.remote.clone(), receive);
        let Some(kind) = self.in_time(inbound.kind()).await else { return };
        // One that waits here has not been read: it takes no memory but QUIC's.
        let turn = match kind {
            StreamKind::Request => self.requests.clone().acquire_owned().await.ok(),
            StreamKind::Channel => self.channels.clone().acquire_owned().await.ok(),
            StreamKind::Segment | StreamKind::Greeting => None,
        };
        let Some(first) = self.in_time(self.first(kind, &mut inbound)).await else { return };
        let guard = self.streams.token();
        match first {
            First::Request(request) => {
                let responder = Responder::new(outbound, guard, turn);
                self.handler.request(&self.remote, request, responder).await;
            }
            First::Opening(opening) => {
                let channel = Channel::new(outbound, inbound, Some(guard));
                self.handler.channel(&self.remote, opening, channel).await;
            }
            First::Key(key) => {
                let responder = SegmentResponder::new(outbound, guard);
                self.handler.segment(&self.remote, key, responder).await;
            }
        }
    }

    /// What a stream says first, which it has a time for.
    async fn in_time<T>(&self, said: impl Future<Output = Result<T, ExchangeError>>) -> Option<T> {
        match timeout(self.remote.limits().first_frame, said).await {
            // A fault has closed the connection; a stream that was given up is nobody's loss.
            Ok(said) => said.ok(),
            Err(_) => {
                self.remote.fault(Fault::Silent);
                None
            }
        }
    }

    async fn first(&self, kind: StreamKind, inbound: &mut Inbound) -> Result<First<H>, ExchangeError> {
        let control_bytes_max = self.remote.limits().control_bytes_max;
        match kind {
            StreamKind::Request => Ok(First::Request(inbound.expect(control_bytes_max).await?)),
            StreamKind::Channel => Ok(First::Opening(inbound.expect(control_bytes_max).await?)),
            StreamKind::Segment => Ok(First::Key(inbound.expect(HEADER_BYTES_MAX).await?)),
            kind @ StreamKind::Greeting => Err(self.remote.fault(Fault::UnknownStream { kind: kind as u8 })),
        }
    }
}
