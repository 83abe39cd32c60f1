//! What the attempts of a job share on one machine, and what one attempt has of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mr_model::counter::CounterRefused;
use mr_model::job::{FIELDS_FACT, INPUT_FACT, KEY_FIELDS_FACT};
use mr_model::limit::{COUNTERS_MAX, table};
use mr_model::{AttemptId, Counters, Failure, Fields, InputSpec, JobSpec, Role, TaskContext};
use mr_sandbox::{
    CancelToken, Deadline, GuestMemory, GuestOutput, InstanceOptions, LogForward, LogGate, RoleReport, Sides,
};
use mr_shuffle::{Codec, FullDisk, HashPartitioner, KeyPrefix, MemoryPool, RangePartitioner, RunId};
use mr_storage::remote::is_remote;
use mr_storage::{Copies, PartNames, PartsWriter, ReaderOptions, RemoteInputs, Split, copy_in};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::describe::{JobDescription, SpreadDescription};
use crate::memory::MemoryPlan;
use crate::outputs::Ports;
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
    /// The side inputs of the job.
    pub sides: Sides,
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
    pub(crate) params: Arc<[(String, String)]>,
    /// Parameters and facts for the mapper of each input.
    mapper_params: Vec<Arc<[(String, String)]>>,
    /// Outputs of the mapper of each input.
    mapper_ports: Vec<Ports>,
    reducer_ports: Ports,
    main_ports: Ports,
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
    /// The side inputs of its job; what its guests read of them counts as its progress.
    pub sides: Sides,
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
        let JobDescription { spec, spread, part_dir, .. } = description;
        let last =
            |plugin, is_last| if is_last { Ports::of(plugin, &spec.output) } else { Ok(Ports::main()) };
        let mappers = spec.inputs.iter().map(|input| last(stages.mapper(input), spec.reducers == 0));
        let mapper_ports = mappers.collect::<Result<_, _>>()?;
        let reducer_ports = last(stages.role(Role::Reducer), spec.reducers > 0)?;
        // What the machine has to give may be more than what the job may use.
        let guests = &mut resources.memory.guests;
        *guests = spec.permissions.guest_memory_bytes_max.min(*guests);
        Ok(Arc::new(Self {
            stages,
            params: spec.params.clone().into(),
            mapper_params: spec.inputs.iter().map(|input| with_facts(&spec.params, input)).collect(),
            mapper_ports,
            reducer_ports,
            main_ports: Ports::main(),
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

    /// The input that a split is of.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the job has no such input.
    pub(crate) fn input(&self, split: &Split) -> Result<&InputSpec, Failure> {
        let input = self.spec.inputs.get(split.input as usize);
        input.ok_or_else(|| Failure::internal(format!("split {} is of no input of the job", split.index)))
    }

    /// How the splits of an input are read.
    pub(crate) fn reader(&self, input: &InputSpec) -> ReaderOptions {
        ReaderOptions {
            input: input.clone(),
            record_bytes_max: self.spec.permissions.record_bytes_max,
            // One more is counted, so that the job fails for their number.
            bad_max: match self.spec.permissions.rejects_max {
                0 => 0,
                most => most.saturating_add(1),
            },
            batch_bytes: self.spec.batch_bytes,
        }
    }

    /// The outputs of the mapper of a split.
    pub(crate) fn mapper_ports(&self, split: &Split) -> &Ports {
        self.mapper_ports.get(split.input as usize).unwrap_or(&self.main_ports)
    }

    /// The outputs of the reducer.
    pub(crate) fn reducer_ports(&self) -> &Ports {
        &self.reducer_ports
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
            sides: job.resources.sides.counted_in(progress.side_bytes.clone()),
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
                outputs: self.job.main_ports.names.clone(),
            },
            params: self.job.params.clone(),
            memory: self.memory.clone(),
            memory_bytes_max: self.job.resources.memory.guests,
            idle_timeout: spec.permissions.idle_timeout,
            deadline: Some(self.deadline),
            output: self.output.clone(),
            wall_clock: spec.permissions.wall_clock,
            sides: self.sides.clone(),
            cancel: self.cancel.clone(),
            log: self.log.clone(),
        }
    }

    /// What the mapper of a split runs with.
    pub fn mapper_instance(&self, split: &Split) -> InstanceOptions {
        let params = self.job.mapper_params.get(split.input as usize);
        let mut instance = self.instance();
        instance.context.outputs = self.job.mapper_ports(split).names.clone();
        InstanceOptions { params: params.unwrap_or(&self.job.params).clone(), ..instance }
    }

    /// What the reducer runs with.
    pub fn reducer_instance(&self) -> InstanceOptions {
        let mut instance = self.instance();
        instance.context.outputs = self.job.reducer_ports().names.clone();
        instance
    }

    /// Copies what a split needs of remote objects to this machine; the copies are removed with the answer.
    pub fn copy_in(&self, split: &mut Split, remote: Option<&dyn RemoteInputs>) -> Result<Copies, Failure> {
        if !is_remote(split) {
            return Ok(Copies::default());
        }
        let Some(remote) = remote else {
            return Err(Failure::internal(format!(
                "{} has remote input and no store to get it from",
                self.id
            )));
        };
        let input = self.job.input(split)?;
        let record_bytes_max = self.job.spec.permissions.record_bytes_max;
        let name = format!("{}-{}", self.id.task, self.id.attempt).replace(' ', "-");
        let place = (self.job.resources.run_dir.as_path(), name.as_str());
        copy_in(split, input, record_bytes_max, place, remote, &self.stop())
    }

    /// Name of the attempt's first run.
    pub fn run_id(&self) -> RunId {
        RunId { job: self.job.spec.id.clone(), attempt: self.id, sequence: 0 }
    }

    /// What its run files do on a full disk.
    pub fn full_disk(&self) -> FullDisk {
        FullDisk::wait(self.job.resources.room_patience, self.stop())
    }

    /// The parts of the attempt, none yet.
    pub fn parts(&self) -> PartsWriter {
        let names = PartNames::of(&self.job.spec.output);
        let parts = PartsWriter::new(&self.job.part_dir, self.id, names);
        parts.with_unwritten_max(self.job.resources.unwritten_bytes_max)
    }

    /// Adds what a guest of `role` counted.
    pub fn count(&self, role: Role, report: &RoleReport) -> Result<(), Failure> {
        merge_counters(&mut self.counters(), role, report)
    }

    /// What the guests counted so far.
    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what its guests emitted and counted: they begin again, and nobody hears twice what they log.
    pub fn begin_again(&self) {
        self.output.forget();
        *self.counters() = Counters::default();
        self.hush(true);
    }

    /// Whether what its guests log was passed on before.
    pub fn hush(&self, hushed: bool) {
        if let Some(log) = &self.log {
            log.hush(hushed);
        }
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
    pub fn stop(&self) -> impl Fn() -> bool + Send + Sync + 'static {
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

/// Parameters of a job, with what the mapper of an input is told beside them.
fn with_facts(params: &[(String, String)], input: &InputSpec) -> Arc<[(String, String)]> {
    let mut all = params.to_vec();
    let mut fact = |name: &str, value: String| all.push((name.to_owned(), value));
    fact(INPUT_FACT, input.name.clone());
    if let Some(row) = &input.row {
        fact(KEY_FIELDS_FACT, names(&row.key));
        fact(FIELDS_FACT, names(&row.value));
    }
    all.sort();
    all.into()
}

/// Names of fields as a JSON array.
fn names(fields: &Fields) -> String {
    serde_json::Value::from_iter(fields.0.iter().map(|field| field.name.as_str())).to_string()
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
