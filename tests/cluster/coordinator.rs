//! A coordinator that dies and is started again: jobs go on, nothing that was done is done again, and who
//! waits for a job notices nothing but a pause.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::cluster::client::Tried;
use crate::support::cluster::{Cluster, Setup, Work, number};
use crate::support::random::Random;

/// Kills the coordinator when so many tasks are done, one moment after the other.
fn deaths(cluster: &mut Cluster, work: &Work, id: &str, moments: &[u64]) {
    let work = work.clone().with("--no-speculation");
    let job = cluster.submit(&work, id);
    let mut finished: Vec<BTreeMap<String, Tried>> = Vec::new();
    for moment in moments {
        job.tasks(*moment);
        finished.push(cluster.attempts(id));
        cluster.restart_coordinator();
    }
    let view = job.done();
    assert_eq!(number(&view, "maps_rerun"), 0, "{view}");
    let attempts = cluster.attempts(id);
    for (task, before) in finished.iter().flatten().filter(|(_, tried)| tried.won == 1) {
        assert_eq!(attempts.get(task), Some(before), "{task} was done already");
    }
    assert!(attempts.values().all(|tried| tried.won == 1), "{attempts:?}");
    assert_eq!(attempts.len() as u64, number(&view, "map_tasks") + number(&view, "reduce_tasks"));
}

/// Moments for `kills` deaths in a job of so many tasks.
fn moments(seed: u64, tasks: u64, kills: usize) -> Vec<u64> {
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let mut moments: Vec<u64> = (0..kills).map(|_| random.below(tasks)).collect();
    moments.sort_unstable();
    moments
}

fn tasks(work: &Work) -> u64 {
    let expected = work.expected();
    number(&expected.numbers, "map_tasks") + number(&expected.numbers, "reduce_tasks")
}

#[test]
fn it_dies_five_times_in_a_job() {
    let mut cluster = Cluster::steady(2);
    let work = Work::toil(100, 300);
    deaths(&mut cluster, &work, "job", &moments(1, tasks(&work), 5));
    cluster.assert_idle(&["job"]);
}

#[test]
#[ignore = "make chaos"]
fn it_dies_at_many_moments() {
    for (seed, work) in (2..8).zip([Work::toil(100, 300), Work::count(), Work::sort()].iter().cycle()) {
        let mut cluster =
            Cluster::start(Setup { workers: 3, memory: "128M", lease: "30s", ..Setup::default() });
        deaths(&mut cluster, work, "job", &moments(seed, tasks(work), 7));
        cluster.assert_idle(&["job"]);
    }
}

#[test]
#[ignore = "make chaos"]
fn it_dies_while_jobs_are_submitted_and_published() {
    let mut cluster = Cluster::of(2);
    let work = Work::small_count();
    let mut ids: Vec<String> = Vec::new();
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let id = format!("job-{seed}");
        let job = cluster.submit(&work, &id);
        if seed % 2 == 0 {
            // The client may be planning, sending, or waiting by now.
            std::thread::sleep(Duration::from_millis(random.below(120)));
        } else {
            // From the last parts to the end.
            job.reduces(random.below(3) + 2);
        }
        cluster.restart_coordinator();
        let ended = job.end();
        // One that never reached the coordinator says so, and can be submitted again, as any can.
        assert!(matches!(ended.code(), Some(0 | 9)), "seed {seed}: {}", ended.stderr);
        cluster.check(&work, &id);
        ids.push(id);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    cluster.assert_idle(&ids);
}

#[test]
#[ignore = "make chaos"]
fn it_dies_with_all_workers() {
    for (seed, work) in [(1, Work::toil(100, 600)), (2, Work::sort())] {
        let mut cluster = Cluster::start(Setup { workers: 3, memory: "128M", ..Setup::default() });
        let job = cluster.submit(&work, "job");
        for moment in moments(seed, tasks(&work) / 2, 2) {
            job.tasks(moment);
            cluster.coordinator.kill();
            cluster.workers.iter_mut().for_each(crate::support::cluster::node::Node::kill);
            cluster.start_coordinator();
            (0..3).for_each(|number| drop(cluster.start_worker(number)));
        }
        job.done();
        cluster.assert_idle(&["job"]);
    }
}

#[test]
#[ignore = "make chaos"]
fn workers_go_on_while_it_is_away() {
    let mut cluster = Cluster::start(Setup { lease: "30s", ..Setup::default() });
    let job = cluster.submit(&Work::toil(800, 0), "job");
    let before = number(&job.maps(4), "map_tasks");
    cluster.coordinator.kill();
    // Both finish what they have.
    for worker in &mut cluster.workers {
        worker.wait_for("the connection to the coordinator ended");
    }
    cluster.start_coordinator();
    let view = job.done();
    assert_eq!(number(&view, "attempts_failed"), 0, "{before} maps were done, then {view}");
    cluster.assert_idle(&["job"]);
}
