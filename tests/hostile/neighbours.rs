//! Jobs beside a hostile one: two slots of one worker, an honest word count in one of them, and in the other a
//! neighbour that wants everything. The word count takes at most [`RATIO_MAX`] times what it takes beside
//! another word count of the same size.
//!
//! This compares times, so it is for machines that do nothing else: it is ignored here, and part of `make chaos`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::guest::hostile;
use crate::support::cluster::{Cluster, Setup, Work};
use crate::support::disk::SmallDisk;

/// How much longer a job may take beside a hostile one.
const RATIO_MAX: f64 = 1.3;
/// Times that each is measured.
const ROUNDS: usize = 3;
/// Jobs that a cluster is handed are named by number.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// How much a flood may write before it is ended and begins anew. With some gigabytes the system makes every
/// process wait that writes anything, because memory is full of what the disk has not taken yet: the disk
/// is shared, whatever the engine does.
const FLOOD_SHUFFLED: &str = "--max-shuffle 1G";
/// The same for what goes into parts.
const FLOOD_WRITTEN: &str = "--max-output 3G";

/// Hostile neighbours: a name, where and what, and their limits.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("endless loop", "-p attack=spin -p at=map", "--task-timeout 600s"),
    ("memory bomb", "-p attack=allocate -p at=map", "--guest-memory 300M"),
    ("log flood", "-p attack=log-endless -p at=map", "--task-timeout 600s"),
    ("combine flood", "-p attack=bytes -p at=map", "--task-timeout 600s"),
    ("spill flood", "-p attack=bytes-apart -p at=map", FLOOD_SHUFFLED),
    ("output flood", "-p attack=bytes -p at=map --reducers 0", FLOOD_WRITTEN),
    ("flood of empty records", "-p attack=records -p at=map", "--task-timeout 600s"),
];

fn next_id() -> String {
    format!("job-{}", JOBS.fetch_add(1, Ordering::Relaxed))
}

/// Seconds that the word count takes while the neighbour's job is handed in again and again.
#[track_caller]
fn seconds_beside(cluster: &Cluster, count: &Work, neighbour: &Work) -> f64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (first, neighbours) = (next_id(), || {
            while !done.load(Ordering::Relaxed) {
                let id = next_id();
                drop(cluster.submit(neighbour, &id).end());
                let _ = std::fs::remove_dir_all(cluster.output(&id));
            }
        });
        let threads = scope.spawn(neighbours);
        cluster.wait_for_worker("worker-1", "to serve the neighbour", |worker| worker["running"] != 0);
        let begun = Instant::now();
        let ended = cluster.submit(count, &first).end();
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        cluster.assert_yields(count, &first);
        done.store(true, Ordering::Relaxed);
        for job in cluster.json(&["jobs"]).iter().filter(|job| job["end"].is_null()) {
            let id = job["job"].as_str().expect("a name");
            // It may have ended by itself.
            drop(cluster.run(&["job", "cancel", id]));
        }
        threads.join().expect("the neighbour's client ends");
        seconds
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[test]
#[ignore = "make chaos"]
fn a_hostile_neighbour_takes_no_more_than_its_share() {
    let setup = Setup { workers: 0, memory: "1600M", lease: "30s", ..Setup::default() };
    let mut cluster = Cluster::start(setup);
    cluster.add_worker(&["--slots", "2"]);
    cluster.wait_until_live(1);
    let input = cluster.path("word.txt");
    std::fs::write(&input, "one word\n").unwrap();
    let count = Work::count().with("--max-slots 1 --no-speculation");
    count.expected();
    let mut slow = Vec::new();
    for (name, attack, limits) in HOSTILE {
        let neighbour = Work::of(hostile(), input.clone(), attack).with(limits).with("--max-slots 1");
        let (mut well, mut ill) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            well.push(seconds_beside(&cluster, &count, &count));
            ill.push(seconds_beside(&cluster, &count, &neighbour));
        }
        let (well, ill) = (median(well), median(ill));
        let ratio = ill / well;
        eprintln!("beside {name}: {ill:.2} s, {ratio:.2} times the {well:.2} s beside a word count");
        if ratio > RATIO_MAX {
            slow.push(format!("{name}: {ratio:.2}"));
        }
    }
    assert!(slow.is_empty(), "over {RATIO_MAX} times: {}", slow.join(", "));
}

/// A flood fills the disk of its worker: what is ended then is the flood, and not who is beside it.
#[test]
#[ignore = "make chaos"]
fn a_flood_fills_no_neighbours_disk() {
    for isolation in ["process", "none"] {
        let setup = Setup { memory: "200M", lease: "30s", ..Setup::default() };
        let mut cluster = Cluster::without_workers(setup);
        let path = cluster.path("small");
        let Some(_disk) = SmallDisk::mount(&path, 128 << 20) else { return };
        let data = path.join("worker-1");
        let options = ["--disk-reserve", "16M", "--slots", "2", "--isolation", isolation, "--data-dir"];
        cluster.add_worker(&[&options[..], &[data.to_str().unwrap()]].concat());
        cluster.wait_until_live(1);
        let input = cluster.path("word.txt");
        std::fs::write(&input, "one word\n").unwrap();
        let flood =
            Work::of(hostile(), input, "-p attack=bytes-apart -p at=map --guest-memory 20M --max-slots 1");
        let count = Work::small_count().with("--max-slots 1 --no-speculation");
        let flooding = cluster.submit(&flood, "flood");
        for number in 0..5 {
            cluster.check(&count, &format!("count-{number}"));
        }
        let ended = flooding.end();
        assert_eq!(ended.code(), Some(8), "{}", ended.stderr);
        assert!(ended.stderr.contains("and its job holds"), "{}", ended.stderr);
        cluster.check(&count, "count-after");
        cluster.assert_idle(&["count-0", "count-1", "count-2", "count-3", "count-4", "count-after"]);
    }
}
