//! Groups that trap the reducer, left out within `--max-rejects`: what [`crate::skip`] is for records. The merge is
//! opened again, the same groups come in the same order, and those that are left out go by their number.

use std::sync::{Arc, Mutex, PoisonError};

use mr_model::{Failure, GroupedBatchBuf};
use mr_sandbox::{Plugin, Reducer};
use mr_shuffle::GroupReader;

use crate::isolate::{Nowhere, unheard_reducer};
use crate::job::Attempt;
use crate::reduce::Groups;
use crate::sink::key_text;
use crate::skip::{Skips, is_trap, trap_reason};

/// What a reducer is shown of a batch of which some is left out.
pub(crate) struct ShownGroups {
    /// The groups.
    pub batch: GroupedBatchBuf,
    /// Which groups of the whole batch they are.
    pub origins: Vec<u32>,
    /// What is left out, and why.
    pub left_out: Vec<(u32, String)>,
}

/// A batch of groups on which the reducer failed, and what is known there.
pub(crate) struct FailedGroups<'a> {
    pub attempt: &'a Attempt,
    pub plugin: &'a Plugin,
    /// The whole batch.
    pub batch: &'a GroupedBatchBuf,
    /// Number of its first group.
    pub base: u64,
    /// How the reducer failed.
    pub failure: &'a Failure,
    /// Rejects of the attempt before it.
    pub rejects: u64,
    /// The reader that the batch came from.
    pub groups: &'a Arc<Mutex<Groups>>,
    /// Begins to read the groups anew.
    pub reopen: &'a dyn Fn() -> Result<GroupReader, Failure>,
}

impl Skips {
    /// What the reducer is shown of a batch whose first group has the number `base`; none for all of it.
    pub fn shown_groups(&self, batch: &GroupedBatchBuf, base: u64) -> Option<ShownGroups> {
        let last = batch.groups().checked_sub(1)?;
        let mut left_out = Vec::new();
        let mut origins = Vec::new();
        self.reasons.range(base..=base + u64::from(last)).next()?;
        for group in 0..=last {
            match self.reasons.get(&(base + u64::from(group))) {
                Some(reason) => left_out.push((group, reason.clone())),
                None => origins.push(group),
            }
        }
        let mut shown = groups_of(batch, &origins);
        shown.more = batch.more && origins.last() == Some(&last);
        Some(ShownGroups { batch: shown, origins, left_out })
    }

    /// Looks for the groups that a reducer trapped on, in the batch that failed and in some behind it. True where
    /// the attempt may begin again without them; false where there are none, or it is not a trap.
    ///
    /// # Errors
    /// Why no more groups are left out, and what stops the attempt.
    pub fn find_groups(&mut self, failed: &FailedGroups<'_>) -> Result<bool, Failure> {
        let allowed = failed.attempt.job.spec.permissions.rejects_max;
        if !is_trap(failed.failure) || allowed == 0 {
            return Ok(false);
        }
        let known = self.reasons.len();
        let mut search = GroupSearch { skips: self, failed, known, reducer: None };
        let whole = search.batch(failed.batch, failed.base)?;
        if whole && search.skips.reasons.len() == known && failed.batch.more {
            search.open_group()?;
        } else if whole && search.skips.reasons.len() > known {
            search.ahead()?;
        }
        self.settle(known, failed.base, failed.failure)
    }
}

/// A search under way.
struct GroupSearch<'a> {
    skips: &'a mut Skips,
    failed: &'a FailedGroups<'a>,
    /// Groups that were left out before.
    known: usize,
    /// An instance of which nothing counts.
    reducer: Option<Reducer>,
}

impl GroupSearch<'_> {
    /// Adds the groups of a batch that trap by themselves, but for one that goes on. False where something else
    /// stops the reducer, which it does again in its turn.
    fn batch(&mut self, batch: &GroupedBatchBuf, base: u64) -> Result<bool, Failure> {
        for group in 0..batch.groups() - u32::from(batch.more && batch.groups() > 0) {
            let number = base + u64::from(group);
            if self.skips.reasons.contains_key(&number) {
                continue;
            }
            let alone = groups_of(batch, &[group]);
            let fresh = self.reducer.is_none();
            let mut played = self.play(&alone, self.failed.groups);
            if !fresh && played.as_ref().is_err_and(is_trap) {
                played = self.play(&alone, self.failed.groups);
            }
            if !self.judge(played, number, &alone)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Plays the last group of the batch that failed, which goes on behind it, from its beginning.
    fn open_group(&mut self) -> Result<(), Failure> {
        let last = u64::from(self.failed.batch.groups().saturating_sub(1));
        let number = self.failed.base + last;
        if self.skips.reasons.contains_key(&number) {
            return Ok(());
        }
        let mut reader = (self.failed.reopen)()?;
        for _ in 0..number {
            self.failed.attempt.check_stopped()?;
            reader.pass_group()?;
        }
        let mut batch = GroupedBatchBuf::default();
        reader.next_batch(&mut batch)?;
        let goes_on = batch.more && batch.groups() == 1;
        let mut alone = groups_of(&batch, &[0]);
        alone.more = goes_on;
        self.reducer = None;
        let played = self.play(&alone, &Arc::new(Mutex::new(Groups(reader))));
        self.judge(played, number, &alone).map(drop)
    }

    /// Goes on with some batches behind the one that failed.
    fn ahead(&mut self) -> Result<(), Failure> {
        let mut base = self.failed.base + u64::from(self.failed.batch.groups());
        let mut batch = GroupedBatchBuf::default();
        for _ in 0..self.skips.batches_ahead() {
            if !lock(self.failed.groups).0.next_batch(&mut batch)? {
                break;
            }
            let shown = self.skips.shown_groups(&batch, base);
            let goes_on =
                match self.play(shown.as_ref().map_or(&batch, |shown| &shown.batch), self.failed.groups) {
                    Ok(()) => true,
                    Err(failure) => is_trap(&failure) && self.batch(&batch, base)?,
                };
            if !goes_on {
                break;
            }
            base += u64::from(batch.groups());
        }
        Ok(())
    }

    /// Notes a group that trapped; false where something else stopped the reducer.
    fn judge(
        &mut self,
        played: Result<(), Failure>,
        number: u64,
        alone: &GroupedBatchBuf,
    ) -> Result<bool, Failure> {
        match played {
            Ok(()) => Ok(true),
            Err(failure) if is_trap(&failure) => {
                let datatype = self.failed.plugin.contract().reduce_in.0.as_ref();
                let key = key_text(alone.keys.view().cell(0), datatype);
                let reason = trap_reason(&failure);
                let counted = (self.known, self.failed.rejects);
                let allowed = self.failed.attempt.job.spec.permissions.rejects_max;
                let sample = || (None, key.clone());
                self.skips.check_room(counted, allowed, &reason, self.failed.failure, sample)?;
                self.skips.reasons.insert(number, reason);
                Ok(true)
            }
            Err(Failure::Cancelled) => Err(Failure::Cancelled),
            Err(_) => Ok(false),
        }
    }

    /// Plays groups. An instance that failed is replaced before the next ones.
    fn play(&mut self, batch: &GroupedBatchBuf, more: &Arc<Mutex<Groups>>) -> Result<(), Failure> {
        let attempt = self.failed.attempt;
        attempt.check_stopped()?;
        // A sign of life.
        attempt.progress.add(&attempt.progress.emitted_batches, 1);
        if batch.groups() == 0 {
            return Ok(());
        }
        let mut reducer = match self.reducer.take() {
            Some(reducer) => reducer,
            None => {
                let sink = Box::new(Nowhere(attempt.job.clone()));
                let options = unheard_reducer(attempt);
                Reducer::open(self.failed.plugin, options, sink, Box::new(more.clone()))
                    .map_err(|error| error.failure)?
            }
        };
        reducer.reduce_batch(batch).map_err(|error| error.failure)?;
        self.reducer = Some(reducer);
        Ok(())
    }
}

/// A batch of some groups of another, none of which goes on.
fn groups_of(batch: &GroupedBatchBuf, groups: &[u32]) -> GroupedBatchBuf {
    let (keys, values) = (batch.keys.view(), batch.values.view());
    let end = |group: u32| {
        let ends = batch.ends.as_chunks::<4>().0;
        ends.get(group as usize).map_or(0, |end| u32::from_le_bytes(*end))
    };
    let mut some = GroupedBatchBuf::default();
    for group in groups {
        some.keys.push(keys.cell(*group as usize));
        let begin = group.checked_sub(1).map_or(0, end);
        (begin..end(*group)).for_each(|row| some.values.push(values.cell(row as usize)));
        some.close_group();
    }
    some
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
