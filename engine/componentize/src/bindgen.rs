//! C bindings of a world, by the generator of the component model's own tools.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use wit_bindgen_core::Files;

use crate::error::Error;
use crate::world::World;

/// Stem of the files and prefix of the names that are generated, whatever the world is called.
const STEM: &str = "engine";
/// Which roles the world has, for the preprocessor.
const ROLES_FILE: &str = "roles.h";

/// Writes C bindings of `world` into the folder `dir`: `engine.h`, `engine.c`,
/// `engine_component_type.o` (which tells the linked module's world) and `roles.h`, which defines
/// `MR_HAS_MAPPER` as 1 for a world with a mapper, and so on.
///
/// # Errors
/// Where the world has no form in C, or a file cannot be written.
pub fn bindgen_c(world: &World, dir: &Path) -> Result<(), Error> {
    let fault = |why: String| Error::World { dir: dir.to_owned(), world: STEM.into(), why };
    let mut files = Files::default();
    let options = wit_bindgen_c::Opts { rename_world: Some(STEM.into()), ..Default::default() };
    let mut world = world.clone();
    options
        .build()
        .generate(&mut world.resolve, world.id, &mut files)
        .map_err(|why| fault(format!("{why:#}")))?;

    let mut roles = String::from("/* Which roles the plugin has. Generated. */\n#pragma once\n");
    for role in world.roles() {
        let _ = writeln!(roles, "#define MR_HAS_{} 1", role.to_uppercase().replace('-', "_"));
    }
    files.push(ROLES_FILE, roles.as_bytes());

    fs::create_dir_all(dir).map_err(|why| Error::Write { path: dir.to_owned(), why })?;
    for (name, contents) in files.iter() {
        let path = dir.join(name);
        fs::write(&path, contents).map_err(|why| Error::Write { path, why })?;
    }
    Ok(())
}
