//! `mr-engine test`: runs a plugin over sample input, in this process, and compares what it yields with what
//! the author expects.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use mr_workshop::Project;

use super::build::build;
use super::case::{Case, Verdict};
use crate::args::workshop::TestArgs;
use crate::exit::{self, UsageError};
use crate::interrupt::Interrupt;

/// Cases that did not pass.
#[derive(Debug)]
pub struct TestsFailed {
    failed: usize,
    all: usize,
}

impl fmt::Display for TestsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} tests failed", self.failed, self.all)
    }
}

impl std::error::Error for TestsFailed {}

/// Builds the plugin and runs all its cases, or those that are asked for.
pub fn run(args: &TestArgs) -> Result<()> {
    let project = Project::open(&args.build.dir)?;
    let cases = cases(&project, &args.cases)?;
    let interrupt = Interrupt::watch()?;
    if !args.no_build {
        build(&project, &args.build)?;
    } else if !project.component().is_file() {
        let wanted = project.component();
        return Err(UsageError(format!("{} is not there; leave out --no-build", wanted.display())).into());
    }
    let mut failed = 0;
    for case in &cases {
        match case.run(&project.component(), args, &interrupt) {
            Ok(Verdict::Same) => eprintln!("test {} ... ok", case.name()),
            Ok(Verdict::Accepted) => eprintln!("test {} ... accepted", case.name()),
            Ok(Verdict::Differs(difference)) => {
                failed += 1;
                eprintln!("test {} ... differs: {difference}", case.name());
            }
            Err(error) if interrupt.is_raised() => return Err(error),
            // What is wrong with one case may be wrong with that one alone.
            Err(error) => {
                failed += 1;
                eprintln!("test {} ... failed: {}", case.name(), exit::told(&error));
            }
        }
    }
    if failed > 0 {
        return Err(TestsFailed { failed, all: cases.len() }.into());
    }
    Ok(())
}

/// The cases of a project, by name.
fn cases(project: &Project, asked: &[String]) -> Result<Vec<Case>, UsageError> {
    let folder = project.dir.join("tests");
    let mut names = folders(&folder);
    if let Some(missing) = asked.iter().find(|name| !names.contains(name)) {
        return Err(UsageError(format!(
            "{} has no case {missing:?}; it has {}",
            folder.display(),
            names.join(", ")
        )));
    }
    names.retain(|name| asked.is_empty() || asked.contains(name));
    if names.is_empty() {
        return Err(UsageError(format!(
            "{}: no tests here; a test is a folder with input.txt and expected.txt",
            folder.display()
        )));
    }
    Ok(names.into_iter().map(|name| Case::new(&folder, name)).collect())
}

/// Names of the folders in a folder, sorted. Other files there are the author's own.
fn folders(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with(['.', '_']))
        .collect();
    names.sort();
    names
}
