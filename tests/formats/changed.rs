//! Inputs that are not what they were when the job was planned: each is named, whatever its format. The tasks of a
//! cluster without workers wait, so that there is time to change them.

use std::fs;
use std::path::Path;

use super::table::{self, compressed_once, rows};
use crate::support::cluster::{Cluster, Setup, Work};

/// Something that happens to a file.
type Change = fn(&Path);

#[test]
fn files_that_change_or_vanish_are_named() {
    let table = rows(40, 400);
    let csv = table::delimited(&table, ',');
    let longer: Change =
        |path| fs::write(path, [fs::read(path).unwrap(), b"more".to_vec()].concat()).unwrap();
    let other: Change = |path| {
        // Same length, other content, other time.
        let mut bytes = fs::read(path).unwrap();
        bytes.reverse();
        let earlier = fs::metadata(path).unwrap().modified().unwrap() - std::time::Duration::from_secs(7);
        fs::write(path, bytes).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(earlier).unwrap();
    };
    let gone: Change = |path| fs::remove_file(path).unwrap();
    let files: [(&str, &str, Vec<u8>, Change, &str); 6] = [
        ("lines.txt", "lines", csv.clone(), gone, "No such file"),
        ("rows.csv", "csv", csv.clone(), longer, "changed"),
        ("rows.gz", "csv", compressed_once(&csv, "gz"), other, "changed"),
        ("gone.gz", "lines", compressed_once(&csv, "gz"), gone, "No such file"),
        ("rows.parquet", "parquet", table::parquet(&table, 50), longer, "changed"),
        ("other.parquet", "parquet", table::parquet(&table, 50), other, "changed"),
    ];
    let setup = Setup { workers: 1, lease: "30s", ..Setup::default() };
    let mut cluster = Cluster::without_workers(setup);
    let mut jobs = Vec::new();
    for (name, format, bytes, _, _) in &files {
        let path = cluster.path(name);
        fs::write(&path, bytes).unwrap();
        let work = Work::copy(path, &format!("--reducers 0 --split-size 2K --input-format {format}"));
        let job = cluster.submit(&work, &name.replace('.', "-"));
        job.wait("to be planned", |_| true);
        jobs.push(job);
    }
    for (name, _, _, change, _) in &files {
        change(&cluster.path(name));
    }
    cluster.add_worker(&[]);
    for (job, (name, _, _, _, says)) in jobs.into_iter().zip(&files) {
        job.fails(3, &[name, says]);
    }
    cluster.assert_idle(&[]);
}
