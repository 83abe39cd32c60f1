//! Requests: one message there, one back, each on a stream of its own, so that a slow answer holds up
//! no other.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::ExchangeError;
use crate::frame::{Outbound, StreamKind};
use crate::peer::{Peer, within};

impl Peer {
    /// Sends a request and waits for its answer. After `deadline` the request is given up, which the
    /// peer can see; it may have been carried out none the less.
    pub async fn request<Request, Response>(
        &self,
        request: &Request,
        deadline: Duration,
    ) -> Result<Response, ExchangeError>
    where
        Request: Serialize,
        Response: DeserializeOwned,
    {
        within(deadline, async {
            let (mut outbound, mut inbound) = self.open(StreamKind::Request).await?;
            outbound.write(request, self.limits().control_bytes_max).await?;
            outbound.end();
            inbound.expect(self.limits().answer_bytes_max).await
        })
        .await
    }
}

/// Answers one request, from wherever it is kept. Dropped without an answer, it tells the peer that
/// there will be none.
#[derive(Debug)]
pub struct Responder<Response> {
    outbound: Outbound,
    /// Keeps the server from ending before the answer has arrived.
    _guard: TaskTrackerToken,
    /// Lets the next request of the connection begin when this one has its answer.
    _turn: Option<OwnedSemaphorePermit>,
    messages: PhantomData<fn(Response)>,
}

impl<Response: Serialize> Responder<Response> {
    pub(crate) fn new(
        outbound: Outbound,
        guard: TaskTrackerToken,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { outbound, _guard: guard, _turn: turn, messages: PhantomData }
    }

    /// Sends the answer and waits until it has arrived.
    pub async fn answer(mut self, response: &Response) -> Result<(), ExchangeError> {
        let limits = self.outbound.remote().limits();
        let (stall, bytes_max) = (limits.stall, limits.answer_bytes_max);
        within(stall, async {
            self.outbound.write(response, bytes_max).await?;
            self.outbound.deliver().await
        })
        .await
    }

    /// Waits until the peer gives the request up, to stop working for nobody.
    pub async fn given_up(&mut self) {
        self.outbound.unwanted().await;
    }
}
