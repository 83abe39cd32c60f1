//! The one job that makes an output: a small object beside it, written under conditions, so that of two who
//! want it one gets it. Its owner writes it again every minute; one that was not written for long is of the
//! dead, by the store's own clock. Knows nothing of parts.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use mr_model::JobId;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::error::{Problem, StoreError};
use crate::transport::ServerDate;

/// How often the owner shows that it lives.
pub(crate) const BEAT: Duration = Duration::from_secs(60);
/// Largest claim that is read, in bytes.
const CLAIM_BYTES_MAX: u64 = 4096;

/// How far the owner of an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Uploads are under way; what was there before is untouched.
    Making,
    /// Objects come and go in the folder; it is no output until that is done.
    Publishing,
}

/// What a claim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub job: JobId,
    pub phase: Phase,
    /// Tells runs of a job apart.
    run: u64,
    /// Makes each writing another object.
    beat: u64,
}

/// A claim that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub said: Said,
    /// Since it was written, by the store's clock where it tells the time.
    pub age: Duration,
    e_tag: Option<String>,
}

/// A claim that is ours as long as [`Claim::write`] says so.
pub(crate) struct Claim {
    store: Arc<AmazonS3>,
    path: Path,
    url: String,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    said: Said,
    e_tag: Option<String>,
}

/// The claim at `path`, if there is one that can be read.
pub(crate) async fn find(store: &AmazonS3, path: &Path, url: &str) -> Result<Option<Found>, StoreError> {
    let found = match store.get(path).await.map_err(|error| StoreError::from_client(url, &error)) {
        Err(error) if error.problem == Problem::Missing => return Ok(None),
        found => found?,
    };
    let written = found.meta.last_modified;
    let now =
        found.extensions.get::<ServerDate>().and_then(|date| DateTime::parse_from_rfc2822(&date.0).ok());
    let age = now.map(|now| now.signed_duration_since(written).to_std().unwrap_or_default());
    let age =
        age.or_else(|| std::time::SystemTime::now().duration_since(written.into()).ok()).unwrap_or_default();
    let e_tag = found.meta.e_tag.clone();
    if found.meta.size > CLAIM_BYTES_MAX {
        return Err(foreign(url));
    }
    let bytes = found.bytes().await.map_err(|error| StoreError::from_client(url, &error))?;
    let said = serde_json::from_slice(&bytes).map_err(|_| foreign(url))?;
    Ok(Some(Found { said, age, e_tag }))
}

impl Claim {
    /// Writes a claim where there is none, or over `former`; none if somebody was faster.
    pub(crate) async fn take(
        store: &Arc<AmazonS3>,
        path: Path,
        url: String,
        job: &JobId,
        phase: Phase,
        former: Option<&Found>,
    ) -> Result<Option<Self>, StoreError> {
        let run = RandomState::new().hash_one(std::process::id());
        let said = Said { job: job.clone(), phase, run, beat: 0 };
        let claim = Self {
            store: Arc::clone(store),
            path,
            url,
            held: Mutex::new(Held { said: said.clone(), e_tag: None }),
        };
        let mode = former.map_or(PutMode::Create, |found| condition(found.e_tag.clone()));
        let mut held = claim.held.lock().await;
        let written = claim.put(&mut held, said, mode).await?;
        drop(held);
        Ok(written.then_some(claim))
    }

    /// Says that we are still there and how far; false if it is not ours any more.
    pub(crate) async fn write(&self, phase: Option<Phase>) -> Result<bool, StoreError> {
        let mut held = self.held.lock().await;
        let mut said = held.said.clone();
        said.beat += 1;
        said.phase = phase.unwrap_or(said.phase);
        let mode = condition(held.e_tag.clone());
        self.put(&mut held, said, mode).await
    }

    pub(crate) async fn phase(&self) -> Phase {
        self.held.lock().await.said.phase
    }

    /// Removes it, if it is ours.
    pub(crate) async fn release(&self) -> Result<(), StoreError> {
        let held = self.held.lock().await;
        let ours = find(&self.store, &self.path, &self.url)
            .await?
            .is_some_and(|found| found.said.run == held.said.run);
        if !ours {
            return Ok(());
        }
        crate::stores::delete_all(&self.store, &self.url, vec![self.path.clone()]).await
    }

    async fn put(&self, held: &mut Held, said: Said, mode: PutMode) -> Result<bool, StoreError> {
        let text = serde_json::to_vec(&said).map_err(|_| foreign(&self.url))?;
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.put_opts(&self.path, text.into(), options).await;
        match put.map_err(|error| StoreError::from_client(&self.url, &error)) {
            Ok(put) => *held = Held { said, e_tag: put.e_tag },
            Err(StoreError { problem: Problem::Conflict | Problem::Missing, .. }) => {
                // Maybe written by a try of ours whose answer was lost.
                let found = find(&self.store, &self.path, &self.url).await?;
                let Some(found) = found.filter(|found| found.said == said) else { return Ok(false) };
                *held = Held { said, e_tag: found.e_tag };
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

fn condition(e_tag: Option<String>) -> PutMode {
    PutMode::Update(UpdateVersion { e_tag, version: None })
}

fn foreign(url: &str) -> StoreError {
    StoreError::new(url, Problem::Refused("it is no claim of an output; remove it if nobody knows it".into()))
}
