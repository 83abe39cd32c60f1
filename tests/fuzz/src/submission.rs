//! Plans as clients hand them in, and descriptions of jobs as workers get them: refused with a reason, or
//! a job that can be prepared and whose splits can be opened, within the engine's limits.

use mr_cluster::coordinator::submission::decode;
use mr_cluster::protocol::{OutputRequest, Share, SubmitHead, SubmittedPlan};
use mr_model::{
    Compression, InputFormat, InputSpec, JobId, JobSpec, OutputFormat, OutputSpec, Partitioning, Permissions,
    StageTypes, limit,
};
use mr_runtime::{
    AttemptResources, FormatMemory, Job, JobDescription, MemoryPlan, PlanRecord, SpreadDescription, Stages,
};
use mr_shuffle::{Codec, MemoryPool};
use mr_storage::split::Piece;
use mr_storage::{InputFile, ManifestInput, ReaderOptions, Split, SplitReader};

/// Memory of the worker that would run the job, in bytes.
const MEMORY_BYTES: u64 = 1 << 30;

/// Target: a plan without plugins.
pub fn submission(data: &[u8]) {
    let head =
        SubmitHead { job: job(), digest: [0; 32], components: Vec::new(), sides: Vec::new(), plan_bytes: 0 };
    let Ok(plan) = decode(&head, data) else { return };
    let encoded = postcard::to_stdvec(&plan).unwrap();
    assert_eq!(postcard::to_stdvec(&decode(&head, &encoded).unwrap()).unwrap(), encoded);
    assert!(plan.description.roles.is_empty() && plan.output.path.is_absolute());
    assert!(plan.record.spec.reducers <= limit::REDUCERS_MAX);
    for split in &plan.splits {
        // Refused or opened; its files are not there.
        let _ = SplitReader::open(split, reader(&plan.record.spec)).map(|mut reader| {
            let _ = reader.next_batch(&mut mr_model::BatchBuf::default());
        });
    }
    prepare(plan.description);
}

/// What a worker does with a description.
fn prepare(description: JobDescription) {
    let guests = description.guest_memory_bytes;
    let spec = &description.spec;
    let compressions = spec.inputs.iter().filter_map(|input| input.compression);
    let Ok(formats) = FormatMemory::of(&spec.inputs, compressions, &spec.output) else { return };
    let record_bytes_max = spec.permissions.record_bytes_max;
    let memory = MemoryPlan::new(MEMORY_BYTES, 2, guests, false, record_bytes_max, formats);
    let Ok(memory) = memory else { return };
    let resources = AttemptResources {
        memory,
        pool: MemoryPool::new(memory.pool),
        retain: None,
        run_dir: "/nowhere".into(),
        sides: Default::default(),
        codec: Codec::None,
        room_patience: std::time::Duration::ZERO,
        unwritten_bytes_max: u64::MAX,
    };
    let spec = description.spec.clone();
    let Ok(_job) = Job::new(description, Stages::default(), resources) else { return };
    assert!((1..=limit::BATCH_BYTES_MAX).contains(&u64::from(spec.batch_bytes)));
    assert!(spec.permissions.record_bytes_max <= limit::RECORD_BYTES_MAX);
    assert!(spec.permissions.rejects_max <= limit::REJECTS_MAX && spec.reducers <= limit::REDUCERS_MAX);
}

fn reader(spec: &JobSpec) -> ReaderOptions {
    ReaderOptions {
        input: InputSpec { chunks: false, ..spec.inputs[0].clone() },
        bad_max: 0,
        record_bytes_max: spec.permissions.record_bytes_max,
        batch_bytes: spec.batch_bytes.min(u32::try_from(limit::BATCH_BYTES_MAX).unwrap()),
    }
}

fn job() -> JobId {
    JobId::new("job-1").unwrap()
}

fn spec(reducers: u32) -> JobSpec {
    JobSpec {
        id: job(),
        params: vec![("pattern".into(), "x".into())],
        reducers,
        inputs: vec![InputSpec::of(InputFormat::Lines)],
        output: OutputSpec {
            types: StageTypes { key: "text".parse().ok(), value: "u64".parse().ok() },
            ..OutputSpec::of(OutputFormat::Text)
        },
        partitioning: Partitioning::Hash,
        shuffle_types: StageTypes::default(),
        group_prefix: 0,
        fail_if: Vec::new(),
        batch_bytes: limit::BATCH_BYTES,
        attempts_max: limit::ATTEMPTS_MAX,
        permissions: Permissions::default(),
        sides: Vec::new(),
    }
}

/// The description of a small job.
pub fn description() -> JobDescription {
    JobDescription {
        spec: spec(2),
        roles: Vec::new(),
        spread: SpreadDescription::Hash,
        guest_memory_bytes: None,
        part_dir: "/out/_staging".into(),
    }
}

/// A split of one piece.
pub fn split(index: u32, bytes: u64) -> Split {
    let file = InputFile { path: "/nowhere/in".into(), bytes, modified_ns: 1, tag: None };
    let piece = Piece::of(&file, Compression::None, 0, bytes);
    Split { index, input: 0, pieces: vec![piece], bytes }
}

/// The plan of a small job with so many tasks.
pub fn plan(job: JobId, maps: u32, reducers: u32) -> SubmittedPlan {
    let spec = JobSpec { id: job, ..spec(reducers) };
    let record = PlanRecord {
        spec: spec.clone(),
        files: vec![ManifestInput {
            path: "/nowhere/in".into(),
            bytes: 10,
            input: 0,
            modified_ns: 1,
            tag: None,
        }],
        plugins: Vec::new(),
        map_tasks: maps,
        input_bytes: 10 * u64::from(maps),
    };
    let queue = mr_scheduler::config::QUEUE_DEFAULT.to_owned();
    SubmittedPlan {
        record,
        description: JobDescription { spec, ..description() },
        splits: (0..maps).map(|index| split(index, 10)).collect(),
        output: OutputRequest { path: "/nowhere/out".into(), overwrite: false, sync: false },
        share: Share { queue, priority: 0, weight: 1, slots_max: None, speculation: true },
    }
}

/// Plans with all ways to spread keys.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut range = plan(job(), 1, 3);
    range.record.spec.partitioning = Partitioning::Range;
    range.record.spec.inputs = vec![InputSpec::of(InputFormat::Fixed { bytes: 10, key: 4 })];
    range.description.spec = range.record.spec.clone();
    range.description.spread = SpreadDescription::Range(vec![b"g".to_vec(), b"n".to_vec()]);
    let plans = [plan(job(), 2, 2), plan(job(), 1, 0), plan(job(), 0, 1), range];
    plans.iter().map(|plan| postcard::to_stdvec(plan).unwrap()).collect()
}
