//! Plugins in every language, from nothing to a result: the project's own script installs the real tools into a folder,
//! `mr-engine new` makes a project, `mr-engine test` builds and runs it, and the component does what the same
//! plugin in Rust does, byte for byte, here and on a cluster.
//!
//! In reading order: [`project`] (a project of an author), [`commands`] (what an author may do wrong, which needs no
//! tools), [`imports`] (what components are given of the machine), [`compiled`] and [`vectors`] (what the SDKs of compiled languages have to do), then a file for each
//! language, and [`mixed`] (jobs of several).

mod assemblyscript;
mod c;
mod commands;
mod compiled;
mod cpp;
mod go;
mod imports;
mod javascript;
mod mixed;
mod project;
mod python;
mod rust;
mod vectors;
mod zig;

use crate::support::cluster::{Cluster, Setup, Work};
use crate::support::{Job, naive};

use project::Project;

/// Builds every template of a language and runs its own tests; counts words here and on a cluster of two workers.
/// No component imports more of the machine than its language has to.
#[track_caller]
fn check(language: &str) {
    for template in ["grep", "join", "empty"] {
        let project = Project::new(language, template);
        project.passes();
        imports::check(&project, language);
    }
    let project = Project::new(language, "wordcount");
    project.passes();
    imports::check(&project, language);
    let component = project.component();
    let text = words();
    Job::of(&component).input(&text).args("--reducers 3 --split-size 64K").check(&naive::wordcount(&text, 3));
    // Interpreters have larger memories than the tests' own plugins.
    let cluster = Cluster::start(Setup { memory: "1G", lease: "30s", ..Setup::default() });
    cluster.check(&Work::small_count_by(&component), language);
    Work::small_count().expected().assert_same_files(&cluster.output(language));
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
