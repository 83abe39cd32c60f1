//! Boundaries of range partitioning: the map stage runs over small samples from evenly spaced places
//! of the input. They depend on input and plugins only, so that every run cuts alike.

use std::sync::{Arc, Mutex, PoisonError};

use mr_model::limit::KIB;
use mr_model::{AttemptId, BatchBuf, Failure, InputFormat, Role, TaskId};
use mr_sandbox::{CancelToken, Mapper};
use mr_shuffle::range_boundaries;
use mr_storage::{Piece, Split, SplitReader};

use crate::job::{Attempt, Job};
use crate::sink::SampleSink;

/// Places of the input that are looked at: the share of the largest range then is within some per
/// cent of even for inputs that are not sorted in an odd way.
const PLACES: u64 = 128;
/// Bytes looked at in each place.
const PLACE_BYTES: u64 = 32 * KIB;
/// Most memory for sampled keys, in bytes.
const SAMPLE_BYTES_MAX: usize = 16 << 20;

/// Samples the keys that the map stage emits and divides them into the job's ranges.
pub(crate) fn sample_boundaries(
    job: &Arc<Job>,
    splits: &[Split],
    cancel: &CancelToken,
) -> Result<Vec<Vec<u8>>, Failure> {
    if job.spec.reducers <= 1 {
        return Ok(Vec::new());
    }
    let sink = SampleSink {
        prefix: job.key_prefix.clone(),
        keys: Vec::new(),
        bytes: 0,
        bytes_max: SAMPLE_BYTES_MAX,
    };
    let sink = Arc::new(Mutex::new(sink));
    let split = sample_split(splits, job.spec.input_format);
    let id = AttemptId { task: TaskId::map(0), attempt: 0 };
    let attempt = Attempt::new(job, id, &Arc::default(), None, cancel);
    let mut reader = SplitReader::open(&split, job.reader())?;
    let mut mapper = match job.stages.role(Role::Mapper) {
        Some(plugin) => Some(
            Mapper::open(plugin, attempt.instance(), Box::new(sink.clone()))
                .map_err(|error| error.failure)?,
        ),
        None => None,
    };
    let mut batch = BatchBuf::default();
    while reader.next_batch(&mut batch)? {
        attempt.check_stopped()?;
        match mapper.as_mut() {
            Some(mapper) => mapper
                .map_batch(batch.view())
                .map_err(|error| error.failure.at(reader.place(error.row.unwrap_or(0))))?,
            None => {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                batch.keys.view().iter().try_for_each(|key| sink.push(key))?;
            }
        }
    }
    if let Some(mapper) = mapper {
        mapper.close().map_err(|error| error.failure)?;
    }
    let keys = std::mem::take(&mut sink.lock().unwrap_or_else(PoisonError::into_inner).keys);
    Ok(range_boundaries(keys, job.spec.reducers))
}

/// A split of small pieces, evenly spaced over the whole input.
fn sample_split(splits: &[Split], format: InputFormat) -> Split {
    let total: u64 = splits.iter().map(|split| split.bytes).sum();
    let step = (total / PLACES).max(PLACE_BYTES);
    let record = match format {
        InputFormat::Fixed { bytes, .. } => u64::from(bytes),
        _ => 1,
    };
    let mut pieces = Vec::new();
    let mut next = 0u64;
    let mut passed = 0u64;
    for piece in splits.iter().flat_map(|split| &split.pieces) {
        let bytes = piece.end - piece.start;
        while next < passed + bytes {
            let start = piece.start + (next - passed) / record * record;
            let length = PLACE_BYTES.max(record).next_multiple_of(record);
            pieces.push(Piece { start, end: piece.end.min(start + length), ..piece.clone() });
            next += step;
        }
        passed += bytes;
    }
    let bytes = pieces.iter().map(|piece| piece.end - piece.start).sum();
    Split { index: 0, pieces, bytes }
}
