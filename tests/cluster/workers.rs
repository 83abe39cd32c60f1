//! Workers that die, stop and go on, come late, and leave: in every phase of a job.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::cluster::{Cluster, Setup, Work, number};
use crate::support::random::Random;

#[test]
fn one_that_dies_in_map_is_done_without() {
    let mut cluster = Cluster::of(3);
    let job = cluster.submit(&Work::toil(200, 0), "job");
    job.maps(8);
    cluster.workers[0].kill();
    job.done();
    cluster.assert_idle(&["job"]);
}

#[test]
fn one_that_dies_in_reduce_takes_its_map_output_along() {
    let mut cluster = Cluster::of(3);
    let job = cluster.submit(&Work::toil(20, 1_000), "job");
    job.reduces(2);
    cluster.workers[0].kill();
    let view = job.done();
    assert!(number(&view, "maps_rerun") > 0, "{view}");
    cluster.assert_idle(&["job"]);
}

#[test]
fn one_that_was_stopped_comes_back_as_another() {
    let mut cluster = Cluster::of(2);
    let before = cluster.worker("worker-1").unwrap();
    let job = cluster.submit(&Work::toil(400, 400), "job");
    job.maps(6);
    cluster.stop_until_lost(0);
    job.maps(15);
    cluster.workers[0].signal(Signal::CONT);
    job.done();
    let is_back = |worker: &Value| worker["live"] == true && worker["connected"] == true;
    let after = cluster.wait_for_worker("worker-1", "to be back", is_back);
    assert!(number(&after, "incarnation") > number(&before, "incarnation"), "{before} {after}");
    cluster.assert_idle(&["job"]);
    cluster.check(&Work::toil(100, 0), "next");
    assert_eq!(cluster.winners("next"), ["worker-1", "worker-2"]);
    cluster.assert_idle(&["job", "next"]);
}

#[test]
fn one_that_is_drained_keeps_what_others_need() {
    let mut cluster = Cluster::steady(3);
    let job = cluster.submit(&Work::toil(150, 300), "job");
    job.maps(10);
    let drained = cluster.run(&["worker", "drain", "worker-1"]);
    assert_eq!(drained.code(), Some(0), "{}", drained.stderr);
    let view = job.done();
    assert_eq!(number(&view, "maps_rerun"), 0, "{view}");
    assert_eq!(number(&view, "attempts_failed"), 0, "{view}");
    assert_eq!(cluster.workers[0].end().code(), Some(0));
    cluster.assert_idle(&["job"]);
}

#[test]
#[ignore = "make chaos"]
fn one_that_comes_late_gets_work() {
    let mut cluster = Cluster::of(1);
    let job = cluster.submit(&Work::toil(300, 300), "job");
    job.maps(3);
    cluster.add_worker(&[]);
    job.done();
    assert_eq!(cluster.winners("job"), ["worker-1", "worker-2"]);
    cluster.assert_idle(&["job"]);
}

#[test]
#[ignore = "make chaos"]
fn all_of_them_die_and_come_back() {
    for moment in [1, 20, 32] {
        let mut cluster = Cluster::of(3);
        let job = cluster.submit(&Work::toil(150, 1_000), "job");
        job.tasks(moment);
        cluster.workers.iter_mut().for_each(crate::support::cluster::node::Node::kill);
        (0..3).for_each(|number| drop(cluster.start_worker(number)));
        job.done();
        cluster.assert_idle(&["job"]);
    }
}

#[test]
#[ignore = "make chaos"]
fn a_stop_in_reduce_changes_nothing() {
    let mut cluster = Cluster::of(3);
    let job = cluster.submit(&Work::sort().with("--no-speculation"), "job");
    job.reduces(1);
    cluster.stop_until_lost(1);
    // The others do without it; what it has to say then comes too late.
    job.reduces(5);
    cluster.workers[1].signal(Signal::CONT);
    job.done();
    cluster.wait_until_live(3);
    cluster.assert_idle(&["job"]);
}

/// Kills one worker after another at the moments that the seed says, each time starting it again.
fn deaths(seed: u64, work: &Work, memory: &'static str, kills: u64) -> Value {
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let mut cluster = Cluster::start(Setup { workers: 3, memory, ..Setup::default() });
    let tasks =
        number(&work.expected().numbers, "map_tasks") + number(&work.expected().numbers, "reduce_tasks");
    let mut moments: Vec<u64> = (0..kills).map(|_| random.below(tasks)).collect();
    moments.sort_unstable();
    let job = cluster.submit(work, "job");
    for moment in moments {
        job.tasks(moment);
        cluster.restart_worker(usize::try_from(random.below(3)).unwrap());
    }
    let view = job.done();
    cluster.wait_until_live(3);
    cluster.assert_idle(&["job"]);
    view
}

#[test]
#[ignore = "make chaos"]
fn deaths_in_a_word_count() {
    (1..=3).for_each(|seed| drop(deaths(seed, &Work::count(), "128M", 6)));
}

#[test]
#[ignore = "make chaos"]
fn deaths_in_a_sort() {
    (1..=3).for_each(|seed| drop(deaths(seed, &Work::sort(), "128M", 6)));
}

#[test]
#[ignore = "make chaos"]
fn deaths_while_spilling() {
    // A job without guests has all of the memory to sort in.
    let work = Work::sort().shaped("--split-size 24M --reducers 4");
    for seed in 1..=2 {
        let view = deaths(seed, &work, "28M", 4);
        let (files, maps) = (&view["end"]["report"]["spill_files"], number(&view, "map_tasks"));
        assert!(files.as_u64() > Some(maps * 3 / 2), "{maps} map tasks wrote {files} files: few spilled");
    }
}

#[test]
#[ignore = "make chaos"]
fn deaths_while_parts_are_committed() {
    let work = Work::toil(0, 0).shaped("--split-size 12K --reducers 300");
    (1..=3).for_each(|seed| drop(deaths(seed, &work, "64M", 8)));
}
