//! Jobs of several languages: the same bytes as the job in Rust alone, and a sentence where stages do not fit.

use std::path::Path;

use super::project::Project;
use super::words;
use crate::support::cluster::{Cluster, Setup, Work};
use crate::support::process::plugin;
use crate::support::{Job, naive};

fn job(map: &Path) -> Job {
    Job::staged().arg("--map").arg(map).input(words()).args("--reducers 2 --split-size 32K")
}

#[test]
#[ignore = "make test-languages"]
fn stages_may_be_of_different_languages() {
    let expected = naive::wordcount(&words(), 2);
    let python = Project::new("python", "wordcount").into_built();
    let javascript = Project::new("javascript", "wordcount").into_built();
    let (python, javascript) = (python.component(), javascript.component());
    job(&python).stage("combine", "wordcount").stage("reduce", "wordcount").check(&expected);
    job(&javascript).stage("combine", "wordcount").arg("--reduce").arg(&python).check(&expected);
    job(&python).arg("--combine").arg(&javascript).stage("reduce", "wordcount").check(&expected);
    let rust = plugin("wordcount");
    job(&rust).arg("--combine").arg(&python).arg("--reduce").arg(&javascript).check(&expected);

    // Words and counts are no pairs of texts, and that is said before anything runs.
    let join = Project::new("javascript", "join").into_built();
    let says = ["map", "u64", "tuple<text,text>"];
    job(&python).arg("--reduce").arg(join.component()).fails(5, &says);
}

#[test]
#[ignore = "make test-languages"]
fn languages_go_together_on_a_cluster() {
    let expected = naive::wordcount(&words(), 2);
    let [c, zig, asc, go, python, javascript] = ["c", "zig", "assemblyscript", "go", "python", "javascript"]
        .map(|language| {
            let project = Project::new(language, "wordcount").into_built();
            (project.component(), project)
        });
    let rust = plugin("wordcount");
    let cluster = Cluster::start(Setup { memory: "1G", lease: "30s", ..Setup::default() });
    for (id, map, combine, reduce) in [
        ("python-rust-rust", &python.0, &rust, &rust),
        ("javascript-go-go", &javascript.0, &go.0, &go.0),
        ("c-c-python", &c.0, &c.0, &python.0),
        ("zig-assemblyscript-c", &zig.0, &asc.0, &c.0),
    ] {
        job(map).arg("--combine").arg(combine).arg("--reduce").arg(reduce).check(&expected);
        let stages = format!("--combine {} --reduce {}", combine.display(), reduce.display());
        cluster.check(&Work::small_count_by(map).with(&stages), id);
        Work::small_count().expected().assert_same_files(&cluster.output(id));
    }

    let join = Project::new("c", "join").into_built();
    let (work, output) = (Work::small_count(), cluster.output("misfit"));
    let says = [
        "the mapper of ",
        "my-wordcount.wasm emits values of type u64, and the reducer of ",
        "my-join.wasm takes tuple<text,text>",
    ];
    let [map, reduce] = [&go.0, &join.component()].map(|path| path.display().to_string());
    let [input, into] = [work.input(), &output].map(|path| path.display().to_string());
    let submit = ["submit", "--map", &map, "--reduce", &reduce, "--input", &input, "--output", &into];
    cluster.says(&submit, 5, &says);
    assert!(!output.exists());
}
