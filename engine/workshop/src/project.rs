//! An author's project: what `mr-engine.toml` says.

use std::path::{Path, PathBuf};

use mr_model::Role;
use serde::Deserialize;

use crate::error::WorkshopError;
use crate::language::Language;
use crate::recipe::Recipe;

/// Name of the file that makes a folder a project.
pub const PROJECT_FILE: &str = "mr-engine.toml";
/// Longest name of a project, in bytes: it is a file's name and part of many messages.
pub const NAME_BYTES_MAX: usize = 64;
/// Largest project file, in bytes: it holds a few lines.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its folder, from the root.
    pub dir: PathBuf,
    /// Name of the plugin.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// How that is built.
    pub recipe: Recipe,
    /// Roles that the plugin has, in the order of [`Role::ALL`].
    pub roles: Vec<Role>,
    /// The author's file, below the folder.
    pub entry: String,
    /// Further files of the author's, below the folder.
    pub sources: Vec<String>,
}

/// What `mr-engine.toml` may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    language: String,
    roles: Vec<String>,
    entry: Option<String>,
    #[serde(default)]
    sources: Vec<String>,
}

impl Project {
    /// Reads the project in a folder.
    ///
    /// # Errors
    /// There is none, or its file says what it cannot; the error names file and place.
    pub fn open(dir: &Path) -> Result<Self, WorkshopError> {
        let dir = std::path::absolute(dir).map_err(WorkshopError::io(dir))?;
        let path = dir.join(PROJECT_FILE);
        let file = read(&dir, &path)?;
        let wrong = |reason: String| WorkshopError::Project { path: path.clone(), reason };
        if !is_name(&file.name) {
            return Err(WorkshopError::Name { name: file.name });
        }
        let language = Language::find(&file.language).map_err(|error| wrong(error.to_string()))?;
        let recipe = language.recipe()?;
        let roles = roles(&file.roles).map_err(&wrong)?;
        let entry = file.entry.unwrap_or_else(|| recipe.entry.clone());
        for source in std::iter::once(&entry).chain(&file.sources) {
            if !is_below(source) {
                return Err(wrong(format!("{source:?} is no path below the project's folder")));
            }
            if !dir.join(source).is_file() {
                return Err(wrong(format!(
                    "{source} is not there; `entry` and `sources` name the author's files"
                )));
            }
        }
        Ok(Self { dir, name: file.name, language, recipe, roles, entry, sources: file.sources })
    }

    /// The folder that everything is built in.
    pub fn build_dir(&self) -> PathBuf {
        self.dir.join("build")
    }

    /// The component that a build makes.
    pub fn component(&self) -> PathBuf {
        self.build_dir().join(format!("{}.wasm", self.name))
    }
}

/// True for what can be a project's name: it is also the name of a crate, a file and a module.
pub fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    name.len() <= NAME_BYTES_MAX
        && letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_below(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn read(dir: &Path, path: &Path) -> Result<File, WorkshopError> {
    let wrong = |reason: String| WorkshopError::Project { path: path.to_owned(), reason };
    let bytes = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(WorkshopError::NoProject { path: dir.to_owned() });
        }
        metadata => metadata.map_err(WorkshopError::io(path))?.len(),
    };
    if bytes > FILE_BYTES_MAX {
        return Err(wrong(format!("it has {bytes} bytes, and {FILE_BYTES_MAX} are allowed")));
    }
    let text = std::fs::read_to_string(path).map_err(WorkshopError::io(path))?;
    toml::from_str(&text).map_err(|error| wrong(toml_reason(&text, &error)))
}

/// A parser's error in one line, with its place.
pub fn toml_reason(text: &str, error: &toml::de::Error) -> String {
    let line = |start: usize| text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    let place = error.span().map(|span| format!("line {}: ", line(span.start))).unwrap_or_default();
    format!("{place}{}", error.message().replace('\n', "; "))
}

fn roles(names: &[String]) -> Result<Vec<Role>, String> {
    let all = Role::ALL.map(Role::name).join(", ");
    for name in names {
        if !Role::ALL.iter().any(|role| role.name() == name) {
            let near = Role::ALL.iter().find(|role| looks_like(role.name(), name));
            let near = near.map(|role| format!("did you mean {role}? ")).unwrap_or_default();
            return Err(format!("{name:?} is no role; {near}Roles are {all}"));
        }
    }
    if names.is_empty() {
        return Err(format!("`roles` is empty; roles are {all}"));
    }
    Ok(Role::ALL.into_iter().filter(|role| names.iter().any(|name| name == role.name())).collect())
}

/// True where a name was probably meant: the same beginning, or the same letters.
fn looks_like(role: &str, typed: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<u8> = text.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
        letters.sort_unstable();
        letters.dedup();
        letters
    };
    let begins = typed.len() >= 3 && role.starts_with(&typed.to_ascii_lowercase()[..typed.len().min(3)]);
    let short = typed.is_ascii() && typed.len() + 2 > role.len();
    typed.is_ascii() && (begins || (short && (typed[..1] == role[..1] || sorted(role) == sorted(typed))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> Result<Project, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/lib.rs"), "").unwrap();
        std::fs::write(dir.path().join(PROJECT_FILE), text).unwrap();
        Project::open(dir.path())
            .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "DIR"))
    }

    #[test]
    fn a_project_says_what_it_is() {
        let text = "name = \"count\"\nlanguage = \"rust\"\nroles = [\"reducer\", \"mapper\"]\n";
        let read = project(text).unwrap();
        assert_eq!((read.name.as_str(), read.entry.as_str()), ("count", "src/lib.rs"));
        assert_eq!(read.roles, [Role::Mapper, Role::Reducer]);
        assert!(read.component().ends_with("build/count.wasm"));
        let fault = |from: &str, to: &str| project(&text.replace(from, to)).unwrap_err();
        assert_eq!(
            fault("\"mapper\"", "\"maper\""),
            "DIR/mr-engine.toml: \"maper\" is no role; did you mean mapper? Roles are mapper, combiner, reducer, partitioner"
        );
        assert!(fault("\"reducer\"", "\"ruducer\"").contains("did you mean reducer?"));
        assert!(fault("\"reducer\"", "\"\"").contains("\"\" is no role; Roles are"));
        assert!(fault("\"reducer\"", "\"r\u{e9}\"").contains("is no role"));
        assert!(fault("[\"reducer\", \"mapper\"]", "[]").contains("`roles` is empty"));
        assert_eq!(
            fault("roles", "rolls"),
            "DIR/mr-engine.toml: line 3: unknown field `rolls`, expected one of `name`, `language`, `roles`, `entry`, `sources`"
        );
        assert!(fault("count", "Count").starts_with("\"Count\" cannot be a project's name"));
        assert!(
            fault("\"rust\"", "\"rost\"")
                .starts_with("DIR/mr-engine.toml: there is no language \"rost\"; there are ")
        );
        let entry = |path: &str| project(&format!("{text}entry = {path:?}\n")).unwrap_err();
        assert!(entry("src/main.rs").contains("src/main.rs is not there"));
        assert!(entry("../lib.rs").contains("no path below"));
    }

    #[test]
    fn a_folder_without_a_project_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let said = Project::open(dir.path()).unwrap_err().to_string();
        assert!(said.ends_with("no mr-engine.toml here; `mr-engine new` makes a project"), "{said}");
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "word-count-2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "2a", "A", "a_b", "a/b", "a.b", "\u{e4}", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
