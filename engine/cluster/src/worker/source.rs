//! How another worker is talked to: connections that are kept, tries that are bounded, and what a
//! failure says.
//!
//! Only what may pass is tried again: a connection that broke, a peer that does not answer. What a peer
//! says for certain (that something is gone, that it is another node, other bytes than it listed) is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mr_model::{Failure, Incarnation, TaskId, WorkerId};
use mr_net::limits::SEGMENT_CHUNK_BYTES;
use mr_net::{
    CloseReason, ConnectError, Dialer, ExchangeError, Expected, NodeRole, Peer, Pool, Refusal, SegmentAnswer,
    SegmentError, SegmentInfo,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::jittered;
use super::share::Share;
use super::spool::Spool;
use crate::protocol::{OutputsAnswer, OutputsRequest, SegmentKey, Source};

/// Connections to one worker: one core's encryption is slower than a fast network.
const LANES: usize = 2;
/// Workers that connections are kept to; beyond, all are let go and dialled again when needed.
const SOURCES_MAX: usize = 2048;
/// Segments that a worker fetches at once, all attempts together: each may have a stream's window of
/// 4 MiB in flight, which the memory budget has no place for otherwise.
const STREAMS_MAX: usize = 16;
/// Tries before a source counts as lost.
const TRIES: u32 = 3;
/// Longest wait for a connection, or for the beginning of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait before the second try; doubled before the third.
const BACKOFF: Duration = Duration::from_millis(250);

/// Connections to other workers.
#[derive(Debug)]
pub(super) struct Fetcher {
    dialer: Dialer,
    pools: Mutex<BTreeMap<(String, String), Pool>>,
    /// Lives of workers that are or were talked to; cancelled where they are over.
    lives: Mutex<BTreeMap<(WorkerId, Incarnation), CancellationToken>>,
    streams: Arc<Semaphore>,
}

/// One worker that holds map output. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    source: Arc<Source>,
    pool: Pool,
    /// Cancelled when the life is over.
    over: CancellationToken,
    streams: Arc<Semaphore>,
}

/// How one try ended.
enum Trouble {
    /// Another try may do better.
    Passing(String),
    /// It will not.
    Final(String),
    /// This side failed.
    Ours(Failure),
}

impl Fetcher {
    /// Dials nobody yet.
    pub fn new(dialer: Dialer) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self { dialer, pools: Mutex::default(), lives: Mutex::default(), streams }
    }

    /// A worker that holds map output.
    pub fn reach(&self, source: &Source) -> Reach {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() >= SOURCES_MAX {
            pools.clear();
        }
        let key = (source.name.clone(), source.address.clone());
        let pool = pools.entry(key).or_insert_with(|| {
            let expected = Expected::named(NodeRole::Worker, &source.name);
            Pool::new(self.dialer.clone(), &source.address, expected, LANES)
        });
        let over = self.life(source.worker, source.incarnation);
        Reach { source: Arc::new(source.clone()), pool: pool.clone(), over, streams: self.streams.clone() }
    }

    /// A life of a worker is over: whoever fetches from it, now or later, gives up at once.
    pub fn lose(&self, worker: WorkerId, incarnation: Incarnation) {
        self.life(worker, incarnation).cancel();
    }

    fn life(&self, worker: WorkerId, incarnation: Incarnation) -> CancellationToken {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        if lives.len() >= SOURCES_MAX {
            // Those that are talked to have their own hold on it.
            lives.clear();
        }
        lives.entry((worker, incarnation)).or_default().clone()
    }

    /// Lets go of connections that nobody uses.
    pub fn rest(&self) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Reach {
    /// The life whose outputs are wanted.
    pub fn incarnation(&self) -> Incarnation {
        self.source.incarnation
    }

    /// Output of `map_task` could not be had from this worker.
    pub fn failure(&self, map_task: TaskId, reason: &str) -> Failure {
        let Source { name, address, .. } = &*self.source;
        Failure::Fetch { map_task, reason: format!("worker {name} at {address}: {reason}") }
    }

    /// Asks which segments there are. `map_task` is named if there is no answer.
    pub async fn outputs(
        &self,
        request: &OutputsRequest,
        map_task: TaskId,
    ) -> Result<OutputsAnswer, Failure> {
        self.try_hard(map_task, || async {
            let peer = self.peer().await?;
            peer.request(request, PATIENCE).await.map_err(|error| trouble(&peer, error))
        })
        .await
    }

    /// Fetches a segment, which has to be what was listed, to its place in the spool.
    pub async fn segment(
        &self,
        key: &SegmentKey,
        info: SegmentInfo,
        spool: &Spool,
        at: u64,
        share: &Share,
    ) -> Result<(), Failure> {
        self.try_hard(key.attempt.task, || async {
            let _turn = self.streams.acquire().await.map_err(|error| Trouble::Passing(error.to_string()))?;
            let peer = self.peer().await?;
            let mut written = 0;
            let copied = copy(&peer, key, info, spool, at, |bytes| {
                written += bytes;
                share.fetched(bytes);
            });
            copied.await.inspect_err(|_| share.lost(written))
        })
        .await
    }

    /// Tries as often as is worth it, as long as the worker is not known to be lost.
    async fn try_hard<T, Try>(&self, map_task: TaskId, attempt: impl Fn() -> Try) -> Result<T, Failure>
    where
        Try: Future<Output = Result<T, Trouble>>,
    {
        let tried = self.over.run_until_cancelled(self.try_often(map_task, attempt));
        tried.await.unwrap_or_else(|| Err(self.failure(map_task, "the worker is lost")))
    }

    async fn try_often<T, Try>(&self, map_task: TaskId, attempt: impl Fn() -> Try) -> Result<T, Failure>
    where
        Try: Future<Output = Result<T, Trouble>>,
    {
        let mut backoff = BACKOFF;
        for left in (0..TRIES).rev() {
            let reason = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Trouble::Ours(failure)) => return Err(failure),
                Err(Trouble::Final(reason)) => return Err(self.failure(map_task, &reason)),
                Err(Trouble::Passing(reason)) if left == 0 => {
                    let reason = format!("{reason} (given up after {TRIES} tries)");
                    return Err(self.failure(map_task, &reason));
                }
                Err(Trouble::Passing(reason)) => reason,
            };
            tracing::info!(worker = %self.source.name, address = %self.source.address, %map_task, %reason, "fetching is tried again");
            tokio::time::sleep(jittered(backoff)).await;
            backoff *= 2;
        }
        Err(Failure::internal("fetching was never tried"))
    }

    async fn peer(&self) -> Result<Peer, Trouble> {
        match timeout(PATIENCE, self.pool.peer()).await {
            Ok(Ok(peer)) => Ok(peer),
            Ok(Err(ConnectError::Refused { refusal, by, .. })) if refusal != Refusal::Busy => {
                Err(Trouble::Final(refusal.sentence(by)))
            }
            Ok(Err(error)) => Err(Trouble::Passing(error.to_string())),
            Err(_) => Err(Trouble::Passing(format!("no connection within {PATIENCE:?}"))),
        }
    }
}

/// Copies a segment to the spool, in pieces that are worth a write each.
async fn copy(
    peer: &Peer,
    key: &SegmentKey,
    info: SegmentInfo,
    spool: &Spool,
    mut at: u64,
    mut wrote: impl FnMut(u64),
) -> Result<(), Trouble> {
    let mut reader = match peer.segment(key, PATIENCE).await.map_err(|error| trouble(peer, error))? {
        SegmentAnswer::Found(reader) => reader,
        SegmentAnswer::Gone => return Err(Trouble::Final("it is gone".into())),
    };
    if reader.info() != info {
        return Err(Trouble::Final("it offers another segment than it listed".into()));
    }
    let mut piece = Vec::new();
    while let Some(bytes) = reader.next().await.map_err(|error| segment_trouble(peer, error))? {
        piece.extend_from_slice(&bytes);
        if piece.len() >= SEGMENT_CHUNK_BYTES {
            (piece, at) = write(spool, piece, at, &mut wrote).await?;
        }
    }
    if !piece.is_empty() {
        write(spool, piece, at, &mut wrote).await?;
    }
    Ok(())
}

async fn write(
    spool: &Spool,
    piece: Vec<u8>,
    at: u64,
    wrote: &mut impl FnMut(u64),
) -> Result<(Vec<u8>, u64), Trouble> {
    let mut piece = spool.write(piece, at).await.map_err(Trouble::Ours)?;
    let bytes = piece.len() as u64;
    wrote(bytes);
    piece.clear();
    Ok((piece, at + bytes))
}

fn segment_trouble(peer: &Peer, error: SegmentError) -> Trouble {
    match error {
        SegmentError::Exchange(error) => trouble(peer, error),
        error => Trouble::Final(error.to_string()),
    }
}

fn trouble(peer: &Peer, error: ExchangeError) -> Trouble {
    match error {
        ExchangeError::Closed(_) | ExchangeError::Abandoned => Trouble::Passing(error.to_string()),
        ExchangeError::Deadline { .. } => {
            // A worker that was restarted does not know the connection, and says nothing on it.
            peer.close(CloseReason::Done);
            Trouble::Passing(error.to_string())
        }
        ExchangeError::Fault(_) | ExchangeError::TooLarge { .. } | ExchangeError::Encoding { .. } => {
            Trouble::Final(error.to_string())
        }
    }
}
