//! Outputs that are no folders of this machine: what a store has to offer. Parts are files until their attempt
//! has ended; whoever ran it uploads them, which makes nothing visible, and whoever commits completes the
//! uploads. Attempts themselves never talk to a store. Knows no protocol and no credentials.

use std::fmt;
use std::fs;
use std::path::Path;

use mr_model::{AttemptId, Failure, JobId};
use serde::{Deserialize, Serialize};

use crate::output::OutputError;
use crate::part::Part;
use crate::parts::ReadyParts;
use crate::rejects;

/// An output on a store, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePlace {
    /// Its address.
    pub address: String,
    /// The job that makes it.
    pub job: JobId,
}

/// The bytes of a part that are on a store and not visible yet. Told by whoever uploaded them to whoever
/// commits; everything else about them follows from the output and the part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The store's name of the upload.
    pub id: String,
    /// The store's tags of its pieces, in order.
    pub tags: Vec<String>,
}

/// What is said where somebody gave up: looked at from any thread.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Stores that outputs go to.
pub trait RemoteOutputs: fmt::Debug + Send + Sync {
    /// Begins an output: checks that it can be published there, and claims it.
    ///
    /// # Errors
    /// Something is there (with `overwrite`: something that is not a former output), another run is at it, or
    /// the store refuses.
    fn create(&self, place: &RemotePlace, overwrite: bool) -> Result<Box<dyn RemoteOutput>, OutputError>;

    /// Takes an output up again after the process that made it has died at any moment.
    ///
    /// # Errors
    /// Another job has it meanwhile, or the store refuses.
    fn resume(&self, place: &RemotePlace, overwrite: bool) -> Result<RemoteResumed, OutputError>;

    /// Uploads the file `from`, which is the part, without making it visible.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the file cannot be read or the store not be written, [`Failure::Cancelled`] soon after
    /// `stop` says so. Nothing is left on the store then, as far as it can be reached.
    fn upload(
        &self,
        place: &RemotePlace,
        part: &Part,
        from: &Path,
        stop: Stop<'_>,
    ) -> Result<Upload, Failure>;

    /// Gives an upload of a part up; one that is gone is fine.
    ///
    /// # Errors
    /// [`Failure::Disk`] if the store refuses or cannot be reached.
    fn abort(&self, place: &RemotePlace, part: &Part, upload: &Upload) -> Result<(), Failure>;

    /// Puts a file beside the output, where readers do not look, until the output is published or given up.
    ///
    /// # Errors
    /// As [`RemoteOutputs::upload`].
    fn put_aside(&self, place: &RemotePlace, name: &str, from: &Path, stop: Stop<'_>) -> Result<(), Failure>;

    /// Copies what was put beside the output to the file `to`, which it makes.
    ///
    /// # Errors
    /// It is not there, or the store or the disk refuses.
    fn take_aside(&self, place: &RemotePlace, name: &str, to: &Path) -> Result<(), Failure>;
}

/// An output in the making on a store. Dropped without [`RemoteOutput::publish`] it leaves nothing, as far as the
/// store can be reached.
pub trait RemoteOutput: fmt::Debug + Send {
    /// Makes an uploaded part one of the output; it becomes visible when the output is published.
    ///
    /// # Errors
    /// [`Failure::Internal`] if there can be no such part, or another upload is committed under its name.
    fn commit(&self, part: &Part, upload: &Upload) -> Result<(), Failure>;

    /// Completes the output: from then on it has a manifest, `_SUCCESS`, the parts that were committed, and
    /// nothing else. May be asked again after it failed.
    ///
    /// # Errors
    /// The place was taken, or the store refuses or cannot be reached.
    fn publish(&mut self, manifest: &[u8]) -> Result<(), OutputError>;

    /// Lets go of the output and removes nothing, for [`RemoteOutputs::resume`] to take it up again.
    fn leave(self: Box<Self>);
}

/// What [`RemoteOutputs::resume`] found.
#[derive(Debug)]
pub enum RemoteResumed {
    /// The output is still in the making, and is ours again.
    Open(Box<dyn RemoteOutput>),
    /// The output was published.
    Published,
    /// There is nothing of the job.
    Lost,
}

/// Uploads the finished parts of an attempt, which lie in `dir`, and removes the files.
///
/// # Errors
/// As [`RemoteOutputs::upload`]; what was uploaded before is given up.
pub fn ship(
    stores: &dyn RemoteOutputs,
    place: &RemotePlace,
    dir: &Path,
    mut ready: ReadyParts,
    stop: Stop<'_>,
) -> Result<ReadyParts, Failure> {
    let files: Vec<_> = (0..ready.parts.len()).map(|at| dir.join(ready.file(at))).collect();
    let mut failed = None;
    for (part, file) in ready.parts.iter().zip(&files) {
        match stores.upload(place, part, file, stop) {
            Ok(upload) => ready.uploads.push(upload),
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    for file in &files {
        // What cannot be removed goes with the folder.
        let _ = fs::remove_file(file);
    }
    let Some(failure) = failed else { return Ok(ready) };
    for (part, upload) in ready.parts.iter().zip(&ready.uploads) {
        // What stays is removed with the output's other uploads.
        let _ = stores.abort(place, part, upload);
    }
    Err(failure)
}

/// Puts the rejects of an attempt, if it left some in `dir`, beside the output, and removes the file.
///
/// # Errors
/// As [`RemoteOutputs::put_aside`].
pub fn ship_rejects(
    stores: &dyn RemoteOutputs,
    place: &RemotePlace,
    dir: &Path,
    attempt: AttemptId,
    stop: Stop<'_>,
) -> Result<(), Failure> {
    let name = rejects::file_name(attempt);
    let file = dir.join(&name);
    if fs::symlink_metadata(&file).is_err() {
        return Ok(());
    }
    let put = stores.put_aside(place, &name, &file, stop);
    let _ = fs::remove_file(&file);
    put
}
