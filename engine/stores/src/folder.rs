//! The objects of an output on a store: what is there, and each step of making it another. The steps' order
//! is the output's; each may be done again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use mr_model::JobId;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};

use crate::claim::{self, Found};
use crate::error::{Problem, StoreError};
use crate::listing::OBJECTS_MAX;
use crate::stores::{Stores, delete_all, head, parse_key};
use crate::upload::{PendingObject, Record};

/// The empty object that says that an output is complete.
const SUCCESS_NAME: &str = "_SUCCESS";
/// What an output tells about itself.
const MANIFEST_NAME: &str = "_manifest.json";
/// The folder of what is not part of the output.
const PENDING: &str = "_pending";
/// Name of the claim in it. No job can be called that.
const CLAIM_NAME: &str = "claim.json";
/// Name of the metadata of `_SUCCESS` that tells the job.
const JOB_NAME: &str = "mr-job";
/// Requests at a time while uploads are completed or aborted.
const AT_ONCE: usize = 16;
/// Largest record of an upload that is read, in bytes.
const RECORD_BYTES_MAX: u64 = 16 * 1024;

/// The place of an output.
pub(crate) struct Folder {
    store: Arc<AmazonS3>,
    bucket: String,
    /// Without a slash at its end.
    key: String,
    path: Path,
}

/// What is in a folder, but for what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// No object.
    Nothing,
    /// An output, maybe with more.
    Output,
    /// Something else.
    Else,
}

impl Folder {
    pub(crate) fn new(store: Arc<AmazonS3>, bucket: String, key: String) -> Result<Self, StoreError> {
        let path = parse_key(&format!("s3://{bucket}/{key}"), &key)?;
        Ok(Self { store, bucket, key, path })
    }

    pub(crate) fn store(&self) -> &Arc<AmazonS3> {
        &self.store
    }

    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url())
    }

    /// The name of the object `url` in this folder.
    pub(crate) fn name_of<'a>(&self, url: &'a str) -> Option<&'a str> {
        url.strip_prefix(&self.url())?.strip_prefix('/')
    }

    /// Beginning of the addresses of the records of a job's uploads.
    pub(crate) fn records(&self, job: &JobId) -> String {
        self.url_of(&format!("{PENDING}/{job}/"))
    }

    pub(crate) fn claim_url(&self) -> String {
        self.url_of(&format!("{PENDING}/{CLAIM_NAME}"))
    }

    pub(crate) fn claim_path(&self) -> Result<Path, StoreError> {
        self.child(&format!("{PENDING}/{CLAIM_NAME}"))
    }

    pub(crate) async fn claim(&self) -> Result<Option<Found>, StoreError> {
        claim::find(&self.store, &self.claim_path()?, &self.claim_url()).await
    }

    pub(crate) async fn drop_claim(&self) -> Result<(), StoreError> {
        delete_all(&self.store, &self.claim_url(), vec![self.claim_path()?]).await
    }

    /// The job that `_SUCCESS` is of, as far as it says, if it is there.
    pub(crate) async fn success(&self) -> Result<Option<Option<String>>, StoreError> {
        let found = head(&self.store, &self.child(SUCCESS_NAME)?, &self.url_of(SUCCESS_NAME)).await?;
        let job = |attributes: &Attributes| {
            attributes.get(&Attribute::Metadata(JOB_NAME.into())).map(|job| job.to_string())
        };
        Ok(found.map(|found| job(&found.attributes)))
    }

    /// What is there.
    pub(crate) async fn content(&self) -> Result<Content, StoreError> {
        for name in [SUCCESS_NAME, MANIFEST_NAME] {
            if head(&self.store, &self.child(name)?, &self.url_of(name)).await?.is_some() {
                return Ok(Content::Output);
            }
        }
        if head(&self.store, &self.path, &self.url()).await?.is_some() || !self.objects(1).await?.is_empty() {
            return Ok(Content::Else);
        }
        Ok(Content::Nothing)
    }

    /// Makes a former output none.
    pub(crate) async fn unpublish(&self) -> Result<(), StoreError> {
        for name in [SUCCESS_NAME, MANIFEST_NAME] {
            delete_all(&self.store, &self.url_of(name), vec![self.child(name)?]).await?;
        }
        Ok(())
    }

    /// Makes the output's objects visible. After a failure no further request is made, but those under way
    /// are waited for, so that whoever asks again meets none of them.
    pub(crate) async fn complete(
        &self,
        stores: &Stores,
        committed: &BTreeMap<String, PendingObject>,
    ) -> Result<(), StoreError> {
        let failed = AtomicBool::new(false);
        let committed: Vec<PendingObject> = committed.values().cloned().collect();
        let mut completed = stream::iter(committed)
            .map(|pending| {
                let failed = &failed;
                async move {
                    if failed.load(Ordering::Relaxed) {
                        Ok(())
                    } else {
                        stores.complete_upload(&pending).await
                    }
                }
            })
            .buffer_unordered(AT_ONCE);
        let mut outcome = Ok(());
        while let Some(one) = completed.next().await {
            failed.fetch_or(one.is_err(), Ordering::Relaxed);
            outcome = outcome.and(one);
        }
        outcome
    }

    /// Removes every object but those of `kept` and what is pending.
    pub(crate) async fn remove_others<T>(&self, kept: &BTreeMap<String, T>) -> Result<(), StoreError> {
        let mut others = self.objects(OBJECTS_MAX).await?;
        others.retain(|path| !self.below(path).is_some_and(|name| kept.contains_key(name)));
        delete_all(&self.store, &self.url(), others).await
    }

    /// Says what the output is and that it is complete.
    pub(crate) async fn succeed(&self, manifest: &[u8], job: &JobId) -> Result<(), StoreError> {
        let named = self.url_of(MANIFEST_NAME);
        let put = self.store.put(&self.child(MANIFEST_NAME)?, manifest.to_vec().into()).await;
        put.map_err(|error| StoreError::from_client(&named, &error))?;
        let attributes: Attributes =
            [(Attribute::Metadata(JOB_NAME.into()), job.as_str().to_owned())].into_iter().collect();
        let options = PutOptions { attributes, ..PutOptions::default() };
        let put = self.store.put_opts(&self.child(SUCCESS_NAME)?, Vec::new().into(), options).await;
        put.map(|_| ()).map_err(|error| StoreError::from_client(&self.url_of(SUCCESS_NAME), &error))
    }

    /// Aborts recorded uploads, of one job or of all, and removes their records and whatever else lies with them.
    /// Uploads that were completed are gone and stay objects.
    pub(crate) async fn sweep(&self, stores: &Stores, job: Option<&JobId>) -> Result<(), StoreError> {
        let prefix = job.map_or(PENDING.to_owned(), |job| format!("{PENDING}/{job}"));
        let claim = self.claim_path()?;
        let pending = self.list(&self.child(&prefix)?, OBJECTS_MAX, |path| *path != claim).await?;
        let records: Vec<Path> =
            pending.iter().filter(|path| path.as_ref().ends_with(".json")).cloned().collect();
        let swept = stream::iter(records).map(|path| async move { self.sweep_one(stores, &path).await });
        swept.buffer_unordered(AT_ONCE).try_for_each(|()| std::future::ready(Ok(()))).await?;
        delete_all(&self.store, &self.url(), pending).await
    }

    async fn sweep_one(&self, stores: &Stores, path: &Path) -> Result<(), StoreError> {
        let url = format!("s3://{}/{path}", self.bucket);
        let found = match self.store.get(path).await.map_err(|error| StoreError::from_client(&url, &error)) {
            Err(error) if error.problem == Problem::Missing => return Ok(()),
            found => found?,
        };
        if found.meta.size > RECORD_BYTES_MAX {
            return Ok(());
        }
        let text = found.bytes().await.map_err(|error| StoreError::from_client(&url, &error))?;
        match serde_json::from_slice::<Record>(&text) {
            // Only uploads of this output: whoever can write a record cannot make us abort others.
            Ok(record) if self.name_of(&record.url).is_some() => stores.abort_upload(&record).await,
            _ => Ok(()),
        }
    }

    /// Objects that are not pending, at most `max` of them where there may be more.
    async fn objects(&self, max: usize) -> Result<Vec<Path>, StoreError> {
        let pending = format!("{PENDING}/");
        self.list(&self.path, max, |path| !self.below(path).is_some_and(|name| name.starts_with(&pending)))
            .await
    }

    async fn list(
        &self,
        folder: &Path,
        max: usize,
        takes: impl Fn(&Path) -> bool,
    ) -> Result<Vec<Path>, StoreError> {
        let mut listing = self.store.list(Some(folder));
        let (mut found, mut seen) = (Vec::new(), 0);
        while let Some(meta) =
            listing.try_next().await.map_err(|error| StoreError::from_client(&self.url(), &error))?
        {
            seen += 1;
            if seen > OBJECTS_MAX {
                return Err(StoreError::new(self.url(), Problem::TooMany(OBJECTS_MAX)));
            }
            // The folder's own name is that of the empty object that some tools make for it.
            if meta.location != *folder && takes(&meta.location) {
                found.push(meta.location);
                if found.len() == max {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn below<'a>(&self, path: &'a Path) -> Option<&'a str> {
        path.as_ref().strip_prefix(&self.key)?.strip_prefix('/')
    }

    fn child(&self, name: &str) -> Result<Path, StoreError> {
        parse_key(&self.url_of(name), &format!("{}/{name}", self.key))
    }
}
