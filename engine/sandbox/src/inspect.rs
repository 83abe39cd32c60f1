//! The trial of a compiled component: are its imports on offer, which roles does it serve, do its
//! functions have the interface's types, what does it say of itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mr_model::limit::{ATTRIBUTES_MAX, GUEST_MEMORY_BYTES_DEFAULT, MESSAGE_BYTES_MAX};
use mr_model::{Contract, PluginInfo, Role};
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, TypedFunc,
};

use crate::abi::{BatchArg, ColumnArg, ContextArg, ErrorIn, GroupedArg, InfoIn};
use crate::engine::Core;
use crate::fault::Cause;
use crate::host::{IMPORTS, VERSION, interface};
use crate::limits::{CancelToken, GuestMemory, Limits};
use crate::load::LoadError;
use crate::log::{Log, clean};
use crate::plugin::{Facts, RoleFunctions};
use crate::state::{Purpose, State};

/// Longest time that a plugin may take to start and to describe itself: it has nothing to compute.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// WASI packages that are linked.
const WASI_PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// Interface by which a plugin describes itself.
pub(crate) const DESCRIPTION: &str = "plugin";

type Unit = Result<(), ErrorIn>;

/// Checks a component and puts together what is known of it.
pub(crate) fn inspect(
    core: &Arc<Core>,
    path: &Path,
    component: &Component,
    hash: &blake3::Hash,
    bytes: u64,
) -> Result<Facts, LoadError> {
    let ty = component.component_type();
    let imports: Vec<String> = ty.imports(&core.engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(&core.engine).map(|(name, _)| name.to_owned()).collect();
    for import in &imports {
        check_import(path, import)?;
    }
    let (roles, describes) = exported(path, &exports)?;
    let pre = core.linker.instantiate_pre(component).map_err(|error| LoadError::WrongType {
        path: path.to_owned(),
        interface: format!("what this engine offers (mr:engine@{VERSION} and WASI 0.2)"),
        reason: clean(&format!("{error:#}")),
    })?;
    let mut trial = Trial::start(core, path, &pre)?;
    let functions = roles.iter().map(|role| trial.functions(*role)).collect::<Result<_, _>>()?;
    let info = if describes { Some(trial.describe()?) } else { None };
    let contract = match &info {
        Some(info) => {
            Contract::parse(info).map_err(|reason| LoadError::Contract { path: path.to_owned(), reason })?
        }
        None => Contract::default(),
    };
    let (core, hash) = (Arc::clone(core), hash.to_hex().to_string());
    Ok(Facts { core, hash, bytes, pre, roles, functions, info, contract, imports, exports })
}

/// Whether an import is on offer.
pub(crate) fn check_import(path: &Path, import: &str) -> Result<(), LoadError> {
    let (package, rest) = import.split_once('/').unwrap_or((import, ""));
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    let offered = match package.split_once(':') {
        Some(("mr", "engine")) if version != VERSION => {
            return Err(LoadError::WrongVersion { path: path.to_owned(), interface: import.to_owned() });
        }
        Some(("mr", "engine")) => IMPORTS.contains(&name),
        Some(("wasi", package)) => WASI_PACKAGES.contains(&package) && version.starts_with("0.2."),
        _ => false,
    };
    if offered {
        return Ok(());
    }
    Err(LoadError::UnknownImport { path: path.to_owned(), import: import.to_owned() })
}

/// The roles among the exports, and whether there is a description.
fn exported(path: &Path, exports: &[String]) -> Result<(Vec<Role>, bool), LoadError> {
    exports.iter().try_for_each(|export| check_version(path, export))?;
    let has = |name: &str| exports.contains(&interface(name));
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| has(role.name())).collect();
    let describes = has(DESCRIPTION);
    if roles.is_empty() && !describes {
        return Err(LoadError::NoRole { path: path.to_owned() });
    }
    Ok((roles, describes))
}

/// Whether an export, where it is one that the engine knows, is of the engine's version.
pub(crate) fn check_version(path: &Path, export: &str) -> Result<(), LoadError> {
    let known = |name: &str| name == DESCRIPTION || Role::ALL.iter().any(|role| role.name() == name);
    let Some(rest) = export.strip_prefix("mr:engine/") else { return Ok(()) };
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    if known(name) && version != VERSION {
        return Err(LoadError::WrongVersion { path: path.to_owned(), interface: export.to_owned() });
    }
    Ok(())
}

/// An instance that is only looked at.
struct Trial<'a> {
    path: &'a Path,
    component: &'a Component,
    store: Store<State>,
    instance: Instance,
    _live: crate::ticker::Live,
}

impl<'a> Trial<'a> {
    fn start(core: &Core, path: &'a Path, pre: &'a InstancePre<State>) -> Result<Self, LoadError> {
        let live = core.ticker.live();
        let memory = GUEST_MEMORY_BYTES_DEFAULT;
        let limits = Limits::new(Arc::new(GuestMemory::new(memory)), memory);
        let (log, cancel) = (Log::default(), CancelToken::default());
        let mut store = core.store(State::new(Purpose::Describe, limits, log, 0, DESCRIBE_TIMEOUT, cancel));
        match pre.instantiate(&mut store) {
            Ok(instance) => Ok(Self { path, component: pre.component(), store, instance, _live: live }),
            Err(error) => {
                let reason = Cause::of(error, store.data()).to_string();
                Err(LoadError::Start { path: path.to_owned(), reason })
            }
        }
    }

    /// Finds a role's functions and checks their types: those that [`crate::roles`] calls them with.
    fn functions(&mut self, role: Role) -> Result<RoleFunctions, LoadError> {
        let open = self.check::<(ContextArg<'_>,), (Unit,)>(role.name(), "open")?;
        let work = match role {
            Role::Mapper => self.check::<(BatchArg<'_>,), (Unit,)>(role.name(), "map-batch")?,
            Role::Combiner => self.check::<(GroupedArg<'_>,), (Unit,)>(role.name(), "combine-batch")?,
            Role::Reducer => self.check::<(GroupedArg<'_>,), (Unit,)>(role.name(), "reduce-batch")?,
            Role::Partitioner => self
                .check::<(u32, ColumnArg<'_>), (Result<Vec<u8>, ErrorIn>,)>(role.name(), "partition-batch")?,
        };
        let close = match role {
            Role::Partitioner => None,
            _ => Some(self.check::<(), (Unit,)>(role.name(), "close")?),
        };
        Ok(RoleFunctions { open, work, close })
    }

    fn check<P, R>(&mut self, name: &str, function: &str) -> Result<ComponentExportIndex, LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        self.typed::<P, R>(name, function).map(|(index, _)| index)
    }

    fn typed<P, R>(
        &mut self,
        name: &str,
        function: &str,
    ) -> Result<(ComponentExportIndex, TypedFunc<P, R>), LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let interface = interface(name);
        let index = self
            .component
            .get_export_index(None, &interface)
            .and_then(|within| self.component.get_export_index(Some(&within), function));
        let func = index.and_then(|index| Some((index, self.instance.get_func(&mut self.store, index)?)));
        let typed = match func {
            Some((index, func)) => func.typed::<P, R>(&self.store).map(|typed| (index, typed)),
            None => Err(wasmtime::Error::msg("it is missing")),
        };
        typed.map_err(|error| LoadError::WrongType {
            path: self.path.to_owned(),
            interface,
            reason: clean(&format!("function `{function}`: {error:#}")),
        })
    }

    fn describe(mut self) -> Result<PluginInfo, LoadError> {
        let (_, describe) = self.typed::<(), (InfoIn,)>(DESCRIPTION, "describe")?;
        self.store.data_mut().begin(0, false);
        let refused = |reason: String| LoadError::Describe { path: self.path.to_owned(), reason };
        let (info,) = match describe.call(&mut self.store, ()) {
            Ok(info) => info,
            Err(error) => return Err(refused(Cause::of(error, self.store.data()).to_string())),
        };
        let InfoIn { name, version, sdk, attributes } = info;
        let long = |text: &String| text.len() > MESSAGE_BYTES_MAX;
        if [&name, &version, &sdk].into_iter().chain(attributes.iter().flat_map(|(n, v)| [n, v])).any(long) {
            return Err(refused(format!("a text is longer than {MESSAGE_BYTES_MAX} bytes")));
        }
        if attributes.len() > ATTRIBUTES_MAX {
            let reason = mr_model::ContractError::TooMany(attributes.len());
            return Err(LoadError::Contract { path: self.path.to_owned(), reason });
        }
        Ok(PluginInfo { name, version, sdk, attributes })
    }
}
