//! Every format of input, in many splits, here and on a cluster: the records are those that a naive reading
//! finds.

use super::table::{self, FIELDS, Row, rows};
use super::{copy, split_of};
use crate::support::cluster::{Cluster, Work};
use crate::support::naive::{fixed_records, raw};
use crate::support::random::Random;
use crate::support::{Job, assert_same_bytes};

/// The table in a file.
struct Case {
    format: &'static str,
    bytes: Vec<u8>,
    /// Fields have to be asked for.
    asks: bool,
}

impl Case {
    fn args(&self) -> String {
        let fields = if self.asks { format!("--fields {FIELDS}") } else { String::new() };
        format!("--output-format jsonl {} {fields}", split_of(&self.bytes, 12))
    }

    fn job(&self) -> Job {
        copy(&self.args()).input(&self.bytes).args("--input-format").arg(self.format)
    }
}

fn cases(table: &[Row]) -> Vec<Case> {
    let case = |format, asks, bytes| Case { format, bytes, asks };
    vec![
        case("csv", true, table::delimited(table, ',')),
        case("tsv", true, table::delimited(table, '\t')),
        case("csv,delimiter=;", true, table::delimited(table, ';')),
        case("jsonl", true, table::json_lines(table)),
        case("parquet", false, table::parquet(table, 50)),
        case("arrow", false, table::arrow(table, 50)),
        case("avro", true, table::avro(table, 20)),
        case("kv", false, kv(table)),
    ]
}

/// The table as the engine's own file, which it alone writes.
fn kv(table: &[Row]) -> Vec<u8> {
    let job = copy("--input-format csv --output-format kv --fields").arg(FIELDS);
    job.input(table::delimited(table, ',')).done().whole()
}

#[test]
fn every_format_yields_the_same_rows() {
    let table = rows(1, 10_000);
    for case in cases(&table) {
        let job = match case.format {
            // Values of that format have no names.
            "kv" => case.job().args("--output-fields").arg(table::NAMES),
            _ => case.job(),
        };
        let done = job.check_whole(&table::json_lines(&table));
        assert_eq!(done.number("input_records"), table.len() as u64, "{}", case.format);
        let least = if case.format == "kv" { 2 } else { 10 };
        assert!(done.number("map_tasks") >= least, "{}: {}", case.format, done.number("map_tasks"));
    }
}

#[test]
fn every_format_yields_the_same_rows_on_a_cluster() {
    let table = rows(2, 2_000);
    let mut cluster = Cluster::steady(2);
    let mut ids = Vec::new();
    for (number, case) in cases(&table).into_iter().enumerate() {
        let (id, input) = (format!("job-{number}"), cluster.path(format!("in-{number}")));
        std::fs::write(&input, &case.bytes).unwrap();
        let args = format!("--reducers 0 {} --input-format {}", case.args(), case.format);
        let args =
            if case.format == "kv" { format!("{args} --output-fields {}", table::NAMES) } else { args };
        cluster.check(&Work::copy(input, &args), &id);
        assert_same_bytes(case.format, &cluster.parts(&id), &table::json_lines(&table));
        ids.push(id);
    }
    cluster.assert_idle(&ids.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn fields_are_chosen_and_make_keys() {
    let table = rows(3, 1_000);
    let mut expected: Vec<(bool, u64, String)> =
        table.iter().map(|row| (row.ok, row.id, row.name.clone())).collect();
    expected.sort();
    let line = |(ok, id, name): &(bool, u64, String)| {
        format!("{{\"ok\":{ok},\"id\":{id},\"name\":{}}}\n", serde_json::json!(name))
    };
    let expected: String = expected.iter().map(line).collect();
    for case in cases(&table).iter().filter(|case| case.format != "kv") {
        let args = format!(
            "--reducers 3 --partition range --workers 2 --memory 128M --output-format jsonl {} --key-fields \
             ok:bool,id:u64 --fields name --input-format {}",
            split_of(&case.bytes, 6),
            case.format
        );
        let done = Job::staged().args(&args).input(&case.bytes).check_whole(expected.as_bytes());
        assert!(done.parts.iter().all(|(_, part)| part.len() > 1_000), "{}: ranges are even", case.format);
    }
}

#[test]
fn json_lines_without_fields_are_lines() {
    let text = table::json_lines(&rows(4, 500));
    let job = copy("--input-format jsonl --output-format text").args(&split_of(&text, 20)).input(&text);
    job.check_whole(&text);
}

#[test]
fn whole_files_are_records_of_their_paths() {
    let contents: [&[u8]; 3] = [b"one\ntwo\n", b"\0\xff", b"no newline"];
    let mut job = copy("--input-format whole --output-format text --split-size 4");
    let mut expected = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        job = job.file(&format!("in/{number}"), content);
        expected.extend([format!("in/{number}\t").as_bytes(), content, b"\n"].concat());
    }
    expected.extend(b"in/empty\t\n");
    job.file("in/empty", "").check_whole(&expected);
    copy("--input-format whole --output-format text").file("in/a.gz", "").check_whole(b"in/a.gz\t\n");
}

#[test]
fn records_of_a_fixed_length_are_copied() {
    let bytes = Random::new(5).bytes(16 * 3_001);
    let job = copy("--input-format fixed:16:5").args(&split_of(&bytes, 30)).input(&bytes);
    job.check_whole(&raw(&fixed_records(&bytes, 16, 5)));
}
