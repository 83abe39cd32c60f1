//! Side inputs on a cluster: they travel once to the coordinator and once to each worker, whatever restarts
//! meanwhile, and a worker without room for one says so.

use crate::sides::{joined, table_and_lines};
use crate::support::assert_same_bytes;
use crate::support::cluster::{Cluster, Setup, Work, eventually};
use crate::support::disk::SmallDisk;
use crate::support::job::names;

/// A job that joins lines with a table of some MB, in some 30 splits, and what it must yield.
fn join(cluster: &Cluster, seed: u64) -> (Work, Vec<u8>) {
    let (table, lines) = table_and_lines(seed, 20_000);
    let expected = joined(&table, &lines);
    let (side, input) = (cluster.path(format!("table-{seed}")), cluster.path(format!("lines-{seed}")));
    std::fs::write(&side, table).unwrap();
    std::fs::write(&input, lines).unwrap();
    let args = format!("--side table={} --reducers 0 --split-size 16K", side.display());
    (Work::new("map-join", input, &args), expected)
}

/// How often the present processes of the workers say that they fetched a side input.
fn fetched(cluster: &Cluster) -> Vec<usize> {
    cluster.workers.iter().map(|worker| worker.said().matches("side input fetched").count()).collect()
}

#[test]
fn one_travels_once_to_each_worker() {
    let mut cluster = Cluster::steady(2);
    let (work, expected) = join(&cluster, 4);
    cluster.check(&work, "first");
    assert_same_bytes("parts", &cluster.parts("first"), &expected);
    assert_eq!(cluster.winners("first"), ["worker-1", "worker-2"]);
    assert_eq!(fetched(&cluster), [1, 1]);
    // Another job with the same content sends it to nobody.
    cluster.check(&work, "second");
    assert_eq!(fetched(&cluster), [1, 1]);
    assert_eq!(cluster.coordinator.said().matches("side input table").count(), 1, "it was sent once");
    // Nor does it after the workers, and the coordinator, are other processes.
    cluster.restart_coordinator();
    (0..2).for_each(|number| cluster.restart_worker(number));
    cluster.wait_until_live(2);
    cluster.check(&work, "third");
    assert_eq!(fetched(&cluster), [0, 0]);
    assert_eq!(cluster.coordinator.said().matches("side input table").count(), 0);
    // What lies there in its place is not believed.
    let folder = cluster.path("worker-1/sides");
    let [copy] = &names(&folder)[..] else { panic!("{:?}", names(&folder)) };
    let mut bytes = std::fs::read(folder.join(copy)).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(folder.join(copy), bytes).unwrap();
    cluster.restart_worker(0);
    cluster.wait_until_live(2);
    cluster.check(&work, "fourth");
    assert_eq!(fetched(&cluster), [1, 0]);
    cluster.assert_idle(&["first", "second", "third", "fourth"]);
}

#[test]
fn a_job_with_one_goes_on_through_restarts() {
    let mut cluster = Cluster::of(2);
    let (work, expected) = join(&cluster, 5);
    let job = cluster.submit(&work, "job");
    job.maps(2);
    cluster.restart_worker(0);
    cluster.restart_coordinator();
    job.done();
    assert_same_bytes("parts", &cluster.parts("job"), &expected);
    cluster.assert_idle(&["job"]);
}

#[test]
fn a_worker_without_room_says_so() {
    let mut cluster = Cluster::without_workers(Setup { lease: "30s", ..Setup::default() });
    let path = cluster.path("small");
    // Room for the plugin, and not for the table.
    let Some(_disk) = SmallDisk::mount(&path, 3 << 20) else { return };
    let data = path.join("worker-1");
    cluster.add_worker(&["--data-dir", data.to_str().unwrap(), "--disk-reserve", "1K"]);
    cluster.wait_until_live(1);
    let (work, _) = join(&cluster, 6);
    let says = ["no space left for ", "side input table: ", " bytes are needed and "];
    cluster.submit(&work, "job").fails(8, &says);
    let sides = data.join("sides");
    eventually("nothing of it to be left", || names(&sides).is_empty().then_some(()));
    cluster.assert_idle(&[]);
}
