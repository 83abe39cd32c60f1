//! Compressed files: the same records as without, and split where the compression lets them be.

use super::table::{self, COMPRESSIONS, FIELDS, compressed, rows};
use super::{copy, split_of};
use crate::support::assert_same_bytes;
use crate::support::cluster::{Cluster, Work};
use crate::support::naive::lines;
use crate::support::process::run;
use crate::support::random::Random;

/// Bytes of a unit: lines go over its end.
const UNIT_BYTES: usize = 30_000;

/// Lines of words that do not compress to nothing.
fn text() -> Vec<u8> {
    let mut random = Random::new(6);
    (0..12_000)
        .flat_map(|line| format!("{line} {:x} {:x}\n", random.next(), random.below(999)).into_bytes())
        .collect()
}

/// The lines in what a job without a plugin writes of them: behind their places and a tab.
fn values(shown: &[u8]) -> Vec<&[u8]> {
    lines(shown).into_iter().map(|line| line.splitn(2, |byte| *byte == b'\t').nth(1).unwrap()).collect()
}

#[test]
fn lines_are_those_of_the_text() {
    let text = text();
    for ending in COMPRESSIONS {
        let bytes = compressed(&text, ending, UNIT_BYTES);
        let job =
            copy(&split_of(&bytes, 7)).file(&format!("in/text.{ending}"), &bytes).file("in/z.txt", "plain\n");
        let done = job.done();
        let (whole, expected) = (done.whole(), [text.as_slice(), b"plain\n"].concat());
        assert!(values(&whole) == lines(&expected), "{ending}");
        // Keys tell places: each comes once, in order.
        let keys: Vec<u64> = lines(&whole)
            .iter()
            .map(|line| String::from_utf8_lossy(line).split('\t').next().unwrap().parse().unwrap())
            .collect();
        assert!(keys[..12_000].is_sorted_by(|one, next| one < next), "{ending}");
        let tasks = done.number("map_tasks");
        assert!(if ending == "gz" { tasks <= 2 } else { tasks >= 5 }, "{ending}: {tasks} tasks");
    }
}

#[test]
fn names_do_not_have_to_tell() {
    let text = text();
    for (ending, name) in COMPRESSIONS.into_iter().zip(["gzip", "bzip2", "zstd", "lz4"]) {
        let bytes = compressed(&text, ending, text.len());
        let job = copy("--compression").arg(name).args(&split_of(&bytes, 5)).input(&bytes);
        assert!(values(&job.done().whole()) == lines(&text), "{ending}");
    }
}

#[test]
fn rows_are_those_of_the_file() {
    let table = rows(7, 3_000);
    for (format, bytes) in [("csv", table::delimited(&table, ',')), ("jsonl", table::json_lines(&table))] {
        for ending in COMPRESSIONS {
            let bytes = compressed(&bytes, ending, UNIT_BYTES);
            let job = copy(&format!("--output-format jsonl --input-format {format} --fields {FIELDS}"));
            let name = format!("in/rows.{ending}");
            let done =
                job.args(&split_of(&bytes, 5)).file(&name, &bytes).check_whole(&table::json_lines(&table));
            let split = format == "jsonl" && ending != "gz";
            assert_eq!(done.number("map_tasks") > 1, split, "{format} {ending}");
        }
    }
}

#[test]
fn a_cluster_reads_the_same() {
    let text = text();
    let mut cluster = Cluster::steady(2);
    for ending in COMPRESSIONS {
        let bytes = compressed(&text, ending, UNIT_BYTES);
        let input = cluster.path(format!("text.{ending}"));
        std::fs::write(&input, &bytes).unwrap();
        // What stands ahead of the tab is the place.
        cluster.check(&Work::copy(input, &format!("--reducers 0 {}", split_of(&bytes, 7))), ending);
        let parts = cluster.parts(ending);
        assert_same_bytes(ending, &values(&parts).join(&b'\n'), &lines(&text).join(&b'\n'));
    }
    cluster.assert_idle(&COMPRESSIONS);
}

#[test]
fn what_is_not_split_is_said_to_be() {
    let text = text();
    let csv = table::delimited(&rows(8, 2_000), ',');
    for (name, bytes, format, why) in [
        (
            "in/text.gz",
            compressed(&text, "gz", UNIT_BYTES),
            "lines",
            "gzip data are read from their beginning",
        ),
        (
            "in/text.zst",
            compressed(&text, "zst", text.len()),
            "lines",
            "all of its data are one frame, and only frames can be read apart",
        ),
        (
            "in/rows.bz2",
            compressed(&csv, "bz2", UNIT_BYTES),
            "csv",
            "rows with quotes are found in compressed data from their beginning only (quote=none splits them)",
        ),
    ] {
        let job = copy("--split-size 10K --input-format").arg(format).file(name, &bytes);
        let explained = run(job.command("explain"));
        let said = String::from_utf8(explained.stdout).unwrap();
        let expected = format!("           {name} goes to one task: {why}\n");
        assert!(said.contains(&expected), "{expected:?} is not in {said}");
    }
}
