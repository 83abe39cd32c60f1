<<<<<<< HEAD
//! Jobs of several languages: every stage of the word count from another one, with the very output of the
//! exemplary plugin, here and on a cluster; and what does not fit is refused before it runs.

use std::path::PathBuf;

use super::project::{Project, odd_text};
use crate::support::cluster::{Cluster, Work};
use crate::support::process::{plugin, run};
use crate::support::{Job, naive};

/// The word count of a language.
fn word_count(language: &'static str) -> (Project, PathBuf) {
    let project = Project::new(language, "wordcount");
    let component = project.build();
    (project, component)
}

/// Runs a job whose mapper, combiner and reducer come from these components.
fn check(stages: [&PathBuf; 3], id: &str, cluster: &Cluster) {
    let text = odd_text();
    let options = ["--map", "--combine", "--reduce"];
    let staged = options.iter().zip(stages).fold(Job::staged(), |job, (option, wasm)| job.arg(option).arg(wasm));
    staged.input(&text).args("--split-size 16K --reducers 3").check(&naive::wordcount(&text, 3));

    let [map, combine, reduce] = stages.map(|wasm| wasm.display().to_string());
    let args = format!("--split-size 128K --reducers 4 --combine {combine} --reduce {reduce}");
    let exemplary = Work::small_count();
    let work = Work::of(PathBuf::from(map), exemplary.input().to_owned(), &args);
    cluster.check(&work, id);
    exemplary.expected().assert_same_files(&cluster.output(id));
}

#[test]
fn stages_of_several_languages_yield_the_same() {
    let (_c, c) = word_count("c");
    let (_zig, zig) = word_count("zig");
    let (_asc, asc) = word_count("assemblyscript");
    let rust = plugin("wordcount");
    let cluster = Cluster::steady(2);
    check([&c, &zig, &asc], "c-zig-assemblyscript", &cluster);
    check([&asc, &rust, &c], "assemblyscript-rust-c", &cluster);
=======
//! Jobs of several languages: the same bytes as the job in Rust alone, and a sentence where stages do not fit.

use std::path::Path;

use super::project::Project;
use super::words;
use crate::support::{Job, naive};

fn job(map: &Path) -> Job {
    Job::staged().arg("--map").arg(map).input(words()).args("--reducers 2 --split-size 32K")
>>>>>>> lang-a
}

#[test]
#[ignore = "make test-languages"]
<<<<<<< HEAD
fn stages_of_interpreted_languages_yield_the_same() {
    let (_c, c) = word_count("c");
    let (_go, go) = word_count("go");
    let (_python, python) = word_count("python");
    let (_javascript, javascript) = word_count("javascript");
    let rust = plugin("wordcount");
    let cluster = Cluster::steady(2);
    check([&python, &rust, &rust], "python-rust", &cluster);
    check([&c, &c, &python], "c-python", &cluster);
    check([&javascript, &go, &go], "javascript-go", &cluster);
}

#[test]
fn stages_that_do_not_fit_are_refused() {
    let (_c, c) = word_count("c");
    let join = Project::new("zig", "join");
    let job = Job::staged().arg("--map").arg(&c).arg("--reduce").arg(join.build()).input("a b\n");
    let ended = run(job.command_to_folder());
    assert_eq!(ended.code(), Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("tuple<text,text>") && ended.stderr.contains("u64"), "{}", ended.stderr);
=======
fn stages_may_be_of_different_languages() {
    let expected = naive::wordcount(&words(), 2);
    let python = Project::new("python", "wordcount").into_built();
    let javascript = Project::new("javascript", "wordcount").into_built();
    let (python, javascript) = (python.component(), javascript.component());
    job(&python).stage("combine", "wordcount").stage("reduce", "wordcount").check(&expected);
    job(&javascript).stage("combine", "wordcount").arg("--reduce").arg(&python).check(&expected);
    job(&python).arg("--combine").arg(&javascript).stage("reduce", "wordcount").check(&expected);
    let rust = crate::support::process::plugin("wordcount");
    job(&rust).arg("--combine").arg(&python).arg("--reduce").arg(&javascript).check(&expected);

    // Words and counts are no pairs of texts, and that is said before anything runs.
    let join = Project::new("javascript", "join").into_built();
    let says = ["map", "u64", "tuple<text,text>"];
    job(&python).arg("--reduce").arg(join.component()).fails(5, &says);
>>>>>>> lang-a
}
