//! What a worker asks its coordinator for: descriptions of jobs and tasks, and components. Waits while
//! there is no connection, and asks again at the next one.
//!
//! Nothing that arrives is believed before its hash is checked, and nothing grows beyond its limit. Must
//! not know what the bytes mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mr_model::Failure;
use mr_model::limit::COMPONENT_BYTES_MAX;
use mr_net::{Peer, SegmentAnswer, SegmentReader};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::data::UNFINISHED_SUFFIX;
use super::link::jittered;
use crate::protocol::{ComponentHash, CoordinatorKey};

/// Longest description of a job or task, in bytes: a split of 16,384 files with their paths, a hundred
/// thousand boundaries.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 20;
/// Longest wait for a description or component: a coordinator that is restarted is back by then, and
/// the attempt may run elsewhere.
const ASK_PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for the beginning of an answer, on one connection.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Wait before asking again after a connection broke.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// Asks over whatever connection there is.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    peer: watch::Receiver<Option<Peer>>,
}

/// How one try ended.
enum Trouble {
    /// Another try may do better.
    Passing(String),
    /// It will not.
    Final(Failure),
}

impl Asker {
    /// Asks the coordinator that `peer` holds at the time.
    pub fn new(peer: watch::Receiver<Option<Peer>>) -> Self {
        Self { peer }
    }

    /// The description that `key` names. `what` names it for people.
    pub async fn description(&self, key: &CoordinatorKey, what: &str) -> Result<Vec<u8>, Failure> {
        self.patiently(what, || async {
            let mut reader = self.ask(key, what, DESCRIPTION_BYTES_MAX).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = reader.next().await.map_err(passing)? {
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        })
        .await
    }

    /// Fetches a component into a file. It is there, whole and checked, or not at all.
    pub async fn component(&self, hash: ComponentHash, path: &Path) -> Result<(), Failure> {
        let what = format!("component {}", hex(hash));
        self.patiently(&what, || async {
            let key = CoordinatorKey::Component(hash);
            let mut reader = self.ask(&key, &what, COMPONENT_BYTES_MAX).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = reader.next().await.map_err(passing)? {
                bytes.extend_from_slice(&piece);
            }
            keep(bytes, hash, path.to_owned()).await.map_err(Trouble::Final)
        })
        .await
    }

    /// Tries until it is done, it will not be done, or it has taken too long.
    async fn patiently<T, Try>(&self, what: &str, attempt: impl Fn() -> Try) -> Result<T, Failure>
    where
        Try: Future<Output = Result<T, Trouble>>,
    {
        let deadline = Instant::now() + ASK_PATIENCE;
        let mut last = "there is no connection".to_owned();
        loop {
            match timeout_at(deadline, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Trouble::Final(failure))) => return Err(failure),
                Ok(Err(Trouble::Passing(reason))) => last = reason,
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(Failure::internal(format!(
                    "the coordinator did not send {what} within {ASK_PATIENCE:?}: {last}"
                )));
            }
            tracing::debug!(what, reason = %last, "asking the coordinator again");
            tokio::time::sleep(jittered(RETRY_WAIT)).await;
        }
    }

    async fn ask(&self, key: &CoordinatorKey, what: &str, bytes_max: u64) -> Result<SegmentReader, Trouble> {
        let mut watched = self.peer.clone();
        let peer = watched.wait_for(Option::is_some).await.map(|peer| peer.clone());
        let Ok(Some(peer)) = peer else {
            return Err(Trouble::Final(Failure::Cancelled));
        };
        match peer.segment(key, ANSWER_PATIENCE).await.map_err(passing)? {
            SegmentAnswer::Found(reader) if reader.info().bytes <= bytes_max => Ok(reader),
            SegmentAnswer::Found(reader) => Err(Trouble::Final(Failure::internal(format!(
                "the coordinator offers {what} with {} bytes, and {bytes_max} are allowed",
                reader.info().bytes
            )))),
            SegmentAnswer::Gone => {
                Err(Trouble::Final(Failure::internal(format!("the coordinator does not have {what}"))))
            }
        }
    }
}

fn passing(error: impl std::fmt::Display) -> Trouble {
    Trouble::Passing(error.to_string())
}

/// Writes a component that is what its hash says.
async fn keep(bytes: Vec<u8>, hash: ComponentHash, path: PathBuf) -> Result<(), Failure> {
    let written = tokio::task::spawn_blocking(move || {
        let found = blake3::hash(&bytes);
        if found != blake3::Hash::from_bytes(hash) {
            return Err(Failure::internal(format!(
                "component {} arrived with the bytes of {found}; it is refused",
                hex(hash)
            )));
        }
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED_SUFFIX);
        let written = std::fs::write(&unfinished, &bytes).and_then(|()| std::fs::rename(&unfinished, &path));
        written.map_err(|error| Failure::disk(path, &error))
    });
    written
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format!("writing a component failed: {error}"))))
}

/// A component's hash as people and files see it.
pub(super) fn hex(hash: ComponentHash) -> String {
    blake3::Hash::from_bytes(hash).to_hex().to_string()
}
