//! A peer that this side dialled. What can be done with it is in [`crate::request`],
//! [`crate::channel`] and [`crate::segment`]. Only the dialling side opens streams.

use std::ops::Deref;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::close::CloseReason;
use crate::error::ExchangeError;
use crate::limits::FAREWELL_TIMEOUT;
use crate::remote::Remote;

/// Between two looks whether a farewell was sent, the least that the timer knows.
const FAREWELL_LOOK: Duration = Duration::from_millis(1);

/// A connection that this side dialled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peer {
    remote: Remote,
}

impl Peer {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// Hangs up, and waits until the farewell is on its way, at most [`FAREWELL_TIMEOUT`]. Unlike
    /// [`crate::Dialer::close`] it does not stay to say it again: a peer that misses it finds out when
    /// the connection has been idle for too long.
    pub async fn hang_up(&self) {
        if self.close_reason().is_some() {
            return;
        }
        let datagrams = || self.connection().stats().udp_tx.datagrams;
        let before = datagrams();
        self.close(CloseReason::Done);
        let sent = async {
            while datagrams() == before {
                sleep(FAREWELL_LOOK).await;
            }
            // That may have been an acknowledgement on its way already; the farewell is next, and the last.
            sleep(FAREWELL_LOOK).await;
        };
        // One that cannot be sent is not worth waiting for.
        let _ = timeout(FAREWELL_TIMEOUT, sent).await;
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
