//! A local file on its way to a store: its bytes go there in parts, and nothing is visible until somebody,
//! maybe another process, completes it. What completes or aborts it is plain data. Each upload is recorded
//! beside the output before its first part, so that those of the dead can be found without asking the
//! store for uploads, which not all stores answer.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path as LocalPath;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use mr_model::Failure;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStoreExt, PutMultipartOptions};
use serde::{Deserialize, Serialize};

use crate::error::{Problem, StoreError};
use crate::stores::{Cancelled, Stores, head};

/// Bytes of a part; stores take no less than 5 MiB but for the last.
const PART_BYTES: u64 = 8 << 20;
/// Most parts of an upload that stores take.
const PARTS_MAX: u64 = 10_000;
/// Largest object that stores take, in bytes.
const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// Longest tag of a part and id of an upload that are believed, in bytes.
const TAG_BYTES_MAX: usize = 4096;
/// Name of the metadata that tells the hash of an object's bytes.
const HASH_NAME: &str = "mr-blake3";

/// Where an upload goes. Made by the output, used by whoever has the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadTarget {
    /// The object that it becomes.
    pub url: String,
    /// Beginning of the address of its record; the upload's own name follows.
    pub records: String,
}

/// An object whose bytes are on the store and which is not there yet. Told by whoever uploaded it to whoever
/// commits it, who checks what it says against what it expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingObject {
    /// The object that it becomes.
    pub url: String,
    /// The store's name of the upload.
    pub upload_id: String,
    /// The store's tags of its parts, in order.
    pub tags: Vec<String>,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of its bytes, in hex, as the uploader was told.
    pub blake3: String,
    /// Address of its record.
    pub record: String,
}

/// What the record of an upload says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub url: String,
    pub upload_id: String,
}

impl Stores {
    /// Uploads the local file `from`, whose hash is `blake3`, without completing it. A failed upload leaves
    /// nothing on the store, as far as it can still be reached.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the file cannot be read or the store cannot be written,
    /// [`Failure::Cancelled`] soon after `cancelled` says so.
    pub fn upload(
        &self,
        target: &UploadTarget,
        from: &LocalPath,
        blake3: &str,
        cancelled: Cancelled<'_>,
    ) -> Result<PendingObject, Failure> {
        let begun = self.run_unless(cancelled, self.begin(target, blake3));
        let mut pending = begun.map_err(StoreError::into_output_failure)?;
        let put = self.run_unless(cancelled, self.put_parts(&mut pending, from));
        if let Err(error) = put {
            // The record stays if this fails, for whoever cleans up the output.
            let _ = self.abort(&pending);
            return Err(error.into_output_failure());
        }
        Ok(pending)
    }

    /// Makes the object visible. May be asked again, also by another process after a crash: an object
    /// that is there already is recognised by its length and hash.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the store refuses or cannot be reached, also if the upload is gone and the
    /// object not there.
    pub fn complete(&self, pending: &PendingObject) -> Result<(), Failure> {
        self.run(self.complete_upload(pending)).map_err(StoreError::into_output_failure)
    }

    /// Gives an upload up; one that is gone is fine.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the store refuses or cannot be reached.
    pub fn abort(&self, pending: &PendingObject) -> Result<(), Failure> {
        let abort = async {
            let record = Record { url: pending.url.clone(), upload_id: pending.upload_id.clone() };
            self.abort_upload(&record).await?;
            let (store, path) = self.object(&pending.record)?;
            crate::stores::delete_all(&store, &pending.record, vec![path]).await
        };
        self.run(abort).map_err(StoreError::into_output_failure)
    }

    async fn begin(&self, target: &UploadTarget, blake3: &str) -> Result<PendingObject, StoreError> {
        let (store, path) = self.object(&target.url)?;
        let client = |error| StoreError::from_client(&target.url, &error);
        let attributes: Attributes =
            [(Attribute::Metadata(HASH_NAME.into()), blake3.to_owned())].into_iter().collect();
        let options = PutMultipartOptions { attributes, ..Default::default() };
        let upload_id = store.create_multipart_opts(&path, options).await.map_err(client)?;
        let record = target.record(&upload_id);
        let told = Record { url: target.url.clone(), upload_id: upload_id.clone() };
        let told = serde_json::to_vec(&told)
            .map_err(|error| StoreError::new(&record, Problem::Refused(error.to_string())))?;
        let (records, record_path) = self.object(&record)?;
        if let Err(error) = records.put(&record_path, told.into()).await {
            let _ = store.abort_multipart(&path, &upload_id).await;
            return Err(StoreError::from_client(&record, &error));
        }
        let (url, blake3) = (target.url.clone(), blake3.to_owned());
        Ok(PendingObject { url, upload_id, tags: Vec::new(), bytes: 0, blake3, record })
    }

    async fn put_parts(&self, pending: &mut PendingObject, from: &LocalPath) -> Result<(), StoreError> {
        let local = |error: std::io::Error| StoreError::local(from, &error);
        let file = File::open(from).map_err(local)?;
        pending.bytes = file.metadata().map_err(local)?.len();
        if pending.bytes > OBJECT_BYTES_MAX {
            return Err(StoreError::new(
                &pending.url,
                Problem::Refused("it would be larger than 5 TiB; have more parts".into()),
            ));
        }
        let part_bytes = PART_BYTES.max(pending.bytes.div_ceil(PARTS_MAX));
        let (store, path) = self.object(&pending.url)?;
        let parts = pending.bytes.div_ceil(part_bytes).max(1);
        let put = |index: u64| {
            let (store, path, file, pending) = (&store, &path, &file, &*pending);
            async move {
                let from_byte = index * part_bytes;
                let length = part_bytes.min(pending.bytes - from_byte);
                // A lane is memory for one part; it is never closed.
                let _lane = self.lanes.uploads.acquire().await;
                let bytes = read_part(file, from_byte, length).map_err(local)?;
                self.put_part(store, path, pending, index, bytes).await
            }
        };
        let tags = stream::iter(0..parts).map(put).buffered(crate::stores::UPLOADS_MAX).try_collect().await?;
        pending.tags = tags;
        Ok(())
    }

    async fn put_part(
        &self,
        store: &AmazonS3,
        path: &Path,
        pending: &PendingObject,
        index: u64,
        bytes: Bytes,
    ) -> Result<String, StoreError> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let part = store.put_part(path, &pending.upload_id, index, bytes.into()).await;
        part.map(|part| part.content_id).map_err(|error| StoreError::from_client(&pending.url, &error))
    }

    pub(crate) async fn complete_upload(&self, pending: &PendingObject) -> Result<(), StoreError> {
        pending.check()?;
        let (store, path) = self.object(&pending.url)?;
        let parts = pending.tags.iter().map(|tag| PartId { content_id: tag.clone() }).collect();
        let completed = store.complete_multipart(&path, &pending.upload_id, parts).await;
        let Err(error) = completed.map_err(|error| StoreError::from_client(&pending.url, &error)) else {
            return Ok(());
        };
        // Gone: maybe because it was completed and the answer lost.
        if !matches!(error.problem, Problem::Missing) {
            return Err(error);
        }
        match head(&store, &path, &pending.url).await? {
            Some(found) if is_same(&found, pending) => Ok(()),
            _ => {
                let reason = "its upload is gone, and the object is not there";
                Err(StoreError::new(&pending.url, Problem::Refused(reason.into())))
            }
        }
    }

    pub(crate) async fn abort_upload(&self, record: &Record) -> Result<(), StoreError> {
        let (store, path) = self.object(&record.url)?;
        let aborted = store.abort_multipart(&path, &record.upload_id).await;
        match aborted.map_err(|error| StoreError::from_client(&record.url, &error)) {
            Err(error) if error.problem == Problem::Missing => Ok(()),
            aborted => aborted,
        }
    }
}

impl UploadTarget {
    /// Address of the record of an upload.
    pub(crate) fn record(&self, upload_id: &str) -> String {
        let name = blake3::hash(upload_id.as_bytes()).to_hex();
        format!("{}{}.json", self.records, &name.as_str()[..16])
    }
}

impl PendingObject {
    /// Refuses what no uploader of ours tells.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let long = |text: &String| text.len() > TAG_BYTES_MAX;
        let parts = u64::try_from(self.tags.len()).unwrap_or(u64::MAX);
        if parts == 0 || parts > PARTS_MAX || self.tags.iter().any(long) || long(&self.upload_id) {
            let reason = "what was told of its upload is no upload";
            return Err(StoreError::new(&self.url, Problem::Refused(reason.into())));
        }
        Ok(())
    }
}

/// Whether an object is the one that was uploaded. A store that keeps no metadata is believed its length.
fn is_same(found: &object_store::GetResult, pending: &PendingObject) -> bool {
    let hash = found.attributes.get(&Attribute::Metadata(HASH_NAME.into()));
    found.meta.size == pending.bytes && hash.is_none_or(|hash| hash.as_ref() == pending.blake3)
}

fn read_part(file: &File, from: u64, length: u64) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes.into())
}
