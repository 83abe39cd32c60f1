//! The languages that there are: their files, put into the binary at compile time.

use crate::error::WorkshopError;
use crate::recipe::Recipe;

/// Files by their path, sorted.
pub type Files = &'static [(&'static str, &'static [u8])];

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Other names for languages.
const ALIASES: [(&str, &str); 10] = [
    ("as", "assemblyscript"),
    ("c++", "cpp"),
    ("cc", "cpp"),
    ("golang", "go"),
    ("js", "javascript"),
    ("py", "python"),
    ("python3", "python"),
    ("rs", "rust"),
    ("ts", "typescript"),
    ("cxx", "cpp"),
];

/// A language that plugins can be written in.
#[derive(Debug, Clone, Copy)]
pub struct Language {
    name: &'static str,
    files: Files,
}

impl Language {
    /// All of them, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        LANGUAGES.iter().map(|(name, files)| Self { name, files })
    }

    /// The language of this name, or of an alias of it.
    ///
    /// # Errors
    /// There is no such language.
    pub fn find(name: &str) -> Result<Self, WorkshopError> {
        let lower = name.to_ascii_lowercase();
        let meant =
            ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, name)| name);
        Self::all().find(|language| language.name == meant).ok_or_else(|| WorkshopError::NoLanguage {
            name: name.to_owned(),
            known: Self::all().map(|language| language.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// Its name, as a project says it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// How it is built.
    ///
    /// # Errors
    /// The recipe is malformed, which is a fault of this program.
    pub fn recipe(self) -> Result<Recipe, WorkshopError> {
        Recipe::parse(self.name, self.file("recipe.toml").unwrap_or_default())
    }

    /// Names of its templates, sorted.
    pub fn templates(self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self
            .files
            .iter()
            .filter_map(|(path, _)| path.strip_prefix("templates/")?.split('/').next())
            .collect();
        names.dedup();
        names
    }

    /// The content of one of its files.
    pub fn file(self, path: &str) -> Option<&'static [u8]> {
        self.files.iter().find(|(known, _)| *known == path).map(|(_, bytes)| *bytes)
    }

    /// Its files in a folder, with their paths below it.
    pub fn below(self, folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
        below(self.files, folder)
    }
}

/// What all languages have in common of a template, with paths below it. `common` is part of every one.
pub fn shared_template(template: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    below(TEMPLATES, template)
}

fn below(files: Files, folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    files
        .iter()
        .filter_map(move |(path, bytes)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_whole() {
        let mut languages = 0;
        for language in Language::all() {
            let recipe = language.recipe().unwrap();
            assert!(!recipe.steps.is_empty() && !recipe.title.is_empty(), "{}", language.name());
            let templates = language.templates();
            for template in ["empty", "grep", "join", "wordcount"] {
                assert!(templates.contains(&template), "{} has no {template}", language.name());
                let entry = format!("templates/{template}/{}", recipe.entry);
                assert!(language.file(&entry).is_some(), "{} has no {entry}", language.name());
            }
            assert!(language.below("sdk").count() > 0, "{} has no SDK", language.name());
            assert!(language.file("README.md").is_some(), "{} has no page", language.name());
            languages += 1;
        }
        assert!(languages > 0);
    }

    #[test]
    fn languages_have_other_names() {
        for language in Language::all() {
            assert_eq!(Language::find(&language.name().to_uppercase()).unwrap().name(), language.name());
        }
        assert_eq!(Language::find("rs").unwrap().name(), "rust");
        let said = Language::find("cobol").unwrap_err().to_string();
        assert!(
            said.starts_with("there is no language \"cobol\"; there are ") && said.contains("rust"),
            "{said}"
        );
    }
}
