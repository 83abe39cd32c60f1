//! Operators on tables: lines with tabs between their columns.

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::Strategy;

use super::parts;
use crate::support::Job;
use crate::support::naive::lines;
use crate::support::random::{Arrangement, Random, property};

/// A table by its measures: a key of few values, of which one is in a third of the rows; a word; a number.
#[derive(Debug, Clone)]
struct Table {
    seed: u64,
    rows: u64,
    keys: u64,
}

impl Table {
    fn any(rows_max: u64) -> impl Strategy<Value = Self> {
        let measures = (proptest::num::u64::ANY, 0..rows_max, 1..200u64);
        measures.prop_map(|(seed, rows, keys)| Self { seed, rows, keys })
    }

    fn rows(&self) -> Vec<(String, String, i64)> {
        let mut random = Random::new(self.seed);
        let row = |_| {
            let key = if random.below(3) == 0 { 0 } else { random.below(self.keys) };
            let number = i64::try_from(random.below(2_000_000)).unwrap() - 1_000_000;
            (format!("k{key}"), format!("w{}", random.below(50)), number)
        };
        (0..self.rows).map(row).collect()
    }
}

/// Hundredths as they are typed.
fn shown(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100)
}

fn text(rows: &[(String, String, i64)]) -> String {
    rows.iter().map(|(key, word, number)| format!("{key}\t{word}\t{}\n", shown(*number))).collect()
}

#[test]
fn rows_are_selected_and_projected() {
    property(12, &(Table::any(2000), Arrangement::any()), |(table, arrangement)| {
        let rows = table.rows();
        let wanted = rows.iter().filter(|(key, word, number)| {
            key != "k1" && word.contains('7') && (-500_000..250_050).contains(number)
        });
        let expected: String =
            wanted.map(|(key, _, number)| format!("{}\t{key}\n", shown(*number))).collect();
        let input = text(&rows);
        let job = Job::new("select").input(&input).args("--reducers 0 -p columns=3,1").arg("-p");
        let job = job.arg("where=1!=k1 and 2~7 and 3>=-5000 and 3 < 2500.5");
        job.args(&arrangement.args(input.len())).check_whole(expected.as_bytes());
    });
}

#[test]
fn groups_are_aggregated() {
    property(16, &(Table::any(3000), Arrangement::any(), 1..5usize), |(table, arrangement, reducers)| {
        let rows = table.rows();
        let mut groups = BTreeMap::<String, Vec<i64>>::new();
        for (key, word, number) in &rows {
            groups.entry(format!("{word}\t{key}")).or_default().push(*number);
        }
        let line = |(group, numbers): (String, Vec<i64>)| {
            let (sum, count): (i64, _) = (numbers.iter().sum(), numbers.len());
            let (min, max) = (numbers.iter().min().unwrap(), numbers.iter().max().unwrap());
            let average = sum as f64 / (count * 100) as f64;
            let line =
                format!("{group}\t{count}\t{}\t{}\t{}\t{average}\n", shown(sum), shown(*min), shown(*max));
            (group.into_bytes(), line.into_bytes())
        };
        let input = text(&rows);
        let job = Job::new("aggregate").input(&input).args("-p by=2,1 -p column=3 -p decimals=2");
        let job = job.args(&format!("--reducers {reducers} {}", arrangement.args(input.len())));
        job.check(&parts(groups.into_iter().map(line), reducers));
    });
}

#[test]
fn large_sums_are_exact_and_larger_ones_fail() {
    let input = format!("a\t{0}\na\t{0}\na\t-1\n", i64::MAX);
    let line =
        format!("a\t3\t{}\t-1\t{}\t{}\n", 2 * i128::from(i64::MAX) - 1, i64::MAX, 6148914691236517000.0);
    let job = |input: &str| Job::new("aggregate").input(input).args("-p by=1 -p column=2");
    job(&input).check_whole(line.as_bytes());
    job(&format!("{input}a\t2\n")).fails(6, &["a sum is larger than u64 can hold"]);
    let rejected = job("a\nb\t1\n\nc\t1.5\n").args("--max-rejects 3").done();
    assert_eq!(rejected.whole(), b"b\t1\t1\t1\t1\t1\n");
    assert_eq!(rejected.rejects.len(), 3);
}

/// Keys of a table as lines.
fn keys(table: &Table) -> String {
    table.rows().iter().map(|(key, ..)| format!("{key}\n")).collect()
}

#[test]
fn sets_of_lines_are_put_together() {
    let tables = (Table::any(600), Table::any(600));
    let operations = ["union", "intersection", "difference"];
    let values = (tables, Arrangement::any(), 1..4usize, 0..operations.len());
    property(24, &values, |((left, right), arrangement, reducers, operation)| {
        let texts = [keys(&left), keys(&right)];
        let [left, right] = texts.each_ref().map(|text| lines(text.as_bytes()).into_iter().collect());
        let (left, right): (BTreeSet<&[u8]>, BTreeSet<&[u8]>) = (left, right);
        let operation = operations[operation];
        let wanted: BTreeSet<&[u8]> = match operation {
            "union" => &left | &right,
            "intersection" => &left & &right,
            _ => &left - &right,
        };
        let groups = wanted.into_iter().map(|line| (line.to_vec(), [line, b"\n"].concat()));
        let job = Job::new("sets").file("in/left", &texts[0]).file("in/right", &texts[1]);
        let job = job.reads(&["left=in/left", "right=in/right"]);
        let arrangement = arrangement.args(texts[0].len() + texts[1].len());
        let job = job.args(&format!("-p op={operation} --reducers {reducers} {arrangement}"));
        job.check(&parts(groups, reducers));
    });
}

#[test]
fn lines_are_made_distinct() {
    let distinct = |input: &str| Job::new("sets").input(input).args("-p op=distinct --reducers 1");
    distinct("b\na\n\nb\na\na").check_whole(b"\na\nb\n");
    distinct("").check_whole(b"");
    Job::new("sets").input("a\n").args("-p op=union").fails(6, &["op=union takes left and right"]);
}

#[test]
fn tables_are_joined() {
    let tables = (Table::any(150), Table::any(300));
    property(16, &(tables, Arrangement::any(), 1..5usize), |((left, right), arrangement, reducers)| {
        let (left, right) = (left.rows(), right.rows());
        let mut groups = BTreeMap::<&str, Vec<u8>>::new();
        for (key, word, number) in &right {
            let joined = groups.entry(key).or_default();
            for (_, left_word, left_number) in left.iter().filter(|(left, ..)| left == key) {
                let line =
                    format!("{key}\t{left_word}\t{}\t{}\t{word}\n", shown(*left_number), shown(*number));
                joined.extend_from_slice(line.as_bytes());
            }
        }
        let turned = right.iter().map(|(key, word, number)| format!("{}\t{word}\t{key}\n", shown(*number)));
        let right: String = turned.map(|line| line.replace("\tw", "\t\u{0}w")).collect();
        // What tells columns apart is the tab alone: a zero byte is one as any other.
        let groups = groups.into_iter().map(|(key, lines)| {
            let lines = String::from_utf8(lines).unwrap();
            let lines: String = lines.lines().map(|line| zero_before_last_word(line) + "\n").collect();
            (key.as_bytes().to_vec(), lines.into_bytes())
        });
        let groups = parts(groups, reducers);
        let job = Job::new("join").file("in/left", text(&left)).file("in/right", &right);
        let job = job.reads(&["left=in/left", "right=in/right"]).args("-p right-key=3");
        job.args(&format!("--reducers {reducers} {}", arrangement.args(right.len()))).check(&groups);
    });
}

fn zero_before_last_word(line: &str) -> String {
    let (before, word) = line.rsplit_once('\t').unwrap();
    format!("{before}\t\u{0}{word}")
}

#[test]
fn joins_stay_in_bounds() {
    let left: String = (0..2000).map(|line| format!("hot\t{line:0100}\n")).collect();
    let job = |left: &str, right: &str| {
        Job::new("join").file("in/l", left).file("in/r", right).args("-p left-bytes=100000 --reducers 1")
    };
    let sides = ["left=in/l", "right=in/r"];
    let told = "key \"hot\" has more than left-bytes=100000 of lines on the left: exchange the sides";
    job(&left, "hot\tx\n").reads(&sides).fails(6, &[told]);
    // The same lines may be on the right, however many.
    job("hot\tx\n", &left).reads(&sides).done();
    job("a\n", "a\n").reads(&["right=in/r", "left=in/l"]).fails(6, &["left has to be named before"]);
    job("a\n", "a\n").reads(&sides).check_whole(b"a\n");
    job("", "a\n").reads(&sides).check_whole(b"");
}
