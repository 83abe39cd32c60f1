//! Who compiles components: this process, or a process apart that may take so much time and memory and
//! no more. A compiler works on bytes that a stranger chose, so where plugins are not trusted it is the
//! second. Knows nothing of files and caches.

use std::path::Path;
use std::sync::Arc;

use wasmtime::Engine;

use crate::load::LoadError;
use crate::log::clean;

/// Compiles components somewhere else than in this process.
pub trait CompileApart: Send + Sync + std::fmt::Debug {
    /// The code of a component, made by the same version of this crate on the same machine: it is executed.
    /// Callable from many threads at once; waits where too much is being compiled already.
    ///
    /// # Errors
    /// Why there is none; a component that costs too much is told apart from one that is wrong.
    fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError>;
}

/// Who compiles components.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// This process, without any bound: for components that are trusted.
    #[default]
    InProcess,
    /// Another one.
    Apart(Arc<dyn CompileApart>),
}

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It is malformed or uses what this engine does not support.
    #[error("it cannot be compiled: {reason}")]
    Invalid {
        /// The compiler's reason.
        reason: String,
    },
    /// It takes more than is allowed.
    #[error(
        "compiling it went over the limit of {limit}: {value}, and {cap} are allowed (raise it with {option})"
    )]
    Limit {
        /// What is limited.
        limit: String,
        /// What it took, with unit.
        value: String,
        /// The cap, with unit.
        cap: String,
        /// The option that sets the cap.
        option: String,
    },
    /// The compiler's process did not do its work.
    #[error("it was not compiled: {reason}")]
    Process {
        /// What became of it.
        reason: String,
    },
}

impl Compiler {
    /// The code of a component.
    pub(crate) fn compile(&self, engine: &Engine, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        match self {
            Compiler::InProcess => {
                compile(engine, component).map_err(|reason| CompileError::Invalid { reason })
            }
            Compiler::Apart(apart) => apart.compile(component),
        }
    }
}

impl CompileError {
    /// The same of a file.
    pub(crate) fn of(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            CompileError::Invalid { reason } => LoadError::Compile { path, reason },
            CompileError::Limit { limit, value, cap, option } => {
                LoadError::CompileLimit { path, limit, value, cap, option }
            }
            CompileError::Process { reason } => LoadError::Compiler { path, reason },
        }
    }
}

/// Compiles in this process.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, String> {
    engine.precompile_component(component).map_err(|error| clean(&format!("{error:#}")))
}
