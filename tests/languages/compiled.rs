//! What the SDKs of compiled languages have to do besides their templates: import no more than their page says, pass
//! the language's own tests, and name the record at which a plugin failed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::project::{Project, detached, repository, succeeds};
use super::vectors;
use crate::support::Job;
use crate::support::process::{run, shared_cache};

/// Every template passes the tests that it has in its own language, and imports of WASI what `is_allowed`.
#[track_caller]
pub fn check_templates(language: &str, native: &str, is_allowed: impl Fn(&str) -> bool) {
    for template in ["wordcount", "grep", "join", "empty"] {
        let project = Project::new(language, template);
        project.built();
        natively(&project, language, native);
        let imports = wasi_imports(&project);
        let strange: Vec<_> = imports.iter().filter(|name| !is_allowed(name)).collect();
        assert!(strange.is_empty(), "{language}, {template} imports {strange:?}");
    }
}

/// Runs a line of the shell in a project, with the tools of its language.
#[track_caller]
pub fn natively(project: &Project, language: &str, line: &str) {
    let tools = fs::canonicalize(repository("target/toolchains")).unwrap().join(language).join("bin");
    let mut shell = detached(Path::new("/bin/sh"), &project.dir());
    shell.arg("-c").arg(format!("PATH={}:$PATH && export PATH && {line}", tools.display()));
    succeeds(shell);
}

/// Interfaces that the component of a project imports besides the engine's, without their versions.
#[track_caller]
pub fn wasi_imports(project: &Project) -> Vec<String> {
    let mut inspect = crate::support::process::command(&project.dir());
    inspect.args(["inspect", "--json"]).arg(project.component()).arg("--cache-dir").arg(shared_cache());
    let ended = run(inspect);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let names = shown["imports"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let names = names.map(|name| name.split('@').next().unwrap_or_default().to_owned());
    names.filter(|name| !name.starts_with("mr:engine/")).collect()
}

/// Copies a file of the repository into a project.
pub fn copy(project: &Project, from: &str, to: &str) {
    fs::copy(repository(from), project.dir().join(to)).unwrap();
}

/// Writes the shared vectors, as lines, into a file of a project.
pub fn write_vectors(project: &Project, name: &str) {
    fs::write(project.dir().join(name), vectors::lines()).unwrap();
}

/// A template that passes on lines, edited so that it fails at the line `boom`: the job says so with these words,
/// and names the line.
#[track_caller]
pub fn check_fault(project: &Project, says: &str) {
    let component = project.built();
    let line = "while mapping the line at byte 4: \"boom\"";
    Job::of(&component).input("one\nboom\nthree\n").fails(6, &[says, line]);
}
