//! What somebody wants: plugins for the stages, inputs, output, options, as given.

use std::path::PathBuf;

use mr_model::{InputFormat, JobId, OutputFormat, Partitioning, Permissions, Role};
use mr_sandbox::Plugin;
use mr_storage::Durability;

/// The component of each role; a role without one is the identity, or the engine's own partitioner.
#[derive(Clone, Default)]
pub struct Stages {
    /// The mapper.
    pub mapper: Option<Plugin>,
    /// The combiner.
    pub combiner: Option<Plugin>,
    /// The reducer.
    pub reducer: Option<Plugin>,
    /// The partitioner.
    pub partitioner: Option<Plugin>,
    /// The component that the job was submitted with, if any: its description counts even where
    /// other components take its roles.
    pub main: Option<Plugin>,
}

impl Stages {
    /// The component of a role.
    pub fn role(&self, role: Role) -> Option<&Plugin> {
        match role {
            Role::Mapper => self.mapper.as_ref(),
            Role::Combiner => self.combiner.as_ref(),
            Role::Reducer => self.reducer.as_ref(),
            Role::Partitioner => self.partitioner.as_ref(),
        }
    }

    /// Every component of the job, once, with the roles that it plays in it.
    pub fn plugins(&self) -> Vec<(Plugin, Vec<Role>)> {
        let mut plugins: Vec<(Plugin, Vec<Role>)> = Vec::new();
        if let Some(main) = &self.main {
            plugins.push((main.clone(), Vec::new()));
        }
        for role in Role::ALL {
            let Some(plugin) = self.role(role) else { continue };
            match plugins.iter_mut().find(|(known, _)| known.hash() == plugin.hash()) {
                Some((_, roles)) => roles.push(role),
                None => plugins.push((plugin.clone(), vec![role])),
            }
        }
        plugins
    }
}

/// Where the output goes.
#[derive(Debug, Clone)]
pub enum OutputTarget {
    /// Into a folder that the job makes.
    Dir {
        /// The folder.
        path: PathBuf,
        /// Whether a former output there may be replaced.
        overwrite: bool,
        /// Whether the output is forced to disk before it is published.
        durability: Durability,
    },
    /// To standard output, parts in order.
    Stdout,
}

/// A job as asked for; `None` leaves the choice to the plugin or the engine.
#[derive(Clone)]
pub struct JobRequest {
    /// Name of the job.
    pub id: JobId,
    /// Components of the stages.
    pub stages: Stages,
    /// Files, folders and globs.
    pub inputs: Vec<String>,
    /// Where the output goes.
    pub output: OutputTarget,
    /// Parameters for the plugins.
    pub params: Vec<(String, String)>,
    /// Number of reducers; 0 for a map-only job.
    pub reducers: Option<u32>,
    /// How input becomes records.
    pub input_format: Option<InputFormat>,
    /// How records become output.
    pub output_format: Option<OutputFormat>,
    /// How keys are spread over reducers.
    pub partitioning: Option<Partitioning>,
    /// Number of elements of a key that decide about partition and group; 0 for the whole key.
    pub group_prefix: Option<u32>,
    /// Size of splits, in bytes.
    pub split_bytes: u64,
    /// Size that batches aim for, in bytes.
    pub batch_bytes: u32,
    /// Memory budget of the process, in bytes.
    pub memory_bytes: u64,
    /// Linear memory that the guests of one slot share, in bytes.
    pub guest_memory_bytes: Option<u64>,
    /// Tasks that run at once.
    pub workers: usize,
    /// What the plugins of the job may use. Its guest memory is the most that the memory plan may give
    /// them where `guest_memory_bytes` does not ask for any.
    pub permissions: Permissions,
    /// Attempts of a task, for failures worth another one.
    pub attempts_max: u32,
    /// Folder for run files and parts that go to standard output.
    pub work_dir: PathBuf,
}
