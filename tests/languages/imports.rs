//! Least authority by language: what components import besides the engine's own interface. Most languages need nothing
//! of the machine; the pages of those that do name what it is.

use serde_json::Value;

use super::project::Project;
use crate::support::process::{command, run, shared_cache};

/// What Rust's library and Go's runtime import, whatever a plugin does.
const CONSOLE: [&str; 13] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];
/// What Go's runtime imports besides.
const GO: [&str; 5] = [
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:random/random",
];

/// A built component imports exactly what its language needs.
#[track_caller]
pub fn check(project: &Project, language: &str) {
    let mut expected = match language {
        "rust" => CONSOLE.to_vec(),
        "go" => [CONSOLE.as_slice(), &GO].concat(),
        _ => Vec::new(),
    };
    expected.sort_unstable();
    assert_eq!(wasi(project), expected, "{language}");
}

/// Interfaces that the component of a project imports besides the engine's, without their versions.
#[track_caller]
pub fn wasi(project: &Project) -> Vec<String> {
    let mut inspect = command(&project.dir());
    inspect.args(["inspect", "--json"]).arg(project.component()).arg("--cache-dir").arg(shared_cache());
    let ended = run(inspect);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let names = shown["imports"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let names = names.map(|name| name.split('@').next().unwrap_or_default().to_owned());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("mr:engine/")).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_page_on_languages_names_what_is_imported() {
    let page = include_str!("../../docs/languages.md");
    for interface in CONSOLE.iter().chain(&GO) {
        assert!(page.contains(&format!("`{interface}`")), "{interface} is not on the page");
    }
}
