//! The link to one coordinator: dials it again when it is away, with growing pauses, and asks again
//! what was not answered. Knows which ends of a connection are final and which are not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mr_net::{CloseReason, Closed, ConnectError, Dialer, ExchangeError, Limits, NodeRole, Peer, Refusal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::ClientOptions;
use super::error::ClientError;
use crate::protocol::{Answer, Refused, Request};

/// Shortest time that the first contact is given, however impatient the user is: a handshake on a busy
/// machine.
const FIRST_CONTACT_MIN: Duration = Duration::from_secs(1);
/// First pause before a coordinator that went away is dialled again; it doubles with every try.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two tries: a coordinator that is back is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Whether the coordinator is in reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// It answered last.
    Held,
    /// It went away and is dialled again.
    Away {
        /// What went wrong last.
        reason: Arc<str>,
    },
}

/// What a try to say something to the coordinator came to.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may be back soon: the same can be said again.
    Passing(String),
    /// Saying it again would not help.
    Final(ClientError),
}

/// How often and since when one call has been tried.
#[derive(Debug)]
pub(super) struct Patience {
    pause: Duration,
    /// When the coordinator was first found to be away.
    lost: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause: PAUSE_MIN, lost: None }
    }
}

/// The link to one coordinator.
#[derive(Debug)]
pub(super) struct Link {
    dialer: Dialer,
    coordinator: String,
    away_max: Duration,
    /// The present connection, shared by all calls.
    peer: Mutex<Option<Peer>>,
    contact: watch::Sender<Contact>,
}

impl Link {
    /// Dials the coordinator, once.
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        let handshake = options.limits.handshake.min(options.away_max.max(FIRST_CONTACT_MIN));
        let dialer = Dialer::new(&options.identity, Limits { handshake, ..options.limits })?;
        let dialled = dialer.dial(&options.coordinator, NodeRole::Coordinator).await;
        let peer = dialled.map_err(ClientError::Connect)?;
        Ok(Self {
            dialer,
            coordinator: options.coordinator,
            away_max: options.away_max,
            peer: Mutex::new(Some(peer)),
            contact: watch::Sender::new(Contact::Held),
        })
    }

    pub fn contact(&self) -> watch::Receiver<Contact> {
        self.contact.subscribe()
    }

    /// Asks until there is an answer, or the coordinator has been away for too long. A refusal is an
    /// error, unless it says that the coordinator is about to go away.
    pub async fn ask(&self, request: &Request, deadline: Duration) -> Result<Answer, ClientError> {
        let mut patience = Patience::default();
        loop {
            let trouble = match self.peer().await {
                Ok(peer) => match peer.request(request, deadline).await {
                    Ok(Answer::Refused(refused)) => Trouble::of_refusal(refused),
                    Ok(answer) => {
                        self.note(Contact::Held);
                        return Ok(answer);
                    }
                    Err(error) => self.judge(error),
                },
                Err(trouble) => trouble,
            };
            self.bear(&mut patience, trouble).await?;
        }
    }

    /// The connection to the coordinator, dialled if there is none.
    pub async fn peer(&self) -> Result<Peer, Trouble> {
        if let Some(peer) = self.lock().clone().filter(|peer| peer.close_reason().is_none()) {
            return Ok(peer);
        }
        let dialled = self.dialer.dial(&self.coordinator, NodeRole::Coordinator).await;
        let peer = dialled.map_err(|error| match &error {
            ConnectError::Refused { refusal: Refusal::Busy, .. }
            | ConnectError::Address { .. }
            | ConnectError::Unanswered { .. } => Trouble::Passing(error.to_string()),
            ConnectError::Refused { .. } => Trouble::Final(ClientError::Connect(error)),
            ConnectError::Closed { closed, .. } => self.judge_closed(closed),
        })?;
        *self.lock() = Some(peer.clone());
        Ok(peer)
    }

    /// Waits a little before the next try, over a connection of its own.
    ///
    /// # Errors
    /// Another try would not help, or the coordinator has been away for too long.
    pub async fn bear(&self, patience: &mut Patience, trouble: Trouble) -> Result<(), ClientError> {
        let reason = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Passing(reason) => reason,
        };
        // Whatever else is said over it fares better over another one, too.
        *self.lock() = None;
        self.note(Contact::Away { reason: reason.as_str().into() });
        let after = patience.lost.get_or_insert_with(Instant::now).elapsed();
        if after >= self.away_max {
            return Err(ClientError::Away { coordinator: self.coordinator.clone(), after, last: reason });
        }
        sleep(patience.pause.min(self.away_max - after)).await;
        patience.pause = (patience.pause * 2).min(PAUSE_MAX);
        Ok(())
    }

    /// Tells whoever looks, once for each change between held and away.
    pub fn note(&self, now: Contact) {
        self.contact.send_if_modified(|contact| {
            let news = (*contact == Contact::Held) != (now == Contact::Held);
            *contact = now;
            news
        });
    }

    /// What an exchange's error means for the next try.
    pub fn judge(&self, error: ExchangeError) -> Trouble {
        match error {
            ExchangeError::Closed(closed) => self.judge_closed(&closed),
            ExchangeError::Abandoned | ExchangeError::Deadline { .. } => Trouble::Passing(error.to_string()),
            ExchangeError::Fault(_) | ExchangeError::TooLarge { .. } | ExchangeError::Encoding { .. } => {
                Trouble::Final(self.protocol(error.to_string()))
            }
        }
    }

    /// The error for a coordinator that makes no sense.
    pub fn protocol(&self, reason: String) -> ClientError {
        ClientError::Protocol { coordinator: self.coordinator.clone(), reason }
    }

    /// The error for an answer to another question.
    pub fn unexpected(&self, wanted: &str, got: &Answer) -> ClientError {
        let got = match got {
            Answer::Jobs(_) => "jobs",
            Answer::Job(_) => "a job",
            Answer::Attempts(_) => "attempts",
            Answer::Workers(_) => "workers",
            Answer::Done => "done",
            Answer::Refused(_) => "a refusal",
        };
        self.protocol(format!("it answered {got} when asked for {wanted}"))
    }

    /// Hangs up. Whoever waits for a client's end does not wait for what comes after the last answer.
    pub async fn close(self) {
        let peer = self.lock().take();
        if let Some(peer) = peer {
            peer.hang_up().await;
        }
    }

    fn judge_closed(&self, closed: &Closed) -> Trouble {
        match closed {
            Closed::By { reason: CloseReason::Fault(_), .. } => {
                Trouble::Final(self.protocol(closed.to_string()))
            }
            Closed::By { side, reason: CloseReason::Refused(refusal) } if *refusal != Refusal::Busy => {
                Trouble::Final(ClientError::Connect(ConnectError::Refused {
                    address: self.coordinator.clone(),
                    peer: None,
                    by: *side,
                    refusal: *refusal,
                }))
            }
            closed => Trouble::Passing(closed.to_string()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Peer>> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    /// What the coordinator's refusal means: one that is going down is asked again when it is back.
    pub fn of_refusal(refused: Refused) -> Self {
        match refused {
            Refused::ShuttingDown | Refused::Busy => Trouble::Passing(refused.to_string()),
            refused => Trouble::Final(ClientError::Refused(refused)),
        }
    }
}
