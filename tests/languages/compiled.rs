//! What the SDKs of compiled languages have to do besides their templates: pass the language's own tests, and name the
//! record at which a plugin failed.

use std::fs;
use std::path::Path;

use super::project::{Project, detached, repository, succeeds};
use super::{check_failure, vectors};

/// Every template passes the tests that it has in its own language, without the engine, and those with it.
#[track_caller]
pub fn check_templates(language: &str, native: &str) {
    super::check_templates_pass(language);
    for template in super::TEMPLATES {
        // Bindings are among what is built.
        let project = Project::new(language, template).into_built();
        natively(&project, language, native);
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
    check_failure(
        &component,
        "one\nboom\nthree\n",
        &[says, "while mapping the line at byte 4: \"boom\""],
        &[],
    );
}
