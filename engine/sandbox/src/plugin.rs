//! A loaded [`Plugin`]: compiled, checked, described, ready to start instances of its roles.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mr_model::{Contract, PluginInfo, Role};
use wasmtime::component::{ComponentExportIndex, InstancePre};

use crate::engine::Core;
use crate::state::State;

/// A component that serves one or more roles, or only describes itself. Cheap to clone; keeps its
/// sandbox alive.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) path: PathBuf,
    pub(crate) facts: Arc<Facts>,
    pub(crate) compile: Compile,
}

/// How a component was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compile {
    /// Its code was at hand, in memory or on disk.
    pub cached: bool,
    /// Time that loading took in all.
    pub time: Duration,
}

/// What is the same for every file with the same bytes.
pub(crate) struct Facts {
    pub(crate) core: Arc<Core>,
    pub(crate) hash: String,
    pub(crate) bytes: u64,
    pub(crate) pre: InstancePre<State>,
    pub(crate) roles: Vec<Role>,
    pub(crate) functions: Vec<RoleFunctions>,
    pub(crate) info: Option<PluginInfo>,
    pub(crate) contract: Contract,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Where the functions of a role are found in an instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoleFunctions {
    pub(crate) open: ComponentExportIndex,
    pub(crate) work: ComponentExportIndex,
    /// Partitioners have none.
    pub(crate) close: Option<ComponentExportIndex>,
}

impl Plugin {
    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the file, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.facts.hash
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.facts.bytes
    }

    /// Roles that it serves, in the order of the record path.
    pub fn roles(&self) -> &[Role] {
        &self.facts.roles
    }

    /// What it says of itself, if anything.
    pub fn info(&self) -> Option<&PluginInfo> {
        self.facts.info.as_ref()
    }

    /// Its checked contract; an empty one where it does not describe itself.
    pub fn contract(&self) -> &Contract {
        &self.facts.contract
    }

    /// Names of everything that it imports.
    pub fn imports(&self) -> &[String] {
        &self.facts.imports
    }

    /// Names of everything that it exports.
    pub fn exports(&self) -> &[String] {
        &self.facts.exports
    }

    /// How it was compiled.
    pub fn compile(&self) -> Compile {
        self.compile
    }

    /// The functions of `role`, if it serves it.
    pub(crate) fn functions(&self, role: Role) -> Option<&RoleFunctions> {
        let at = self.facts.roles.iter().position(|served| *served == role)?;
        self.facts.functions.get(at)
    }
}
