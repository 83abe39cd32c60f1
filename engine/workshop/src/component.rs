//! A core module becomes a component of a project's world: what `wasm-tools component embed` and `new` do, as a
//! library, with sentences for what an author may have done wrong.

use std::collections::HashMap;

use mr_model::Role;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId, WorldKey};

use crate::module::{Edges, edges, rename_exports};
use crate::world::resolve;

/// The component of a core module with these roles.
///
/// The module exports functions by their full names (`mr:engine/mapper@0.1.0#map-batch`), or as
/// `mapper_map_batch` where its language has no such names. With `adapter` it may call WASI 0.1, which is
/// translated where it does.
///
/// # Errors
/// A sentence: the module lacks a role or has one too many, imports what there is not, or is malformed.
pub fn componentize(core: &[u8], roles: &[Role], adapter: bool) -> Result<Vec<u8>, String> {
    let failed = |error: anyhow::Error| sentence(&format!("{error:#}"));
    let (resolve, world) = resolve(roles)?;
    let edges = edges(core)?;
    let wanted = exports(&resolve, world);
    check_roles(&edges, &wanted)?;
    check_imports(&edges, &resolve, world, adapter)?;

    let mut module = core.to_vec();
    let names: HashMap<_, _> = wanted.into_iter().map(|export| (export.plain, export.name)).collect();
    if edges.exports.iter().any(|name| names.contains_key(name)) {
        module = rename_exports(&module, &names)?;
    }
    if !edges.has_world {
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(failed)?;
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(&module).map_err(failed)?;
    let (name, bytes) = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    if edges.imports.iter().any(|(module, _)| module == name) {
        encoder.adapter(name, bytes).map_err(failed)?;
    }
    encoder.encode().map_err(failed)
}

/// A function that a component of the world exports.
struct Export {
    /// The role, or `plugin`.
    role: String,
    /// Its name in a core module.
    name: String,
    /// The same in letters only.
    plain: String,
}

impl Export {
    fn is_in(&self, edges: &Edges) -> bool {
        edges.exports.iter().any(|name| *name == self.name || *name == self.plain)
    }
}

fn exports(resolve: &Resolve, world: WorldId) -> Vec<Export> {
    let mut exports = Vec::new();
    for key in resolve.worlds[world].exports.keys() {
        let WorldKey::Interface(id) = key else { continue };
        let interface = &resolve.interfaces[*id];
        let (from, role) = (resolve.name_world_key(key), interface.name.clone().unwrap_or_default());
        exports.extend(interface.functions.keys().map(|function| Export {
            role: role.clone(),
            name: format!("{from}#{function}"),
            plain: format!("{role}_{function}").replace('-', "_"),
        }));
    }
    exports
}

/// The roles of the code are those of the project, no more and no fewer.
fn check_roles(edges: &Edges, wanted: &[Export]) -> Result<(), String> {
    if let Some(Export { role, plain, .. }) = wanted.iter().find(|export| !export.is_in(edges)) {
        return Err(match role.as_str() {
            "plugin" => format!("the code does not describe the plugin: it exports no {plain}"),
            _ => format!("`roles` names a {role}, but the code has none: it exports no {plain}"),
        });
    }
    let (every, job) = resolve(&Role::ALL)?;
    let has_role = |role: &str| wanted.iter().any(|export| export.role == role);
    match exports(&every, job).into_iter().find(|export| export.is_in(edges) && !has_role(&export.role)) {
        Some(Export { role, .. }) => Err(format!("the code has a {role}, which `roles` does not name")),
        None => Ok(()),
    }
}

fn check_imports(edges: &Edges, resolve: &Resolve, world: WorldId, adapter: bool) -> Result<(), String> {
    let known: Vec<_> = resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect();
    for (module, function) in &edges.imports {
        if module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
            if !adapter {
                return Err(format!(
                    "the code needs {function} of WASI, and plugins in this language are built without it"
                ));
            }
        } else if !known.contains(module) && !module.starts_with("wasi:") {
            return Err(format!(
                "the code needs a function {function} of {module:?}, which is neither in the program nor in the \
                 plugin interface"
            ));
        }
    }
    Ok(())
}

/// An error that spans lines, in one.
fn sentence(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with a mapper under plain names, whose functions do nothing, and `more` in it.
    fn mapper(more: &str) -> Vec<u8> {
        let exports =
            [("mapper_open", 15), ("mapper_map_batch", 11), ("mapper_close", 0), ("plugin_describe", 0)];
        let functions: String = exports
            .iter()
            .map(|(name, params)| {
                let types = ["i32"; 15];
                let mut params = types[..*params].join(" ");
                if *name == "mapper_open" {
                    params = "i32 i32 i32 i32 i32 i32 i64 i32 i32 i32".to_owned();
                }
                format!("(func (export {name:?}) (param {params}) (result i32) i32.const 0)")
            })
            .collect();
        let text = format!(
            "(module {more} (memory (export \"memory\") 1)
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 8) {functions})"
        );
        wat::parse_str(text).unwrap()
    }

    fn refused(core: &[u8], roles: &[Role], adapter: bool) -> String {
        componentize(core, roles, adapter).unwrap_err()
    }

    #[test]
    fn plain_names_become_those_of_the_interface() {
        let component = componentize(&mapper(""), &[Role::Mapper], false).unwrap();
        let name = b"mr:engine/mapper@0.1.0";
        assert!(component.windows(name.len()).any(|bytes| bytes == name));
    }

    #[test]
    fn roles_are_those_of_the_project() {
        assert!(refused(&mapper(""), &[Role::Mapper, Role::Reducer], false).contains("names a reducer"));
        assert!(refused(&mapper(""), &[Role::Reducer], false).contains("names a reducer"));
        assert!(refused(&mapper(""), &[], false).contains("has a mapper, which"));
        assert!(refused(b"\0asm\x01\0\0\0", &[Role::Mapper], false).contains("names a mapper"));
        assert!(refused(b"no module", &[Role::Mapper], true).contains("not a WebAssembly module"));
    }

    #[test]
    fn imports_are_those_of_the_interface() {
        let abort = mapper("(import \"env\" \"abort\" (func))");
        assert!(refused(&abort, &[Role::Mapper], true).contains("a function abort of \"env\""));
        let clock = mapper(
            "(import \"wasi_snapshot_preview1\" \"clock_time_get\" (func (param i32 i64 i32) (result i32)))",
        );
        assert!(refused(&clock, &[Role::Mapper], false).contains("clock_time_get of WASI"));
        assert!(componentize(&clock, &[Role::Mapper], true).is_ok());
    }
}
