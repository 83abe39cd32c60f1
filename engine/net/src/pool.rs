//! A pool: several connections to one peer, for when one core's encryption is the limit.
//!
//! Connections are dialled when they are first needed and again after they ended, and used in turn.
//! Must not retry a dial that failed: how long to wait is for the caller to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Mutex;

use crate::endpoint::Dialer;
use crate::error::ConnectError;
use crate::greeting::Expected;
use crate::peer::Peer;

/// Connections to one peer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dialer: Dialer,
    address: String,
    expected: Expected,
    lanes: Vec<Mutex<Option<Peer>>>,
    turn: AtomicUsize,
}

impl Pool {
    /// A pool of `lanes` connections (at least one) to `HOST:PORT`. Dials nothing yet.
    pub fn new(
        dialer: Dialer,
        address: impl Into<String>,
        expected: impl Into<Expected>,
        lanes: usize,
    ) -> Self {
        let lanes = (0..lanes.max(1)).map(|_| Mutex::default()).collect();
        let (address, expected) = (address.into(), expected.into());
        Self { shared: Arc::new(Shared { dialer, address, expected, lanes, turn: AtomicUsize::new(0) }) }
    }

    /// The next connection in turn, dialled if there is none.
    pub async fn peer(&self) -> Result<Peer, ConnectError> {
        let shared = &self.shared;
        let turn = shared.turn.fetch_add(1, Ordering::Relaxed) % shared.lanes.len();
        let mut lane = shared.lanes[turn].lock().await;
        if let Some(peer) = lane.as_ref().filter(|peer| peer.close_reason().is_none()) {
            return Ok(peer.clone());
        }
        let peer = shared.dialer.dial(&shared.address, shared.expected.clone()).await?;
        *lane = Some(peer.clone());
        Ok(peer)
    }
}
