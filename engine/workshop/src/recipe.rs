//! How a language is built: tools, and steps in order. Recipes are data of the SDKs (`recipe.toml`); names in
//! braces are filled in by `place`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::WorkshopError;

/// How a language is built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The language, as people write it.
    pub title: String,
    /// The author's file, where a project names none.
    pub entry: String,
    /// The command that tests a plugin natively, for people.
    pub test: String,
    /// Programs that the steps run, by the name that steps use.
    #[serde(default)]
    pub tools: BTreeMap<String, Tool>,
    /// Variables that all programs are given.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Arguments that stand for a role, by its name: `{role-args}` in a step is those of the project's roles.
    #[serde(default)]
    pub role_args: BTreeMap<String, Vec<String>>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// A program of somebody else's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tool {
    /// Its file's name.
    pub command: String,
    /// What makes it tell its version; none where it does not.
    pub version_args: Vec<String>,
    /// The version that the recipe is tested with; another one is used, and it is said so.
    pub version: String,
    /// How to install it: a sentence for people.
    pub install: String,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// A program is run.
    Run(Run),
    /// This program does it.
    Builtin(Builtin),
}

/// A program is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// A name of [`Recipe::tools`], or a path that begins with a place in braces, and arguments. An argument that
    /// is just `{role-args}` or `{sources}` stands for as many as there are.
    pub run: Vec<String>,
    /// Where it runs; in the project where it is not said.
    pub dir: Option<String>,
    /// Variables for this step alone.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What needs no program.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "builtin", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Builtin {
    /// Bindings for C, into a folder: `guest.h`, `guest.c`, `guest_component_type.o`, `roles.h`.
    BindgenC {
        /// The folder.
        out: String,
    },
    /// A core module becomes a component of the project's world.
    Componentize {
        /// The core module; what it says of its interface goes before the project's world.
        core: String,
        /// It may call WASI 0.1, and such calls are adapted.
        #[serde(default)]
        adapter: bool,
        /// The component.
        out: String,
    },
    /// A file, or a folder with all that is in it, is copied.
    Copy {
        /// From here.
        from: String,
        /// To there; folders on the way are made.
        to: String,
    },
    /// A text file is written.
    Write {
        /// The file; folders on the way are made.
        path: String,
        /// Its text, with places filled in.
        text: String,
    },
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// It is not UTF-8, not TOML, has other keys, or runs a tool that it does not name.
    pub fn parse(language: &str, bytes: &[u8]) -> Result<Self, WorkshopError> {
        let malformed = |reason: String| WorkshopError::Recipe { language: language.to_owned(), reason };
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let recipe: Self = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        for step in &recipe.steps {
            let Step::Run(Run { run, .. }) = step else { continue };
            let known =
                run.first().is_some_and(|tool| recipe.tools.contains_key(tool) || tool.starts_with('{'));
            if !known {
                return Err(malformed(format!("a step runs {:?}, which is no tool of it", run.first())));
            }
        }
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_strict() {
        let text = r#"
            title = "L"
            entry = "plugin.l"
            test = "l test"
            steps = [
                { run = ["lc", "-o", "{build}/core.wasm", "{role-args}"], env = { A = "b" } },
                { builtin = "componentize", core = "{build}/core.wasm", adapter = true, out = "{out}" },
            ]
            [tools.lc]
            command = "lc"
            version-args = ["--version"]
            version = "1.2"
            install = "pip install lc==1.2"
            [role-args]
            mapper = ["-DMAPPER"]
        "#;
        let recipe = Recipe::parse("l", text.as_bytes()).unwrap();
        assert!(matches!(&recipe.steps[1], Step::Builtin(Builtin::Componentize { adapter: true, .. })));
        let fault = |from: &str, to: &str| {
            assert!(text.contains(from));
            Recipe::parse("l", text.replace(from, to).as_bytes()).unwrap_err().to_string()
        };
        assert!(fault("[\"lc\"", "[\"ld\"").contains("a step runs Some(\"ld\")"));
        assert!(fault("version = ", "versoin = ").contains("versoin"));
        assert!(fault("componentize", "compose").contains("the recipe of l is malformed"));
    }
}
