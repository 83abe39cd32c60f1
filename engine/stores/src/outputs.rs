//! Stores as outputs of jobs: begun, uploaded to and published by different processes. Joins what stores can do
//! with what storage asks of them; decides nothing itself.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use mr_model::Failure;
use mr_storage::remote_output::Stop;
use mr_storage::{Part, RemoteOutput, RemoteOutputs, RemotePlace, RemoteResumed, Upload};

use crate::error::StoreError;
use crate::output::{self, OutputError, OutputStore, Resumed};
use crate::stores::Stores;
use crate::upload::{PendingObject, UploadTarget};

/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// Folders on all stores as outputs.
#[derive(Debug, Clone, Default)]
pub struct StoreOutputs(Arc<Stores>);

impl StoreOutputs {
    /// Those of `stores`.
    pub fn new(stores: Arc<Stores>) -> Self {
        Self(stores)
    }

    /// The manifest of the output at an address, if a whole one is there.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the store refuses or cannot be reached.
    pub fn published(&self, address: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.manifest(address).map_err(StoreError::into_output_failure)
    }

    fn manifest(&self, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.0.exists(&format!("{address}/_SUCCESS"))? {
            return Ok(None);
        }
        let url = format!("{address}/_manifest.json");
        let listed = self.0.list(&url)?;
        let Some(file) = listed.into_iter().find(|file| file.url == url && file.bytes <= MANIFEST_BYTES_MAX)
        else {
            return Ok(None);
        };
        self.0.fetch_bytes(&file, 0..file.bytes).map(Some)
    }

    fn target(&self, place: &RemotePlace, name: &str) -> Result<UploadTarget, Failure> {
        output::target(&self.0, &place.address, &place.job, name).map_err(|error| match error {
            OutputError::Failed(failure) => failure,
            error => {
                Failure::Disk { path: place.address.clone().into(), reason: error.to_string(), full: false }
            }
        })
    }

    /// Where what is put beside the output lies: with the records of its uploads.
    fn aside(&self, place: &RemotePlace, name: &str) -> Result<UploadTarget, Failure> {
        let target = self.target(place, name)?;
        let url = format!("{}{name}", target.records);
        Ok(UploadTarget { url, ..target })
    }
}

impl RemoteOutputs for StoreOutputs {
    fn create(
        &self,
        place: &RemotePlace,
        overwrite: bool,
    ) -> Result<Box<dyn RemoteOutput>, mr_storage::OutputError> {
        let made = OutputStore::create(&self.0, &place.address, overwrite, &place.job).map_err(told)?;
        Ok(Box::new(made))
    }

    fn resume(&self, place: &RemotePlace, overwrite: bool) -> Result<RemoteResumed, mr_storage::OutputError> {
        let found = OutputStore::resume(&self.0, &place.address, overwrite, &place.job).map_err(told)?;
        Ok(match found {
            Resumed::Open(output) => RemoteResumed::Open(Box::new(output)),
            Resumed::Published => RemoteResumed::Published,
            Resumed::Lost => RemoteResumed::Lost,
        })
    }

    fn upload(
        &self,
        place: &RemotePlace,
        part: &Part,
        from: &Path,
        stop: Stop<'_>,
    ) -> Result<Upload, Failure> {
        let target = self.target(place, &part.name)?;
        let pending = self.0.upload(&target, from, &part.blake3, stop)?;
        if pending.bytes == part.bytes {
            return Ok(Upload { id: pending.upload_id, tags: pending.tags });
        }
        let _ = self.0.abort(&pending);
        let reason = format!("it has {} bytes where {} were told", pending.bytes, part.bytes);
        Err(Failure::Corrupt { path: from.to_owned(), reason, map_task: None })
    }

    fn abort(&self, place: &RemotePlace, part: &Part, upload: &Upload) -> Result<(), Failure> {
        self.0.abort(&pending(&self.target(place, &part.name)?, part, upload))
    }

    fn put_aside(&self, place: &RemotePlace, name: &str, from: &Path, stop: Stop<'_>) -> Result<(), Failure> {
        let mut hasher = blake3::Hasher::new();
        let hashed = File::open(from).and_then(|file| hasher.update_reader(file).map(|_| ()));
        hashed.map_err(|error| Failure::disk(from, &error))?;
        let hash = hasher.finalize().to_hex();
        let pending = self.0.upload(&self.aside(place, name)?, from, &hash, stop)?;
        self.0.complete(&pending)
    }

    fn take_aside(&self, place: &RemotePlace, name: &str, to: &Path) -> Result<(), Failure> {
        let url = self.aside(place, name)?.url;
        let listed = self.0.list(&url).map_err(StoreError::into_output_failure)?;
        let Some(file) = listed.into_iter().find(|file| file.url == url) else {
            return Err(Failure::Corrupt { path: url.into(), reason: "it is gone".into(), map_task: None });
        };
        let whole = 0..file.bytes;
        self.0.fetch_ranges(&file, std::slice::from_ref(&whole), to, &|| false).map(|_| ())
    }
}

impl RemoteOutput for OutputStore {
    fn commit(&self, part: &Part, upload: &Upload) -> Result<(), Failure> {
        OutputStore::commit(self, pending(&self.target(&part.name), part, upload))
    }

    fn publish(&mut self, manifest: &[u8]) -> Result<(), mr_storage::OutputError> {
        OutputStore::publish(self, manifest).map_err(told)
    }

    fn leave(self: Box<Self>) {
        OutputStore::leave(*self);
    }
}

/// All that completing an upload takes: only its name and its tags are anybody's word.
fn pending(target: &UploadTarget, part: &Part, upload: &Upload) -> PendingObject {
    PendingObject {
        url: target.url.clone(),
        record: target.record(&upload.id),
        upload_id: upload.id.clone(),
        tags: upload.tags.clone(),
        bytes: part.bytes,
        blake3: part.blake3.clone(),
    }
}

fn told(error: OutputError) -> mr_storage::OutputError {
    match error {
        OutputError::Failed(failure) => mr_storage::OutputError::Failed(failure),
        error => mr_storage::OutputError::Store { sentence: error.to_string() },
    }
}
