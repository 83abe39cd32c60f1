//! Jobs of several languages: the same bytes as the job in Rust alone, and a sentence where stages do not fit.

use std::path::Path;

use super::project::Project;
use super::words;
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
