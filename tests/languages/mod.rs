//! Plugins in every language, from nothing to a result: the project's own script installs the real tools into a folder,
//! `mr-engine new` makes a project, `mr-engine test` builds and runs it, and the component does what the same
//! plugin in Rust does, byte for byte, here and on a cluster.
//!
//! In reading order: [`project`] (a project of an author), [`commands`] (what an author may do wrong, which needs no
//! tools), [`imports`] (what of the machine components ask for), [`compiled`] and [`vectors`] (what the SDKs of compiled
//! languages have to do), then a file for each language, [`mixed`] (jobs of several), [`sides`] (side inputs in
//! each), [`outputs`] (named outputs in each), and [`pages`] (the documents for
//! authors).

mod assemblyscript;
mod c;
mod commands;
mod compiled;
mod cpp;
mod go;
mod imports;
mod javascript;
mod mixed;
mod outputs;
mod pages;
mod project;
mod python;
mod rust;
mod sides;
mod vectors;
mod zig;

use std::path::Path;

use crate::support::cluster::{Cluster, Setup, Work};
use crate::support::{Job, naive};

use project::Project;

/// Every language has them.
const TEMPLATES: [&str; 4] = ["wordcount", "grep", "join", "empty"];

/// Builds every template of a language and runs its own tests; counts words here and on a cluster of two workers.
/// No component imports more of the machine than its language has to.
#[track_caller]
fn check(language: &str) {
    check_templates_pass(language);
    check_word_count(language);
}

/// Builds the templates that count no words, and runs their own tests in the engine.
#[track_caller]
fn check_templates_pass(language: &str) {
    for template in ["grep", "join", "empty"] {
        let project = Project::new(language, template);
        project.passes();
        imports::check(&project, language);
    }
}

/// Counts words with the template for that, here and on a cluster of two workers.
#[track_caller]
fn check_word_count(language: &str) {
    let project = Project::new(language, "wordcount");
    project.passes();
    imports::check(&project, language);
    let component = project.component();
    let text = words();
    Job::of(&component).input(&text).args("--reducers 3 --split-size 64K").check(&naive::wordcount(&text, 3));
    let cluster = cluster();
    cluster.check(&Work::small_count_by(&component), language);
    Work::small_count().expected().assert_same_files(&cluster.output(language));
}

/// A cluster for plugins of any language: interpreters have larger memories than the tests' own plugins.
fn cluster() -> Cluster {
    Cluster::start(Setup { memory: "1G", lease: "30s", ..Setup::default() })
}

/// Runs a plugin over lines here and on a cluster, which must fail both times with these words; the log of the cluster's
/// job, which has what the plugin printed and what is said of the failure.
#[track_caller]
fn check_failure(component: &Path, lines: &str, says: &[&str], logs: &[&str]) {
    let all: Vec<&str> = says.iter().chain(logs).copied().collect();
    let job = Job::of(component).input(lines);
    job.fails(6, &all);
    let cluster = cluster();
    let work = Work::of(component.to_owned(), job.path("in"), "");
    cluster.submit(&work, "job").fails(6, says);
    let log = String::from_utf8(cluster.run(&["job", "logs", "job"]).stdout).unwrap();
    for words in logs {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
}

/// Text with words of every kind: white space of all sorts, letters that are no ASCII, bytes that are no text.
fn words() -> Vec<u8> {
    let mut text = include_bytes!("../../wit/engine.wit").repeat(20);
    text.extend(
        b"tab\tvertical\x0bform\x0creturn\r\n  na\xc3\xafve \xe2\x82\xac \xff\xfe caf\xc3\n\n\n".repeat(50),
    );
    text.extend("unit\u{1c}separator no\u{a0}break next\u{85}line\n".as_bytes().repeat(50));
    text.extend(b"the last line has no end");
    text
}
