//! `mr-engine new`: begins a project.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use mr_workshop::{Language, NewProject, create};

use crate::args::workshop::NewArgs;

/// Makes the project and says what to do next.
pub fn run(args: &NewArgs) -> Result<()> {
    let language = Language::find(&args.lang)?;
    create(Path::new(""), NewProject { name: &args.name, language, template: &args.template })?;
    let recipe = language.recipe()?;
    let name = &args.name;
    let text = format!(
        "made {name}, a plugin in {}: {name}/{} is yours to edit, {name}/README.md says how\n\
         next: cd {name} && mr-engine test\n",
        recipe.title, recipe.entry
    );
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
