//! Finds the record that a mapper failed on. A trap says nothing about the input, and a chunk of text
//! holds many lines: so the batch is played again on fresh instances, whose output goes nowhere, in
//! halves until one record is left that fails by itself in the same way. Bounded in time and in tries.
//! Only explains; what failed has failed already and stays failed.

use std::sync::Arc;
use std::time::Duration;

use mr_model::limit::{RECORD_SAMPLE_BYTES_MAX, table};
use mr_model::text::escaped;
use mr_model::{Batch, BatchBuf, Failure, Place, PluginFault, Role};
use mr_sandbox::{Deadline, GuestOutput, InstanceOptions, Mapper, RoleError, Sink};

use mr_storage::Split;

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
#[derive(Debug, Clone, Copy)]
struct Suspect {
    row: u32,
    /// Where it lies in the row's value; the whole value where a row is a record.
    from: usize,
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
            [one] => Some(self.sample(*one)),
            // Nothing was found out, or nothing was tried.
            _ if found.len() == all.len() => None,
            _ => Some(format!("one of the {} records from there on; none fails by itself", found.len())),
        };
        if let Some(words) = failure.words_mut() {
            words.record = told;
        }
        let first = found.first().copied().unwrap_or(Suspect { row: 0, from: 0, to: 0 });
        failure.at(place(first.row).map(|at| Place { offset: at.offset + first.from as u64, ..at }))
    }

    /// All records, or those of the row that the plugin blames.
    fn records(&self, blamed: Option<u32>) -> Vec<Suspect> {
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

    fn sample(&self, suspect: Suspect) -> String {
        let bytes = if self.chunks {
            let line = &self.batch.values.view().cell(suspect.row as usize)[suspect.from..suspect.to];
            line.strip_suffix(b"\n").unwrap_or(line)
        } else {
            row_sample(self.batch, suspect.row)
        };
        escaped(bytes, RECORD_SAMPLE_BYTES_MAX)
    }

    /// A batch of some of the records alone. Lines of one chunk stay together.
    fn batch_of(&self, suspects: &[Suspect]) -> BatchBuf {
        let (keys, values) = (self.batch.keys.view(), self.batch.values.view());
        let mut batch = BatchBuf::default();
        for lines in suspects.chunk_by(|a, b| a.row == b.row) {
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
        let mapper = attempt.job.input(self.suspects.split).ok();
        let Some(plugin) = mapper.and_then(|input| attempt.job.stages.mapper(input)) else { return false };
        let batch = self.suspects.batch_of(suspects);
        let permissions = &attempt.job.spec.permissions;
        let options = InstanceOptions {
            idle_timeout: permissions.idle_timeout.min(IDLE_TIME_MAX),
            deadline: Some(self.deadline),
            output: Arc::new(GuestOutput::new(
                permissions.task_output_bytes_max,
                permissions.task_output_records_max,
            )),
            log: None,
            ..attempt.mapper_instance(self.suspects.split)
        };
        let sink = Box::new(Nowhere(attempt.job.clone()));
        let played =
            Mapper::open(plugin, options, sink).and_then(|mut mapper| mapper.map_batch(batch.view()));
        played.is_err_and(|error| alike(self.failure, &error.failure))
    }
}

/// Forgets what it is given; records that are too long are refused as in earnest.
struct Nowhere(Arc<Job>);

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
