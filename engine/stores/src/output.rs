//! The folder that a job leaves on a store: whoever waits for `_SUCCESS` sees all of it or nothing.
//!
//! A store cannot rename, so parts are uploaded beside the output's place without being visible, and
//! publishing completes them: what was there loses its `_SUCCESS` and `_manifest.json` first, then parts
//! are completed, what is stale is removed, and the manifest and `_SUCCESS` are written last. Below
//! `_pending/` lie the claim of the job that makes the output and the records of its uploads, from which
//! the next job cleans up after a dead one. Nothing but a former output is ever replaced. Must not know what
//! is in the parts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mr_model::{Failure, JobId};
use object_store::path::Path;
use tokio::task::AbortHandle;

use crate::claim::{BEAT, Claim, Found, Phase};
use crate::error::StoreError;
use crate::folder::{Content, Folder};
use crate::location::Location;
use crate::stores::Stores;
use crate::upload::{PendingObject, UploadTarget};

/// Age of a claim that nobody holds any more. Its owner writes it every minute, and tries for two.
pub const CLAIM_AGE_MAX: Duration = Duration::from_secs(600);
/// Longest name of an object in an output, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Why an output cannot be made or published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The address has no key, or is that of a web server.
    #[error(
        "output {url} names no folder of a store that could be created; give it a name of its own, as in s3://bucket/name"
    )]
    NoName {
        /// The address.
        url: String,
    },
    /// There is something already.
    #[error("output {url} exists already; remove it, choose another, or replace it with --overwrite")]
    Exists {
        /// The address.
        url: String,
    },
    /// There is something that is not ours to replace.
    #[error(
        "output {url} is neither empty nor a former output (with _SUCCESS or _manifest.json in it), so --overwrite leaves it alone; remove it or choose another"
    )]
    NotAnOutput {
        /// The address.
        url: String,
    },
    /// A job is at it already.
    #[error(
        "output {url} is being made by another run, of job {job}; wait for it or choose another (a run that was killed counts as gone ten minutes after its last sign of life)"
    )]
    Busy {
        /// The address.
        url: String,
        /// The job.
        job: JobId,
    },
    /// Something took the place while the job ran.
    #[error(
        "output {url} was created by something else while the job ran and is left alone; this job's output is given up"
    )]
    Taken {
        /// The address.
        url: String,
    },
    /// The store failed, or the engine did.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<StoreError> for OutputError {
    fn from(error: StoreError) -> Self {
        OutputError::Failed(error.into_output_failure())
    }
}

/// What [`OutputStore::resume`] found.
#[derive(Debug)]
pub enum Resumed {
    /// The output is still in the making, and is ours again.
    Open(OutputStore),
    /// The output was published; what was left to clean up is cleaned up.
    Published,
    /// There is nothing of the job: it never came to make anything, or somebody removed it.
    Lost,
}

/// An output in the making. Dropped without [`OutputStore::publish`] it leaves nothing, as far as the store
/// can be reached.
pub struct OutputStore {
    stores: Arc<Stores>,
    folder: Folder,
    overwrite: bool,
    job: JobId,
    claim: Arc<Claim>,
    beats: AbortHandle,
    committed: Mutex<BTreeMap<String, PendingObject>>,
    done: bool,
}

impl OutputStore {
    /// Begins the output at `url` of `job`: checks that it can be published there, claims it, and removes
    /// what dead jobs left beside it.
    ///
    /// # Errors
    /// Something is there (with `overwrite`: something that is not a former output), another run is at it,
    /// or the store refuses.
    pub fn create(
        stores: &Arc<Stores>,
        url: &str,
        overwrite: bool,
        job: &JobId,
    ) -> Result<Self, OutputError> {
        Self::create_after(stores, url, overwrite, job, CLAIM_AGE_MAX)
    }

    /// The same where claims older than `claim_age_max` are of the dead.
    ///
    /// # Errors
    /// As [`OutputStore::create`].
    pub fn create_after(
        stores: &Arc<Stores>,
        url: &str,
        overwrite: bool,
        job: &JobId,
        claim_age_max: Duration,
    ) -> Result<Self, OutputError> {
        let folder = folder(stores, url)?;
        stores.run(async { Ok(begin(stores, folder, overwrite, job, claim_age_max).await) })?
    }

    /// Takes up the output at `url` of `job` again after the process that made it has died at any moment:
    /// nothing uploaded is removed, and objects that count are to be told by [`OutputStore::commit`].
    ///
    /// # Errors
    /// Another job has claimed it meanwhile ([`OutputError::Taken`]), or the store refuses.
    pub fn resume(
        stores: &Arc<Stores>,
        url: &str,
        overwrite: bool,
        job: &JobId,
    ) -> Result<Resumed, OutputError> {
        let folder = folder(stores, url)?;
        stores.run(async { Ok(resume(stores, folder, overwrite, job).await) })?
    }

    /// Where the object `name` of the output is to be uploaded, as plain data for whoever does that.
    pub fn target(&self, name: &str) -> UploadTarget {
        target_in(&self.folder, &self.job, name)
    }

    /// Makes an uploaded object part of the output; it becomes visible when the output is published. May be
    /// asked again for the same upload, also after a crash.
    ///
    /// # Errors
    /// [`Failure::Internal`] if it is no object of this output, or another is committed under its name.
    pub fn commit(&self, pending: PendingObject) -> Result<(), Failure> {
        let name = self.folder.name_of(&pending.url).filter(|name| is_object_name(name));
        let recorded = pending.record.starts_with(&self.folder.records(&self.job));
        let (Some(name), true, Ok(())) = (name, recorded, pending.check()) else {
            return Err(Failure::internal(format!(
                "{:?} is no object of output {}",
                pending.url,
                self.folder.url()
            )));
        };
        let mut committed = self.committed();
        match committed.get(name) {
            Some(known) if *known == pending => return Ok(()),
            Some(_) => return Err(Failure::internal(format!("{name} was committed twice"))),
            None => {}
        }
        committed.insert(name.to_owned(), pending);
        Ok(())
    }

    /// Completes the output: from now on it has a manifest, `_SUCCESS`, the objects that were committed, and
    /// nothing else. May be asked again after it failed.
    ///
    /// # Errors
    /// The place was taken ([`OutputError::Taken`]), or the store refuses or cannot be reached.
    pub fn publish(&mut self, manifest: &[u8]) -> Result<(), OutputError> {
        let committed = self.committed().clone();
        let stores = Arc::clone(&self.stores);
        stores.run(async { Ok(self.publish_all(&committed, manifest).await) })??;
        self.done = true;
        Ok(())
    }

    /// Gives the output up: nothing of it stays.
    pub fn discard(self) {}

    /// Lets go of the output and removes nothing, for [`OutputStore::resume`] to take it up again.
    pub fn leave(mut self) {
        self.done = true;
    }

    async fn publish_all(
        &self,
        committed: &BTreeMap<String, PendingObject>,
        manifest: &[u8],
    ) -> Result<(), OutputError> {
        let folder = &self.folder;
        if self.claim.phase().await == Phase::Making {
            let content = folder.content().await?;
            if content != Content::Nothing && !(self.overwrite && content == Content::Output) {
                return Err(OutputError::Taken { url: folder.url() });
            }
        }
        if !self.claim.write(Some(Phase::Publishing)).await? {
            return Err(OutputError::Taken { url: folder.url() });
        }
        folder.unpublish().await?;
        folder.complete(&self.stores, committed).await?;
        folder.remove_others(committed).await?;
        if !self.claim.write(None).await? {
            return Err(OutputError::Taken { url: folder.url() });
        }
        folder.succeed(manifest, &self.job).await?;
        // It is complete without that, and the next job on the output would do the same.
        let _ = folder.sweep(&self.stores, None).await;
        let _ = self.claim.release().await;
        Ok(())
    }

    async fn give_up(&self) -> Result<(), StoreError> {
        let publishing =
            self.claim.phase().await == Phase::Publishing && self.folder.success().await?.is_none();
        if !self.claim.write(None).await? {
            // Whoever has it now has cleaned up.
            return Ok(());
        }
        self.folder.sweep(&self.stores, None).await?;
        if publishing {
            self.folder.unpublish().await?;
            self.folder.remove_others::<()>(&BTreeMap::new()).await?;
        }
        self.claim.release().await
    }

    fn committed(&self) -> MutexGuard<'_, BTreeMap<String, PendingObject>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OutputStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputStore")
            .field("url", &self.folder.url())
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}

impl Drop for OutputStore {
    fn drop(&mut self) {
        self.beats.abort();
        if !self.done {
            // What stays is removed by the next job on this output.
            let _ = self.stores.run(self.give_up());
        }
    }
}

/// Where an object `name` of the output at `url` is to be uploaded, for whoever did not begin the output.
///
/// # Errors
/// The address is that of no output.
pub(crate) fn target(
    stores: &Stores,
    url: &str,
    job: &JobId,
    name: &str,
) -> Result<UploadTarget, OutputError> {
    Ok(target_in(&folder(stores, url)?, job, name))
}

fn target_in(folder: &Folder, job: &JobId, name: &str) -> UploadTarget {
    UploadTarget { url: folder.url_of(name), records: folder.records(job) }
}

fn folder(stores: &Stores, url: &str) -> Result<Folder, OutputError> {
    let Location::S3 { bucket, key } = Location::parse(url)? else {
        return Err(OutputError::NoName { url: url.to_owned() });
    };
    let key = key.trim_end_matches('/');
    if key.is_empty() {
        return Err(OutputError::NoName { url: url.to_owned() });
    }
    Ok(Folder::new(stores.bucket(&bucket)?, bucket, key.to_owned())?)
}

async fn begin(
    stores: &Arc<Stores>,
    folder: Folder,
    overwrite: bool,
    job: &JobId,
    claim_age_max: Duration,
) -> Result<OutputStore, OutputError> {
    let former = folder.claim().await?;
    if let Some(busy) = former.as_ref().filter(|found| found.age < claim_age_max) {
        return Err(OutputError::Busy { url: folder.url(), job: busy.said.job.clone() });
    }
    let debris = is_debris(&folder, former.as_ref()).await?;
    let url = folder.url();
    match folder.content().await? {
        Content::Nothing => {}
        _ if debris => {}
        _ if !overwrite => return Err(OutputError::Exists { url }),
        Content::Output => {}
        Content::Else => return Err(OutputError::NotAnOutput { url }),
    }
    // What a dead job left while it published is still to be removed.
    let phase = if debris { Phase::Publishing } else { Phase::Making };
    let (path, claim_url) = (folder.claim_path()?, folder.claim_url());
    let Some(claim) = Claim::take(folder.store(), path, claim_url, job, phase, former.as_ref()).await? else {
        let holder = folder.claim().await?.map_or_else(|| job.clone(), |found| found.said.job);
        return Err(OutputError::Busy { url, job: holder });
    };
    let output = hold(stores, folder, overwrite, job, claim)?;
    output.folder.sweep(stores, None).await?;
    Ok(output)
}

/// Whether what is in the folder was left by a job that died while it published: its claim says so, and no
/// `_SUCCESS` of it or another job is there.
async fn is_debris(folder: &Folder, former: Option<&Found>) -> Result<bool, StoreError> {
    let publishing = former.is_some_and(|found| found.said.phase == Phase::Publishing);
    Ok(publishing && folder.success().await?.is_none())
}

async fn resume(
    stores: &Arc<Stores>,
    folder: Folder,
    overwrite: bool,
    job: &JobId,
) -> Result<Resumed, OutputError> {
    let former = folder.claim().await?;
    let published = folder.success().await?.is_some_and(|by| by.as_deref() == Some(job.as_str()));
    match former {
        Some(found) if found.said.job != *job && !published => Err(OutputError::Taken { url: folder.url() }),
        Some(found) if found.said.job == *job && !(published && found.said.phase == Phase::Publishing) => {
            let (store, path, url) = (folder.store(), folder.claim_path()?, folder.claim_url());
            match Claim::take(store, path, url, job, found.said.phase, Some(&found)).await? {
                Some(claim) => Ok(Resumed::Open(hold(stores, folder, overwrite, job, claim)?)),
                None => Err(OutputError::Taken { url: folder.url() }),
            }
        }
        Some(found) if found.said.job == *job => {
            let _ = folder.sweep(stores, Some(job)).await;
            let _ = folder.drop_claim().await;
            Ok(Resumed::Published)
        }
        _ if published => Ok(Resumed::Published),
        _ => Ok(Resumed::Lost),
    }
}

/// An output whose claim is kept up until it is dropped.
fn hold(
    stores: &Arc<Stores>,
    folder: Folder,
    overwrite: bool,
    job: &JobId,
    claim: Claim,
) -> Result<OutputStore, OutputError> {
    let claim = Arc::new(claim);
    let beating = Arc::clone(&claim);
    let beats = stores.runtime()?.spawn(async move {
        loop {
            tokio::time::sleep(BEAT).await;
            // What it says is found out when it matters, before publishing.
            let _ = beating.write(None).await;
        }
    });
    let (stores, job, committed) = (Arc::clone(stores), job.clone(), Mutex::default());
    let beats = beats.abort_handle();
    Ok(OutputStore { stores, folder, overwrite, job, claim, beats, committed, done: false })
}

/// Whether an output may have an object of this name: below it, not hidden, none of its own.
fn is_object_name(name: &str) -> bool {
    let reserved = ["_SUCCESS", "_manifest.json", "_pending"];
    let first = name.split('/').next().unwrap_or_default();
    name.len() <= NAME_BYTES_MAX
        && !reserved.contains(&first)
        && !name.is_empty()
        && Path::parse(name).is_ok_and(|path| path.as_ref() == name)
}
