//! A job of identity stages with components that nobody runs, and its view.

use std::path::{Path, PathBuf};

use mr_cluster::client::{Component, Submission};
use mr_cluster::protocol::{JobState, JobView, OutputRequest, Share, SubmittedPlan};
use mr_model::limit::BATCH_BYTES;
use mr_model::{JobId, Partitioning, Permissions, Role};
use mr_runtime::{InputRequest, JobRequest, OutputTarget, Plan, SpreadDescription, Stages, WriteOptions};
use mr_scheduler::StageStatus;

/// Size of splits.
pub const SPLIT_BYTES: u64 = 10;
/// Lengths of the components: less than a chunk, several chunks with a rest, chunks without one.
pub const COMPONENT_BYTES: [usize; 3] = [1_000, 600_001, 524_288];

pub fn job() -> JobId {
    JobId::new("job-1").unwrap()
}

/// The patterns of the job's inputs.
pub fn inputs(dir: &Path) -> Vec<String> {
    vec![dir.join("input").to_str().unwrap().to_owned()]
}

pub fn plan(dir: &Path) -> SubmittedPlan {
    let input = dir.join("input");
    if !input.exists() {
        std::fs::write(&input, "abcdefghi\n".repeat(3)).unwrap();
    }
    let plan = Plan::new(JobRequest {
        id: job(),
        stages: Stages::default(),
        inputs: vec![InputRequest { patterns: inputs(dir), ..InputRequest::default() }],
        remote: None,
        output: OutputTarget::Stdout,
        sides: vec![],
        params: vec![],
        reducers: Some(2),
        write: WriteOptions::default(),
        partitioning: Some(Partitioning::Hash),
        group_prefix: None,
        fail_if: Vec::new(),
        split_bytes: SPLIT_BYTES,
        batch_bytes: BATCH_BYTES,
        memory_bytes: 64 << 20,
        guest_memory_bytes: None,
        workers: 1,
        attempts_max: mr_model::limit::ATTEMPTS_MAX,
        permissions: Permissions::default(),
        work_dir: dir.to_owned(),
    })
    .unwrap();
    let mut description = plan.describe(SpreadDescription::Hash, PathBuf::new());
    description.roles = vec![(Role::Mapper, components(dir)[0].blake3.clone())];
    SubmittedPlan {
        record: plan.record(),
        description,
        splits: plan.splits,
        output: OutputRequest { path: dir.join("out"), overwrite: false, sync: false },
        share: Share {
            queue: "default".to_owned(),
            priority: 0,
            weight: 1,
            slots_max: None,
            speculation: true,
        },
    }
}

/// The bytes of a component.
pub fn component_bytes(number: usize) -> Vec<u8> {
    (0..COMPONENT_BYTES[number]).map(|at| (at * 31 + number * 7).to_le_bytes()[0]).collect()
}

pub fn components(dir: &Path) -> Vec<Component> {
    let component = |number: usize| {
        let (path, bytes) = (dir.join(format!("{number}.wasm")), component_bytes(number));
        if !path.exists() {
            std::fs::write(&path, &bytes).unwrap();
        }
        Component { path, blake3: blake3::hash(&bytes).to_hex().to_string(), bytes: bytes.len() as u64 }
    };
    (0..COMPONENT_BYTES.len()).map(component).collect()
}

pub fn submission(dir: &Path) -> Submission {
    Submission::new(&plan(dir), &inputs(dir), SPLIT_BYTES, &components(dir)).unwrap()
}

/// How the job stands.
pub fn view(revision: u64, state: JobState) -> JobView {
    let stage = StageStatus { total: 3, pending: 0, running: 1, done: 2 };
    JobView {
        job: job(),
        number: 1,
        revision,
        state,
        submitted_unix_millis: 1,
        ended_unix_millis: None,
        input_bytes: 30,
        output: PathBuf::from("/out"),
        maps: stage,
        reduces: stage,
        maps_parts_per_million: 700_000,
        reduces_parts_per_million: 0,
        output_records: 0,
        output_bytes: 0,
        attempts_failed: 0,
        maps_rerun: 0,
        end: None,
    }
}
