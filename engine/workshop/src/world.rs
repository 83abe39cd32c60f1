//! The interface of a plugin with certain roles: the engine's package and a world that exports these roles and
//! the self-description, and imports all that the engine offers.

use std::fs;
use std::path::Path;

use mr_model::Role;
use wit_parser::{Resolve, WorldId};

use crate::error::WorkshopError;

/// Name of the world that plugins are built for.
pub const WORLD: &str = "guest";
/// The engine's interface.
const ENGINE_WIT: &str = include_str!("../../../wit/engine.wit");

/// The package with the world of a plugin that has these roles.
pub fn wit_text(roles: &[Role]) -> String {
    let exports: String = roles.iter().map(|role| format!("    export {role};\n")).collect();
    format!(
        "{ENGINE_WIT}\n/// What this plugin is.\nworld {WORLD} {{\n    include imports;\n{exports}    export plugin;\n}}\n"
    )
}

/// Writes the package into a folder, where tools look for it.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write_wit(folder: &Path, roles: &[Role]) -> Result<(), WorkshopError> {
    fs::create_dir_all(folder).map_err(WorkshopError::io(folder))?;
    let path = folder.join("engine.wit");
    fs::write(&path, wit_text(roles)).map_err(WorkshopError::io(path))
}

/// The package and the world, parsed.
///
/// # Errors
/// The interface in this program is malformed.
pub(crate) fn resolve(roles: &[Role]) -> Result<(Resolve, WorldId), String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("engine.wit", &wit_text(roles)).map_err(|error| format!("{error:#}"))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| format!("{error:#}"))?;
    Ok((resolve, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_has_just_the_roles() {
        let (resolve, world) = resolve(&[Role::Mapper, Role::Reducer]).unwrap();
        let world = &resolve.worlds[world];
        let names = |items: &mut dyn Iterator<Item = &wit_parser::WorldKey>| {
            items.map(|key| resolve.name_world_key(key)).collect::<Vec<_>>()
        };
        let exports = names(&mut world.exports.keys());
        assert_eq!(exports, ["mr:engine/mapper@0.1.0", "mr:engine/reducer@0.1.0", "mr:engine/plugin@0.1.0"]);
        assert!(names(&mut world.imports.keys()).contains(&"mr:engine/side-input@0.1.0".to_owned()));
    }
}
