//! The worker's connection to its coordinator: dialled, registered at, and dialled again when it broke.
//!
//! A task of its own carries words up and orders down, so that neither direction nor the worker's state
//! ever waits for the other. Must not know what words and orders mean, nor keep words for the next
//! connection: what has to be said again is for the owner to say.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mr_net::{
    CloseReason, Closed, ConnectError, Dialer, ExchangeError, NodeRole, Peer, Receiver, Refusal, Sender, Side,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::ledger::Ended;
use crate::protocol::{Down, Opening, Order, Registration, Up, WorkerWord};

/// First wait before dialling again.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait before dialling again: a coordinator that comes back is found within a lease.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Words that wait for the network. A coordinator that reads less is given up, and hears what matters
/// again at the next connection.
const WORDS_MAX: usize = 4096;
/// Events that wait for the worker's state: the network is held back beyond.
const EVENTS_MAX: usize = 64;

/// What happens at the link.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// Connected, and registered as far as can be told.
    Opened {
        /// The coordinator.
        peer: Peer,
        /// When the registration was about to be sent.
        sent: Instant,
        /// Takes words for this connection. Dropped, it ends the connection.
        words: mpsc::Sender<Word>,
    },
    /// The coordinator said something.
    Order(Order),
    /// The connection is gone; the next one is under way.
    Broken,
    /// The coordinator does not let this worker in, and will not. Nothing comes after it.
    Refused(ConnectError),
}

/// What is said.
#[derive(Debug)]
pub(super) enum Word {
    /// Something small.
    Say(WorkerWord),
    /// An attempt ended.
    Ended(Arc<Ended>),
    /// Nothing more will be said. Told when all of it has arrived.
    Finish(oneshot::Sender<()>),
}

/// Keeps a connection to the coordinator until dropped.
#[derive(Debug)]
pub(super) struct Link {
    events: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Link {
    /// Begins to dial. Registers with what `registration` says at the time.
    pub fn new(
        dialer: Dialer,
        coordinator: String,
        registration: impl Fn() -> Registration + Send + Sync + 'static,
    ) -> Self {
        let (event, events) = mpsc::channel(EVENTS_MAX);
        let keeper = Keeper { dialer, coordinator, event, backoff: BACKOFF_MIN };
        Self { events, task: tokio::spawn(keeper.run(registration)) }
    }

    /// What happens next. Loses nothing if cancelled.
    pub async fn event(&mut self) -> LinkEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The task ends after the last event only.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    dialer: Dialer,
    coordinator: String,
    event: mpsc::Sender<LinkEvent>,
    backoff: Duration,
}

impl Keeper {
    async fn run(mut self, registration: impl Fn() -> Registration) {
        loop {
            match self.dialer.dial(&self.coordinator, NodeRole::Coordinator).await {
                Ok(peer) => {
                    let ended = self.live(&peer, registration()).await;
                    tracing::warn!(coordinator = %self.coordinator, reason = %ended, "the connection to the coordinator ended");
                    peer.close(CloseReason::Done);
                    if self.event.send(LinkEvent::Broken).await.is_err() {
                        return;
                    }
                }
                Err(error) if is_final(&error) => {
                    let _ = self.event.send(LinkEvent::Refused(error)).await;
                    return;
                }
                Err(error) => tracing::warn!(%error, "the coordinator is not reached; trying again"),
            }
            tokio::time::sleep(jittered(self.backoff)).await;
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Lives through one connection and says how it ended.
    async fn live(&mut self, peer: &Peer, registration: Registration) -> ExchangeError {
        let sent = Instant::now();
        let opening = Opening::Register(registration);
        let channel = match peer.channel::<_, Up, Down>(&opening, mr_net::limits::REQUEST_DEADLINE).await {
            Ok(channel) => channel,
            Err(error) => return error,
        };
        let (sender, receiver) = channel.split();
        let (words, said) = mpsc::channel(WORDS_MAX);
        let opened = LinkEvent::Opened { peer: peer.clone(), sent, words };
        if self.event.send(opened).await.is_err() {
            return ExchangeError::Abandoned;
        }
        tokio::select! {
            ended = speak(sender, said) => ended,
            ended = self.listen(receiver) => ended,
        }
    }

    async fn listen(&mut self, mut receiver: Receiver<Down>) -> ExchangeError {
        loop {
            match receiver.receive().await {
                Ok(Some(Down::Worker(order))) => {
                    self.backoff = BACKOFF_MIN;
                    if self.event.send(LinkEvent::Order(order)).await.is_err() {
                        return ExchangeError::Abandoned;
                    }
                }
                // What is meant for clients is not for us.
                Ok(Some(Down::Submit(_)) | None) => return ExchangeError::Abandoned,
                Err(error) => return error,
            }
        }
    }
}

/// Sends words until there are no more, or the connection breaks.
async fn speak(mut sender: Sender<Up>, mut words: mpsc::Receiver<Word>) -> ExchangeError {
    while let Some(word) = words.recv().await {
        let word = match word {
            Word::Say(word) => word,
            Word::Ended(ended) => WorkerWord::Ended {
                lease: ended.lease.clone(),
                end: Box::new(ended.end.clone()),
                log: ended.log.clone(),
            },
            Word::Finish(told) => {
                // The coordinator finds out by itself if it does not hear it.
                let _ = sender.finish().await;
                let _ = told.send(());
                break;
            }
        };
        if let Err(error) = sender.send(&Up::Worker(word)).await {
            return error;
        }
    }
    ExchangeError::Closed(Closed::By { side: Side::Us, reason: CloseReason::Done })
}

/// Whether dialling again is in vain.
fn is_final(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused { refusal, .. } if *refusal != Refusal::Busy)
}

/// Half of a wait to the whole of it, so that workers that lost their coordinator together do not come
/// back together.
pub(super) fn jittered(wait: Duration) -> Duration {
    let half = wait / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    half + Duration::from_nanos(random() % nanos.max(1))
}

/// A number that nobody can guess. Never for keys.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let waits: Vec<_> = (0..100).map(|_| jittered(BACKOFF_MAX)).collect();
        assert!(waits.iter().all(|wait| (BACKOFF_MAX / 2..=BACKOFF_MAX).contains(wait)));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
