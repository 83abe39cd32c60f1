//! Jobs that fail or are cancelled on a cluster, and several at once: each ends as it has to, leaves nothing,
//! and harms no other.

use std::time::Duration;

use crate::support::cluster::{Cluster, Work, eventually, number};
use crate::support::random::Random;

/// A plugin of the tests on a few lines, one of which makes it do what `mode` says.
fn unruly(cluster: &Cluster, mode: &str) -> Work {
    let input = cluster.path("unruly.txt");
    std::fs::write(&input, "first\nboom x\nlast\n".repeat(50)).unwrap();
    Work::new("unruly", input, &format!("-p mode={mode} --split-size 100"))
}

#[test]
fn a_plugin_that_fails_harms_nobody_else() {
    let mut cluster = Cluster::steady(2);
    let lives = |cluster: &Cluster| {
        ["worker-1", "worker-2"].map(|name| cluster.worker(name).unwrap()["incarnation"].clone())
    };
    let before = lives(&cluster);
    let neighbour = cluster.submit(&Work::toil(100, 100), "neighbour");
    neighbour.maps(2);
    for role in ["mapper", "reducer"] {
        let work = unruly(&cluster, "panic").with(&format!("-p role={role}"));
        let says = [&format!("the {role} trapped"), "it cannot go on", " attempt 0"];
        cluster.submit(&work, role).fails(6, &says);
    }
    let work = unruly(&cluster, "spin").with("--task-timeout 1s");
    cluster.submit(&work, "spin").fails(7, &["limit of time", "--task-timeout"]);
    neighbour.done();
    cluster.assert_idle(&["neighbour"]);
    assert_eq!(lives(&cluster), before);
}

#[test]
fn quotas_are_kept() {
    let mut cluster = Cluster::steady(2);
    for (option, quota) in [("--max-shuffle", "100K"), ("--max-output", "50K")] {
        let work = Work::small_sort().with(&format!("{option} {quota}"));
        cluster.submit(&work, &option[2..]).fails(7, &[option]);
    }
    cluster.check(&Work::small_sort().with("--max-shuffle 1G --max-output 1G"), "within");
    cluster.assert_idle(&["within"]);
}

/// Cancels jobs at random moments.
fn cancel(cluster: &mut Cluster, seed: u64, times: u64) {
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    for round in 0..times {
        let id = format!("job-{seed}-{round}");
        let job = cluster.submit(&Work::toil(60, 200), &id);
        job.wait("to be known", |_| true);
        std::thread::sleep(Duration::from_millis(random.below(1_500)));
        let cancelled = cluster.run(&["job", "cancel", &id]);
        assert_eq!(cancelled.code(), Some(0), "{}", cancelled.stderr);
        let ended = job.end();
        match ended.code() {
            Some(130) => assert!(ended.stderr.contains("was cancelled"), "{}", ended.stderr),
            // It was done before.
            Some(0) => std::fs::remove_dir_all(cluster.output(&id)).unwrap(),
            other => panic!("{other:?}: {}", ended.stderr),
        }
        if round % 10 == 9 || round + 1 == times {
            cluster.assert_idle(&[]);
        }
    }
}

#[test]
fn cancelled_jobs_leave_nothing() {
    let mut cluster = Cluster::steady(2);
    cancel(&mut cluster, 1, 5);
    cluster.check(&Work::toil(0, 0), "after");
}

#[test]
#[ignore = "make chaos"]
fn cancelled_jobs_leave_nothing_a_hundred_times() {
    let mut cluster = Cluster::of(3);
    cancel(&mut cluster, 2, 100);
    cluster.check(&Work::small_sort(), "after");
    cluster.assert_idle(&["after"]);
}

#[test]
#[ignore = "make chaos"]
fn many_jobs_at_once_while_nodes_die() {
    let mut cluster = Cluster::of(3);
    let works = [Work::small_count(), Work::small_sort(), Work::toil(60, 60)];
    let ids: Vec<String> = (0..12).map(|number| format!("job-{number}")).collect();
    let jobs: Vec<_> =
        ids.iter().zip(works.iter().cycle()).map(|(id, work)| cluster.submit(work, id)).collect();
    let mut random = Random::new(5);
    for round in 1..=6 {
        eventually("some more jobs to be done", || {
            let known = cluster.json(&["jobs"]);
            let done = known.iter().filter(|job| job["state"] == "succeeded").count();
            (done >= round || done == ids.len()).then_some(())
        });
        if round % 3 == 0 {
            cluster.restart_coordinator();
        } else {
            cluster.restart_worker(usize::try_from(random.below(3)).unwrap());
        }
    }
    for job in jobs {
        job.done();
    }
    cluster.assert_idle(&ids.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_job_without_workers_waits_for_one() {
    let mut cluster = Cluster::of(0);
    let job = cluster.submit(&Work::toil(0, 0), "job");
    let view = job.wait("to be known", |_| true);
    assert_eq!(number(&view, "map_tasks_running"), 0);
    cluster.add_worker(&[]);
    job.done();
    cluster.assert_idle(&["job"]);
}

#[test]
fn a_job_without_workers_fails_in_the_end() {
    use crate::support::cluster::Setup;
    let coordinator = &["--no-worker-timeout", "1s"];
    let mut cluster = Cluster::start(Setup { workers: 0, coordinator, ..Setup::default() });
    cluster.submit(&Work::toil(0, 0), "job").fails(9, &["worker"]);
    cluster.assert_idle(&[]);
}
