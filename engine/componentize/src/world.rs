//! The interface that a plugin is built for: which functions it exports, and what it may import.

use std::path::{Path, PathBuf};

use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

use crate::error::Error;

/// A world of an interface in WIT.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) resolve: Resolve,
    pub(crate) id: WorldId,
}

/// A function that a component of the world exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Export {
    /// Name of the interface: the role.
    pub(crate) role: String,
    /// Name in a core module: `mr:engine/mapper@0.1.0#map-batch`.
    pub(crate) name: String,
    /// Name in a language whose identifiers hold letters only: `mapper_map_batch`.
    pub(crate) plain: String,
}

impl World {
    /// Reads the world `name` of the package in the folder `dir`.
    ///
    /// # Errors
    /// Where the folder does not hold a package, or the package no such world.
    pub fn read(dir: &Path, name: &str) -> Result<Self, Error> {
        let fault = |why: String| Error::World { dir: PathBuf::from(dir), world: name.to_owned(), why };
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(dir).map_err(|why| fault(format!("{why:#}")))?;
        let id = resolve.select_world(&[package], Some(name)).map_err(|why| fault(format!("{why:#}")))?;
        Ok(Self { resolve, id })
    }

    /// All functions of the interfaces that the world exports, in order.
    pub(crate) fn exports(&self) -> Vec<Export> {
        let world = &self.resolve.worlds[self.id];
        self.functions(world.exports.keys())
    }

    /// All functions that some world of the package exports: those of every role.
    pub(crate) fn all_exports(&self) -> Vec<Export> {
        let worlds = self.resolve.worlds.iter().map(|(_, world)| world);
        self.functions(worlds.flat_map(|world| world.exports.keys()))
    }

    /// Names of the interfaces that the world exports: the plugin's roles.
    pub(crate) fn roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = self.exports().into_iter().map(|export| export.role).collect();
        roles.dedup();
        roles
    }

    /// Names of the interfaces that the world imports, as core modules name them.
    pub(crate) fn imports(&self) -> Vec<String> {
        let imports = self.resolve.worlds[self.id].imports.iter();
        imports
            .filter(|(_, item)| matches!(item, WorldItem::Interface { .. }))
            .map(|(key, _)| self.resolve.name_world_key(key))
            .collect()
    }

    fn functions<'a>(&self, keys: impl Iterator<Item = &'a WorldKey>) -> Vec<Export> {
        let mut exports = Vec::new();
        for key in keys {
            let WorldKey::Interface(id) = key else { continue };
            let interface = &self.resolve.interfaces[*id];
            let Some(role) = &interface.name else { continue };
            let from = self.resolve.name_world_key(key);
            exports.extend(interface.functions.keys().map(|function| Export {
                role: role.clone(),
                name: format!("{from}#{function}"),
                plain: format!("{role}_{function}").replace('-', "_"),
            }));
        }
        exports
    }
}
