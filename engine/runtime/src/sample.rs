//! Boundaries of range partitioning: the map stage runs over small samples from evenly spaced places
//! of the input. They depend on input and plugins only, so that every run cuts alike.

use std::sync::{Arc, Mutex, PoisonError};

use mr_model::limit::{KIB, RECORD_SAMPLE_BYTES_MAX};
use mr_model::text::escaped;
use mr_model::{AttemptId, BatchBuf, Compression, Failure, InputFormat, InputSpec, TaskId};
use mr_sandbox::{CancelToken, Mapper, RoleError};
use mr_shuffle::range_boundaries;
use mr_storage::{Piece, RemoteInputs, Split, SplitReader};

use crate::isolate::{Suspects, open_mapper};
use crate::job::{Attempt, Job};
use crate::sink::SampleSink;
use crate::skip::{SKIPPED_RECORDS_MAX, is_trap, too_many, trap_reason};

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
    remote: Option<&dyn RemoteInputs>,
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
    let id = AttemptId { task: TaskId::map(0), attempt: 0 };
    let attempt = Attempt::new(job, id, &Arc::default(), None, cancel);
    for places in sample_places(splits, &job.spec.inputs).chunk_by(|a, b| a.split.input == b.split.input) {
        sample_input(&attempt, places, remote, &sink)?;
    }
    let keys = std::mem::take(&mut sink.lock().unwrap_or_else(PoisonError::into_inner).keys);
    Ok(range_boundaries(keys, job.spec.reducers))
}

/// Feeds places of one input through its mapper.
fn sample_input(
    attempt: &Attempt,
    places: &[Place],
    remote: Option<&dyn RemoteInputs>,
    sink: &Arc<Mutex<SampleSink>>,
) -> Result<(), Failure> {
    let Some(first) = places.first() else { return Ok(()) };
    let input = attempt.job.input(&first.split)?;
    let mut sampler = Sampler { attempt, split: &first.split, sink, mapper: None, skipped: 0 };
    let maps = attempt.job.stages.mapper(input).is_some();
    let mut batch = BatchBuf::default();
    for place in places {
        let mut split = place.split.clone();
        let _copies = attempt.copy_in(&mut split, remote)?;
        let mut reader = SplitReader::open(&split, attempt.job.reader(input))?;
        let mut bytes = 0;
        while bytes < place.bytes && reader.next_batch(&mut batch)? {
            attempt.check_stopped()?;
            bytes += batch.bytes() as u64;
            if maps {
                sampler.map(&batch, &reader)?;
            } else {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                batch.keys.view().iter().try_for_each(|key| sink.push(key))?;
            }
        }
    }
    sampler.mapper.map_or(Ok(()), |mapper| mapper.close().map(drop).map_err(|error| error.failure))
}

/// Maps samples of one input.
struct Sampler<'a> {
    attempt: &'a Attempt,
    split: &'a Split,
    sink: &'a Arc<Mutex<SampleSink>>,
    mapper: Option<Mapper>,
    /// Records left out because the mapper trapped on them.
    skipped: u64,
}

impl Sampler<'_> {
    /// Maps a batch; where the mapper traps and rejects are allowed, record by record without those on which it
    /// does. The map stage keeps them as rejects.
    fn map(&mut self, batch: &BatchBuf, reader: &SplitReader) -> Result<(), Failure> {
        let keys = self.keys();
        let Err(error) = self.play(batch) else { return Ok(()) };
        let allowed = self.attempt.job.spec.permissions.rejects_max;
        if !is_trap(&error.failure) || allowed == 0 {
            return Err(error.failure.at(reader.place(error.row.unwrap_or(0))));
        }
        self.forget(keys);
        let suspects = Suspects::new(self.attempt, self.split, batch);
        for record in suspects.records(None) {
            self.attempt.check_stopped()?;
            let keys = self.keys();
            let Err(RoleError { failure, .. }) = self.play(&suspects.batch_of(&[record])) else { continue };
            let place = suspects.place(record, reader.place(record.row));
            if !is_trap(&failure) {
                return Err(failure.at(place));
            }
            self.forget(keys);
            self.skipped += 1;
            if self.skipped > allowed {
                return Err(Failure::Rejects { allowed, reason: trap_reason(&failure), place });
            }
            if self.skipped > SKIPPED_RECORDS_MAX as u64 {
                let sample = escaped(suspects.bytes(record), RECORD_SAMPLE_BYTES_MAX);
                return Err(too_many(&failure, sample).at(place));
            }
        }
        Ok(())
    }

    /// Maps a batch; an instance that failed is replaced before the next one.
    fn play(&mut self, batch: &BatchBuf) -> Result<(), RoleError> {
        let mut mapper = match self.mapper.take() {
            Some(mapper) => mapper,
            None => {
                let options = self.attempt.mapper_instance(self.split);
                open_mapper(self.attempt, self.split, options, Box::new(self.sink.clone()))?
            }
        };
        mapper.map_batch(batch.view())?;
        self.mapper = Some(mapper);
        Ok(())
    }

    fn keys(&self) -> usize {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).keys.len()
    }

    fn forget(&self, keys: usize) {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).keep_first(keys);
    }
}

/// A place of the input that is looked at.
struct Place {
    /// One piece, from where it is read.
    split: Split,
    /// Bytes of records after which it is left.
    bytes: u64,
}

/// Places that are evenly spaced over the whole input, input by input. Of a file that can be read from
/// anywhere they are small pieces; another is read from where one of its pieces begins, the longer the more
/// places fall into it.
fn sample_places(splits: &[Split], inputs: &[InputSpec]) -> Vec<Place> {
    let total: u64 = splits.iter().map(|split| split.bytes).sum();
    let step = (total / PLACES).max(PLACE_BYTES);
    let mut places: Vec<Place> = Vec::new();
    let mut next = 0u64;
    let mut passed = 0u64;
    let pieces = splits.iter().flat_map(|split| split.pieces.iter().map(move |piece| (split.input, piece)));
    for (input, piece) in pieces {
        let bytes = piece.end - piece.start;
        let record = inputs.get(input as usize).and_then(|spec| record_bytes(spec, piece));
        let mut here = 0;
        while next < passed + bytes {
            if let Some(record) = record {
                let start = piece.start + (next - passed) / record * record;
                let length = PLACE_BYTES.max(record).next_multiple_of(record);
                let end = piece.end.min(start + length);
                places.push(Place {
                    split: alone(input, Piece { start, end, ..piece.clone() }),
                    bytes: u64::MAX,
                });
            }
            here += PLACE_BYTES;
            next += step;
        }
        if record.is_none() && here > 0 {
            places.push(Place { split: alone(input, piece.clone()), bytes: here });
        }
        passed += bytes;
    }
    places
}

/// The unit at whose multiples a piece may begin anew, in bytes; none where it cannot begin anywhere.
fn record_bytes(spec: &InputSpec, piece: &Piece) -> Option<u64> {
    if piece.compression != Compression::None {
        return None;
    }
    match spec.format {
        InputFormat::Fixed { bytes, .. } => Some(u64::from(bytes)),
        InputFormat::Lines | InputFormat::LineKeys => Some(1),
        _ => None,
    }
}

fn alone(input: u32, piece: Piece) -> Split {
    Split { index: 0, input, bytes: piece.end - piece.start, pieces: vec![piece] }
}
