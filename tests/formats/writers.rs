//! Every format of output: what it writes is what a naive writer writes, or is read back as the same rows.

use super::copy;
use super::table::{self, COMPRESSIONS, FIELDS, NAMES, Row, rows};
use crate::support::Job;
use crate::support::assert_same_bytes;
use crate::support::job::Done;

/// A job that reads the output of another one.
fn next(former: &Job, format: &str, args: &str) -> Job {
    let out = former.path("out");
    copy("").reads(&[&format!("{}:{format}", out.display())]).args(args)
}

/// A job that reads the table from CSV.
fn first(table: &[Row], args: &str) -> Job {
    let csv = table::delimited(table, ',');
    copy("--input-format csv --fields").arg(FIELDS).args(args).input(&csv)
}

#[test]
fn rows_go_round_through_all_formats() {
    let table = rows(20, 2_000);
    let parquet = first(&table, "--output-format parquet --split-size 20K");
    assert!(parquet.done().parts.len() > 5);
    let kv = next(&parquet, "parquet", "--output-format kv --split-size 30K");
    assert!(kv.done().parts.len() > 2);
    let json = next(&kv, "kv", "--output-format jsonl --split-size 10K --output-fields").arg(NAMES);
    json.check_whole(&table::json_lines(&table));
    let tsv = next(&json, "jsonl", "--output-format tsv --split-size 10K --fields").arg(FIELDS);
    // Each part has a header of its own.
    assert!(tsv.done().parts.len() > 5);
    let csv = next(&tsv, "tsv", "--output-format csv --split-size 100M --fields").arg(FIELDS);
    csv.check_whole(&table::delimited(&table, ','));
}

#[test]
fn names_and_types_are_those_of_the_rows() {
    let table = rows(21, 300);
    let parquet = first(&table, "--output-format parquet --split-size 20K");
    parquet.done();
    // Asking for nothing gives all of it, with names, types, and what may be missing.
    next(&parquet, "parquet", "--output-format jsonl").check_whole(&table::json_lines(&table));
}

#[test]
fn every_compression_is_read_back() {
    let table = rows(22, 1_500);
    let names = ["gzip", "bzip2", "zstd", "lz4"];
    for (ending, compression) in COMPRESSIONS.into_iter().zip(names) {
        let job =
            first(&table, "--output-format jsonl --split-size 20K --output-compression").arg(compression);
        let done = job.done();
        assert!(done.parts.iter().all(|(name, _)| name.ends_with(&format!(".jsonl.{ending}"))), "{ending}");
        assert!(done.whole().len() < table::json_lines(&table).len() / 2, "{ending}");
        let again = next(&job, "jsonl", "--output-format jsonl --split-size 5K --fields").arg(FIELDS);
        again.check_whole(&table::json_lines(&table));
    }
    let kv = first(&table, "--output-format kv --output-compression lz4 --split-size 20K");
    kv.done();
    next(&kv, "kv", "--output-format csv --output-fields")
        .arg(NAMES)
        .check_whole(&table::delimited(&table, ','));
}

#[test]
fn tables_are_sorted_as_a_whole() {
    let table = rows(23, 2_000);
    let csv = table::delimited(&table, ',');
    let job = Job::staged()
        .input(&csv)
        .args("--input-format csv --key-fields count:s64,id:u64 --fields ok:bool --partition range --reducers 4")
        .args("--output-format csv --split-size 20K --workers 2 --memory 128M");
    let done = job.done();
    let mut expected: Vec<(i64, u64, bool)> = table.iter().map(|row| (row.count, row.id, row.ok)).collect();
    expected.sort_unstable();
    let got: Vec<String> = done.parts.iter().flat_map(body).collect();
    let expected: Vec<String> = expected.iter().map(|(count, id, ok)| format!("{count},{id},{ok}")).collect();
    assert!(got == expected);
    assert_eq!(done.parts.len(), 4);
}

/// The rows of a part of CSV behind its header.
fn body((name, part): &(String, Vec<u8>)) -> Vec<String> {
    let text = String::from_utf8(part.clone()).unwrap();
    let mut lines = text.lines().map(str::to_owned);
    assert_eq!(lines.next().as_deref(), Some("count,id,ok"), "{name}");
    lines.collect()
}

/// All parts of an output that has files of a size.
fn assert_sizes(done: &Done, at_most: usize, total: &[u8]) {
    assert!(done.parts.len() > 3, "{} parts", done.parts.len());
    assert!(done.parts.iter().all(|(_, part)| part.len() < at_most));
    assert_same_bytes("parts", &done.whole(), total);
}

#[test]
fn files_are_ended_at_a_size() {
    let table = rows(24, 2_000);
    let job = first(&table, "--output-format jsonl --output-file-size 10K");
    assert_sizes(&job.done(), 12_000, &table::json_lines(&table));
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let parquet = first(&rows(25, 5), "--output-format parquet --output-compression gzip");
    parquet.fails(2, &["files of the format parquet cannot be compressed with gzip"]);
    let names = first(&rows(26, 5), "--output-format csv --output-fields a,b");
    names.fails(2, &["2 names are given for the 6 columns of the output"]);
}
