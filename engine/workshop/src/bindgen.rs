//! Bindings for C and C++, made by the generators of the Bytecode Alliance as libraries: authors need not install
//! them.

use std::fs;
use std::path::Path;

use mr_model::Role;
use wit_bindgen_core::{Files, WorldGenerator};

use crate::world::resolve;

/// Writes bindings for C into a folder.
///
/// # Errors
/// A sentence: the generator failed, or a file cannot be written.
pub fn write_c(folder: &Path, roles: &[Role]) -> Result<(), String> {
    write(folder, roles, wit_bindgen_c::Opts::default().build())
}

/// Writes bindings for C++ into a folder.
///
/// # Errors
/// As [`write_c`].
pub fn write_cpp(folder: &Path, roles: &[Role]) -> Result<(), String> {
    write(folder, roles, wit_bindgen_cpp::Opts::default().build(None))
}

fn write(folder: &Path, roles: &[Role], mut generator: Box<dyn WorldGenerator>) -> Result<(), String> {
    let (mut resolve, world) = resolve(roles)?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).map_err(|error| format!("{error:#}"))?;
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let unwritten = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).map_err(unwritten)?;
    }
    Ok(())
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
        let cpp = dir.path().join("cpp");
        write_cpp(&cpp, &[Role::Reducer]).unwrap();
        assert!(fs::read_dir(&cpp).unwrap().count() > 1);
    }
}
