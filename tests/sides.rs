//! Side inputs: what plugins read beside their records, here and as the exemplary plugins use it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use crate::support::Job;
use crate::support::process::run;
use crate::support::random::Random;

/// A table with several lines for some keys, of some MB, and lines to be joined with it.
pub fn table_and_lines(seed: u64, lines: u64) -> (String, String) {
    let mut random = Random::new(seed);
    let mut table = String::new();
    for number in 0..60_000 {
        let key = random.below(50_000);
        writeln!(table, "key-{key:05}\trow {number} of the table, with some more text behind it").unwrap();
    }
    let mut text = String::new();
    for number in 0..lines {
        writeln!(text, "key-{:05}\tline {number}", random.below(60_000)).unwrap();
    }
    (table, text)
}

/// Every line with every line of the table that has its key.
pub fn joined(table: &str, lines: &str) -> Vec<u8> {
    let mut of_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, rest) in table.lines().filter_map(|line| line.split_once('\t')) {
        of_key.entry(key).or_default().push(rest);
    }
    let mut out = String::new();
    for (key, rest) in lines.lines().filter_map(|line| line.split_once('\t')) {
        for partner in of_key.get(key).into_iter().flatten() {
            writeln!(out, "{key}\t{rest}\t{partner}").unwrap();
        }
    }
    out.into_bytes()
}

#[test]
fn lines_meet_the_table() {
    let (table, lines) = table_and_lines(1, 20_000);
    assert!(table.len() > 3 << 20, "{}", table.len());
    let job = Job::new("map-join").input(&lines).file("other/table.tsv", &table);
    let job =
        job.args("--side table=other/table.tsv --side unread=in --reducers 0 --split-size 64K --workers 3");
    let done = job.check_whole(&joined(&table, &lines));
    assert!(done.number("map_tasks") > 4);
    let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
    let expected = json!([
        { "name": "table", "bytes": table.len(), "blake3": hash(&table) },
        { "name": "unread", "bytes": lines.len(), "blake3": hash(&lines) },
    ]);
    assert_eq!(done.manifest["sides"], expected);
    let mut explain = job.command("explain");
    explain.arg("--json");
    let plan: serde_json::Value = serde_json::from_slice(&run(explain).stdout).unwrap();
    assert_eq!(plan["spec"]["sides"], expected);
    let said = String::from_utf8(run(job.command("explain")).stdout).unwrap();
    let line = format!("(blake3 {:.12})", hash(&table));
    assert!(
        said.lines()
            .any(|said| said.starts_with("side     table = other/table.tsv: ") && said.ends_with(&line))
    );
}

#[test]
fn a_matrix_times_a_vector() {
    let mut random = Random::new(2);
    let mut value = move |of: u64| random.below(of) as f64 / 8.0 - 50.0;
    let vector: Vec<f64> = (0..3_000).map(|_| value(1_000)).collect();
    let mut random = Random::new(3);
    let (mut matrix, mut product) = (String::new(), BTreeMap::<u64, f64>::new());
    for _ in 0..40_000 {
        // Some columns are beyond the vector, where it is zero.
        let (i, j, m) = (random.below(500), random.below(3_100), value(997) / 3.0);
        writeln!(matrix, "{i}\t{j}\t{m}").unwrap();
        let factor = usize::try_from(j).ok().and_then(|j| vector.get(j)).copied().unwrap_or(0.0);
        *product.entry(i).or_insert(0.0) += m * factor;
    }
    let v: String = vector.iter().enumerate().map(|(j, v)| format!("{j}\t{v}\n")).collect();
    let expected: String = product.iter().map(|(i, sum)| format!("{i}\t{sum}\n")).collect();
    // Not even the last digit depends on how the work is shared.
    for workers in ["1", "4"] {
        let job = Job::new("matrix-vector").input(&matrix).file("other/v", &v).args("--side v=other/v");
        let job =
            job.args("--reducers 2 --partition range --split-size 64K --memory 128M --workers").arg(workers);
        job.check_whole(expected.as_bytes());
    }
}

#[test]
fn what_is_no_side_input_is_refused() {
    let job = || Job::new("map-join").input("a\tb\n").file("other/t", "a\tc\n").args("--reducers 0");
    for (args, code, says) in [
        ("--side table=other/missing", 3, "side input table: other/missing does not exist\n"),
        ("--side table=other", 3, "side input table: other is a folder; a side input is one file\n"),
        (
            "--side t=other/t --side t=in",
            3,
            "--side t=... is given twice, with in and other/t; choose another name",
        ),
        (
            "--side T=other/t",
            3,
            "\"T\" is no name: use a-z, 0-9, '.', '_' and '-', and a letter or digit first\n",
        ),
        ("--side table", 2, "use NAME=PATH"),
        ("", 6, "the job has no side input \"table\""),
        ("--side table=other/t -p table=other", 6, "the job has no side input \"other\""),
    ] {
        job().args(args).fails(code, &[says]);
    }
}
