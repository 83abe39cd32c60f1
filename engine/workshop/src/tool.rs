//! Programs on this machine that recipes need: where they are, and whether they are the ones that a recipe was
//! tested with.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::WorkshopError;
use crate::process;
use crate::project::Project;
use crate::recipe::Tool;

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub struct ToolPath {
    folders: Vec<PathBuf>,
    /// The folder of the language's own tools, if one is set.
    toolchain: Option<PathBuf>,
}

/// A program that was found.
#[derive(Debug, Clone)]
pub struct FoundTool {
    /// Its file.
    pub path: PathBuf,
    /// A sentence, where its version is not the one that the recipe is tested with.
    pub note: Option<String>,
}

impl ToolPath {
    /// The tools of a language: those in `TOOLCHAINS/<language>/bin`, then those on `PATH`.
    pub fn new(toolchains: Option<&Path>, language: &str) -> Self {
        let toolchain = toolchains.map(|folder| folder.join(language));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders =
            toolchain.iter().map(|folder| folder.join("bin")).chain(std::env::split_paths(&path)).collect();
        Self { folders, toolchain }
    }

    /// `PATH` for programs that are run: they find each other as they were found.
    pub fn variable(&self) -> OsString {
        std::env::join_paths(&self.folders).unwrap_or_else(|_| std::env::var_os("PATH").unwrap_or_default())
    }

    /// Finds a tool of a project and asks for its version.
    ///
    /// # Errors
    /// It is not there, or cannot be run.
    pub fn find(&self, project: &Project, name: &str, tool: &Tool) -> Result<FoundTool, WorkshopError> {
        let Some(path) = self.file(&tool.command) else {
            return Err(WorkshopError::ToolMissing {
                language: project.recipe.title.clone(),
                tool: name.to_owned(),
                version: tool.version.clone(),
                command: tool.command.clone(),
                toolchains: self
                    .toolchain
                    .as_ref()
                    .map(|folder| format!(" nor in {}", folder.join("bin").display()))
                    .unwrap_or_default(),
                install: tool.install.clone(),
            });
        };
        if tool.version_args.is_empty() {
            return Ok(FoundTool { path, note: None });
        }
        let ended = process::run(process::Order {
            program: &path,
            args: tool.version_args.iter().map(OsString::from).collect(),
            dir: &project.dir,
            env: vec![("PATH".into(), self.variable())],
        })?;
        let known = says_version(&ended.said, &tool.version);
        let note = (!known).then(|| {
            let first = ended.said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
            format!(
                "{name} {} is what the recipe is tested with, and {} says {first}",
                tool.version,
                path.display()
            )
        });
        Ok(FoundTool { path, note })
    }

    /// The prefix in which a language's tools are: its own folder, or what the folder of a program lies in.
    pub fn prefix(&self, first: Option<&FoundTool>) -> PathBuf {
        let own = self.toolchain.clone().filter(|folder| folder.is_dir());
        let above = || first.and_then(|tool| Some(tool.path.parent()?.parent()?.to_owned()));
        own.or_else(above).unwrap_or_else(|| PathBuf::from("/usr"))
    }

    fn file(&self, command: &str) -> Option<PathBuf> {
        let runs = |path: &PathBuf| {
            std::fs::metadata(path)
                .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        };
        self.folders.iter().map(|folder| folder.join(command)).find(runs)
    }
}

/// True where the version stands in the text by itself, not as a part of another one.
fn says_version(said: &str, version: &str) -> bool {
    let part = |letter: char| letter.is_ascii_digit() || letter == '.';
    said.match_indices(version).any(|(at, _)| {
        let before = said[..at].chars().next_back();
        let mut after = said[at + version.len()..].chars();
        let next = after.next();
        // 1.27 is said by 1.27.4, but 1.2 is not said by 1.27.
        !before.is_some_and(part) && !next.is_some_and(|letter| letter.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_by_themselves() {
        for (said, version, yes) in [
            ("componentize-py 0.25.1", "0.25.1", true),
            ("componentize-py 0.25.10", "0.25.1", false),
            ("go version go1.27.4 linux/amd64", "1.27", true),
            ("tool 10.25.1", "0.25.1", false),
            ("tool 3.0.25.1", "0.25.1", false),
            ("", "1", false),
        ] {
            assert_eq!(says_version(said, version), yes, "{said:?} {version}");
        }
    }
}
