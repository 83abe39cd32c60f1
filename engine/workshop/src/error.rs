//! What can go wrong between an idea and a component: one sentence for each, and the tool's own words below
//! it where it was a tool that failed.

use std::path::PathBuf;

/// Why there is no project, or no component.
#[derive(Debug, thiserror::Error)]
pub enum WorkshopError {
    /// A language that there is not.
    #[error("there is no language {name:?}; there are {known}")]
    NoLanguage {
        /// As it was given.
        name: String,
        /// The languages that there are.
        known: String,
    },
    /// A template that the language has not.
    #[error("{language} has no template {name:?}; it has {known}")]
    NoTemplate {
        /// The language.
        language: &'static str,
        /// As it was given.
        name: String,
        /// The templates that there are.
        known: String,
    },
    /// A name that no project can have.
    #[error("{name:?} cannot be a project's name: use a-z, 0-9 and '-', a letter first, 64 at most")]
    Name {
        /// As it was given.
        name: String,
    },
    /// A folder that is in the way.
    #[error("{}: there is something already; choose another name", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that is no project.
    #[error("{}: no mr-engine.toml here; `mr-engine new` makes a project", path.display())]
    NoProject {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the project that says what it cannot.
    #[error("{}: {reason}", path.display())]
    Project {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A recipe in this program that cannot be used.
    #[error("the recipe of {language} is malformed: {reason}")]
    Recipe {
        /// The language.
        language: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that is not here.
    #[error("{language} needs {tool} {version}, and {command} was not found on PATH{toolchains}: {install}")]
    ToolMissing {
        /// The language.
        language: String,
        /// Name of the tool.
        tool: String,
        /// The version that the recipe is tested with.
        version: String,
        /// The program that was looked for.
        command: String,
        /// Where else it was looked for.
        toolchains: String,
        /// How to install it.
        install: String,
    },
    /// A program that could not be run.
    #[error("{command} cannot be run: {reason}")]
    ToolRun {
        /// The program.
        command: String,
        /// The system's reason.
        reason: String,
    },
    /// A program that failed.
    #[error("{name} was not built: {command} {end}\n{}", said.trim_end())]
    Step {
        /// The plugin.
        name: String,
        /// The program.
        command: String,
        /// How it ended.
        end: String,
        /// What it said.
        said: String,
    },
    /// A step of this program's own that failed.
    #[error("{name} was not built: {step}: {reason}")]
    Builtin {
        /// The plugin.
        name: String,
        /// What was done.
        step: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl WorkshopError {
    /// True where what was asked is wrong or something is missing, rather than what an author wrote.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Step { .. } | Self::Builtin { .. } | Self::Recipe { .. } | Self::Io { .. })
    }

    /// True where the plugin's source did not become a component.
    pub fn is_build(&self) -> bool {
        matches!(self, Self::Step { .. } | Self::Builtin { .. })
    }

    /// The error of a file.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
