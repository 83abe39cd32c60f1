//! A reduce attempt: the segments of one partition in, merged and grouped; parts out.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{ColumnBuf, Failure, GroupedBatchBuf, Role};
use mr_sandbox::{MoreValues, Plugin, Reducer};
use mr_shuffle::{Codec, GroupReader, Merge, ReduceInput, ReduceInputOptions};

use crate::attempt::{Ended, Product};
use crate::facts::{ReduceFacts, StageFacts};
use crate::hook::PluginCombine;
use crate::job::Attempt;
use crate::part_sink::PartSink;
use crate::progress::Progress;
use crate::sink::{Rejected, name_group};

/// Records between two looks at the cancel flag and two reports of progress, where no plugin runs.
const IDENTITY_STEP_RECORDS: u64 = 8192;

/// Group reader shared between the task's loop and the guest's `group-values.next`.
struct Groups(GroupReader);

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
    let mut run = ReduceAttempt {
        attempt,
        sink: PartSink::new(attempt, job.reducer_ports())?,
        passed: (0, 0),
        groups: 0,
        rejected: Vec::new(),
        guest_memory_bytes_peak: 0,
    };
    match job.stages.role(Role::Reducer) {
        Some(plugin) => run = run.with_plugin(plugin, merge)?,
        None => run.as_identity(merge)?,
    }
    merged.check(run.passed)?;
    let parts = run.sink.finish()?;
    let (records_out, bytes_out) = (parts.rows(), parts.bytes());
    let facts = ReduceFacts { records_in, bytes_in, groups: run.groups, records_out, bytes_out };
    Ok(Ended {
        product: Product::Parts(parts),
        stage: StageFacts::Reduce(facts),
        spilled: merged.spilled,
        rejected: run.rejected,
        guest_memory_bytes_peak: run.guest_memory_bytes_peak,
    })
}

/// One reduce attempt under way.
struct ReduceAttempt<'a> {
    attempt: &'a Attempt,
    sink: PartSink,
    /// Records and bytes that the merge passed.
    passed: (u64, u64),
    groups: u64,
    rejected: Vec<Rejected>,
    guest_memory_bytes_peak: u64,
}

impl ReduceAttempt<'_> {
    fn with_plugin(mut self, plugin: &Plugin, merge: Merge) -> Result<Self, Failure> {
        let attempt = self.attempt;
        let (batch_bytes, prefix) = (attempt.job.spec.batch_bytes as usize, &attempt.job.key_prefix);
        let groups = GroupReader::new(merge, batch_bytes, prefix.clone());
        let groups = Arc::new(Mutex::new(Groups(groups)));
        let sink = Arc::new(Mutex::new(self.sink));
        let mut reducer = Reducer::open(
            plugin,
            attempt.reducer_instance(),
            Box::new(sink.clone()),
            Box::new(groups.clone()),
        )
        .map_err(|error| error.failure)?;
        let mut batch = GroupedBatchBuf::default();
        let mut shown = 0;
        loop {
            if !lock(&groups).0.next_batch(&mut batch)? {
                break;
            }
            attempt.check_stopped()?;
            let reduced = reducer.reduce_batch(&batch);
            for row in lock(&sink).rejects.take() {
                let key =
                    if row.row < batch.groups() { batch.keys.view().cell(row.row as usize) } else { &[] };
                self.rejected.push(Rejected::new(row, None, key));
            }
            reduced.map_err(|error| {
                let datatype = plugin.contract().reduce_in.0.as_ref();
                name_group(error.failure, error.row, &batch, datatype)
            })?;
            self.groups += u64::from(batch.groups());
            let passed = lock(&groups).0.passed().1;
            show(&attempt.progress, u64::from(batch.groups()), passed - shown);
            shown = passed;
        }
        let report = reducer.close().map_err(|error| error.failure)?;
        self.guest_memory_bytes_peak = report.memory_bytes_peak;
        attempt.count(Role::Reducer, &report)?;
        self.passed = lock(&groups).0.passed();
        let sink = Arc::into_inner(sink)
            .ok_or_else(|| Failure::internal("a closed reducer still holds its sink"))?;
        self.sink = sink.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(self)
    }

    fn as_identity(&mut self, mut merge: Merge) -> Result<(), Failure> {
        let mut shown = (0, 0);
        while !merge.is_exhausted() {
            self.sink.push(merge.key(), merge.value())?;
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
        Ok(())
    }
}

fn show(progress: &Progress, groups: u64, bytes: u64) {
    progress.reduce_groups.fetch_add(groups, Ordering::Relaxed);
    progress.shuffle_bytes.fetch_add(bytes, Ordering::Relaxed);
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
