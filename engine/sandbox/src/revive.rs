//! From compiled code to a [`Plugin`] without compiling: how a process that runs a plugin gets it from
//! one that does not. What was found out about a component once travels beside its code as
//! [`PluginFacts`]; whoever takes code over trusts it with the whole process, so that is done where the
//! process has nothing to lose.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mr_model::{Contract, PluginInfo, Role};
use serde::{Deserialize, Serialize};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::engine::Sandbox;
use crate::host::interface;
use crate::inspect::inspect;
use crate::load::LoadError;
use crate::log::clean;
use crate::plugin::{Compile, Facts, Plugin, RoleFunctions};

/// What was found out about a component, as plain data that can be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFacts {
    /// BLAKE3 of the component, in hexadecimal.
    pub hash: String,
    /// Size of the component, in bytes.
    pub bytes: u64,
    /// Roles that it serves, in the order of the record path.
    pub roles: Vec<Role>,
    /// What it says of itself, if anything.
    pub info: Option<PluginInfo>,
}

/// The code of a component, at hand in this process.
pub struct LoadedCode {
    name: PathBuf,
    component: Component,
}

impl Sandbox {
    /// Maps code from a file that nobody can write to any more. `name` stands for the component in errors.
    /// No other code has to become executable for a plugin than this.
    ///
    /// # Errors
    /// [`LoadError::Compiler`] if the engine does not understand it.
    ///
    /// # Safety
    /// The code must be that which [`crate::Prepared::compile`] of this version of the crate made on this
    /// machine: it is executed.
    pub unsafe fn load_code(&self, name: &Path, code: &Path) -> Result<LoadedCode, LoadError> {
        // SAFETY: as the caller promises; the file does not change, so its mapping does not.
        let component = unsafe { Component::deserialize_file(&self.0.engine, code) };
        match component {
            Ok(component) => Ok(LoadedCode { name: name.to_owned(), component }),
            Err(error) => Err(LoadError::Compiler {
                path: name.to_owned(),
                reason: format!("the engine does not understand its code: {}", clean(&format!("{error:#}"))),
            }),
        }
    }

    /// Tries a component out: checks its imports and functions and has it describe itself. `hash` and
    /// `bytes` are those of the component.
    ///
    /// # Errors
    /// Why it can be no plugin for this engine.
    pub fn try_out(
        &self,
        code: &LoadedCode,
        hash: blake3::Hash,
        bytes: u64,
    ) -> Result<PluginFacts, LoadError> {
        let facts = inspect(&self.0, &code.name, &code.component, &hash, bytes)?;
        Ok(PluginFacts { hash: facts.hash, bytes, roles: facts.roles, info: facts.info })
    }

    /// The plugin with this code and these facts; nothing of it runs. Names of imports and exports are not
    /// known of it.
    ///
    /// # Errors
    /// Code or facts that do not fit this engine or each other.
    ///
    /// # Safety
    /// The facts must be those that [`Sandbox::try_out`] found of the same component: its functions are
    /// called with the types that were checked there.
    pub unsafe fn revive(&self, code: LoadedCode, facts: PluginFacts) -> Result<Plugin, LoadError> {
        let LoadedCode { name, component } = code;
        let unfit = |reason: String| LoadError::Compiler { path: name.clone(), reason };
        let PluginFacts { hash, bytes, roles, info } = facts;
        let contract = info.as_ref().map(Contract::parse).transpose();
        let contract = contract.map_err(|reason| LoadError::Contract { path: name.clone(), reason })?;
        let functions = roles
            .iter()
            .map(|role| functions(&component, *role).ok_or_else(|| unfit(format!("its code has no {role}"))));
        let functions = functions.collect::<Result<_, _>>()?;
        let pre = self.0.linker.instantiate_pre(&component);
        let pre = pre.map_err(|error| unfit(clean(&format!("{error:#}"))))?;
        let (core, contract) = (Arc::clone(&self.0), contract.unwrap_or_default());
        let (imports, exports) = (Vec::new(), Vec::new());
        let facts = Facts { core, hash, bytes, pre, roles, functions, info, contract, imports, exports };
        let compile = Compile { cached: true, time: Duration::ZERO };
        Ok(Plugin { path: name, facts: Arc::new(facts), compile })
    }
}

/// Where the functions of a role are found.
fn functions(component: &Component, role: Role) -> Option<RoleFunctions> {
    let within = component.get_export_index(None, interface(role.name()))?;
    let find = |name: &str| component.get_export_index(Some(&within), name);
    let work: ComponentExportIndex = find(match role {
        Role::Mapper => "map-batch",
        Role::Combiner => "combine-batch",
        Role::Reducer => "reduce-batch",
        Role::Partitioner => "partition-batch",
    })?;
    let close = if role == Role::Partitioner { None } else { Some(find("close")?) };
    Some(RoleFunctions { open: find("open")?, work, close })
}
