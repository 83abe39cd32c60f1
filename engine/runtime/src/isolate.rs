//! Finds the record that a mapper failed on. A trap says nothing about the input, and a chunk of text
//! holds many lines: so the batch is played again on fresh instances, whose output goes nowhere, in
//! halves until one record is left that fails by itself in the same way. Bounded in time and in tries.
//! Only explains; what failed has failed already and stays failed.

use std::sync::Arc;
use std::time::Duration;

use mr_model::limit::{RECORD_SAMPLE_BYTES_MAX, table};
use mr_model::text::escaped;
use mr_model::{Batch, BatchBuf, Compression, Failure, Place, PluginFault, Role};
use mr_sandbox::{Deadline, GuestOutput, InstanceOptions, Mapper, RoleError, Sink};

use mr_storage::{Piece, Split};

use crate::job::{Attempt, Job};
use crate::sink::row_sample;

/// Longest time that is spent on finding a record: nobody waits much longer for a job that has failed.
pub const ISOLATION_TIME_MAX: Duration = Duration::from_secs(10);
/// Most instances that are started for it: twice the halvings of the largest batch, and some.
const TRIES_MAX: u32 = 64;
/// Longest time that one of them may stand still: with it, all halvings end within the time for all.
const IDLE_TIME_MAX: Duration = Duration::from_millis(400);

/// The records of a batch, one of which a mapper may have failed on.
pub(crate) struct Suspects<'a> {
    attempt: &'a Attempt,
    split: &'a Split,
    batch: &'a BatchBuf,
    /// Rows are chunks of lines.
    chunks: bool,
}

/// A record: a row, or a line of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suspect {
    pub row: u32,
    /// Where it lies in the row's value; the whole value where a row is a record.
    pub from: usize,
    to: usize,
}

impl<'a> Suspects<'a> {
    /// The records of `batch`, of `split`, which failed in `attempt`.
    pub fn new(attempt: &'a Attempt, split: &'a Split, batch: &'a BatchBuf) -> Self {
        let chunks = attempt.job.input(split).is_ok_and(|input| input.chunks);
        Self { attempt, split, batch, chunks }
    }

    /// The failure of the batch, with place and content of the record at fault as far as they can be
    /// found. `place` tells where a row begins.
    pub fn explain(&self, error: RoleError, place: &dyn Fn(u32) -> Option<Place>) -> Failure {
        let RoleError { mut failure, row } = error;
        if !is_mappers(&failure) {
            return failure;
        }
        let all = self.records(row);
        let found = match all.as_slice() {
            [] => return failure.at(place(0)),
            [one] => std::slice::from_ref(one),
            all if can_repeat(&failure) => {
                let deadline = Deadline::after(ISOLATION_TIME_MAX.min(self.attempt.deadline.left()));
                Probe { suspects: self, failure: &failure, deadline, tries: TRIES_MAX }.narrow(all)
            }
            all => all,
        };
        let told = match found {
            [one] => Some(escaped(self.bytes(*one), RECORD_SAMPLE_BYTES_MAX)),
            // Nothing was found out, or nothing was tried.
            _ if found.len() == all.len() => None,
            _ => Some(format!("one of the {} records from there on; none fails by itself", found.len())),
        };
        if let Some(words) = failure.words_mut() {
            words.record = told;
        }
        let first = found.first().copied().unwrap_or(Suspect { row: 0, from: 0, to: 0 });
        failure.at(self.place(first, place(first.row)))
    }

    /// Where a record begins whose row begins at `row`. Of compressed data places are no finer than that.
    pub fn place(&self, suspect: Suspect, row: Option<Place>) -> Option<Place> {
        let row = row?;
        let packed = |piece: &Piece| piece.path == row.path && piece.compression != Compression::None;
        let from = if self.split.pieces.iter().any(packed) { 0 } else { suspect.from as u64 };
        Some(Place { offset: row.offset + from, ..row })
    }

    /// How much of its split the batch is: bytes where rows are chunks of lines, whose ends are nobody's
    /// business, and otherwise rows.
    pub fn extent(&self) -> u64 {
        if self.chunks { self.batch.values.view().data().len() as u64 } else { u64::from(self.batch.rows()) }
    }

    /// Where each row begins, in what [`Suspects::extent`] counts.
    pub fn starts(&self) -> Vec<u64> {
        let mut next = 0;
        let step = |value: &[u8]| {
            let start = next;
            next += if self.chunks { value.len() as u64 } else { 1 };
            start
        };
        self.batch.values.view().iter().map(step).collect()
    }

    /// All records, or those of the row that the plugin blames.
    pub fn records(&self, blamed: Option<u32>) -> Vec<Suspect> {
        let rows = match blamed {
            Some(row) if row < self.batch.rows() => row..row + 1,
            _ => 0..self.batch.rows(),
        };
        let values = self.batch.values.view();
        let mut records = Vec::new();
        for row in rows {
            let value = values.cell(row as usize);
            if !self.chunks {
                records.push(Suspect { row, from: 0, to: value.len() });
                continue;
            }
            let mut from = 0;
            let ends = memchr::memchr_iter(b'\n', value).map(|end| end + 1);
            for to in ends.chain(Some(value.len())).filter(|to| *to > 0) {
                if to > from {
                    records.push(Suspect { row, from, to });
                    from = to;
                }
            }
        }
        records
    }

    /// What is shown of a record.
    pub fn bytes(&self, suspect: Suspect) -> &'a [u8] {
        if !self.chunks {
            return row_sample(self.batch, suspect.row);
        }
        let line = &self.batch.values.view().cell(suspect.row as usize)[suspect.from..suspect.to];
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    /// Records whose lines stand together in a chunk, in one slice each.
    pub fn runs(suspects: &[Suspect]) -> impl Iterator<Item = &[Suspect]> {
        suspects.chunk_by(|one, next| one.row == next.row && one.to == next.from)
    }

    /// A batch of some of the records alone, a row for each of their [`Suspects::runs`].
    pub fn batch_of(&self, suspects: &[Suspect]) -> BatchBuf {
        let (keys, values) = (self.batch.keys.view(), self.batch.values.view());
        let mut batch = BatchBuf::default();
        for lines in Self::runs(suspects) {
            let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
            let row = first.row as usize;
            let mut key = keys.cell(row).to_vec();
            if first.from > 0 {
                move_offset(&mut key, first.from as u64);
            }
            batch.push(&key, &values.cell(row)[first.from..last.to]);
        }
        batch
    }
}

/// Moves the offset that a key of text input ends in.
fn move_offset(key: &mut [u8], by: u64) {
    if let Some(offset) = key.last_chunk_mut() {
        *offset = u64::from_be_bytes(*offset).wrapping_add(by).to_be_bytes();
    }
}

/// Whether it is the mapper that failed, rather than whoever takes what it emits.
fn is_mappers(failure: &Failure) -> bool {
    matches!(failure, Failure::Plugin { role: Role::Mapper, .. } | Failure::Limit { role: Role::Mapper, .. })
}

/// Whether a record may be the reason, and playing it again shows it.
fn can_repeat(failure: &Failure) -> bool {
    match failure {
        Failure::Plugin { fault, .. } => matches!(
            fault,
            PluginFault::Trap | PluginFault::Contract | PluginFault::InvalidInput | PluginFault::Fatal
        ),
        Failure::Limit { limit, .. } => {
            let not_of_a_record = [
                &table::TASK_TIME,
                &table::TASK_OUTPUT_BYTES,
                &table::TASK_OUTPUT_RECORDS,
                &table::SHUFFLE_BYTES,
                &table::OUTPUT_BYTES,
                &table::OUTPUT_RECORDS,
            ];
            not_of_a_record.iter().all(|known| known.name != limit.as_str())
        }
        _ => false,
    }
}

/// Whether two failures are of one kind.
fn alike(one: &Failure, other: &Failure) -> bool {
    match (one, other) {
        (Failure::Plugin { fault: one, .. }, Failure::Plugin { fault: other, .. }) => one == other,
        (Failure::Limit { limit: one, .. }, Failure::Limit { limit: other, .. }) => one == other,
        _ => false,
    }
}

/// Plays records again and looks whether they fail as the batch did.
struct Probe<'a> {
    suspects: &'a Suspects<'a>,
    failure: &'a Failure,
    deadline: Deadline,
    tries: u32,
}

impl Probe<'_> {
    /// The fewest records in a row that still fail; all of them where they do not fail again.
    fn narrow<'s>(&mut self, all: &'s [Suspect]) -> &'s [Suspect] {
        let mut left = all;
        if !self.fails(left) {
            return all;
        }
        while left.len() > 1 {
            let (first, second) = left.split_at(left.len() / 2);
            if self.fails(first) {
                left = first;
            } else if self.fails(second) {
                left = second;
            } else {
                break;
            }
        }
        left
    }

    fn fails(&mut self, suspects: &[Suspect]) -> bool {
        let attempt = self.suspects.attempt;
        let Some(tries) = self.tries.checked_sub(1) else { return false };
        self.tries = tries;
        let batch = self.suspects.batch_of(suspects);
        let options = InstanceOptions {
            idle_timeout: attempt.job.spec.permissions.idle_timeout.min(IDLE_TIME_MAX),
            deadline: Some(self.deadline),
            ..unheard(attempt, self.suspects.split)
        };
        let sink = Box::new(Nowhere(attempt.job.clone()));
        let played = open_mapper(attempt, self.suspects.split, options, sink)
            .and_then(|mut mapper| mapper.map_batch(batch.view()));
        played.is_err_and(|error| alike(self.failure, &error.failure))
    }
}

/// What the mapper of a split runs with where nothing that it does counts.
pub(crate) fn unheard(attempt: &Attempt, split: &Split) -> InstanceOptions {
    without_effect(attempt, attempt.mapper_instance(split))
}

/// What the reducer runs with where nothing that it does counts.
pub(crate) fn unheard_reducer(attempt: &Attempt) -> InstanceOptions {
    without_effect(attempt, attempt.reducer_instance())
}

fn without_effect(attempt: &Attempt, options: InstanceOptions) -> InstanceOptions {
    let permissions = &attempt.job.spec.permissions;
    let output = GuestOutput::new(permissions.task_output_bytes_max, permissions.task_output_records_max);
    InstanceOptions { output: Arc::new(output), log: None, ..options }
}

/// Starts the mapper of a split.
pub(crate) fn open_mapper(
    attempt: &Attempt,
    split: &Split,
    options: InstanceOptions,
    sink: Box<dyn Sink>,
) -> Result<Mapper, RoleError> {
    let input = attempt.job.input(split).map_err(|failure| RoleError { failure, row: None })?;
    let Some(plugin) = attempt.job.stages.mapper(input) else {
        let failure = Failure::internal(format!("{} has no mapper", attempt.id));
        return Err(RoleError { failure, row: None });
    };
    Mapper::open(plugin, options, sink)
}

/// Forgets what it is given; records that are too long are refused as in earnest.
pub(crate) struct Nowhere(pub Arc<Job>);

impl Sink for Nowhere {
    fn emit(&mut self, _port: u32, batch: Batch<'_>) -> Result<(), Failure> {
        batch.iter().try_for_each(|(key, value)| self.0.check_record(Role::Mapper, key, value))
    }

    fn emit_partitioned(&mut self, batch: Batch<'_>, _partitions: &[u8]) -> Result<(), Failure> {
        self.emit(0, batch)
    }

    fn reject(&mut self, _row: u32, _reason: &str) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_key_moves_whatever_is_ahead_of_it() {
        let mut key = [b"path\0\0".as_slice(), &255u64.to_be_bytes()].concat();
        move_offset(&mut key, 2);
        assert_eq!(key, [b"path\0\0".as_slice(), &257u64.to_be_bytes()].concat());
    }
}
