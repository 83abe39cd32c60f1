//! The checked plan of a job: everything that can be refused is refused here, before anything runs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mr_model::condition::CONDITIONS_MAX;
use mr_model::contract::InputContract;
use mr_model::limit::{
    EXPANSION_DEFAULT, INPUTS_MAX, REDUCER_INPUT_BYTES, REDUCERS_DEFAULT_MAX, REDUCERS_MAX,
};
use mr_model::{
    Contract, DataType, Failure, Fields, InputFormat, InputKey, InputSpec, JobSpec, Partitioning,
};
use mr_sandbox::CancelToken;
use mr_shuffle::{Codec, MemoryPool};
use mr_storage::{
    InputError, InputFile, LocalInputs, OpenInput, RemoteInputs, Source, Split, SplitError, SplitPlan,
    describe_input, list_inputs, plan_splits,
};

use crate::describe::{JobDescription, SpreadDescription};
use crate::fit::{check_params, check_types, param_misfits, type_misfits};
use crate::job::{AttemptResources, Job};
use crate::memory::{FormatMemory, MemoryError, MemoryPlan};
use crate::outputs::choose_output;
use crate::request::{InputRequest, JobRequest, OutputTarget, Stages};
use crate::sample::sample_boundaries;
use crate::side::{PlannedSide, SideError, plan_sides};

/// A job that cannot run as asked for.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An input that its format does not fit.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// A side input.
    #[error(transparent)]
    Side(#[from] SideError),
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
    /// Two inputs whose records cannot be sorted together.
    #[error("{one} emits {what} of type {one_type}, and {other} emits {what} of type {other_type}")]
    Inputs {
        /// Keys or values.
        what: &'static str,
        /// Who emits the one type.
        one: String,
        /// It.
        one_type: String,
        /// Who emits the other type.
        other: String,
        /// It.
        other_type: String,
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
    /// Files of each input, in order.
    pub files: Vec<Vec<InputFile>>,
    /// One for each map task.
    pub splits: Vec<Split>,
    /// Files that are not split though they are long, with the reason.
    pub whole: Vec<(PathBuf, &'static str)>,
    /// Stores that inputs may come from.
    pub remote: Option<Arc<dyn RemoteInputs>>,
    /// Files that the plugins may read, in the order of their names.
    pub sides: Vec<PlannedSide>,
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
    /// Checks a request and plans it. Reads the lists of inputs, not their content; of side inputs that,
    /// too.
    pub fn new(request: JobRequest) -> Result<Self, PlanError> {
        let mut files = Vec::new();
        for asked in &request.inputs {
            files.push(list_inputs(&asked.patterns, &asked.exclude, request.remote.as_deref())?);
        }
        let named: Vec<_> = files.iter().map(|listed| format_of(listed)).collect();
        let mut inputs = choose_inputs(&request, &named)?;
        let mut stages = request.stages;
        let main = main_contract(&stages);
        let params = check_params(&stages, &request.params)?;
        let opener = Inputs(request.remote.clone());
        for ((asked, input), listed) in request.inputs.iter().zip(&mut inputs).zip(&files) {
            let contract = contract_of(asked, &main);
            let fields = asked.fields.as_ref().or(contract.fields.as_ref());
            let key = asked.key_fields.as_ref().or(contract.key_fields.as_ref());
            let taken =
                asked.mapper.as_ref().map(|plugin| plugin.contract().map_in.clone()).unwrap_or_default();
            let fields = fields.map(|fields| typed(fields, taken.1.as_ref()));
            let key = key.map(|fields| typed(fields, taken.0.as_ref()));
            describe_input(input, fields.as_ref(), key.as_ref(), listed, &opener)?;
        }
        let input_bytes: u64 = files.iter().flatten().map(|file| file.bytes).sum();
        let reducers = request.reducers.unwrap_or_else(|| default_reducers(input_bytes));
        if reducers > REDUCERS_MAX {
            return Err(PlanError::Options(format!("--reducers {reducers} is over {REDUCERS_MAX}")));
        }
        if request.fail_if.len() > CONDITIONS_MAX {
            return Err(PlanError::Options(format!(
                "--fail-if is given {} times, and {CONDITIONS_MAX} are allowed",
                request.fail_if.len()
            )));
        }
        if reducers == 0 {
            (stages.combiner, stages.reducer, stages.partitioner) = (None, None, None);
        }
        let group = choose_group(request.group_prefix, &stages, reducers == 0);
        let types = check_types(&stages, &inputs, group)?;
        let partitioning = choose_partitioning(request.partitioning, main.partitioning, &stages)?;
        let output =
            choose_output(&request.write, &request.output, &stages, &inputs, reducers == 0, types.output)?;
        let listed: Vec<_> =
            inputs.iter().zip(&files).map(|(input, files)| (input, files.as_slice())).collect();
        let SplitPlan { splits, whole } = plan_splits(&listed, request.split_bytes, &opener)?;
        if reducers == 0 && splits.len() > REDUCERS_MAX as usize {
            return Err(PlanError::Options(format!(
                "without reducers each of the {} splits makes a part, and {REDUCERS_MAX} are allowed; raise --split-size",
                splits.len()
            )));
        }
        let any_guest = stages.serving().next().is_some();
        let compressions = splits.iter().flat_map(|split| &split.pieces).map(|piece| piece.compression);
        let formats = FormatMemory::of(&inputs, compressions, &output).map_err(PlanError::Options)?;
        let memory = MemoryPlan::new(
            request.memory_bytes,
            request.workers,
            request.guest_memory_bytes,
            any_guest,
            request.permissions.record_bytes_max,
            formats,
        )?;
        let mut permissions = request.permissions;
        if let Some(bytes) = request.guest_memory_bytes {
            permissions.guest_memory_bytes_max = bytes;
        }
        // What takes long where they are large, and so comes last.
        let sides = plan_sides(&request.sides)?;
        let spec = JobSpec {
            id: request.id,
            params,
            reducers,
            inputs,
            output,
            partitioning,
            shuffle_types: types.shuffle,
            group_prefix: group.unwrap_or(0),
            batch_bytes: request.batch_bytes,
            attempts_max: request.attempts_max,
            permissions,
            sides: sides.iter().map(|planned| planned.side().clone()).collect(),
            fail_if: request.fail_if,
        };
        Ok(Self {
            sides,
            spec,
            stages,
            files,
            splits,
            whole,
            remote: request.remote,
            memory,
            guest_memory_bytes: request.guest_memory_bytes,
            workers: request.workers.max(1),
            output: request.output,
            work_dir: request.work_dir,
        })
    }

    /// Bytes of all input files.
    pub fn input_bytes(&self) -> u64 {
        self.files.iter().flatten().map(|file| file.bytes).sum()
    }

    /// The job as its attempts see it. `part_dir` is where they write parts and rejects.
    pub fn describe(&self, spread: SpreadDescription, part_dir: PathBuf) -> JobDescription {
        JobDescription {
            spec: self.spec.clone(),
            roles: self.stages.serving().map(|(role, plugin)| (role, plugin.hash().to_owned())).collect(),
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
                sample_boundaries(&job, &self.splits, self.remote.as_deref(), cancel)
                    .map(SpreadDescription::Range)
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
            sides: self.sides.iter().map(PlannedSide::open).collect(),
            codec: Codec::None,
            room_patience: Duration::ZERO,
            unwritten_bytes_max: u64::MAX,
        }
    }
}

/// Opens listed files, wherever they lie.
struct Inputs(Option<Arc<dyn RemoteInputs>>);

impl OpenInput for Inputs {
    fn open(&self, file: &InputFile) -> io::Result<Arc<dyn Source>> {
        match &self.0 {
            Some(remote) if file.tag.is_some() => remote.open(file),
            _ => LocalInputs.open(file),
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
    match choose_inputs(request, &[]) {
        Ok(inputs) => {
            let group = choose_group(request.group_prefix, &stages, request.reducers == Some(0));
            misfits.extend(type_misfits(&stages, &inputs, group));
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

/// The format that all files are of by their names, where it is one that is no text.
fn format_of(files: &[InputFile]) -> Option<InputFormat> {
    let mut formats = files.iter().map(|file| InputFormat::of_name(&file.path.to_string_lossy()));
    let first = formats.next()??;
    formats.all(|format| format == Some(first)).then_some(first)
}

/// The inputs as they are read: as asked for, else as the mapper says, else as the main component says, else as
/// the names of their files say.
fn choose_inputs(request: &JobRequest, named: &[Option<InputFormat>]) -> Result<Vec<InputSpec>, PlanError> {
    if request.inputs.len() > INPUTS_MAX {
        return Err(PlanError::Options(format!("a job has {INPUTS_MAX} inputs at most")));
    }
    let named = named.iter().copied().chain(std::iter::repeat(None));
    let main = main_contract(&request.stages);
    request.inputs.iter().zip(named).map(|(input, named)| choose_input(input, &main, named)).collect()
}

fn choose_input(
    input: &InputRequest,
    main: &Contract,
    named: Option<InputFormat>,
) -> Result<InputSpec, PlanError> {
    let contract = input.mapper.as_ref().map(|plugin| plugin.contract().clone()).unwrap_or_default();
    let described = contract_of(input, main).format;
    let format = input.format.or(described).or(named).unwrap_or(InputFormat::Lines);
    if let Some(plugin) = &input.mapper
        && contract.chunks
        && format != InputFormat::Lines
    {
        return Err(PlanError::Options(format!(
            "the mapper of {} reads lines, and the input format is {format}; use --input-format lines",
            plugin.path().display()
        )));
    }
    let mut spec = InputSpec {
        name: input.name.clone(),
        compression: input.compression,
        expansion_max: input.expansion_max.unwrap_or(EXPANSION_DEFAULT),
        key: if format.has_fields() && input.mapper.is_none() { InputKey::Unit } else { contract.input_key },
        chunks: contract.chunks,
        mapper: input.mapper.as_ref().map(|plugin| plugin.hash().to_owned()),
        ..InputSpec::of(format)
    };
    if !format.has_fields() {
        spec.types = spec.types_of_format();
    }
    Ok(spec)
}

/// Fields with the types that a mapper takes, where they have none of their own.
fn typed(fields: &Fields, taken: Option<&DataType>) -> Fields {
    let mut fields = fields.clone();
    let Some(DataType::Tuple(taken)) = taken else { return fields };
    if taken.len() != fields.0.len() {
        return fields;
    }
    for (field, taken) in fields.0.iter_mut().zip(taken).filter(|(field, _)| field.datatype.is_none()) {
        match taken {
            DataType::Tuple(maybe) => {
                if let [DataType::Bool, datatype] = maybe.as_slice() {
                    (field.datatype, field.nullable) = (Some(datatype.clone()), true);
                }
            }
            datatype => field.datatype = Some(datatype.clone()),
        }
    }
    fields
}

/// How the plugins want an input to be read: its mapper, else the main component.
fn contract_of(input: &InputRequest, main: &Contract) -> InputContract {
    let mapper =
        input.mapper.as_ref().map(|plugin| plugin.contract().input_of(&input.name)).unwrap_or_default();
    let main = main.input_of(&input.name);
    InputContract {
        format: mapper.format.or(main.format),
        fields: mapper.fields.or(main.fields),
        key_fields: mapper.key_fields.or(main.key_fields),
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
