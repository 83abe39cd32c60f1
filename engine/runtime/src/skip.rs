//! Records that trap the mapper, left out within `--max-rejects`: finds those that do it by themselves, so that
//! the attempt can begin again without them. What an instance emitted before it trapped cannot be told from what
//! it was about to emit, so nothing of it counts. Must not decide by batches: a record is left out for what it
//! is, and the output is the same however the input is cut.

use std::collections::BTreeMap;

use mr_model::limit::{RECORD_SAMPLE_BYTES_MAX, REJECT_REASON_BYTES_MAX};
use mr_model::text::escaped;
use mr_model::{BatchBuf, Failure, Place, PluginFault, Role};
use mr_sandbox::Mapper;
use mr_storage::{Split, SplitReader};

use crate::isolate::{Nowhere, Suspect, Suspects, open_mapper, unheard};
use crate::job::Attempt;

/// Most records that an attempt leaves out because they trap: each costs an instance or two, and a plugin that
/// traps on more of them is broken rather than unlucky with its input.
pub const SKIPPED_RECORDS_MAX: usize = 1_000;
/// Most times that an attempt begins again. It looks further ahead each time, so that more are asked for only
/// by a plugin that traps anew whatever is left out.
const RESTARTS_MAX: u32 = 16;
/// How many times as many batches it looks ahead as the time before: one bad record costs no more than the work
/// up to it, and many cost a few beginnings.
const AHEAD_GROWTH: u64 = 4;

/// The records that an attempt leaves out, and how often it began again for them.
#[derive(Default)]
pub(crate) struct Skips {
    /// Why, by where they begin in the split: see [`Suspects::extent`]. Of groups: by their number.
    pub reasons: BTreeMap<u64, String>,
    restarts: u32,
    /// Some were found that the run under way was shown.
    stale: bool,
    /// How far earlier runs came, whose log lines were passed on.
    told: u64,
}

/// What a mapper is shown of a batch of which some is left out.
pub(crate) struct Shown {
    /// The rows.
    pub batch: BatchBuf,
    /// The first record of each row.
    pub origins: Vec<Suspect>,
    /// What is left out, and why.
    pub left_out: Vec<(Suspect, String)>,
}

/// A batch on which the mapper failed, and what is known there.
pub(crate) struct Failed<'a> {
    /// Its records, also those that were left out.
    pub suspects: &'a Suspects<'a>,
    /// Where it begins in the split.
    pub base: u64,
    /// How it failed.
    pub failure: &'a Failure,
    /// Rejects of the attempt before it.
    pub rejects: u64,
}

impl Skips {
    /// Whether the attempt is to begin again, asked once its run has failed.
    pub fn begin_again(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Whether earlier runs passed on what is logged from `base` of the split on.
    pub fn is_told(&self, base: u64) -> bool {
        base < self.told
    }

    /// What the mapper is shown of a batch that begins at `base`; none for all of it.
    pub fn shown(&self, suspects: &Suspects<'_>, base: u64) -> Option<Shown> {
        self.reasons.range(base..base + suspects.extent()).next()?;
        let starts = suspects.starts();
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for record in suspects.records(None) {
            match self.reasons.get(&(base + starts[record.row as usize] + record.from as u64)) {
                Some(reason) => left_out.push((record, reason.clone())),
                None => kept.push(record),
            }
        }
        let origins = Suspects::runs(&kept).filter_map(|run| run.first().copied()).collect();
        Some(Shown { batch: suspects.batch_of(&kept), origins, left_out })
    }

    /// Looks for the records that a mapper trapped on, in the batch that failed and in some behind it. True
    /// where the attempt may begin again without them; false where there are none, or it is not a trap.
    ///
    /// # Errors
    /// Why no more records are left out, and what stops the attempt.
    pub fn find(
        &mut self,
        attempt: &Attempt,
        split: &Split,
        failed: &Failed<'_>,
        reader: &mut SplitReader,
    ) -> Result<bool, Failure> {
        let allowed = attempt.job.spec.permissions.rejects_max;
        if !is_trap(failed.failure) || allowed == 0 {
            return Ok(false);
        }
        let known = self.reasons.len();
        let scout = Scout { attempt, split, mapper: None };
        let mut search = Search { skips: self, scout, known, allowed, failed };
        let whole = search.batch(failed.suspects, failed.base, reader)?;
        if whole && search.skips.reasons.len() > known {
            search.ahead(reader)?;
        }
        self.settle(known, failed.base, failed.failure)
    }

    /// Whether the attempt may begin again: more is left out than the `known` ones so far, since it failed in a
    /// batch that begins at `base`.
    ///
    /// # Errors
    /// The failure, where it began again too often.
    pub fn settle(&mut self, known: usize, base: u64, failure: &Failure) -> Result<bool, Failure> {
        if self.reasons.len() == known {
            return Ok(false);
        }
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            return Err(explained(failure, &format!("it still traps after {RESTARTS_MAX} new beginnings")));
        }
        self.stale = true;
        self.told = self.told.max(base);
        Ok(true)
    }

    /// Batches behind one that failed that are looked at before the attempt begins again.
    pub fn batches_ahead(&self) -> u64 {
        AHEAD_GROWTH.saturating_pow(self.restarts) - 1
    }

    /// Refuses to leave out another record, beside those that were `known` when the attempt failed with `failure`
    /// and had this many rejects. Where it is, and what it is, is told by `sample`.
    ///
    /// # Errors
    /// Why not.
    pub fn check_room(
        &self,
        (known, rejects): (usize, u64),
        allowed: u64,
        reason: &str,
        failure: &Failure,
        sample: impl Fn() -> (Option<Place>, String),
    ) -> Result<(), Failure> {
        let skipped = self.reasons.len();
        let rejects = (rejects + (skipped - known) as u64).max(skipped as u64);
        if rejects >= allowed {
            return Err(Failure::Rejects { allowed, reason: reason.to_owned(), place: sample().0 });
        }
        if skipped < SKIPPED_RECORDS_MAX {
            return Ok(());
        }
        let (place, sample) = sample();
        Err(too_many(failure, sample).at(place))
    }
}

/// A search under way.
struct Search<'a> {
    skips: &'a mut Skips,
    scout: Scout<'a>,
    /// Records that were left out before.
    known: usize,
    allowed: u64,
    failed: &'a Failed<'a>,
}

impl Search<'_> {
    /// Goes on with some batches behind the one that failed.
    fn ahead(&mut self, reader: &mut SplitReader) -> Result<(), Failure> {
        let (attempt, split) = (self.scout.attempt, self.scout.split);
        let mut base = self.failed.base + self.failed.suspects.extent();
        let mut batch = BatchBuf::default();
        for _ in 0..self.skips.batches_ahead() {
            // A failure of the input comes again, in its turn.
            if !reader.next_batch(&mut batch).unwrap_or(false) {
                break;
            }
            let suspects = Suspects::new(attempt, split, &batch);
            let shown = self.skips.shown(&suspects, base);
            let played = self.scout.play(shown.as_ref().map_or(&batch, |shown| &shown.batch));
            let goes_on = match played {
                Ok(()) => true,
                Err(failure) => is_trap(&failure) && self.batch(&suspects, base, reader)?,
            };
            if !goes_on {
                break;
            }
            base += suspects.extent();
        }
        Ok(())
    }

    /// Adds the records of a batch that trap by themselves. False where something else stops the mapper, which
    /// it does again in its turn.
    fn batch(&mut self, suspects: &Suspects<'_>, base: u64, reader: &SplitReader) -> Result<bool, Failure> {
        let starts = suspects.starts();
        for record in suspects.records(None) {
            let at = base + starts[record.row as usize] + record.from as u64;
            if self.skips.reasons.contains_key(&at) {
                continue;
            }
            match self.scout.trap(&suspects.batch_of(&[record])) {
                Ok(None) => {}
                Ok(Some(reason)) => {
                    let sample = || {
                        let shown = escaped(suspects.bytes(record), RECORD_SAMPLE_BYTES_MAX);
                        (suspects.place(record, reader.place(record.row)), shown)
                    };
                    let counted = (self.known, self.failed.rejects);
                    self.skips.check_room(counted, self.allowed, &reason, self.failed.failure, sample)?;
                    self.skips.reasons.insert(at, reason);
                }
                Err(Failure::Cancelled) => return Err(Failure::Cancelled),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Plays records on instances of which nothing counts.
struct Scout<'a> {
    attempt: &'a Attempt,
    split: &'a Split,
    mapper: Option<Mapper>,
}

impl Scout<'_> {
    /// Why a record traps by itself, on an instance that has seen nothing before; none where it does not.
    fn trap(&mut self, record: &BatchBuf) -> Result<Option<String>, Failure> {
        let fresh = self.mapper.is_none();
        let mut played = self.play(record);
        if !fresh && played.as_ref().is_err_and(is_trap) {
            played = self.play(record);
        }
        match played {
            Ok(()) => Ok(None),
            Err(failure) if is_trap(&failure) => Ok(Some(trap_reason(&failure))),
            Err(failure) => Err(failure),
        }
    }

    /// Plays a batch. An instance that failed is replaced before the next one.
    fn play(&mut self, batch: &BatchBuf) -> Result<(), Failure> {
        let attempt = self.attempt;
        attempt.check_stopped()?;
        // A sign of life.
        attempt.progress.add(&attempt.progress.emitted_batches, 1);
        if batch.rows() == 0 {
            return Ok(());
        }
        let mut mapper = match self.mapper.take() {
            Some(mapper) => mapper,
            None => {
                let sink = Box::new(Nowhere(attempt.job.clone()));
                open_mapper(attempt, self.split, unheard(attempt, self.split), sink)
                    .map_err(|error| error.failure)?
            }
        };
        mapper.map_batch(batch.view()).map_err(|error| error.failure)?;
        self.mapper = Some(mapper);
        Ok(())
    }
}

/// Whether the mapper or reducer trapped, rather than whoever takes what it emits, and no limit was in its way.
pub(crate) fn is_trap(failure: &Failure) -> bool {
    matches!(failure, Failure::Plugin { fault: PluginFault::Trap, role: Role::Mapper | Role::Reducer, .. })
}

/// The failure of a plugin that traps on more records (or groups) than are left out, of which one is `sample`.
pub(crate) fn too_many(failure: &Failure, sample: String) -> Failure {
    let noun = noun(failure);
    let why =
        format!("it traps on more than {SKIPPED_RECORDS_MAX} {noun}s of one task, and no more are skipped");
    let mut failure = explained(failure, &why);
    if let Some(words) = failure.words_mut() {
        words.record = Some(sample);
    }
    failure
}

/// The failure of a batch of which nothing can be left out, though rejects are allowed.
pub(crate) fn not_skipped(failure: Failure) -> Failure {
    if !is_trap(&failure) {
        return failure;
    }
    let noun = noun(&failure);
    explained(&failure, &format!("nothing is skipped, since no {noun} of that batch traps by itself"))
}

fn noun(failure: &Failure) -> &'static str {
    if matches!(failure, Failure::Plugin { role: Role::Reducer, .. }) { "group" } else { "record" }
}

/// The failure with why it is one.
fn explained(failure: &Failure, why: &str) -> Failure {
    let mut failure = failure.clone();
    if let Failure::Plugin { message, .. } = &mut failure {
        message.push_str("; ");
        message.push_str(why);
    }
    failure
}

/// A trap as the reason of a reject: one line.
pub(crate) fn trap_reason(failure: &Failure) -> String {
    let message = match failure {
        Failure::Plugin { message, .. } => message.lines().next().unwrap_or_default(),
        _ => "",
    };
    let mut reason = format!("trapped: {message}");
    reason.truncate(reason.floor_char_boundary(REJECT_REASON_BYTES_MAX));
    reason
}
