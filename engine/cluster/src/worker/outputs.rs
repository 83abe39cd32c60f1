//! The map outputs that a worker holds: run files of finished attempts, of its present life.
//!
//! An index in memory; the files lie in the job's folder and go with the value that names them. What is
//! not here is gone, never empty. Must not read the files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{AttemptId, Incarnation, JobId};
use mr_shuffle::writer::RunFile;
use mr_shuffle::{MapOutput, Run, StoredSegment};

use crate::protocol::{NearFile, SegmentMeta};

type OfJob = HashMap<AttemptId, Arc<MapOutput>>;

/// The outputs of one worker. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    life: Option<Incarnation>,
    jobs: BTreeMap<JobId, OfJob>,
}

/// Outputs that were taken off. Their files are removed when it is dropped, which may take a while.
#[derive(Debug, Default)]
pub(super) struct Removed(#[expect(dead_code, reason = "held for its drop")] Vec<OfJob>);

/// A segment as it lies here, kept there as long as this is held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Where it lies and what it holds.
    pub segment: StoredSegment,
    /// Keeps its file.
    _output: Arc<MapOutput>,
}

impl Outputs {
    /// Begins a life, after [`Outputs::end`] of the one before.
    pub fn begin(&self, life: Incarnation) {
        self.shelf().life = Some(life);
    }

    /// Ends the present life: everything is gone.
    pub fn end(&self) -> Removed {
        let mut shelf = self.shelf();
        shelf.life = None;
        Removed(std::mem::take(&mut shelf.jobs).into_values().collect())
    }

    /// Takes the output of a finished attempt of the present life.
    pub fn put(&self, job: JobId, attempt: AttemptId, output: MapOutput) {
        self.shelf().jobs.entry(job).or_default().insert(attempt, Arc::new(output));
    }

    /// Takes all outputs of a job off.
    pub fn forget(&self, job: &JobId) -> Removed {
        Removed(self.shelf().jobs.remove(job).into_iter().collect())
    }

    /// Segments of a partition in the output of an attempt, in order; none where the output is gone.
    pub fn segments(
        &self,
        life: Incarnation,
        job: &JobId,
        attempt: AttemptId,
        partition: u32,
    ) -> Option<Vec<Held>> {
        let output = self.find(life, job, attempt)?;
        let held = |segment| Held { segment, _output: output.clone() };
        Some(files(&output).filter_map(|file| segment(file, partition)).map(held).collect())
    }

    /// The same as it is told to others: without where they lie, unless it is to one on this machine.
    pub fn told(
        &self,
        life: Incarnation,
        job: &JobId,
        attempt: AttemptId,
        partition: u32,
        is_near: bool,
    ) -> Option<Vec<SegmentMeta>> {
        let output = self.find(life, job, attempt)?;
        let told = |file: &RunFile| {
            let entry = *file.partition(partition)?;
            let near = is_near.then(|| NearFile { path: file.path().to_owned() });
            Some(SegmentMeta { sequence: file.id().sequence, codec: file.codec(), entry, near })
        };
        Some(files(&output).filter_map(told).collect())
    }

    fn find(&self, life: Incarnation, job: &JobId, attempt: AttemptId) -> Option<Arc<MapOutput>> {
        let shelf = self.shelf();
        if shelf.life != Some(life) {
            return None;
        }
        shelf.jobs.get(job)?.get(&attempt).cloned()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The run files of an output. A worker keeps no runs in memory: they are for others to fetch.
fn files(output: &MapOutput) -> impl Iterator<Item = &RunFile> {
    output.runs.iter().filter_map(|run| match run {
        Run::File(file) => Some(&**file),
        Run::Memory(_) | Run::Segment(_) => None,
    })
}

fn segment(file: &RunFile, partition: u32) -> Option<StoredSegment> {
    let entry = *file.partition(partition)?;
    Some(StoredSegment {
        path: file.path().to_owned(),
        at: entry.offset,
        id: file.id().clone(),
        codec: file.codec(),
        entry,
    })
}
