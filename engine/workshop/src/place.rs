//! Names in recipes: `{project}` and its kin become paths and words of the project at hand. What is in braces and
//! no such name stays as it is, as code in a template's text may need.

use std::path::Path;

use crate::project::Project;
use crate::world::WORLD;

/// Arguments that stand for several.
const LISTS: [&str; 2] = ["{role-args}", "{sources}"];

/// What the names stand for.
pub struct Places {
    names: Vec<(&'static str, String)>,
    role_args: Vec<String>,
    sources: Vec<String>,
}

impl Places {
    /// The names of a project, with its tools in a folder.
    pub fn new(project: &Project, tools: &Path) -> Self {
        let shown = |path: &Path| path.display().to_string();
        let build = project.build_dir();
        let module = Path::new(&project.entry).file_stem().unwrap_or_default().to_string_lossy();
        let roles: Vec<&str> = project.roles.iter().map(|role| role.name()).collect();
        let names = vec![
            ("project", shown(&project.dir)),
            ("build", shown(&build)),
            ("wit", shown(&build.join("wit"))),
            ("world", WORLD.to_owned()),
            ("name", project.name.clone()),
            ("ident", project.name.replace('-', "_")),
            ("entry", project.entry.clone()),
            ("module", module.into_owned()),
            ("roles", roles.join(",")),
            ("out", shown(&project.component())),
            ("tools", shown(tools)),
        ];
        let role_args = project
            .roles
            .iter()
            .flat_map(|role| project.recipe.role_args.get(role.name()).cloned().unwrap_or_default())
            .collect();
        let sources = std::iter::once(&project.entry).chain(&project.sources).cloned().collect();
        Self { names, role_args, sources }
    }

    /// A text with the names filled in.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let name = after.split_once('}').and_then(|(name, rest)| {
                let (_, value) = self.names.iter().find(|(known, _)| *known == name)?;
                Some((value, rest))
            });
            match name {
                Some((value, behind)) => {
                    filled.push_str(value);
                    rest = behind;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    /// Arguments with the names filled in.
    pub fn fill_args(&self, args: &[String]) -> Vec<String> {
        let several = |arg: &String| -> Vec<String> {
            match LISTS.iter().position(|list| list == arg) {
                Some(0) => self.role_args.iter().map(|arg| self.fill(arg)).collect(),
                Some(_) => self.sources.clone(),
                None => vec![self.fill(arg)],
            }
        };
        args.iter().flat_map(several).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_code_is_left_alone() {
        let places = Places {
            names: vec![("name", "count".to_owned()), ("out", "/b/count.wasm".to_owned())],
            role_args: vec!["-D{name}".to_owned(), "-DREDUCER".to_owned()],
            sources: vec!["a.c".to_owned(), "b.c".to_owned()],
        };
        assert_eq!(places.fill("{name}: {out}{name}"), "count: /b/count.wasmcount");
        assert_eq!(
            places.fill("function f() { return {x: 1}; } {other} {"),
            "function f() { return {x: 1}; } {other} {"
        );
        let args = ["-c", "{role-args}", "{sources}", "{out}"].map(str::to_owned);
        assert_eq!(places.fill_args(&args), ["-c", "-Dcount", "-DREDUCER", "a.c", "b.c", "/b/count.wasm"]);
    }
}
