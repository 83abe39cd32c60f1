//! What the attempts of a job share.

use std::path::PathBuf;
use std::sync::Arc;

use mr_model::{AttemptId, Failure, JobSpec, Role, TaskContext};
use mr_sandbox::{CancelToken, GuestMemory, InstanceOptions, LogForward};
use mr_shuffle::{HashPartitioner, MemoryPool, RangePartitioner, RunId};
use mr_storage::{ReaderOptions, RecordEncoder};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::memory::MemoryPlan;
use crate::plan::Plan;
use crate::progress::Progress;
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

/// A planned job with its pools and folders, shared by its attempts.
pub(crate) struct Job {
    pub spec: JobSpec,
    pub stages: Stages,
    pub chunks: bool,
    pub memory: MemoryPlan,
    pub params: Arc<[(String, String)]>,
    pub encoder: RecordEncoder,
    pub spread: Spread,
    pub pool: Arc<MemoryPool>,
    pub retain: Arc<MemoryPool>,
    /// Folder for run files.
    pub run_dir: PathBuf,
    /// Folder for parts that are not committed.
    pub part_dir: PathBuf,
    pub progress: Arc<Progress>,
    pub log: Option<LogForward>,
}

impl Job {
    /// A job that spreads keys by hash, until [`Job::spread`] says otherwise.
    pub fn new(
        plan: &Plan,
        run_dir: PathBuf,
        part_dir: PathBuf,
        progress: Arc<Progress>,
        log: Option<LogForward>,
    ) -> Self {
        Self {
            spec: plan.spec.clone(),
            stages: plan.stages.clone(),
            chunks: plan.chunks,
            memory: plan.memory,
            params: plan.spec.params.clone().into(),
            encoder: plan.encoder(),
            spread: Spread::Hash(HashPartitioner::new(plan.spec.reducers)),
            pool: MemoryPool::new(plan.memory.pool),
            retain: MemoryPool::new(plan.memory.retain),
            run_dir,
            part_dir,
            progress,
            log,
        }
    }

    /// What a guest of an attempt runs with.
    pub fn instance(
        &self,
        attempt: AttemptId,
        memory: &Arc<GuestMemory>,
        cancel: &CancelToken,
    ) -> InstanceOptions {
        let place = [attempt.task.stage.number().to_le_bytes(), attempt.task.index.to_le_bytes()].concat();
        InstanceOptions {
            context: TaskContext {
                job: self.spec.id.clone(),
                attempt,
                partitions: self.spec.reducers,
                seed: xxh3_64_with_seed(&place, SEED),
                batch_bytes: self.spec.batch_bytes,
            },
            params: self.params.clone(),
            memory: memory.clone(),
            memory_bytes_max: self.memory.guests,
            idle_timeout: self.spec.limits.idle_timeout,
            cancel: cancel.clone(),
            log: self.log.clone(),
        }
    }

    /// How the splits of the job are read.
    pub fn reader(&self) -> ReaderOptions {
        ReaderOptions {
            format: self.spec.input_format,
            key: self.spec.input_key,
            chunks: self.chunks && self.stages.role(Role::Mapper).is_some(),
            record_bytes_max: self.spec.limits.record_bytes_max,
            batch_bytes: self.spec.batch_bytes,
        }
    }

    /// Name of an attempt's first run.
    pub fn run_id(&self, attempt: AttemptId) -> RunId {
        RunId { job: self.spec.id.clone(), attempt, sequence: 0 }
    }

    /// Refuses a record that is over the job's limit.
    #[inline]
    pub fn check_record(&self, role: Role, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let bytes = (key.len() + value.len()) as u64;
        if bytes <= self.spec.limits.record_bytes_max {
            Ok(())
        } else {
            Err(self.record_too_long(role, bytes))
        }
    }

    #[cold]
    fn record_too_long(&self, role: Role, bytes: u64) -> Failure {
        Failure::Limit {
            role,
            limit: "record size".into(),
            value: format!("a record of {bytes} bytes"),
            cap: format!("{} bytes", self.spec.limits.record_bytes_max),
            option: "--max-record".into(),
            log: Vec::new(),
        }
    }
}
