//! Several inputs of one job, each with a name, a format, fields and a mapper of its own.

use std::collections::BTreeMap;

use super::table::{self, FIELDS, compressed_once, rows};
use super::{copy, split_of};
use crate::support::naive;
use crate::support::process::plugin;
use crate::support::random::Random;
use crate::support::{Job, MIB};

#[test]
fn rows_of_many_formats_are_sorted_together() {
    let tables = [rows(10, 700), rows(11, 900), rows(12, 500), rows(13, 800)];
    let mut all: Vec<_> = tables.iter().flatten().cloned().collect();
    // Equal keys come in the order of the inputs, and within those in that of the rows.
    all.sort_by_key(|row| row.ok);
    let fields = "name:text,price:f64?,count:s64,note:text?,id:u64";
    let job = Job::staged()
        .file("in/a.csv", table::delimited(&tables[0], ','))
        .file("in/b.parquet", table::parquet(&tables[1], 100))
        .file("in/c.jsonl.zst", compressed_once(&table::json_lines(&tables[2]), "zst"))
        .file("in/d.arrow", table::arrow(&tables[3], 100))
        .reads(&["a=in/a.csv:csv", "b=in/b.parquet:parquet", "in/c.jsonl.zst:jsonl", "d=in/d.arrow"])
        .args("--input-format d=arrow --key-fields ok:bool --fields")
        .arg(fields)
        .args("--reducers 1 --workers 2 --memory 128M --split-size 20K --output-format jsonl");
    let done = job.done();
    // The columns of the key come first: what each is called tells.
    let got: Vec<serde_json::Value> =
        naive::lines(&done.whole()).into_iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
    let wanted: Vec<serde_json::Value> = naive::lines(&table::json_lines(&all))
        .into_iter()
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(got == wanted, "rows of all inputs, sorted by their key");
    assert_eq!(done.number("input_files"), 4);
}

#[test]
fn rows_of_different_types_are_refused() {
    let table = rows(14, 3);
    let job = copy("--output-format jsonl")
        .file("in/a.csv", table::delimited(&table, ','))
        .file("in/b.parquet", table::parquet(&table, 9))
        .reads(&["in/a.csv:csv", "in/b.parquet:parquet"]);
    job.fails(
        5,
        &[
            "the input (csv, without a mapper) emits values",
            "the input (parquet, without a mapper)",
            "tuple<",
        ],
    );
}

#[test]
fn counts_are_brought_up_to_date() {
    let texts = ["to be or not to be ".repeat(300), "that is the question to be ".repeat(200)];
    let job = Job::new("wordcount").input(&texts[0]).args("--reducers 2 --output-format kv");
    job.done();
    let old = job.path("out").join("*.kv");
    // What was counted has no mapper; new text has that of the plugin.
    let next = Job::staged()
        .input(&texts[1])
        .reads(&[&format!("old={}:kv", old.display()), "new=in:lines"])
        .stage("reduce", "wordcount")
        .stage("combine", "wordcount")
        .arg("--map")
        .arg(format!("new={}", plugin("wordcount").display()))
        .args("--reducers 2");
    next.check(&naive::wordcount(texts.concat().as_bytes(), 2));
}

#[test]
fn two_inputs_are_joined() {
    let mut random = Random::new(15);
    let mut line =
        |keys: u64, what: &str, number: u64| (format!("k{}", random.below(keys)), format!("{what}{number}"));
    let left: Vec<(String, String)> = (0..400).map(|number| line(300, "left", number)).collect();
    let right: Vec<(String, String)> = (0..3_000).map(|number| line(400, "right", number)).collect();
    let text = |lines: &[(String, String)], flip: bool| -> String {
        let line = |(key, rest): &(String, String)| {
            if flip { format!("{rest}\t{key}\n") } else { format!("{key}\t{rest}\n") }
        };
        lines.iter().map(line).collect()
    };
    let mut joined = BTreeMap::<&str, Vec<String>>::new();
    for (key, right) in &right {
        for (_, left) in left.iter().filter(|(other, _)| other == key) {
            joined.entry(key).or_default().push(format!("{key}\t{left}\t{right}\n"));
        }
    }
    let expected: String = joined.values().flatten().map(String::as_str).collect();
    let right = text(&right, true);
    let job = Job::new("join")
        .file("in/left.gz", compressed_once(text(&left, false).as_bytes(), "gz"))
        .file("in/right.lz4", table::compressed(right.as_bytes(), "lz4", 9_000))
        .reads(&["left=in/left.gz", "right=in/right.lz4"])
        .args("--reducers 1 -p right-key=2 --workers 2 --memory 128M")
        .args(&split_of(right.as_bytes(), 8));
    assert!(right.len() < MIB);
    job.check_whole(expected.as_bytes());
}

#[test]
fn options_of_one_input_are_of_it_alone() {
    let table = rows(16, 200);
    let job = copy("--output-format jsonl --output-fields")
        .arg(table::NAMES)
        .file("in/a.txt", table::delimited(&table, '\t'))
        .file("in/b.csv", table::delimited(&table, ','))
        .reads(&["a=in/a.txt", "b=in/b.csv:csv"])
        .args("--input-format a=tsv --fields")
        .arg(format!("a={FIELDS}"))
        .arg("--fields")
        .arg(format!("b={FIELDS}"));
    job.check_whole(&table::json_lines(&table).repeat(2));
}
