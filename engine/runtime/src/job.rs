//! What the attempts of a job share on one machine, and what one attempt has of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mr_model::counter::CounterRefused;
use mr_model::limit::{COUNTERS_MAX, table};
use mr_model::{AttemptId, Counters, Failure, JobSpec, Role, TaskContext};
use mr_sandbox::{
    CancelToken, Deadline, GuestMemory, GuestOutput, InstanceOptions, LogForward, LogGate, RoleReport,
};
use mr_shuffle::{Codec, FullDisk, HashPartitioner, KeyPrefix, MemoryPool, RangePartitioner, RunId};
use mr_storage::{PartWriter, ReaderOptions, RecordEncoder};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::describe::{JobDescription, SpreadDescription};
use crate::memory::MemoryPlan;
use crate::progress::Progress;
use crate::quota::stage_role;
use crate::request::Stages;

/// Seed of the seeds that tasks get: fixed, so that a job gives the same output whenever it runs.
const SEED: u64 = 0x6d72_2d65_6e67_696e;

/// The engine's own ways to spread keys.
pub(crate) enum Spread {
    /// By hash.
    Hash(HashPartitioner),
    /// By range.
    Range(RangePartitioner),
    /// By the job's component.
    Plugin,
}

/// What a machine gives to the attempts of a job.
#[derive(Debug, Clone)]
pub struct AttemptResources {
    /// How memory is divided among the slots.
    pub memory: MemoryPlan,
    /// Where sort buffers draw their memory from, those of other jobs on the machine, too.
    pub pool: Arc<MemoryPool>,
    /// Budget of map output that stays in memory; none where others fetch it, so that it goes to files.
    pub retain: Option<Arc<MemoryPool>>,
    /// Folder for run files.
    pub run_dir: PathBuf,
    /// How run files of map tasks are stored. Those of merge passes never leave the machine and are
    /// stored as they are.
    pub codec: Codec,
    /// Longest wait for room on a full disk; none where nobody makes room.
    pub room_patience: Duration,
    /// Bytes of a part that the disk may not have taken yet; more hold up others on the machine.
    pub unwritten_bytes_max: u64,
}

/// A job on one machine, shared by its attempts.
pub struct Job {
    pub(crate) spec: JobSpec,
    pub(crate) stages: Stages,
    pub(crate) chunks: bool,
    pub(crate) params: Arc<[(String, String)]>,
    pub(crate) encoder: RecordEncoder,
    pub(crate) spread: Spread,
    /// What of a key decides about partition and group; none for all of it.
    pub(crate) key_prefix: Option<KeyPrefix>,
    /// Folder for parts that are not committed and for rejects.
    pub(crate) part_dir: PathBuf,
    pub(crate) resources: AttemptResources,
}

/// What one attempt has of its own.
pub(crate) struct Attempt {
    pub job: Arc<Job>,
    pub id: AttemptId,
    pub progress: Arc<Progress>,
    pub cancel: CancelToken,
    pub log: Option<LogGate>,
    /// When it has to end.
    pub deadline: Deadline,
    /// Linear memory of its guests together.
    pub memory: Arc<GuestMemory>,
    /// What its guests emit together.
    pub output: Arc<GuestOutput>,
    pub counters: Arc<Mutex<Counters>>,
}

impl Job {
    /// The described job, with its components and what the machine gives to it.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the description is over the engine's limits, contradicts itself, or the
    /// components are not those that it names.
    pub fn new(
        description: JobDescription,
        stages: Stages,
        mut resources: AttemptResources,
    ) -> Result<Arc<Self>, Failure> {
        description.check(&stages).map_err(|reason| {
            Failure::internal(format!("job {} cannot run: {reason}", description.spec.id))
        })?;
        let JobDescription { spec, chunks, spread, part_dir, .. } = description;
        // What the machine has to give may be more than what the job may use.
        let guests = &mut resources.memory.guests;
        *guests = spec.permissions.guest_memory_bytes_max.min(*guests);
        Ok(Arc::new(Self {
            stages,
            chunks,
            params: spec.params.clone().into(),
            encoder: RecordEncoder::new(spec.output_format, spec.output_types.clone()),
            spread: match spread {
                SpreadDescription::Hash => Spread::Hash(HashPartitioner::new(spec.reducers)),
                SpreadDescription::Range(boundaries) => Spread::Range(RangePartitioner::new(boundaries)),
                SpreadDescription::Plugin => Spread::Plugin,
            },
            key_prefix: key_prefix(&spec),
            part_dir,
            resources,
            spec,
        }))
    }

    /// How the splits of the job are read.
    pub(crate) fn reader(&self) -> ReaderOptions {
        ReaderOptions {
            format: self.spec.input_format,
            key: self.spec.input_key,
            chunks: self.chunks && self.stages.role(Role::Mapper).is_some(),
            record_bytes_max: self.spec.permissions.record_bytes_max,
            batch_bytes: self.spec.batch_bytes,
        }
    }

    /// Refuses a record that is over the job's limit.
    #[inline]
    pub(crate) fn check_record(&self, role: Role, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let bytes = (key.len() + value.len()) as u64;
        if bytes <= self.spec.permissions.record_bytes_max {
            Ok(())
        } else {
            Err(self.record_too_long(role, bytes))
        }
    }

    #[cold]
    fn record_too_long(&self, role: Role, bytes: u64) -> Failure {
        let cap = self.spec.permissions.record_bytes_max;
        table::RECORD_BYTES.passed_by(role, format!("a record of {bytes} bytes"), cap)
    }
}

impl Attempt {
    /// An attempt that has not begun.
    pub fn new(
        job: &Arc<Job>,
        id: AttemptId,
        progress: &Arc<Progress>,
        log: Option<LogForward>,
        cancel: &CancelToken,
    ) -> Self {
        let permissions = &job.spec.permissions;
        Self {
            job: job.clone(),
            id,
            progress: progress.clone(),
            cancel: cancel.clone(),
            log: log.map(LogGate::new),
            deadline: Deadline::after(permissions.task_time_max),
            memory: Arc::new(GuestMemory::new(job.resources.memory.guests)),
            output: Arc::new(GuestOutput::new(
                permissions.task_output_bytes_max,
                permissions.task_output_records_max,
            )),
            counters: Arc::default(),
        }
    }

    /// What a guest of the attempt runs with.
    pub fn instance(&self) -> InstanceOptions {
        let task = self.id.task;
        let place = [task.stage.number().to_le_bytes(), task.index.to_le_bytes()].concat();
        let spec = &self.job.spec;
        InstanceOptions {
            context: TaskContext {
                job: spec.id.clone(),
                attempt: self.id,
                partitions: spec.reducers,
                seed: xxh3_64_with_seed(&place, SEED),
                batch_bytes: spec.batch_bytes,
            },
            params: self.job.params.clone(),
            memory: self.memory.clone(),
            memory_bytes_max: self.job.resources.memory.guests,
            idle_timeout: spec.permissions.idle_timeout,
            deadline: Some(self.deadline),
            output: self.output.clone(),
            wall_clock: spec.permissions.wall_clock,
            cancel: self.cancel.clone(),
            log: self.log.clone(),
        }
    }

    /// Name of the attempt's first run.
    pub fn run_id(&self) -> RunId {
        RunId { job: self.job.spec.id.clone(), attempt: self.id, sequence: 0 }
    }

    /// What its run files do on a full disk.
    pub fn full_disk(&self) -> FullDisk {
        FullDisk::wait(self.job.resources.room_patience, self.stop())
    }

    /// The part of the attempt, empty.
    pub fn part(&self) -> Result<PartWriter, Failure> {
        let AttemptId { task, attempt } = self.id;
        let part = PartWriter::create(&self.job.part_dir, task.stage, task.index, attempt)?;
        Ok(part.with_unwritten_max(self.job.resources.unwritten_bytes_max))
    }

    /// Adds what a guest of `role` counted.
    pub fn count(&self, role: Role, report: &RoleReport) -> Result<(), Failure> {
        merge_counters(&mut self.counters(), role, report)
    }

    /// What the guests counted so far.
    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an attempt that was cancelled or that takes too long.
    pub fn check_stopped(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        if self.deadline.left().is_zero() { Err(self.took_too_long()) } else { Ok(()) }
    }

    /// The failure of an attempt whose time is over.
    fn took_too_long(&self) -> Failure {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (elapsed, allowed) = (millis(self.deadline.elapsed()), millis(self.deadline.allowed()));
        table::TASK_TIME.passed(stage_role(self.id.task.stage), elapsed, allowed)
    }

    /// What host work that only knows of cancelling is to look at: true once it has to stop, also for
    /// want of time.
    pub fn stop(&self) -> impl Fn() -> bool + Send + 'static {
        let (cancel, deadline) = (self.cancel.clone(), self.deadline);
        move || cancel.is_cancelled() || deadline.left().is_zero()
    }

    /// The failure of host work that was told to stop: nobody cancelled it where its time is over.
    pub fn why_stopped(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Cancelled if !self.cancel.is_cancelled() => self.took_too_long(),
            failure => failure,
        }
    }
}

fn key_prefix(spec: &JobSpec) -> Option<KeyPrefix> {
    let key = spec.shuffle_types.key.as_ref()?;
    if spec.group_prefix == 0 { None } else { KeyPrefix::new(key, spec.group_prefix as usize) }
}

/// Adds what a guest of `role` counted to what the others of its attempt did.
pub(crate) fn merge_counters(
    counters: &mut Counters,
    role: Role,
    report: &RoleReport,
) -> Result<(), Failure> {
    counters.merge(&report.counters).map_err(|refused| match refused {
        CounterRefused::Count => table::COUNTERS.passed_by(
            role,
            format!("more than {COUNTERS_MAX} in one task"),
            COUNTERS_MAX as u64,
        ),
        refused => Failure::internal(refused.to_string()),
    })
}
