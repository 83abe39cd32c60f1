//! Plugins that make something else of the same input when they run again: a worker is lost with the map output
//! that it had, so the maps run once more, and the difference is noticed rather than mixed into the result.

use super::attacks::fits;
use super::guest::hostile;
use crate::support::cluster::{Cluster, Work};
use crate::support::process::plugin;

/// A job whose mapper emits the number of its attempt if it is told to, and whose reducer takes its time, so that
/// a worker can be killed while its map output is still needed.
fn job(cluster: &Cluster, attack: &str) -> Work {
    let input = cluster.path("rerun.txt");
    let words: String = (0..400).map(|number| format!("w{number} the\n")).collect();
    std::fs::write(&input, words).unwrap();
    let reduce = plugin("toil");
    let args = format!(
        "--reduce {} -p reduce-turns=3000000 -p attack={attack} -p at=map --split-size 500 --reducers 8 --partition hash",
        reduce.display()
    );
    Work::of(hostile(), input, &args)
}

#[test]
fn a_mapper_that_is_not_deterministic_is_named() {
    let mut cluster = Cluster::of(2);
    let job = cluster.submit(&job(&cluster, "tells-attempt"), "job");
    job.reduces(1);
    cluster.workers[0].kill();
    let ended = job.end();
    let sentence = ended.stderr.lines().find_map(|line| line.strip_prefix("mr-engine: ")).unwrap_or_default();
    let expected = "job job: the mapper is not deterministic: map task * made other output in attempt 1 than in \
        attempt 0, from the same input; *";
    assert!(fits(expected, sentence), "{sentence:?}");
    assert_eq!(ended.code(), Some(6));
    cluster.assert_idle(&[]);
}

#[test]
fn one_that_is_deterministic_runs_again_unnoticed() {
    let mut cluster = Cluster::of(2);
    let job = cluster.submit(&job(&cluster, "nothing"), "job");
    job.reduces(1);
    cluster.workers[0].kill();
    let view = job.done();
    assert!(crate::support::cluster::number(&view, "maps_rerun") > 0, "{view}");
    cluster.assert_idle(&["job"]);
}
