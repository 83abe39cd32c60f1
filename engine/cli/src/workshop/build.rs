//! `mr-engine build`: makes a project's component with its language's tools.

use anyhow::Result;
use mr_workshop::{BuildEvent, BuildOptions, Built, Project};

use crate::args::workshop::BuildArgs;
use crate::size::bytes;

/// Builds the project and says what came of it.
pub fn run(args: &BuildArgs) -> Result<()> {
    build(&Project::open(&args.dir)?, args)?;
    Ok(())
}

/// Builds a project; what happens is told on standard error.
pub fn build(project: &Project, args: &BuildArgs) -> Result<Built> {
    let (name, title) = (&project.name, &project.recipe.title);
    let options =
        BuildOptions { toolchains: args.toolchains.clone().filter(|dir| !dir.as_os_str().is_empty()) };
    let built = mr_workshop::build(project, &options, &mut |event| match event {
        BuildEvent::Step(step) => eprintln!("building {name} ({title}): {step}"),
        BuildEvent::Note(note) => eprintln!("note: {note}"),
        BuildEvent::Said(said) if args.verbose => eprint!("{said}"),
        BuildEvent::Said(_) => {}
    })?;
    eprintln!("built {}, {}", built.component.display(), bytes(built.bytes));
    Ok(built)
}
