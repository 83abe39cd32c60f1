//! From a core module to a component.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::error::Error;
use crate::module::{Edges, edges, rename_exports};
use crate::world::World;

/// Whether a plugin may call WASI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wasi {
    /// A module that calls WASI is refused.
    Refused,
    /// Calls of WASI preview 1 are translated to WASI 0.2, if there are any. What the engine
    /// answers to them is its own affair: nothing of the machine.
    Adapted,
}

/// Makes a component of `world` out of the core module in the file `core` and writes it to `out`.
///
/// The module exports the functions of the world by their names (`mr:engine/mapper@0.1.0#open`), or
/// as `mapper_open` where its language cannot write such names. A module that does not say which
/// world it is of gets `world`.
///
/// # Errors
/// Where a file cannot be read or written, the module is none, lacks a function of the world, has
/// one of a role that the world lacks, or imports what the world does not have.
pub fn componentize(core: &Path, world: &World, wasi: Wasi, out: &Path) -> Result<(), Error> {
    let bytes = fs::read(core).map_err(|why| Error::Read { path: core.to_owned(), why })?;
    let component = encode(bytes, core, world, wasi)?;
    fs::write(out, component).map_err(|why| Error::Write { path: out.to_owned(), why })
}

fn encode(mut bytes: Vec<u8>, path: &Path, world: &World, wasi: Wasi) -> Result<Vec<u8>, Error> {
    let fault = |why: String| Error::Encode { path: path.to_owned(), why };
    let edges = edges(&bytes, path)?;
    check_exports(&edges, world)?;
    check_imports(&edges, world, wasi)?;

    let names: HashMap<_, _> =
        world.exports().into_iter().map(|export| (export.plain, export.name)).collect();
    if edges.exports.iter().any(|name| names.contains_key(name)) {
        bytes = rename_exports(&bytes, &names, path)?;
    }
    if !edges.has_world {
        embed_component_metadata(&mut bytes, &world.resolve, world.id, StringEncoding::UTF8)
            .map_err(|why| fault(format!("{why:#}")))?;
    }
    let mut encoder = ComponentEncoder::default();
    encoder.module(&bytes).map_err(|why| fault(format!("{why:#}")))?;
    if edges.imports.iter().any(|(module, _)| module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME) {
        encoder
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .map_err(|why| fault(format!("{why:#}")))?;
    }
    encoder.validate(true).encode().map_err(|why| fault(format!("{why:#}")))
}

/// The roles of the code are those of the world, no more and no fewer.
fn check_exports(edges: &Edges, world: &World) -> Result<(), Error> {
    let has = |name: &String| edges.exports.contains(name);
    for export in world.exports() {
        if !has(&export.name) && !has(&export.plain) {
            return Err(Error::RoleMissing { role: export.role, function: export.plain });
        }
    }
    let roles = world.roles();
    for export in world.all_exports() {
        if (has(&export.name) || has(&export.plain)) && !roles.contains(&export.role) {
            return Err(Error::RoleUnlisted { role: export.role });
        }
    }
    Ok(())
}

fn check_imports(edges: &Edges, world: &World, wasi: Wasi) -> Result<(), Error> {
    let known = world.imports();
    for (module, function) in &edges.imports {
        if module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
            if wasi == Wasi::Refused {
                return Err(Error::WasiRefused { function: function.clone() });
            }
        } else if !known.contains(module) && !module.starts_with("wasi:") {
            return Err(Error::Unknown { module: module.clone(), function: function.clone() });
        }
    }
    Ok(())
}
