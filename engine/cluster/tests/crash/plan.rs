//! The job of the sweep: identity stages over three tiny splits, two reducers, each of which writes several files
//! of two outputs.

use std::fs;
use std::path::Path;

use mr_cluster::protocol::{OutputRequest, Share, SubmittedPlan};
use mr_model::limit::BATCH_BYTES;
use mr_model::{OutputSpec, Partitioning, Permissions, Port, StageTypes};
use mr_runtime::{InputRequest, JobRequest, OutputTarget, Plan, SpreadDescription, Stages, WriteOptions};

use crate::scene::job;

/// Map tasks.
pub const MAPS: u32 = 3;
/// Reduce tasks.
pub const REDUCERS: u32 = 2;

/// The plan as a client hands it in.
pub fn submitted_plan(dir: &Path, output: OutputRequest, share: Share) -> SubmittedPlan {
    let input = dir.join("input");
    if !input.exists() {
        fs::write(&input, "abcdefghi\n".repeat(MAPS as usize)).unwrap();
    }
    let mut plan = Plan::new(JobRequest {
        id: job(),
        stages: Stages::default(),
        inputs: vec![InputRequest {
            patterns: vec![input.to_str().unwrap().to_owned()],
            ..InputRequest::default()
        }],
        remote: None,
        output: OutputTarget::Stdout,
        sides: Vec::new(),
        params: Vec::new(),
        reducers: Some(REDUCERS),
        write: WriteOptions::default(),
        partitioning: Some(Partitioning::Hash),
        group_prefix: None,
        fail_if: Vec::new(),
        split_bytes: 10,
        batch_bytes: BATCH_BYTES,
        memory_bytes: 64 << 20,
        guest_memory_bytes: None,
        workers: 1,
        attempts_max: mr_model::limit::ATTEMPTS_MAX,
        permissions: Permissions::default(),
        work_dir: dir.to_owned(),
    })
    .unwrap();
    assert_eq!(plan.splits.len(), MAPS as usize);
    let port = Port { name: "errors".into(), names: None, types: StageTypes::default() };
    plan.spec.output = OutputSpec { part_bytes_max: Some(1), ports: vec![port], ..plan.spec.output };
    let description = plan.describe(SpreadDescription::Hash, dir.to_owned());
    SubmittedPlan { record: plan.record(), description, splits: plan.splits, output, share }
}
