//! A reduce attempt: the segments of one partition in, merged and grouped; a part out.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mr_model::{AttemptId, ColumnBuf, Counters, Failure, GroupedBatchBuf, Role};
use mr_sandbox::{CancelToken, GuestMemory, MoreValues, Plugin, Reducer};
use mr_shuffle::{Codec, GroupReader, MapOutput, Merge, ReduceInput, ReduceInputOptions, SpillStats};
use mr_storage::{PartWriter, PendingPart};

use crate::hook::PluginCombine;
use crate::job::Job;
use crate::sink::{PartSink, Rejected, key_text};

/// Records between two looks at the cancel flag and two reports of progress, where no plugin runs.
const IDENTITY_STEP_RECORDS: u64 = 8192;

/// A finished reduce attempt.
pub(crate) struct ReduceDone {
    pub part: PendingPart,
    pub records_in: u64,
    pub bytes_in: u64,
    pub groups: u64,
    pub spilled: SpillStats,
    pub rejected: Vec<Rejected>,
    pub counters: Counters,
    pub guest_memory_peak: u64,
}

/// Group reader shared between the task's loop and the guest's `group-values.next`.
struct Groups(GroupReader);

impl MoreValues for Groups {
    fn next(&mut self, values: &mut ColumnBuf) -> Result<bool, Failure> {
        self.0.next_values(values)
    }
}

/// Runs a reduce attempt to its end. `outputs` are those of all map tasks, in task order.
pub(crate) fn run_reduce(
    job: &Arc<Job>,
    outputs: &[Arc<MapOutput>],
    attempt: AttemptId,
    cancel: &CancelToken,
) -> Result<ReduceDone, Failure> {
    let memory = Arc::new(GuestMemory::new(job.memory.guests));
    let counters: Arc<Mutex<Counters>> = Arc::default();
    let partition = attempt.task.index;
    let input = ReduceInput::new(outputs.iter().map(AsRef::as_ref), partition);
    let (records_in, bytes_in) = input.expected();
    let stop = cancel.clone();
    let (merge, merged) = input.open(ReduceInputOptions {
        id: job.run_id(attempt),
        dir: job.run_dir.clone(),
        fan_in: job.memory.fan_in,
        codec: Codec::None,
        batch_bytes: job.spec.batch_bytes as usize,
        combine: PluginCombine::hook(job, attempt, &memory, cancel, &counters),
        cancelled: Box::new(move || stop.is_cancelled()),
        merged_bytes: job.progress.shuffle_bytes.clone(),
    })?;
    let part = PartWriter::create(&job.part_dir, attempt.task.stage, partition, attempt.attempt)?;
    let mut run = ReduceAttempt {
        job,
        cancel,
        sink: PartSink::new(job.clone(), Role::Reducer, part),
        passed: (0, 0),
        groups: 0,
        rejected: Vec::new(),
        guest_memory_peak: 0,
    };
    match job.stages.role(Role::Reducer) {
        Some(plugin) => run = run.with_plugin(plugin, merge, attempt, &memory, &counters)?,
        None => run.as_identity(merge)?,
    }
    merged.check(run.passed)?;
    let counters = lock(&counters).clone();
    Ok(ReduceDone {
        part: run.sink.finish()?.finish()?,
        records_in,
        bytes_in,
        groups: run.groups,
        spilled: merged.spilled,
        rejected: run.rejected,
        counters,
        guest_memory_peak: run.guest_memory_peak,
    })
}

/// One reduce attempt under way.
struct ReduceAttempt<'a> {
    job: &'a Arc<Job>,
    cancel: &'a CancelToken,
    sink: PartSink,
    /// Records and bytes that the merge passed.
    passed: (u64, u64),
    groups: u64,
    rejected: Vec<Rejected>,
    guest_memory_peak: u64,
}

impl ReduceAttempt<'_> {
    fn with_plugin(
        mut self,
        plugin: &Plugin,
        merge: Merge,
        attempt: AttemptId,
        memory: &Arc<GuestMemory>,
        counters: &Arc<Mutex<Counters>>,
    ) -> Result<Self, Failure> {
        let groups = GroupReader::new(merge, self.job.spec.batch_bytes as usize);
        let groups = Arc::new(Mutex::new(Groups(groups)));
        let sink = Arc::new(Mutex::new(self.sink));
        let options = self.job.instance(attempt, memory, self.cancel);
        let mut reducer = Reducer::open(plugin, options, Box::new(sink.clone()), Box::new(groups.clone()))
            .map_err(|error| error.failure)?;
        let mut batch = GroupedBatchBuf::default();
        let mut shown = 0;
        loop {
            if !lock(&groups).0.next_batch(&mut batch)? {
                break;
            }
            if self.cancel.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            let reduced = reducer.reduce_batch(&batch);
            for row in lock(&sink).rejects.take() {
                let key =
                    if row.row < batch.groups() { batch.keys.view().cell(row.row as usize) } else { &[] };
                self.rejected.push(Rejected::new(row, None, key));
            }
            reduced.map_err(|error| name_group(self.job, error.failure, error.row, &batch))?;
            self.groups += u64::from(batch.groups());
            let passed = lock(&groups).0.passed().1;
            show(self.job, u64::from(batch.groups()), passed - shown);
            shown = passed;
        }
        let report = reducer.close().map_err(|error| error.failure)?;
        self.guest_memory_peak = report.memory_bytes_peak;
        lock(counters).merge(&report.counters).map_err(|refused| Failure::internal(refused.to_string()))?;
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
                if self.cancel.is_cancelled() {
                    return Err(Failure::Cancelled);
                }
                show(self.job, passed.0 - shown.0, passed.1 - shown.1);
                shown = passed;
            }
        }
        self.passed = merge.passed();
        self.groups = self.passed.0;
        show(self.job, self.passed.0 - shown.0, self.passed.1 - shown.1);
        Ok(())
    }
}

fn show(job: &Job, groups: u64, bytes: u64) {
    job.progress.reduce_groups.fetch_add(groups, Ordering::Relaxed);
    job.progress.shuffle_bytes.fetch_add(bytes, Ordering::Relaxed);
}

/// Adds the key of the group at fault to what the reducer said.
fn name_group(job: &Job, failure: Failure, row: Option<u32>, batch: &GroupedBatchBuf) -> Failure {
    let group = row.or_else(|| (batch.groups() == 1).then_some(0)).filter(|group| *group < batch.groups());
    match (failure, group) {
        (Failure::Plugin { fault, role, message, place, log }, Some(group)) => {
            let datatype = job.stages.role(role).and_then(|plugin| plugin.contract().reduce_in.0.as_ref());
            let key = key_text(batch.keys.view().cell(group as usize), datatype);
            let message = format!("{message} (group of key \"{key}\")");
            Failure::Plugin { fault, role, message, place, log }
        }
        (failure, _) => failure,
    }
}

fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
