//! The trial of a compiled component: are its imports on offer, which roles does it serve, do its
//! functions have the interface's types, what does it say of itself.

use std::path::Path;
use std::sync::Arc;

use mr_model::limit::{ATTRIBUTES_MAX, DESCRIBE_TIME_MAX, MESSAGE_BYTES_MAX, table};
use mr_model::text::is_unprintable;
use mr_model::{Contract, PluginInfo, Role};
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, TypedFunc,
};

use crate::abi::{BatchArg, ColumnArg, ContextArg, ErrorIn, GroupedArg, InfoIn};
use crate::engine::Core;
use crate::fault::Cause;
use crate::grants::granted;
use crate::host::{VERSION, interface};
use crate::limits::{CancelToken, Limits};
use crate::load::LoadError;
use crate::log::{Log, clean};
use crate::plugin::{Facts, RoleFunctions};
use crate::state::{IdleLimit, Purpose, State};
use crate::wasi::WasiOptions;

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
    if granted(import).is_some() {
        return Ok(());
    }
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let path = path.to_owned();
    Err(if interface.starts_with("mr:engine/") && version != VERSION {
        LoadError::WrongVersion { path, interface: clean(import) }
    } else {
        LoadError::UnknownImport { path, import: clean(import) }
    })
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
        let (log, cancel) = (Log::default(), CancelToken::default());
        let idle = IdleLimit { limit: &table::DESCRIBE_TIME, allowed: DESCRIBE_TIME_MAX };
        let (limits, wasi) = (Limits::at_start(), WasiOptions::default());
        let mut store = core.store(State::new(Purpose::Describe, limits, log, wasi, idle, cancel));
        match pre.instantiate(&mut store) {
            Ok(instance) => Ok(Self { path, component: pre.component(), store, instance, _live: live }),
            Err(error) => Err(match Cause::of(error, store.data()) {
                Cause::Limit { passed, .. } => LoadError::passed(path, &passed),
                cause => LoadError::Start { path: path.to_owned(), reason: cause.to_string() },
            }),
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
            Err(error) => match Cause::of(error, self.store.data()) {
                Cause::Limit { passed, .. } => return Err(LoadError::passed(self.path, &passed)),
                cause => return Err(refused(cause.to_string())),
            },
        };
        let InfoIn { name, version, sdk, attributes } = info;
        let long = |text: &String| text.len() > MESSAGE_BYTES_MAX;
        let texts = || [&name, &version, &sdk].into_iter().chain(attributes.iter().flat_map(|(n, v)| [n, v]));
        if texts().any(long) {
            return Err(refused(format!("a text is longer than {MESSAGE_BYTES_MAX} bytes")));
        }
        // A separator, say, may be a tab; whatever else is shown as it is.
        let is_default = |name: &str| name.starts_with("param.") && name.ends_with(".default");
        let defaults: Vec<&String> =
            attributes.iter().filter(|(name, _)| is_default(name)).map(|(_, value)| value).collect();
        let odd = |text: &&String| text.chars().any(is_unprintable);
        if texts()
            .filter(|text| !defaults.iter().any(|default| std::ptr::eq(*default, *text)))
            .any(|text| odd(&text))
        {
            return Err(refused("a text holds control characters".to_owned()));
        }
        if attributes.len() > ATTRIBUTES_MAX {
            let reason = mr_model::ContractError::TooMany(attributes.len());
            return Err(LoadError::Contract { path: self.path.to_owned(), reason });
        }
        Ok(PluginInfo { name, version, sdk, attributes })
    }
}
