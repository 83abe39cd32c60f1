//! A reduce attempt: the segments of one partition in, merged and grouped; parts out.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{ColumnBuf, Failure, GroupedBatchBuf, Role};
use mr_sandbox::{MoreValues, Plugin, Reducer};
use mr_shuffle::{Codec, GroupReader, LargeGroup, Merge, Merged, ReduceInput, ReduceInputOptions};

use crate::attempt::{Ended, Product};
use crate::facts::{LargeKey, ReduceFacts, StageFacts};
use crate::group_skip::FailedGroups;
use crate::hook::PluginCombine;
use crate::job::Attempt;
use crate::part_sink::PartSink;
use crate::progress::Progress;
use crate::report::HotKey;
use crate::sink::{Rejected, RejectedRow, key_text, name_group};
use crate::skip::{Skips, not_skipped};

/// Records between two looks at the cancel flag and two reports of progress, where no plugin runs.
const IDENTITY_STEP_RECORDS: u64 = 8192;

/// Group reader shared between the task's loop and the guest's `group-values.next`.
pub(crate) struct Groups(pub GroupReader);

impl MoreValues for Groups {
    fn next(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure> {
        self.0.next_values(values)
    }
}

/// Runs a reduce attempt to its end.
pub(crate) fn run_reduce(attempt: &Attempt, input: ReduceInput) -> Result<Ended, Failure> {
    let job = &attempt.job;
    let (records_in, bytes_in) = input.expected();
    let (merge, merged) = input.open(ReduceInputOptions {
        id: attempt.run_id(),
        dir: job.resources.run_dir.clone(),
        fan_in: job.resources.memory.fan_in,
        codec: Codec::None,
        full: attempt.full_disk(),
        batch_bytes: job.spec.batch_bytes as usize,
        combine: PluginCombine::hook(attempt),
        cancelled: Box::new(attempt.stop()),
        merged_bytes: attempt.progress.shuffle_bytes.clone(),
        merge_bytes: attempt.progress.shuffle_bytes_total.clone(),
    })?;
    // What combiners counted in the merge stays, however often the reducer begins.
    let counted = attempt.counters().clone();
    let mut skips = Skips::default();
    let mut merge = merge;
    let (run, sink) = loop {
        let mut run = ReduceAttempt {
            attempt,
            merged: &merged,
            skips: std::mem::take(&mut skips),
            passed: (0, 0),
            groups: 0,
            records_in,
            large_groups: Vec::new(),
            rejected: Vec::new(),
            guest_memory_bytes_peak: 0,
        };
        let sink = PartSink::new(attempt, job.reducer_ports())?;
        let ended = match job.stages.role(Role::Reducer) {
            Some(plugin) => run.with_plugin(plugin, merge, sink),
            None => run.as_identity(merge, sink),
        };
        match ended {
            Ok(sink) => break (run, sink),
            Err(_) if run.skips.begin_again() => skips = run.skips,
            Err(failure) => return Err(failure),
        }
        attempt.begin_again();
        *attempt.counters() = counted.clone();
        merge = merged.reopen()?;
    };
    merged.check(run.passed)?;
    let parts = sink.finish()?;
    let (records_out, bytes_out) = (parts.rows(), parts.bytes());
    let facts = ReduceFacts { records_in, bytes_in, groups: run.groups, records_out, bytes_out };
    Ok(Ended {
        product: Product::Parts(parts),
        stage: StageFacts::Reduce(facts),
        spilled: merged.spilled,
        rejected: run.rejected,
        large_groups: run.large_groups,
        guest_memory_bytes_peak: run.guest_memory_bytes_peak,
    })
}

/// One reduce attempt under way.
struct ReduceAttempt<'a> {
    attempt: &'a Attempt,
    merged: &'a Merged,
    skips: Skips,
    /// Records and bytes that the merge passed.
    passed: (u64, u64),
    groups: u64,
    /// Records that the map stage made for it.
    records_in: u64,
    large_groups: Vec<LargeKey>,
    rejected: Vec<Rejected>,
    guest_memory_bytes_peak: u64,
}

impl ReduceAttempt<'_> {
    fn with_plugin(&mut self, plugin: &Plugin, merge: Merge, sink: PartSink) -> Result<PartSink, Failure> {
        let attempt = self.attempt;
        let groups = reader(attempt, merge).noting(HotKey::records_min(self.records_in));
        let groups = Arc::new(Mutex::new(Groups(groups)));
        let sink = Arc::new(Mutex::new(sink));
        let more = Box::new(groups.clone());
        let opened = Reducer::open(plugin, attempt.reducer_instance(), Box::new(sink.clone()), more);
        let mut reducer = Some(opened.map_err(|error| error.failure)?);
        let mut batch = GroupedBatchBuf::default();
        let mut shown = 0;
        loop {
            if !lock(&groups).0.next_batch(&mut batch)? {
                break;
            }
            attempt.check_stopped()?;
            self.reduce(plugin, &mut reducer, &sink, &groups, &batch)?;
            self.groups += u64::from(batch.groups());
            let passed = lock(&groups).0.passed().1;
            show(&attempt.progress, u64::from(batch.groups()), passed - shown);
            shown = passed;
        }
        let Some(reducer) = reducer else { return Err(Failure::internal("the reducer is gone")) };
        let report = reducer.close().map_err(|error| error.failure)?;
        self.guest_memory_bytes_peak = report.memory_bytes_peak;
        attempt.count(Role::Reducer, &report)?;
        self.passed = lock(&groups).0.passed();
        let datatype = plugin.contract().reduce_in.0.as_ref();
        let large = |group: &LargeGroup| LargeKey {
            key: key_text(&group.key, datatype),
            records: group.records,
            bytes: group.bytes,
        };
        self.large_groups = lock(&groups).0.large().iter().map(large).collect();
        let sink = Arc::into_inner(sink)
            .ok_or_else(|| Failure::internal("a closed reducer still holds its sink"))?;
        Ok(sink.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reduces a batch, without what is left out of it.
    fn reduce(
        &mut self,
        plugin: &Plugin,
        reducer: &mut Option<Reducer>,
        sink: &Mutex<PartSink>,
        groups: &Arc<Mutex<Groups>>,
        batch: &GroupedBatchBuf,
    ) -> Result<(), Failure> {
        let attempt = self.attempt;
        attempt.hush(self.skips.is_told(self.groups));
        let shown = self.skips.shown_groups(batch, self.groups);
        let key =
            |group: u32| if group < batch.groups() { batch.keys.view().cell(group as usize) } else { &[] };
        let before = self.rejected.len();
        let mut rejected = Vec::new();
        for (group, reason) in shown.iter().flat_map(|shown| &shown.left_out) {
            lock(sink).rejects.count_one(reason)?;
            rejected.push(RejectedRow { row: *group, reason: reason.clone() });
        }
        let fed = shown.as_ref().map_or(batch, |shown| &shown.batch);
        let Some(open) = reducer else { return Ok(()) };
        let reduced = if fed.groups() == 0 { Ok(()) } else { open.reduce_batch(fed) };
        for RejectedRow { row, reason } in lock(sink).rejects.take() {
            let origin = shown.as_ref().and_then(|shown| shown.origins.get(row as usize));
            rejected.push(RejectedRow { row: origin.copied().unwrap_or(row), reason });
        }
        if shown.is_some() {
            rejected.sort_by_key(|group| group.row);
        }
        for group in rejected {
            let key = key(group.row);
            self.rejected.push(Rejected::new(group, None, key));
        }
        let Err(error) = reduced else { return Ok(()) };
        // Its memory is needed to find out why.
        drop(reducer.take());
        let (merged, base) = (self.merged, self.groups);
        let reopen = || merged.reopen().map(|merge| reader(attempt, merge));
        let failed = FailedGroups {
            attempt,
            plugin,
            batch,
            base,
            failure: &error.failure,
            rejects: before as u64,
            groups,
            reopen: &reopen,
        };
        if self.skips.find_groups(&failed)? {
            return Err(error.failure);
        }
        let datatype = plugin.contract().reduce_in.0.as_ref();
        let named = name_group(error.failure, error.row, fed, datatype);
        Err(if attempt.job.spec.permissions.rejects_max > 0 { not_skipped(named) } else { named })
    }

    fn as_identity(&mut self, mut merge: Merge, mut sink: PartSink) -> Result<PartSink, Failure> {
        let mut shown = (0, 0);
        while !merge.is_exhausted() {
            sink.push(merge.key(), merge.value())?;
            merge.advance()?;
            let passed = merge.passed();
            if passed.0.is_multiple_of(IDENTITY_STEP_RECORDS) {
                self.attempt.check_stopped()?;
                show(&self.attempt.progress, passed.0 - shown.0, passed.1 - shown.1);
                shown = passed;
            }
        }
        self.passed = merge.passed();
        self.groups = self.passed.0;
        show(&self.attempt.progress, self.passed.0 - shown.0, self.passed.1 - shown.1);
        Ok(sink)
    }
}

/// Groups of a merge of the attempt.
fn reader(attempt: &Attempt, merge: Merge) -> GroupReader {
    GroupReader::new(merge, attempt.job.spec.batch_bytes as usize, attempt.job.key_prefix.clone())
}

fn show(progress: &Progress, groups: u64, bytes: u64) {
    progress.reduce_groups.fetch_add(groups, Ordering::Relaxed);
    progress.shuffle_bytes.fetch_add(bytes, Ordering::Relaxed);
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
