//! The client's side: submits jobs, asks about them, comes back when the coordinator was away.
//!
//! A coordinator that was reached once may go away and come back (a restart, a cut link): whatever was
//! asked is asked again, because everything that a client says is safe to repeat. That ends when there
//! was no contact for [`ClientOptions::away_max`]. Must not plan jobs, nor decide what is told to people.
//!
//! In reading order: [`error`], [`link`] (one coordinator, dialled again when it is away), [`submission`]
//! (what a job consists of), `submit` (handing it in), `watch` (waiting for its end).

pub mod error;
pub mod link;
pub mod submission;
mod submit;
mod watch;

use std::time::Duration;

use mr_model::JobId;
use mr_net::limits::REQUEST_DEADLINE;
use mr_net::{Identity, Limits};
use tokio::sync::watch::Receiver;

use crate::protocol::{Answer, AttemptRecord, JobView, Request, WAIT_MILLIS_MAX, WorkerView};

pub use error::ClientError;
pub use link::Contact;
pub use submission::{Component, Submission};
pub use submit::{Accepted, Upload};

use link::Link;

/// How long a coordinator may be away, unless asked otherwise: it replays its journal in seconds, and
/// whoever restarts it by hand has time to.
pub const AWAY_MAX: Duration = Duration::from_secs(120);

/// What a client needs.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The client's identity.
    pub identity: Identity,
    /// Address of the coordinator, `HOST:PORT`.
    pub coordinator: String,
    /// Limits of the network.
    pub limits: Limits,
    /// How long the coordinator may be away before the client gives up.
    pub away_max: Duration,
}

/// A client of one coordinator. Calls may be made at the same time.
#[derive(Debug)]
pub struct Client {
    link: Link,
}

impl Client {
    /// Reaches the coordinator. The first contact is tried once: an address where nobody answers is
    /// more often wrong than early.
    ///
    /// # Errors
    /// [`ClientError::Socket`], [`ClientError::Connect`].
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { link: Link::connect(options).await? })
    }

    /// Whether the coordinator is in reach, for whoever shows it.
    pub fn contact(&self) -> Receiver<Contact> {
        self.link.contact()
    }

    /// Jobs in the history, newest first: those submitted before number `before`, at most `limit`
    /// (and at most [`crate::protocol::PAGE_ROWS_MAX`]).
    ///
    /// # Errors
    /// As all calls: [`ClientError::Away`] when the coordinator stays away, [`ClientError::Connect`] when
    /// it does not let this client in any more, [`ClientError::Refused`] when it does not do what is
    /// asked, [`ClientError::Protocol`] when it makes no sense.
    pub async fn jobs(&self, before: Option<u64>, limit: u32) -> Result<Vec<JobView>, ClientError> {
        let answer = self.link.ask(&Request::Jobs { before, limit }, REQUEST_DEADLINE).await?;
        match answer {
            Answer::Jobs(jobs) => Ok(jobs),
            other => Err(self.link.unexpected("jobs", &other)),
        }
    }

    /// A job. The answer is held back until its revision is not `seen` any more, for `wait` at most.
    ///
    /// # Errors
    /// See [`Client::jobs`].
    pub async fn job(&self, job: &JobId, seen: u64, wait: Duration) -> Result<JobView, ClientError> {
        let wait = wait.min(Duration::from_millis(u64::from(WAIT_MILLIS_MAX)));
        let wait_millis = u32::try_from(wait.as_millis()).unwrap_or(WAIT_MILLIS_MAX);
        let request = Request::Job { job: job.clone(), seen, wait_millis };
        match self.link.ask(&request, REQUEST_DEADLINE + wait).await? {
            Answer::Job(view) if view.job == *job => Ok(*view),
            Answer::Job(view) => {
                Err(self.link.protocol(format!("it told of job {} when asked for {job}", view.job)))
            }
            other => Err(self.link.unexpected("a job", &other)),
        }
    }

    /// Ended attempts of a job, in order of their end: `skip` are left out, at most `limit` are told
    /// (and at most [`crate::protocol::PAGE_ROWS_MAX`]).
    ///
    /// # Errors
    /// See [`Client::jobs`].
    pub async fn attempts(
        &self,
        job: &JobId,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<AttemptRecord>, ClientError> {
        let request = Request::Attempts { job: job.clone(), skip, limit };
        match self.link.ask(&request, REQUEST_DEADLINE).await? {
            Answer::Attempts(attempts) => Ok(attempts),
            other => Err(self.link.unexpected("attempts", &other)),
        }
    }

    /// All workers that the coordinator knows.
    ///
    /// # Errors
    /// See [`Client::jobs`].
    pub async fn workers(&self) -> Result<Vec<WorkerView>, ClientError> {
        match self.link.ask(&Request::Workers, REQUEST_DEADLINE).await? {
            Answer::Workers(workers) => Ok(workers),
            other => Err(self.link.unexpected("workers", &other)),
        }
    }

    /// Stops a job. One that has ended stays as it is.
    ///
    /// # Errors
    /// See [`Client::jobs`].
    pub async fn cancel(&self, job: &JobId) -> Result<(), ClientError> {
        self.order(&Request::Cancel { job: job.clone() }).await
    }

    /// Tells a worker to finish what it has and leave. Returns when that is under way.
    ///
    /// # Errors
    /// See [`Client::jobs`].
    pub async fn drain(&self, worker: &str) -> Result<(), ClientError> {
        self.order(&Request::Drain { worker: worker.to_owned() }).await
    }

    /// Hangs up, and waits briefly until the coordinator has heard it.
    pub async fn close(self) {
        self.link.close().await;
    }

    async fn order(&self, request: &Request) -> Result<(), ClientError> {
        match self.link.ask(request, REQUEST_DEADLINE).await? {
            Answer::Done => Ok(()),
            other => Err(self.link.unexpected("done", &other)),
        }
    }
}
