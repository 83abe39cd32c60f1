//! How a worker runs what strangers wrote: in processes with few rights, or in threads of its own. With
//! processes, nothing of a component is compiled, loaded or run in the worker itself, which has the keys.
//! Must not know which jobs there are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mr_executor::{Apart, Code, CompileLimits, Executors, Program};
use mr_model::{Failure, LastWords, Role};
use mr_sandbox::{Compiler, LoadError, LoadProgress, Plugin, PluginFacts, Sandbox, SandboxOptions};

use super::WorkerError;

/// How plugins are kept from the worker.
#[derive(Debug, Clone)]
pub enum Isolation {
    /// They run in its threads: the sandbox is the only wall.
    Threads {
        /// Who compiles them.
        compiler: Compiler,
    },
    /// They are compiled and run in processes of their own.
    Processes {
        /// What is started.
        program: Program,
        /// What compiling one may take.
        compile: CompileLimits,
        /// Whether a platform that lacks a wall is refused.
        required: bool,
    },
}

/// What components are loaded with.
#[derive(Clone)]
pub(super) enum Loader {
    /// Into this process.
    Threads(Sandbox),
    /// For processes; the sandbox only finds code.
    Processes(Sandbox, Executors),
}

/// A component that attempts can run.
#[derive(Clone)]
pub(super) enum Loaded {
    /// In this process.
    Here(Plugin),
    /// In processes: what is known of it, and its code.
    Apart(PluginFacts, Arc<Code>),
}

impl Loader {
    /// Makes ready for this isolation, for so many attempts at once. Blocks.
    pub fn open(isolation: &Isolation, cache_dir: PathBuf, slots: usize) -> Result<Self, WorkerError> {
        let sandbox = |compiler| Sandbox::new(SandboxOptions { cache_dir: Some(cache_dir), compiler });
        match isolation {
            Isolation::Threads { compiler } => {
                tracing::warn!(
                    "plugins run in threads of this process: only one wall is between them and its keys"
                );
                Ok(Self::Threads(sandbox(compiler.clone())?))
            }
            Isolation::Processes { program, compile, required } => {
                let executors = Executors::start(program.clone(), slots, *required)?;
                let missing = &executors.platform().missing;
                if !missing.is_empty() {
                    tracing::warn!(missing = missing.join("; "), "this machine lacks walls around plugins");
                }
                let compiler: Arc<Apart> = Apart::new(program.clone(), *compile);
                Ok(Self::Processes(sandbox(Compiler::Apart(compiler))?, executors))
            }
        }
    }

    /// The processes that attempts run in, if they do.
    pub fn executors(&self) -> Option<&Executors> {
        match self {
            Loader::Threads(_) => None,
            Loader::Processes(_, executors) => Some(executors),
        }
    }

    /// Loads the component with this hash from a file, for `role`. Blocks, perhaps for long.
    pub fn load(&self, hash: &str, path: &Path, role: Role) -> Result<Loaded, Failure> {
        let mut told = |progress| match progress {
            LoadProgress::Compiling { bytes } => {
                tracing::info!(component = %hash, bytes, "compiling a component")
            }
            LoadProgress::Waiting => {
                tracing::debug!(component = %hash, "another thread compiles the component");
            }
        };
        let refused = |reason: &dyn std::fmt::Display| {
            Failure::internal(format!("component {hash} does not load on this worker: {reason}"))
        };
        let failed = |error: LoadError| match error {
            LoadError::CompileLimit { limit, value, cap, option, .. } => Failure::Limit {
                role,
                limit: format!("{limit} to compile"),
                value,
                cap,
                option: if option.is_empty() { option } else { format!("worker {option}") },
                words: LastWords::default(),
                place: None,
            },
            error => refused(&error),
        };
        let loaded = match self {
            Loader::Threads(sandbox) => Loaded::Here(sandbox.load(path, &mut told).map_err(failed)?),
            Loader::Processes(sandbox, executors) => {
                let found = sandbox.code(path, &mut told).map_err(failed)?;
                let code = Code::new(&found.code).map_err(|error| refused(&error))?;
                let facts = executors.try_out(&code, found.hash, found.component_bytes);
                Loaded::Apart(facts.map_err(|reason| refused(&reason))?, Arc::new(code))
            }
        };
        if loaded.hash() == hash {
            return Ok(loaded);
        }
        Err(Failure::internal(format!("component {hash} has the bytes of {}; it is refused", loaded.hash())))
    }
}

impl Loaded {
    /// BLAKE3 of the component, in hexadecimal.
    pub fn hash(&self) -> &str {
        match self {
            Loaded::Here(plugin) => plugin.hash(),
            Loaded::Apart(facts, _) => &facts.hash,
        }
    }

    /// Roles that it serves.
    pub fn roles(&self) -> &[Role] {
        match self {
            Loaded::Here(plugin) => plugin.roles(),
            Loaded::Apart(facts, _) => &facts.roles,
        }
    }
}
