//! From a project to a component: the world is written, tools are found, and the steps of the recipe are done in
//! order. Whatever fails, no component of an earlier build is left that could be taken for this one's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::WorkshopError;
use crate::place::Places;
use crate::process::{self, Order};
use crate::project::Project;
use crate::recipe::{Builtin, Run, Step};
use crate::tool::{FoundTool, ToolPath};
use crate::{bindgen, component, world};

/// How a build is done.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// A folder with a folder of tools for each language, which go before those on `PATH`.
    pub toolchains: Option<PathBuf>,
}

/// What happens on the way.
#[derive(Debug, Clone, Copy)]
pub enum BuildEvent<'a> {
    /// A step begins: what it does, in a word or two.
    Step(&'a str),
    /// A sentence that people should read, though the build goes on.
    Note(&'a str),
    /// What a program said that succeeded.
    Said(&'a str),
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The component.
    pub component: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Builds a project.
///
/// # Errors
/// A tool is missing, a step fails, or no component came of the steps.
pub fn build(
    project: &Project,
    options: &BuildOptions,
    on_event: &mut dyn FnMut(BuildEvent<'_>),
) -> Result<Built, WorkshopError> {
    let path = ToolPath::new(options.toolchains.as_deref(), project.language.name());
    let tools = find_tools(project, &path, on_event)?;
    let first = first_tool(project).and_then(|name| tools.get(name));
    let places = Places::new(project, &path.prefix(first));
    let component = project.component();
    remove(&component)?;
    world::write_wit(&project.build_dir().join("wit"), &project.roles)?;
    let work = Work { project, path, tools, places };
    for step in &project.recipe.steps {
        match step {
            Step::Run(run) => work.run(run, on_event)?,
            Step::Builtin(builtin) => work.builtin(builtin, on_event)?,
        }
    }
    let bytes = fs::metadata(&component).map_err(WorkshopError::io(&component))?.len();
    Ok(Built { component, bytes })
}

/// A build under way.
struct Work<'a> {
    project: &'a Project,
    path: ToolPath,
    tools: BTreeMap<&'a str, FoundTool>,
    places: Places,
}

impl Work<'_> {
    fn run(&self, step: &Run, on_event: &mut dyn FnMut(BuildEvent<'_>)) -> Result<(), WorkshopError> {
        let Some((tool, args)) = step.run.split_first() else { return Ok(()) };
        on_event(BuildEvent::Step(tool));
        let program = self.tools.get(tool.as_str()).map(|tool| tool.path.clone());
        let program = program.unwrap_or_else(|| PathBuf::from(self.places.fill(tool)));
        let dir = step.dir.as_ref().map(|dir| PathBuf::from(self.places.fill(dir)));
        let dir = dir.unwrap_or_else(|| self.project.dir.clone());
        fs::create_dir_all(&dir).map_err(WorkshopError::io(&dir))?;
        let ended = process::run(Order {
            program: &program,
            args: self.places.fill_args(args).into_iter().map(OsString::from).collect(),
            dir: &dir,
            env: self.env(&step.env),
        })?;
        if ended.is_success() {
            on_event(BuildEvent::Said(&ended.said));
            return Ok(());
        }
        Err(WorkshopError::Step {
            name: self.project.name.clone(),
            command: tool.clone(),
            end: ended.end(),
            said: ended.said,
        })
    }

    fn builtin(&self, step: &Builtin, on_event: &mut dyn FnMut(BuildEvent<'_>)) -> Result<(), WorkshopError> {
        let path = |text: &str| PathBuf::from(self.places.fill(text));
        let failed =
            |step| move |reason| WorkshopError::Builtin { name: self.project.name.clone(), step, reason };
        let roles = &self.project.roles;
        match step {
            Builtin::BindgenC { out } => {
                on_event(BuildEvent::Step("bindings for C"));
                bindgen::write_c(&path(out), roles).map_err(failed("bindings for C"))
            }
            Builtin::Componentize { core, adapter, out } => {
                on_event(BuildEvent::Step("component"));
                let core = path(core);
                let bytes = fs::read(&core).map_err(WorkshopError::io(core))?;
                let made = component::componentize(&bytes, roles, *adapter).map_err(failed("component"))?;
                write(&path(out), &made)
            }
            Builtin::Copy { from, to } => copy(&path(from), &path(to)),
            Builtin::Write { path: to, text } => write(&path(to), self.places.fill(text).as_bytes()),
        }
    }

    fn env(&self, own: &BTreeMap<String, String>) -> Vec<(OsString, OsString)> {
        let said = self.project.recipe.env.iter().chain(own);
        let said = said.map(|(name, value)| (name.into(), self.places.fill(value).into()));
        std::iter::once(("PATH".into(), self.path.variable())).chain(said).collect()
    }
}

/// The tools that the steps run. A tool that no step runs is one that another needs.
fn find_tools<'a>(
    project: &'a Project,
    path: &ToolPath,
    on_event: &mut dyn FnMut(BuildEvent<'_>),
) -> Result<BTreeMap<&'a str, FoundTool>, WorkshopError> {
    let mut found = BTreeMap::new();
    for (name, tool) in &project.recipe.tools {
        let tool = path.find(project, name, tool)?;
        if let Some(note) = &tool.note {
            on_event(BuildEvent::Note(note));
        }
        found.insert(name.as_str(), tool);
    }
    Ok(found)
}

fn first_tool(project: &Project) -> Option<&str> {
    project.recipe.steps.iter().find_map(|step| match step {
        Step::Run(run) => run.run.first().map(String::as_str),
        Step::Builtin(_) => None,
    })
}

fn remove(path: &Path) -> Result<(), WorkshopError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(WorkshopError::io(path)(error)),
        _ => Ok(()),
    }
}

/// Copies a file, or a folder with all that is in it. What a link in a project points to is copied, too.
fn copy(from: &Path, to: &Path) -> Result<(), WorkshopError> {
    if !from.is_dir() {
        return write(to, &fs::read(from).map_err(WorkshopError::io(from))?);
    }
    fs::create_dir_all(to).map_err(WorkshopError::io(to))?;
    for entry in fs::read_dir(from).map_err(WorkshopError::io(from))? {
        let entry = entry.map_err(WorkshopError::io(from))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), WorkshopError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(WorkshopError::io(folder))?;
    }
    fs::write(path, bytes).map_err(WorkshopError::io(path))
}
