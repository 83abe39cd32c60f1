//! Channels: long-lived ordered streams of messages both ways, between a worker and its coordinator.
//!
//! A channel begins with an opening from the side that dialled. Sending waits while the other side
//! does not read, and gives up when it stops reading altogether. Must not reconnect or replay: a
//! channel that broke is for its owner to open again and to reconcile.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::error::ExchangeError;
use crate::frame::{Inbound, Outbound, StreamKind};
use crate::peer::{Peer, within};
use crate::remote::Remote;

/// One end of a channel: sends `Outgoing`, receives `Incoming`. Split it to do both at once.
#[derive(Debug)]
pub struct Channel<Outgoing, Incoming> {
    /// The sending half.
    pub sender: Sender<Outgoing>,
    /// The receiving half.
    pub receiver: Receiver<Incoming>,
}

/// The sending half of a channel. Dropped without [`Sender::finish`] it tells the other side that the
/// channel broke.
#[derive(Debug)]
pub struct Sender<Outgoing> {
    outbound: Outbound,
    /// Keeps the server from ending while the channel is open.
    _guard: Option<TaskTrackerToken>,
    messages: PhantomData<fn(Outgoing)>,
}

/// The receiving half of a channel.
#[derive(Debug)]
pub struct Receiver<Incoming> {
    inbound: Inbound,
    messages: PhantomData<fn() -> Incoming>,
}

impl Peer {
    /// Opens a channel with an opening message. Returns without waiting for the peer to take it up;
    /// its first message, or the end of the channel, says what became of it.
    pub async fn channel<Opening, Outgoing, Incoming>(
        &self,
        opening: &Opening,
        deadline: Duration,
    ) -> Result<Channel<Outgoing, Incoming>, ExchangeError>
    where
        Opening: Serialize,
    {
        within(deadline, async {
            let (mut outbound, inbound) = self.open(StreamKind::Channel).await?;
            outbound.write(opening, self.limits().control_bytes_max).await?;
            Ok(Channel::new(outbound, inbound, None))
        })
        .await
    }
}

impl<Outgoing, Incoming> Channel<Outgoing, Incoming> {
    pub(crate) fn new(outbound: Outbound, inbound: Inbound, guard: Option<TaskTrackerToken>) -> Self {
        Self {
            sender: Sender { outbound, _guard: guard, messages: PhantomData },
            receiver: Receiver { inbound, messages: PhantomData },
        }
    }

    /// Both halves, to be used at once.
    pub fn split(self) -> (Sender<Outgoing>, Receiver<Incoming>) {
        (self.sender, self.receiver)
    }
}

impl<Outgoing: Serialize> Sender<Outgoing> {
    /// Sends a message; ok says that it is on its way, not that it was read. Waits while the other
    /// side does not keep up, and fails with [`ExchangeError::Deadline`] when it takes nothing for
    /// [`crate::Limits::stall`]. If cancelled, the message is sent whole before the next one, or not
    /// at all.
    pub async fn send(&mut self, message: &Outgoing) -> Result<(), ExchangeError> {
        let limits = self.outbound.remote().limits();
        let (stall, bytes_max) = (limits.stall, limits.control_bytes_max);
        within(stall, self.outbound.write(message, bytes_max)).await
    }

    /// Ends this direction and waits until everything sent has arrived.
    pub async fn finish(mut self) -> Result<(), ExchangeError> {
        let stall = self.outbound.remote().limits().stall;
        within(stall, self.outbound.deliver()).await
    }

    /// The peer.
    pub fn remote(&self) -> &Remote {
        self.outbound.remote()
    }
}

impl<Incoming: DeserializeOwned> Receiver<Incoming> {
    /// The next message; none when the other side has finished. Loses nothing if cancelled.
    pub async fn receive(&mut self) -> Result<Option<Incoming>, ExchangeError> {
        let bytes_max = self.inbound.remote().limits().control_bytes_max;
        self.inbound.read(bytes_max).await
    }

    /// The next message, which has to come within a time.
    pub async fn receive_within(&mut self, deadline: Duration) -> Result<Option<Incoming>, ExchangeError> {
        within(deadline, self.receive()).await
    }

    /// The peer.
    pub fn remote(&self) -> &Remote {
        self.inbound.remote()
    }
}
