//! Which files are read: globs, folders below folders, exclusions; and how many small ones share a task.

use serde_json::Value;

use super::copy;
use super::table::{self, FIELDS, Row, rows};
use crate::support::Job;
use crate::support::process::run;

/// Names of files, and whether the patterns of [`chosen`] mean them.
const FILES: [(&str, bool); 8] = [
    ("in/2026/01/a.csv", true),
    ("in/2026/01/b.csv", true),
    ("in/2026/01/b.tmp.csv", false),
    ("in/2026/01/notes.txt", false),
    ("in/2026/02/c.csv", true),
    ("in/2026/02/_old/d.csv", false),
    ("in/2026/02/old/d.csv", false),
    ("in/e.csv", true),
];

fn with_files(job: Job, tables: &[Vec<Row>]) -> Job {
    FILES.iter().zip(tables).fold(job, |job, ((name, _), table)| job.file(name, table::delimited(table, ',')))
}

#[test]
fn globs_and_exclusions_choose() {
    let tables: Vec<Vec<Row>> = (0..8).map(|seed| rows(30 + seed, 20)).collect();
    let expected: Vec<Row> = FILES
        .iter()
        .zip(&tables)
        .filter(|((_, read), _)| *read)
        .flat_map(|(_, table)| table.clone())
        .collect();
    for patterns in [&["in/**/*.csv:csv"][..], &["in/2026/*/*.csv:csv", "in/2026:csv", "in/e.csv:csv"]] {
        let exclusions = "--exclude *.tmp.csv --exclude notes.* --exclude old/*";
        let job = copy("--output-format jsonl --fields").arg(FIELDS).args(exclusions).reads(patterns);
        with_files(job, &tables).check_whole(&table::json_lines(&expected));
    }
}

#[test]
fn nothing_that_is_meant_is_missing() {
    let job =
        copy("--output-format jsonl --input-format csv").file("in/a.csv", "x\n1\n").reads(&["in/*.tsv"]);
    job.fails(3, &["in/*.tsv"]);
}

#[test]
fn files_that_are_no_text_are_known_by_their_names() {
    let table = rows(20, 200);
    let copies = |names: [&str; 2]| {
        let job = copy("--output-format jsonl").reads(&["in"]);
        names.into_iter().fold(job, |job, name| job.file(name, table::parquet(&table, 2)))
    };
    let expected = [table::json_lines(&table), table::json_lines(&table)].concat();
    copies(["in/a.parquet", "in/b.PARQUET"]).check_whole(&expected);
    let keys = copy("--output-format text --input-format line-keys").file("in/a.parquet", "no rows\n");
    keys.reads(&["in"]).check_whole(b"no rows\n");
    // One that is called otherwise makes all of them lines.
    let lines = copies(["in/a.parquet", "in/b"]).done();
    assert_ne!(lines.whole(), expected);
}

/// The plan that `explain` shows.
fn plan(job: &Job) -> Value {
    let mut command = job.command("explain");
    command.arg("--json");
    serde_json::from_slice(&run(command).stdout).unwrap()
}

#[test]
fn small_files_share_tasks_in_every_format() {
    let tables: Vec<Vec<Row>> = (0..300).map(|seed| rows(100 + seed, 5)).collect();
    type Write = fn(&[Row]) -> Vec<u8>;
    let formats: [(&str, Write); 4] = [
        ("csv", |rows| table::delimited(rows, ',')),
        ("jsonl", |rows| table::compressed_once(&table::json_lines(rows), "gz")),
        ("parquet", |rows| table::parquet(rows, 2)),
        ("arrow", |rows| table::arrow(rows, 2)),
    ];
    let expected: Vec<Row> = tables.concat();
    for (format, write) in formats {
        let fields = if matches!(format, "csv" | "jsonl") { FIELDS } else { "id,name,price,ok,count,note" };
        let job = copy("--output-format jsonl --split-size 64K --fields").arg(fields);
        let job = job.arg("--input-format").arg(format);
        let name = |number| {
            format!("in/{:02}/{number:03}{}", number / 50, if format == "jsonl" { ".gz" } else { "" })
        };
        let files = tables.iter().enumerate();
        let job = files.fold(job, |job, (number, table)| job.file(&name(number), write(table)));
        let plan = plan(&job);
        let bytes = plan["input_bytes"].as_u64().unwrap();
        let splits = plan["splits"].as_array().unwrap();
        let pieces: usize = splits.iter().map(|split| split["pieces"].as_array().unwrap().len()).sum();
        assert!(pieces >= 300, "{format}");
        assert!(
            splits.len() as u64 <= bytes / (64 << 10) + 2,
            "{format}: {} splits of {bytes} bytes",
            splits.len()
        );
        let done = job.check_whole(&table::json_lines(&expected));
        assert_eq!(done.number("map_tasks"), splits.len() as u64);
    }
}
