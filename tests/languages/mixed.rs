//! Jobs of several languages: the same bytes as the job in Rust alone, and a sentence where stages do not fit.

use std::path::Path;

use super::project::Project;
use super::words;
use crate::support::cluster::{Cluster, Setup, Work};
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
    let rust = crate::support::process::plugin("wordcount");
    job(&rust).arg("--combine").arg(&python).arg("--reduce").arg(&javascript).check(&expected);

    // Words and counts are no pairs of texts, and that is said before anything runs.
    let join = Project::new("javascript", "join").into_built();
    let says = ["map", "u64", "tuple<text,text>"];
    job(&python).arg("--reduce").arg(join.component()).fails(5, &says);
}

#[test]
#[ignore = "make test-languages"]
fn compiled_and_interpreted_languages_go_together_on_a_cluster() {
    let expected = naive::wordcount(&words(), 2);
    let [c, zig, asc, go, python, javascript] = ["c", "zig", "assemblyscript", "go", "python", "javascript"]
        .map(|language| Project::new(language, "wordcount").into_built());
    let cluster = Cluster::start(Setup { memory: "1G", lease: "30s", ..Setup::default() });
    for (id, map, combine, reduce) in [
        ("c-c-python", &c, &c, &python),
        ("javascript-go-go", &javascript, &go, &go),
        ("zig-assemblyscript-c", &zig, &asc, &c),
    ] {
        let [map, combine, reduce] = [map, combine, reduce].map(Project::component);
        job(&map).arg("--combine").arg(&combine).arg("--reduce").arg(&reduce).check(&expected);
        let stages = format!("--combine {} --reduce {}", combine.display(), reduce.display());
        cluster.check(&Work::small_count_by(&map).with(&stages), id);
        let files = Work::small_count().expected();
        files.assert_same_files(&cluster.output(id));
    }
}
