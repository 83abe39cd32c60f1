//! A peer that this side dialled. What can be done with it is in [`crate::request`],
//! [`crate::channel`] and [`crate::segment`]. Only the dialling side opens streams.

use std::ops::Deref;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::ExchangeError;
use crate::remote::Remote;

/// A connection that this side dialled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peer {
    remote: Remote,
}

impl Peer {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote }
    }
}

impl Deref for Peer {
    type Target = Remote;

    fn deref(&self) -> &Remote {
        &self.remote
    }
}

/// Gives an exchange up after a time.
pub(crate) async fn within<T>(
    after: Duration,
    exchange: impl Future<Output = Result<T, ExchangeError>>,
) -> Result<T, ExchangeError> {
    timeout(after, exchange).await.unwrap_or(Err(ExchangeError::Deadline { after }))
}
