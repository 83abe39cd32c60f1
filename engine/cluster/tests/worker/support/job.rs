//! A job without components: lines in, sorted lines of each partition out.

use std::path::{Path, PathBuf};

use mr_cluster::protocol::{AttemptEnd, CoordinatorKey, Source, TaskOrder};
use mr_model::{
    AttemptId, InputFormat, InputSpec, JobId, JobSpec, OutputFormat, OutputSpec, Partitioning, Permissions,
    TaskId,
};
use mr_runtime::{JobDescription, SpreadDescription};
use mr_shuffle::HashPartitioner;
use mr_storage::{LocalInputs, Split, list_inputs, plan_splits};

use super::{Coordinator, Joined};

pub const REDUCERS: u32 = 2;
pub const MAPS: u32 = 3;

pub struct SmallJob {
    pub id: JobId,
    pub description: JobDescription,
    pub splits: Vec<Split>,
    lines: Vec<String>,
    staging: PathBuf,
}

impl SmallJob {
    /// A job over so many lines, in [`MAPS`] splits.
    pub fn new(dir: &Path, name: &str, lines: usize) -> Self {
        let dir = dir.join(format!("job-{name}"));
        let (staging, input) = (dir.join("staging"), dir.join("input"));
        std::fs::create_dir_all(&staging).unwrap();
        // In no order, and some of them twice.
        let lines: Vec<_> =
            (0..lines).map(|n| format!("line {:07}", n * 7919 % (lines * 2 / 3 + 1))).collect();
        std::fs::write(&input, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let files = list_inputs(&[input.to_str().unwrap().to_owned()], &[], None).unwrap();
        let bytes = files[0].bytes.div_ceil(u64::from(MAPS));
        let splits = plan_splits(&[(&InputSpec::of(InputFormat::LineKeys), &files)], bytes, &LocalInputs)
            .unwrap()
            .splits;
        assert_eq!(splits.len(), MAPS as usize);
        let id = JobId::new(name).unwrap();
        let spec = JobSpec {
            id: id.clone(),
            params: Vec::new(),
            reducers: REDUCERS,
            inputs: vec![InputSpec::of(InputFormat::LineKeys)],
            output: OutputSpec::of(OutputFormat::Raw),
            partitioning: Partitioning::Hash,
            shuffle_types: Default::default(),
            group_prefix: 0,
            fail_if: Vec::new(),
            batch_bytes: mr_model::limit::BATCH_BYTES,
            attempts_max: mr_model::limit::ATTEMPTS_MAX,
            permissions: Permissions::default(),
            sides: Vec::new(),
        };
        let description = JobDescription {
            spec,
            roles: Vec::new(),
            spread: SpreadDescription::Hash,
            guest_memory_bytes: None,
            part_dir: staging.clone(),
        };
        Self { id, description, splits, lines, staging }
    }

    /// Has the coordinator describe the job and its map tasks.
    pub fn describe(&self, coordinator: &Coordinator) {
        let description = postcard::to_stdvec(&self.description).unwrap();
        coordinator.put(&CoordinatorKey::Job(self.id.clone()), description);
        for split in &self.splits {
            self.order(coordinator, map(split.index), &TaskOrder::Map(split.clone()));
        }
    }

    /// Has the coordinator describe a reduce task that reads the output of each map task, in order,
    /// from these workers.
    pub fn describe_reduce(&self, coordinator: &Coordinator, attempt: AttemptId, from: &[&Joined]) {
        let source = |joined: &&Joined| Source {
            worker: joined.id,
            name: joined.name.clone(),
            incarnation: joined.registration.incarnation,
            address: joined.registration.address.clone(),
        };
        let outputs = (0..).zip(from).map(|(number, _)| (number, 0)).collect();
        let order = TaskOrder::Reduce { sources: from.iter().map(source).collect(), outputs };
        self.order(coordinator, attempt, &order);
    }

    pub fn order(&self, coordinator: &Coordinator, attempt: AttemptId, order: &TaskOrder) {
        let key = CoordinatorKey::Task { job: self.id.clone(), attempt };
        coordinator.put(&key, postcard::to_stdvec(order).unwrap());
    }

    /// Runs the map tasks one by one, each on its worker.
    pub async fn run_maps(&self, coordinator: &mut Coordinator, on: &[&Joined]) {
        for (index, joined) in (0..).zip(on) {
            let lease = joined.launch(self, map(index));
            let end = coordinator.ended(joined, &lease, true).await;
            assert!(matches!(end, AttemptEnd::Output { .. }), "{end:?}");
        }
    }

    /// Asserts that a part that waits in the staging folder is what a naive sort gives.
    pub fn check_part(&self, end: &AttemptEnd, partition: u32) {
        let AttemptEnd::Parts { parts, report, .. } = end else { panic!("no part: {end:?}") };
        let spread = HashPartitioner::new(REDUCERS);
        let mut expected: Vec<_> = self
            .lines
            .iter()
            .filter(|line| spread.partition(line.as_bytes()) == partition)
            .cloned()
            .collect();
        expected.sort();
        assert!(expected.len() > 1, "the test shows nothing");
        assert_eq!(parts.attempt.task, TaskId::reduce(partition));
        assert_eq!(report.records_in, expected.len() as u64);
        assert!(std::fs::read_to_string(self.staging.join(parts.file(0))).unwrap() == expected.concat());
    }
}

pub fn map(index: u32) -> AttemptId {
    AttemptId { task: TaskId::map(index), attempt: 0 }
}

pub fn reduce(index: u32, attempt: u32) -> AttemptId {
    AttemptId { task: TaskId::reduce(index), attempt }
}
