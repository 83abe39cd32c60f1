//! The checked plan of a job: everything that can be refused is refused here, before anything runs.

use std::path::PathBuf;
use std::time::Duration;

use mr_model::limit::{REDUCER_INPUT_BYTES, REDUCERS_DEFAULT_MAX, REDUCERS_MAX};
use mr_model::{Contract, Failure, InputFormat, JobSpec, OutputFormat, Partitioning, Role};
use mr_sandbox::CancelToken;
use mr_shuffle::{Codec, MemoryPool};
use mr_storage::{InputError, InputFile, Split, SplitError, list_inputs, plan_splits};

use crate::describe::{JobDescription, SpreadDescription};
use crate::fit::{check_params, check_types, param_misfits, type_misfits};
use crate::job::{AttemptResources, Job};
use crate::memory::{MemoryError, MemoryPlan};
use crate::request::{JobRequest, OutputTarget, Stages};
use crate::sample::sample_boundaries;

/// A job that cannot run as asked for.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An input that its format does not fit.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The memory budget.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Two stages that do not fit together.
    #[error("{emitter} emits {what} of type {given}, and {taker} takes {taken}")]
    Types {
        /// Keys or values.
        what: &'static str,
        /// Who emits.
        emitter: String,
        /// What is emitted.
        given: String,
        /// Who takes.
        taker: String,
        /// What is taken.
        taken: String,
    },
    /// Groups by elements that keys do not have.
    #[error(
        "records are grouped by the first {elements} elements of their keys (--group-prefix, or reduce.group of the \
         reducer), and {emitter} emits keys of a type {given}: declare map.key as a tuple of as many elements"
    )]
    Group {
        /// How many elements.
        elements: u32,
        /// Who emits the keys.
        emitter: String,
        /// Of which type they are.
        given: String,
    },
    /// A parameter.
    #[error("parameter {name}: {reason}")]
    Param {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Too many parameters.
    #[error("{count} parameters are given; {} are allowed", mr_model::limit::PARAMS_MAX)]
    ParamCount {
        /// How many there are.
        count: usize,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Options(String),
}

/// What would run.
#[derive(Clone)]
pub struct Plan {
    /// The job.
    pub spec: JobSpec,
    /// Components of the stages.
    pub stages: Stages,
    /// Input files, in order.
    pub files: Vec<InputFile>,
    /// One for each map task.
    pub splits: Vec<Split>,
    /// Whether text reaches the mapper as chunks of lines.
    pub chunks: bool,
    /// How memory is divided.
    pub memory: MemoryPlan,
    /// Linear memory that the guests of one slot share, in bytes, where the job asks for it.
    pub guest_memory_bytes: Option<u64>,
    /// Tasks that run at once.
    pub workers: usize,
    /// Where the output goes.
    pub output: OutputTarget,
    /// Folder for run files.
    pub work_dir: PathBuf,
}

impl Plan {
    /// Checks a request and plans it. Reads the lists of inputs, not their content.
    pub fn new(request: JobRequest) -> Result<Self, PlanError> {
        let format = choose_format(&request)?;
        let mut stages = request.stages;
        let main = main_contract(&stages);
        let mapper = stages.mapper.as_ref().map(|plugin| plugin.contract().clone()).unwrap_or_default();
        let params = check_params(&stages, &request.params)?;
        let files = list_inputs(&request.inputs)?;
        let input_bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let reducers = request.reducers.unwrap_or_else(|| default_reducers(input_bytes));
        if reducers > REDUCERS_MAX {
            return Err(PlanError::Options(format!("--reducers {reducers} is over {REDUCERS_MAX}")));
        }
        if reducers == 0 {
            (stages.combiner, stages.reducer, stages.partitioner) = (None, None, None);
        }
        let group = choose_group(request.group_prefix, &stages, reducers == 0);
        let types = check_types(&stages, format, mapper.input_key, group)?;
        let partitioning = choose_partitioning(request.partitioning, main.partitioning, &stages)?;
        let raw = matches!(format, InputFormat::Fixed { .. })
            && stages.mapper.is_none()
            && stages.reducer.is_none();
        let output_format =
            request.output_format.unwrap_or(if raw { OutputFormat::Raw } else { OutputFormat::Text });
        let splits = plan_splits(&files, format, request.split_bytes)?;
        if reducers == 0 && splits.len() > REDUCERS_MAX as usize {
            return Err(PlanError::Options(format!(
                "without reducers each of the {} splits makes a part, and {REDUCERS_MAX} are allowed; raise --split-size",
                splits.len()
            )));
        }
        let any_guest = Role::ALL.iter().any(|role| stages.role(*role).is_some());
        let memory = MemoryPlan::new(
            request.memory_bytes,
            request.workers,
            request.guest_memory_bytes,
            any_guest,
            request.permissions.record_bytes_max,
        )?;
        let mut permissions = request.permissions;
        if let Some(bytes) = request.guest_memory_bytes {
            permissions.guest_memory_bytes_max = bytes;
        }
        let spec = JobSpec {
            id: request.id,
            params,
            reducers,
            input_format: format,
            input_key: mapper.input_key,
            output_format,
            partitioning,
            shuffle_types: types.shuffle,
            group_prefix: group.unwrap_or(0),
            output_types: types.output,
            batch_bytes: request.batch_bytes,
            attempts_max: request.attempts_max,
            permissions,
        };
        Ok(Self {
            chunks: mapper.chunks,
            spec,
            stages,
            files,
            splits,
            memory,
            guest_memory_bytes: request.guest_memory_bytes,
            workers: request.workers.max(1),
            output: request.output,
            work_dir: request.work_dir,
        })
    }

    /// Bytes of all input files.
    pub fn input_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The job as its attempts see it. `part_dir` is where they write parts and rejects.
    pub fn describe(&self, spread: SpreadDescription, part_dir: PathBuf) -> JobDescription {
        let hash = |role| self.stages.role(role).map(|plugin| (role, plugin.hash().to_owned()));
        JobDescription {
            spec: self.spec.clone(),
            chunks: self.chunks,
            roles: Role::ALL.into_iter().filter_map(hash).collect(),
            spread,
            guest_memory_bytes: self.guest_memory_bytes,
            part_dir,
        }
    }

    /// How keys are spread: for range partitioning, with boundaries from a sample of the input.
    ///
    /// # Errors
    /// Why the sample could not be taken; [`Failure::Cancelled`] if somebody cancelled it.
    pub fn boundaries(&self, cancel: &CancelToken) -> Result<SpreadDescription, Failure> {
        match self.spec.partitioning {
            Partitioning::Hash => Ok(SpreadDescription::Hash),
            Partitioning::Plugin => Ok(SpreadDescription::Plugin),
            Partitioning::Range => {
                let sampled = self.describe(SpreadDescription::Range(Vec::new()), self.work_dir.clone());
                let job = Job::new(sampled, self.stages.clone(), self.resources(self.work_dir.clone()))?;
                sample_boundaries(&job, &self.splits, cancel).map(SpreadDescription::Range)
            }
        }
    }

    /// What the process gives to attempts that it runs itself.
    pub(crate) fn resources(&self, run_dir: PathBuf) -> AttemptResources {
        AttemptResources {
            memory: self.memory,
            pool: MemoryPool::new(self.memory.pool),
            retain: Some(MemoryPool::new(self.memory.retain)),
            run_dir,
            codec: Codec::None,
            room_patience: Duration::ZERO,
            unwritten_bytes_max: u64::MAX,
        }
    }
}

/// One reducer for each `REDUCER_INPUT_BYTES` of input: depends on the input alone, so that the
/// output is the same on every machine.
fn default_reducers(input_bytes: u64) -> u32 {
    let wanted = input_bytes.div_ceil(REDUCER_INPUT_BYTES).clamp(1, u64::from(REDUCERS_DEFAULT_MAX));
    u32::try_from(wanted).unwrap_or(REDUCERS_DEFAULT_MAX)
}

/// Everything about the stages of a job, its parameters and its options that does not fit, where
/// [`Plan::new`] answers the first of it. Inputs and memory are not looked at.
pub fn misfits(request: &JobRequest) -> Vec<PlanError> {
    let mut stages = request.stages.clone();
    if request.reducers == Some(0) {
        (stages.combiner, stages.reducer, stages.partitioner) = (None, None, None);
    }
    let mut misfits = param_misfits(&request.stages, &request.params);
    match choose_format(request) {
        Ok(format) => {
            let key = stages.mapper.as_ref().map(|plugin| plugin.contract().input_key).unwrap_or_default();
            let group = choose_group(request.group_prefix, &stages, request.reducers == Some(0));
            misfits.extend(type_misfits(&stages, format, key, group));
        }
        Err(error) => misfits.push(error),
    }
    let described = main_contract(&stages).partitioning;
    misfits.extend(choose_partitioning(request.partitioning, described, &stages).err());
    misfits
}

/// What the component says that the job was submitted with.
fn main_contract(stages: &Stages) -> Contract {
    stages.main.as_ref().map(|plugin| plugin.contract().clone()).unwrap_or_default()
}

/// How input becomes records: as asked for, else as the mapper says, else as the main component says.
fn choose_format(request: &JobRequest) -> Result<InputFormat, PlanError> {
    let mapper = request.stages.mapper.as_ref();
    let described = mapper.and_then(|plugin| plugin.contract().input_format);
    let described = described.or(main_contract(&request.stages).input_format);
    let format = request.input_format.or(described).unwrap_or(InputFormat::Lines);
    match mapper {
        Some(plugin) if plugin.contract().chunks && format != InputFormat::Lines => {
            Err(PlanError::Options(format!(
                "the mapper of {} reads lines, and the input format is {format}; use --input-format lines",
                plugin.path().display()
            )))
        }
        _ => Ok(format),
    }
}

/// Number of elements of a key that make a group: as asked for, else as the reducer says, else 0 for the
/// whole key; none for a map-only job.
fn choose_group(asked: Option<u32>, stages: &Stages, map_only: bool) -> Option<u32> {
    let described = || stages.reducer.as_ref().and_then(|reducer| reducer.contract().group_prefix);
    (!map_only).then(|| asked.or_else(described).unwrap_or(0))
}

fn choose_partitioning(
    asked: Option<Partitioning>,
    described: Option<Partitioning>,
    stages: &Stages,
) -> Result<Partitioning, PlanError> {
    let has_plugin = stages.partitioner.is_some();
    match asked {
        Some(Partitioning::Plugin) if !has_plugin => {
            Err(PlanError::Options("no component of the job has the role partitioner".into()))
        }
        Some(asked) => Ok(asked),
        None if has_plugin => Ok(Partitioning::Plugin),
        None => Ok(described.unwrap_or(Partitioning::Hash)),
    }
}
