//! How a project begins: the files of a template, those that all languages share, and the SDK's.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::WorkshopError;
use crate::language::{Language, shared_template};
use crate::project::is_name;
use crate::recipe::Recipe;

/// A project to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewProject<'a> {
    /// Its name, and that of its folder.
    pub name: &'a str,
    /// What it is to be written in.
    pub language: Language,
    /// What it begins with.
    pub template: &'a str,
}

/// Makes a project in the folder `parent`; its folder. Nothing is left where that fails on the way.
///
/// # Errors
/// The name or the template will not do, something of that name is there, or a file cannot be written.
pub fn create(parent: &Path, new: NewProject<'_>) -> Result<PathBuf, WorkshopError> {
    let NewProject { name, language, template } = new;
    if !is_name(name) {
        return Err(WorkshopError::Name { name: name.to_owned() });
    }
    let templates = language.templates();
    if !templates.contains(&template) {
        let (name, known) = (template.to_owned(), templates.join(", "));
        return Err(WorkshopError::NoTemplate { language: language.name(), name, known });
    }
    let recipe = language.recipe()?;
    let dir = parent.join(name);
    if dir.symlink_metadata().is_ok() {
        return Err(WorkshopError::Occupied { path: dir });
    }
    fs::create_dir(&dir).map_err(WorkshopError::io(&dir))?;
    let written = write_all(&dir, new, &recipe);
    if written.is_err() {
        // The folder is ours: it was made a moment ago. The first error is the one to tell.
        let _ = fs::remove_dir_all(&dir);
    }
    written.map(|()| dir)
}

fn write_all(dir: &Path, new: NewProject<'_>, recipe: &Recipe) -> Result<(), WorkshopError> {
    let NewProject { language, template, .. } = new;
    let own = format!("templates/{template}");
    let texts = shared_template("common").chain(shared_template(template)).chain(language.below(&own));
    for (path, bytes) in texts {
        // A name that begins with a dot would hide the template where it lies.
        let path = if path == "gitignore" { ".gitignore" } else { path };
        write(&dir.join(path), fill(bytes, new, recipe).as_deref().unwrap_or(bytes))?;
    }
    for (path, bytes) in language.below("sdk") {
        write(&dir.join("mr").join(path), bytes)?;
    }
    language.file("README.md").map_or(Ok(()), |page| write(&dir.join("mr/README.md"), page))
}

/// The text with names filled in; none for what is no text.
fn fill(bytes: &[u8], new: NewProject<'_>, recipe: &Recipe) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let filled = text
        .replace("{{name}}", new.name)
        .replace("{{ident}}", &new.name.replace('-', "_"))
        .replace("{{language}}", new.language.name())
        .replace("{{title}}", &recipe.title)
        .replace("{{template}}", new.template)
        .replace("{{entry}}", &recipe.entry)
        .replace("{{test}}", &recipe.test);
    Some(filled.into_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), WorkshopError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(WorkshopError::io(folder))?;
    }
    fs::write(path, bytes).map_err(WorkshopError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn every_template_of_every_language_is_a_project() {
        let parent = tempfile::tempdir().unwrap();
        for language in Language::all() {
            for template in language.templates() {
                let name = format!("{}-{template}", language.name());
                let new = NewProject { name: &name, language, template };
                let dir = create(parent.path(), new).unwrap();
                let project = Project::open(&dir).unwrap();
                assert_eq!(project.name, name);
                assert!(dir.join("mr/README.md").is_file() && dir.join(".gitignore").is_file());
                for entry in walk(&dir) {
                    let text = fs::read(&entry).unwrap();
                    assert!(!String::from_utf8_lossy(&text).contains("{{name}}"), "{}", entry.display());
                }
                let said = create(parent.path(), new).unwrap_err().to_string();
                assert!(said.ends_with("there is something already; choose another name"), "{said}");
            }
        }
    }

    #[test]
    fn what_cannot_be_made_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let language = Language::find("rust").unwrap();
        let fault = |name: &str, template: &str| {
            create(parent.path(), NewProject { name, language, template }).unwrap_err().to_string()
        };
        assert!(fault("No", "empty").starts_with("\"No\" cannot be a project's name"));
        assert!(fault("no", "full").starts_with("rust has no template \"full\"; it has empty, "));
        assert_eq!(walk(parent.path()).len(), 0);
    }

    fn walk(dir: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
        }
        files
    }
}
