//! What an attempt needs to know, as plain data that can be sent: the job, and what one task works on.
//! Must not hold anything of the machine that planned the job but paths that every worker sees.

use std::path::PathBuf;

use mr_model::condition::CONDITIONS_MAX;
use mr_model::{InputFormat, InputSpec, JobSpec, Partitioning, Role, Side, StageTypes, limit, path_serde};
use mr_shuffle::StoredSegment;
use mr_storage::Split;
use serde::{Deserialize, Serialize};

use crate::request::Stages;

/// A job as its attempts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDescription {
    /// The job.
    pub spec: JobSpec,
    /// BLAKE3 of the components of each role, in hex: of mappers there may be several.
    pub roles: Vec<(Role, String)>,
    /// How keys are spread over the reducers.
    pub spread: SpreadDescription,
    /// Linear memory that the guests of one slot share, in bytes, where the job asks for it.
    pub guest_memory_bytes: Option<u64>,
    /// Folder for parts that are not committed and for rejects.
    #[serde(with = "path_serde")]
    pub part_dir: PathBuf,
}

/// How keys are spread over the reducers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpreadDescription {
    /// By the engine's stable hash.
    Hash,
    /// By range: a boundary is the first key of the partition behind it. Fewer boundaries than
    /// reducers, in order.
    Range(Vec<Vec<u8>>),
    /// By the job's partitioner component.
    Plugin,
}

/// What one task works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskInput {
    /// A split of the input.
    Map(Split),
    /// The segments of a partition, from all map tasks.
    Reduce(Vec<StoredSegment>),
}

impl JobDescription {
    /// Checks what a peer may have sent: limits within those of the engine, boundaries in order, and
    /// components as described. Answers what is wrong.
    pub(crate) fn check(&self, stages: &Stages) -> Result<(), String> {
        let JobSpec { permissions, params, reducers, .. } = &self.spec;
        if self.spec.batch_bytes == 0 || u64::from(self.spec.batch_bytes) > limit::BATCH_BYTES_MAX {
            return Err(format!("its batches are of {} bytes", self.spec.batch_bytes));
        }
        if let Some((limit, value)) = permissions.over_engine() {
            let max = limit.max.unwrap_or(u64::MAX);
            let (value, max) = (limit.show(value), limit.show(max));
            return Err(format!("it asks for a limit of {limit} of {value}, and {max} are the most"));
        }
        if params.len() > limit::PARAMS_MAX || *reducers > limit::REDUCERS_MAX {
            return Err("it has too many parameters or reducers".into());
        }
        if self.spec.inputs.is_empty() || self.spec.inputs.len() > limit::INPUTS_MAX {
            return Err(format!("it has {} inputs", self.spec.inputs.len()));
        }
        for input in &self.spec.inputs {
            if let InputFormat::Fixed { bytes, .. } = input.format
                && u64::from(bytes) > limit::RECORD_BYTES_MAX
            {
                return Err(format!("its records are of {bytes} bytes"));
            }
        }
        Side::check_all(&self.spec.sides)?;
        self.spec.output.check()?;
        let is_spread = match (&self.spread, self.spec.partitioning) {
            (SpreadDescription::Hash, Partitioning::Hash)
            | (SpreadDescription::Plugin, Partitioning::Plugin) => true,
            (SpreadDescription::Range(boundaries), Partitioning::Range) => {
                boundaries.len() < (*reducers).max(1) as usize && boundaries.is_sorted()
            }
            _ => false,
        };
        if !is_spread {
            return Err("its keys are spread otherwise than it says".into());
        }
        let StageTypes { key, .. } = &self.spec.shuffle_types;
        let grouped = |elements: u32| key.as_ref().and_then(|key| key.first(elements as usize));
        if self.spec.group_prefix > 0 && grouped(self.spec.group_prefix).is_none() {
            return Err(format!("its keys do not have {} elements to group by", self.spec.group_prefix));
        }
        if self.spec.fail_if.len() > CONDITIONS_MAX {
            return Err(format!("it has {} conditions that fail it", self.spec.fail_if.len()));
        }
        self.check_roles(stages)
    }

    fn check_roles(&self, stages: &Stages) -> Result<(), String> {
        let described = self.roles.iter().map(|(role, hash)| (*role, hash.as_str()));
        if !described.eq(stages.serving().map(|(role, plugin)| (role, plugin.hash()))) {
            return Err("its components are not those that were loaded".into());
        }
        let mapped = |input: &InputSpec| input.mapper.is_none() || stages.mapper(input).is_some();
        if !self.spec.inputs.iter().all(mapped) {
            return Err("an input has a mapper that does not come with it".into());
        }
        if self.spread == SpreadDescription::Plugin && self.spec.reducers > 0 && stages.partitioner.is_none()
        {
            return Err("it has no partitioner".into());
        }
        Ok(())
    }
}
