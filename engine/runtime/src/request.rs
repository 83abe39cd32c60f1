//! What somebody wants: plugins for the stages, inputs, output, options, as given.

use std::path::PathBuf;
use std::sync::Arc;

use mr_model::{
    Compression, Condition, Fields, InputFormat, InputSpec, JobId, OutputFormat, Partitioning, Permissions,
    Role,
};
use mr_sandbox::Plugin;
use mr_storage::{Durability, RemoteInputs, RemoteOutputs};

/// The component of each role; a role without one is the identity, or the engine's own partitioner.
#[derive(Clone, Default)]
pub struct Stages {
    /// The mappers, each once; which one an input has is said by [`mr_model::InputSpec::mapper`].
    pub mappers: Vec<Plugin>,
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
    /// The component that maps an input; none where its records go on as they are.
    pub fn mapper(&self, input: &InputSpec) -> Option<&Plugin> {
        let hash = input.mapper.as_deref()?;
        self.mappers.iter().find(|plugin| plugin.hash() == hash)
    }

    /// Adds a component in a role. Of those that do not map there is one.
    pub fn add(&mut self, role: Role, plugin: Plugin) {
        match role {
            Role::Mapper if self.mappers.iter().any(|known| known.hash() == plugin.hash()) => {}
            Role::Mapper => self.mappers.push(plugin),
            Role::Combiner => self.combiner = Some(plugin),
            Role::Reducer => self.reducer = Some(plugin),
            Role::Partitioner => self.partitioner = Some(plugin),
        }
    }

    /// The component of a role that one component has for the whole job; mappers are told apart by input.
    pub fn role(&self, role: Role) -> Option<&Plugin> {
        match role {
            Role::Mapper => None,
            Role::Combiner => self.combiner.as_ref(),
            Role::Reducer => self.reducer.as_ref(),
            Role::Partitioner => self.partitioner.as_ref(),
        }
    }

    /// Every role with a component that serves it, mappers first.
    pub fn serving(&self) -> impl Iterator<Item = (Role, &Plugin)> {
        let mappers = self.mappers.iter().map(|plugin| (Role::Mapper, plugin));
        mappers.chain(Role::ALL.into_iter().filter_map(|role| Some((role, self.role(role)?))))
    }

    /// Every component of the job, once, with the roles that it plays in it.
    pub fn plugins(&self) -> Vec<(Plugin, Vec<Role>)> {
        let mut plugins: Vec<(Plugin, Vec<Role>)> = Vec::new();
        if let Some(main) = &self.main {
            plugins.push((main.clone(), Vec::new()));
        }
        for (role, plugin) in self.serving() {
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
    /// Into a folder of a store, which shows all of it or nothing.
    Store {
        /// Its address.
        address: String,
        /// Whether a former output there may be replaced.
        overwrite: bool,
        /// Whoever can write there.
        stores: Arc<dyn RemoteOutputs>,
    },
    /// To standard output, parts in order.
    Stdout,
}

/// How output is to be written; `None` leaves the choice to the plugin or the engine.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// How records become output.
    pub format: Option<OutputFormat>,
    /// How files are compressed as a whole.
    pub compression: Option<Compression>,
    /// Names of the columns of the main output.
    pub fields: Option<Fields>,
    /// Size at which a file is ended and the next one begun, in bytes; none for one file for each task.
    pub file_bytes: Option<u64>,
}

/// An input as asked for; `None` leaves the choice to the plugin or the engine.
#[derive(Clone, Default)]
pub struct InputRequest {
    /// Its name; empty for none.
    pub name: String,
    /// Files, folders and globs.
    pub patterns: Vec<String>,
    /// Globs of what is left out of folders and globs.
    pub exclude: Vec<String>,
    /// How its bytes become records.
    pub format: Option<InputFormat>,
    /// How its files are compressed.
    pub compression: Option<Compression>,
    /// Most decoded bytes for each byte of a compressed file.
    pub expansion_max: Option<u64>,
    /// Fields of the value.
    pub fields: Option<Fields>,
    /// Fields of the key.
    pub key_fields: Option<Fields>,
    /// The component that maps it; none where its records go on as they are.
    pub mapper: Option<Plugin>,
}

/// A job as asked for; `None` leaves the choice to the plugin or the engine.
#[derive(Clone)]
pub struct JobRequest {
    /// Name of the job.
    pub id: JobId,
    /// Components of the stages.
    pub stages: Stages,
    /// What it reads.
    pub inputs: Vec<InputRequest>,
    /// Stores that inputs may come from; none where there are files alone.
    pub remote: Option<Arc<dyn RemoteInputs>>,
    /// Where the output goes.
    pub output: OutputTarget,
    /// Files that the plugins may read, by name.
    pub sides: Vec<(String, PathBuf)>,
    /// Parameters for the plugins.
    pub params: Vec<(String, String)>,
    /// Number of reducers; 0 for a map-only job.
    pub reducers: Option<u32>,
    /// How output is written.
    pub write: WriteOptions,
    /// How keys are spread over reducers.
    pub partitioning: Option<Partitioning>,
    /// Number of elements of a key that decide about partition and group; 0 for the whole key.
    pub group_prefix: Option<u32>,
    /// The job fails, and publishes nothing, if one of them holds in its end.
    pub fail_if: Vec<Condition>,
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
