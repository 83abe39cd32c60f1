//! Bindings for C, made by the generator of the Bytecode Alliance as a library: authors need not install it.
//! C++ is built with the same ones.

use std::fs;
use std::path::Path;

use mr_model::Role;
use wit_bindgen_core::Files;

use crate::world::resolve;

/// Which roles a plugin has, for the preprocessor.
const ROLES_FILE: &str = "roles.h";

/// Writes bindings for C into a folder: `guest.h`, `guest.c`, `guest_component_type.o` (which tells the linked
/// module's world), and `roles.h`, which defines `MR_HAS_MAPPER` for a plugin with a mapper, and so on.
///
/// # Errors
/// A sentence: the generator failed, or a file cannot be written.
pub fn write_c(folder: &Path, roles: &[Role]) -> Result<(), String> {
    let (mut resolve, world) = resolve(roles)?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).map_err(|error| format!("{error:#}"))?;
    files.push(ROLES_FILE, roles_text(roles).as_bytes());
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let unwritten = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).map_err(unwritten)?;
    }
    Ok(())
}

fn roles_text(roles: &[Role]) -> String {
    let defines = roles.iter().map(|role| format!("#define MR_HAS_{} 1\n", role.name().to_uppercase()));
    std::iter::once("/* Which roles the plugin has. Generated. */\n#pragma once\n".to_owned())
        .chain(defines)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_have_the_roles_that_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        write_c(dir.path(), &[Role::Mapper]).unwrap();
        let header = fs::read_to_string(dir.path().join("guest.h")).unwrap();
        assert!(header.contains("exports_mr_engine_mapper_map_batch") && !header.contains("reduce_batch"));
        assert!(dir.path().join("guest_component_type.o").is_file());
        let roles = fs::read_to_string(dir.path().join(ROLES_FILE)).unwrap();
        assert!(roles.contains("MR_HAS_MAPPER 1") && !roles.contains("REDUCER"));
    }
}
