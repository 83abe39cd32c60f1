//! The output of a job on a store, for whoever drives the job: the same steps as those of a folder
//! ([`crate::output`]), with uploads in place of files. Must not know what is in the parts, nor how a store is
//! talked to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{AttemptId, Failure, TaskId};

use crate::manifest::Manifest;
use crate::names::parse;
use crate::output::{Committed, OutputError, check_parts, checked_by_name};
use crate::part::Part;
use crate::parts::ReadyParts;
use crate::rejects::{self, REJECTS_NAME};
use crate::remote_output::{RemoteOutput, RemoteOutputs, RemotePlace, RemoteResumed, Upload};

/// What [`StoreOutput::resume`] found.
#[derive(Debug)]
pub enum StoreResumed {
    /// The output is still in the making, and is ours again.
    Open(StoreOutput),
    /// The output was published; what was left to clean up is cleaned up.
    Published,
    /// There is nothing of the job: it never came to make anything, or somebody removed it.
    Lost,
}

/// An output on a store in the making. Dropped without [`StoreOutput::publish`] it leaves nothing, as far as the
/// store can be reached.
#[derive(Debug)]
pub struct StoreOutput {
    stores: Arc<dyn RemoteOutputs>,
    place: RemotePlace,
    output: Box<dyn RemoteOutput>,
    /// A folder of this output's alone, for rejects while they are put together.
    scratch: PathBuf,
    committed: Mutex<BTreeMap<TaskId, Committed>>,
}

impl StoreOutput {
    /// Begins an output. Rejects that attempts leave in the folder `scratch` are taken from there, others from
    /// beside the output.
    ///
    /// # Errors
    /// As [`RemoteOutputs::create`].
    pub fn create(
        stores: Arc<dyn RemoteOutputs>,
        place: RemotePlace,
        overwrite: bool,
        scratch: PathBuf,
    ) -> Result<Self, OutputError> {
        let output = stores.create(&place, overwrite)?;
        Ok(Self { stores, place, output, scratch, committed: Mutex::default() })
    }

    /// Takes up an output again after the process that made it has died at any moment; parts that count are to
    /// be told by [`StoreOutput::adopt`].
    ///
    /// # Errors
    /// As [`RemoteOutputs::resume`].
    pub fn resume(
        stores: Arc<dyn RemoteOutputs>,
        place: RemotePlace,
        overwrite: bool,
        scratch: PathBuf,
    ) -> Result<StoreResumed, OutputError> {
        Ok(match stores.resume(&place, overwrite)? {
            RemoteResumed::Open(output) => {
                StoreResumed::Open(Self { stores, place, output, scratch, committed: Mutex::default() })
            }
            RemoteResumed::Published => StoreResumed::Published,
            RemoteResumed::Lost => StoreResumed::Lost,
        })
    }

    /// Makes the uploaded parts of an attempt the parts of its task. May be asked again for the same parts: the
    /// uploads that were told first stay those that count.
    ///
    /// # Errors
    /// [`Failure::Internal`] if they are no parts of the attempt's task, were not uploaded, or the task's parts are
    /// committed already and others.
    pub fn commit_ready(&self, ready: &ReadyParts) -> Result<Vec<Part>, Failure> {
        let parts = checked_by_name(ready)?;
        let task = ready.attempt.task;
        if ready.uploads.len() != ready.parts.len() {
            return Err(Failure::internal(format!("the parts of {} were not uploaded", ready.attempt)));
        }
        let mut committed = self.committed();
        match committed.get(&task) {
            Some(known) if *known == parts => return Ok(ready.parts.clone()),
            Some(_) => return Err(Failure::internal(format!("the output of {task} was committed twice"))),
            None => {}
        }
        for (part, upload) in ready.parts.iter().zip(&ready.uploads) {
            self.output.commit(part, upload)?;
        }
        committed.insert(task, parts);
        Ok(ready.parts.clone())
    }

    /// Counts a part as committed that was committed before [`StoreOutput::resume`].
    ///
    /// # Errors
    /// [`Failure::Internal`] if it has the name of no part, or its upload is none.
    pub fn adopt(&self, part: &Part, upload: &Upload) -> Result<(), Failure> {
        let Some((_, task)) = parse(&part.name) else {
            return Err(Failure::internal(format!("{:?} is not the name of a part", part.name)));
        };
        self.output.commit(part, upload)?;
        self.committed().entry(task).or_default().insert(part.name.clone(), part.clone());
        Ok(())
    }

    /// Puts the rejects of winning attempts together, before publishing: `winners` are those that rejected
    /// records, in task order, with how many.
    ///
    /// # Errors
    /// [`Failure::Corrupt`] if an attempt did not leave as many as told, [`Failure::Disk`] if its file cannot be had
    /// or theirs not be written.
    pub fn collect_rejects(&self, winners: &[(AttemptId, u64)]) -> Result<(), Failure> {
        if winners.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.scratch).map_err(|error| Failure::disk(&self.scratch, &error))?;
        for (attempt, _) in winners {
            let name = rejects::file_name(*attempt);
            let path = self.scratch.join(&name);
            if fs::symlink_metadata(&path).is_err() {
                self.stores.take_aside(&self.place, &name, &path)?;
            }
        }
        rejects::collect(&self.scratch, winners)?;
        let rows = winners.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        let path = self.scratch.join(REJECTS_NAME);
        let part = described(&path, rows).map_err(|error| Failure::disk(&path, &error))?;
        let upload = self.stores.upload(&self.place, &part, &path, &|| false)?;
        self.output.commit(&part, &upload)
    }

    /// Completes the output.
    ///
    /// # Errors
    /// The manifest's parts are not those committed, the place was taken by something else, or the store refuses;
    /// then nothing of it stays, as far as the store can be reached.
    pub fn publish(mut self, manifest: &Manifest) -> Result<(), OutputError> {
        check_parts(&self.committed(), manifest)?;
        self.output.publish(&manifest.to_bytes()?)
    }

    /// Gives the output up: nothing of it stays.
    pub fn discard(self) {}

    /// Lets go of the output and removes nothing, for [`StoreOutput::resume`] to take it up again.
    pub fn leave(self) {
        self.output.leave();
    }

    fn committed(&self) -> MutexGuard<'_, BTreeMap<TaskId, Committed>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The collected rejects as what is uploaded.
fn described(path: &std::path::Path, rows: u64) -> io::Result<Part> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(BufReader::new(file))?;
    let blake3 = hasher.finalize().to_hex().to_string();
    Ok(Part { name: REJECTS_NAME.to_owned(), rows, bytes, blake3 })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mr_model::{JobId, OutputFormat, OutputSpec};

    use super::*;
    use crate::names::PartNames;
    use crate::parts::PartsWriter;
    use crate::remote_output::{Stop, ship};

    /// A store that notes what is asked of it and fails at uploads of one name.
    #[derive(Debug, Default)]
    struct Notes {
        asked: Mutex<Vec<String>>,
        fails: Option<&'static str>,
    }

    impl Notes {
        fn note(&self, what: String) {
            self.asked.lock().unwrap().push(what);
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.asked.lock().unwrap())
        }
    }

    #[derive(Debug)]
    struct NotesOutput(Arc<Notes>);

    impl RemoteOutput for NotesOutput {
        fn commit(&self, part: &Part, upload: &Upload) -> Result<(), Failure> {
            self.0.note(format!("commit {} {}", part.name, upload.id));
            Ok(())
        }

        fn publish(&mut self, manifest: &[u8]) -> Result<(), OutputError> {
            self.0.note(format!("publish {}", manifest.ends_with(b"}\n")));
            Ok(())
        }

        fn leave(self: Box<Self>) {}
    }

    /// The store as it is asked by those who share it.
    #[derive(Debug)]
    struct Shared(Arc<Notes>);

    impl RemoteOutputs for Shared {
        fn create(&self, _: &RemotePlace, _: bool) -> Result<Box<dyn RemoteOutput>, OutputError> {
            Ok(Box::new(NotesOutput(self.0.clone())))
        }

        fn resume(&self, _: &RemotePlace, _: bool) -> Result<RemoteResumed, OutputError> {
            Ok(RemoteResumed::Open(Box::new(NotesOutput(self.0.clone()))))
        }

        fn upload(&self, _: &RemotePlace, part: &Part, from: &Path, _: Stop<'_>) -> Result<Upload, Failure> {
            let bytes = fs::read(from).unwrap();
            assert_eq!(blake3::hash(&bytes).to_hex().as_str(), part.blake3);
            if self.0.fails == Some(part.name.as_str()) {
                return Err(Failure::Cancelled);
            }
            Ok(Upload { id: format!("upload of {} bytes", bytes.len()), tags: vec!["tag".into()] })
        }

        fn abort(&self, _: &RemotePlace, part: &Part, upload: &Upload) -> Result<(), Failure> {
            self.0.note(format!("abort {} {}", part.name, upload.id));
            Ok(())
        }

        fn put_aside(&self, _: &RemotePlace, _: &str, _: &Path, _: Stop<'_>) -> Result<(), Failure> {
            Ok(())
        }

        fn take_aside(&self, _: &RemotePlace, name: &str, to: &Path) -> Result<(), Failure> {
            self.0.note(format!("take {name}"));
            fs::write(to, "{}\n").unwrap();
            Ok(())
        }
    }

    fn place() -> RemotePlace {
        RemotePlace { address: "s3://b/out".into(), job: JobId::new("job").unwrap() }
    }

    /// Two files of an attempt in `dir`.
    fn ready(dir: &Path, attempt: u32, content: &[u8]) -> ReadyParts {
        let spec = OutputSpec { part_bytes_max: Some(1), ..OutputSpec::of(OutputFormat::Text) };
        let attempt = AttemptId { task: TaskId::reduce(3), attempt };
        let mut parts = PartsWriter::new(dir, attempt, PartNames::of(&spec));
        for _ in 0..2 {
            let mut part = parts.begin(0).unwrap();
            part.write(content, 1).unwrap();
            parts.end(part).unwrap();
        }
        parts.finish().unwrap().hand_over()
    }

    #[test]
    fn what_is_uploaded_is_committed_once() {
        let (dir, notes) = (tempfile::tempdir().unwrap(), Arc::new(Notes::default()));
        let stores = Arc::new(Shared(notes.clone()));
        let scratch = dir.path().join("scratch");
        let output = StoreOutput::create(stores.clone(), place(), false, scratch).unwrap();
        let files = ready(dir.path(), 0, b"a\n");
        assert!(output.commit_ready(&files).is_err(), "nothing was uploaded");
        let first = ship(&*stores, &place(), dir.path(), files, &|| false).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "uploaded files are removed");
        assert_eq!(output.commit_ready(&first), Ok(first.parts.clone()));
        assert_eq!(output.commit_ready(&first), Ok(first.parts.clone()));
        assert_eq!(
            notes.take(),
            ["commit part-r-00003-0000 upload of 2 bytes", "commit part-r-00003-0001 upload of 2 bytes"]
        );
        let other = ship(&*stores, &place(), dir.path(), ready(dir.path(), 1, b"bc\n"), &|| false).unwrap();
        assert!(output.commit_ready(&other).is_err(), "the task has other parts already");
        let cut = ReadyParts { uploads: first.uploads[..1].to_vec(), ..first.clone() };
        assert!(output.commit_ready(&cut).is_err());
        // Rejects come from beside the output, unless they lie here.
        output.collect_rejects(&[(first.attempt, 1)]).unwrap();
        let rejects = "commit _rejects.jsonl upload of 3 bytes";
        assert_eq!(notes.take(), ["take _attempt-r-00003-0.rejects", rejects]);
    }

    #[test]
    fn a_failed_upload_takes_the_others_of_its_attempt_back() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Arc::new(Notes { fails: Some("part-r-00003-0001"), ..Notes::default() });
        let stores = Shared(notes.clone());
        let failed = ship(&stores, &place(), dir.path(), ready(dir.path(), 0, b"a\n"), &|| false);
        assert_eq!(failed, Err(Failure::Cancelled));
        assert_eq!(notes.take(), ["abort part-r-00003-0000 upload of 2 bytes"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
