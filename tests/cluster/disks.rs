//! Disks of workers: full ones, and such that give back other bytes than were written.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::support::cluster::{Cluster, Setup, Work, job_files, number};
use crate::support::disk::SmallDisk;

#[test]
fn a_flipped_bit_in_map_output_is_found_and_mended() {
    let mut cluster = Cluster::steady(2);
    let job = cluster.submit(&Work::toil(20, 1_000).with("--no-speculation"), "job");
    job.reduces(1);
    let files = job_files(&cluster.path("worker-1"));
    let flipped = files.iter().filter(|path| flip_bits(path)).count();
    assert!(flipped > 0, "worker-1 holds no map output");
    let view = job.done();
    assert!(number(&view, "maps_rerun") > 0, "{flipped} files were changed, and nobody noticed: {view}");
    cluster.assert_idle(&["job"]);
}

/// Changes some bits of a file where partitions are whose turn comes late; false where there is no such
/// file, or not any more.
fn flip_bits(path: &Path) -> bool {
    let Ok(file) = File::options().read(true).write(true).open(path) else { return false };
    let bytes = file.metadata().unwrap().len();
    let flip = |tenths: u64| {
        let (at, mut byte) = (bytes * tenths / 10, [0]);
        file.read_exact_at(&mut byte, at).is_ok() && file.write_all_at(&[byte[0] ^ 0x10], at).is_ok()
    };
    [4, 5, 6, 7].map(flip).contains(&true)
}

#[test]
fn a_worker_with_a_full_disk_is_done_without() {
    let mut cluster = Cluster::without_workers(Setup { lease: "30s", ..Setup::default() });
    cluster.add_worker(&[]);
    let full = cluster.add_worker(&["--disk-reserve", "1000T"]);
    cluster.wait_until_live(2);
    let worker = cluster.worker("worker-2").unwrap();
    assert_eq!(worker["slots"], 0, "{worker}");
    cluster.check(&Work::small_count(), "job");
    assert_eq!(cluster.winners("job"), ["worker-1"]);
    cluster.assert_idle(&["job"]);
    assert!(cluster.workers[full].is_running());
}

#[test]
#[ignore = "make chaos"]
fn a_disk_that_fills_up_in_a_job_does_not_fail_it() {
    let mut cluster = Cluster::without_workers(Setup { memory: "128M", ..Setup::default() });
    let path = cluster.path("small");
    let Some(_disk) = SmallDisk::mount(&path, 12 << 20) else { return };
    let data = path.join("worker-1");
    let small = cluster.add_worker(&["--data-dir", data.to_str().unwrap(), "--disk-reserve", "1K"]);
    cluster.add_worker(&[]);
    cluster.add_worker(&[]);
    cluster.wait_until_live(3);
    let view = cluster.check(&Work::sort(), "job");
    assert!(number(&view, "attempts_failed") > 0, "the disk was never full: {view}");
    assert!(cluster.workers[small].is_running());
    cluster.assert_idle(&["job"]);
    assert!(fs::read_dir(data.join("lives")).is_ok());
}
