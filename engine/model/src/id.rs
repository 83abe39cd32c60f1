//! Names of things: jobs, stages, tasks, attempts, workers, roles.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of a job: 1 to 64 of `a-z 0-9 -`, unique in a cluster's history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Longest name, in bytes: it becomes part of file names.
    pub const BYTES_MAX: usize = 64;

    /// Checks and wraps a name.
    pub fn new(name: impl Into<String>) -> Result<Self, BadJobId> {
        let name = name.into();
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > Self::BYTES_MAX || !name.bytes().all(legal) {
            return Err(BadJobId(name));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = BadJobId;

    fn try_from(name: String) -> Result<Self, BadJobId> {
        Self::new(name)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

/// A job name that is empty, too long or has other characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job id {0:?} is not 1 to 64 characters of a-z, 0-9 and '-'")]
pub struct BadJobId(String);

/// The two stages of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Splits in, partitioned sorted runs out (or parts, in a map-only job).
    Map,
    /// Runs of one partition in, one part out.
    Reduce,
}

impl Stage {
    /// Number of the stage in the job, from 0, as plugins see it.
    pub fn number(self) -> u32 {
        match self {
            Stage::Map => 0,
            Stage::Reduce => 1,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Map => "map",
            Stage::Reduce => "reduce",
        })
    }
}

/// One unit of a stage: a split for maps, a partition for reduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The stage it belongs to.
    pub stage: Stage,
    /// Split or partition number, from 0.
    pub index: u32,
}

impl TaskId {
    /// Map task of split `index`.
    pub fn map(index: u32) -> Self {
        Self { stage: Stage::Map, index }
    }

    /// Reduce task of partition `index`.
    pub fn reduce(index: u32) -> Self {
        Self { stage: Stage::Reduce, index }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} task {}", self.stage, self.index)
    }
}

/// One try at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// What is tried.
    pub task: TaskId,
    /// Number of the try, from 0; never used twice for a task.
    pub attempt: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempt {}", self.task, self.attempt)
    }
}

/// A worker's stable name within a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u64);

/// One life of a worker: a restarted worker has the same id and a higher incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// What a component can do in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Turns input records into intermediate ones.
    Mapper,
    /// Folds values of a key early.
    Combiner,
    /// Turns a key's group of values into output records.
    Reducer,
    /// Chooses the partition of a key.
    Partitioner,
}

impl Role {
    /// All roles, in the order of the record path.
    pub const ALL: [Role; 4] = [Role::Mapper, Role::Combiner, Role::Reducer, Role::Partitioner];

    /// Name of the role's WIT interface.
    pub fn name(self) -> &'static str {
        match self {
            Role::Mapper => "mapper",
            Role::Combiner => "combiner",
            Role::Reducer => "reducer",
            Role::Partitioner => "partitioner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
