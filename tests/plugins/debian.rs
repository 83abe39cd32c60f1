//! Jobs over what Debian tells of its packages: tens of thousands of packages, hundreds of thousands of
//! dependencies. `make data` fetches it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{parts, table};
use crate::support::{Done, Job};

/// Runs of one job that must not differ: few large tasks, many small ones, one worker, several.
const ARRANGEMENTS: [&str; 2] = ["--workers 1 --memory 64M", "--workers 4 --memory 128M --split-size 200K"];

/// A table of Debian's, as rows of columns.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split('\t').collect())
}

/// Runs the job in every arrangement.
#[track_caller]
fn check(job: impl Fn() -> Job, expected: &[Vec<u8>]) -> Done {
    let done = ARRANGEMENTS.map(|arrangement| job().args(arrangement).check(expected));
    let [_, last] = done;
    last
}

#[test]
fn large_games_are_selected() {
    let packages = table("packages.tsv");
    let wanted = rows(&packages).filter(|row| row[1] == "games" && row[3].parse::<u64>().unwrap() >= 100_000);
    let expected: String = wanted.map(|row| format!("{}\t{}\n", row[3], row[0])).collect();
    for arrangement in ARRANGEMENTS {
        let job = Job::new("select").input(&packages).args("--reducers 0 -p columns=4,1").args(arrangement);
        job.arg("-p").arg("where=2=games and 4>=100000").check_whole(expected.as_bytes());
    }
}

#[test]
fn dependencies_are_joined_with_the_packages_that_they_are_on() {
    let (packages, depends) = (table("packages.tsv"), table("depends.tsv"));
    let columns: HashMap<&str, Vec<&str>> = rows(&packages).map(|row| (row[0], row)).collect();
    let mut groups = BTreeMap::<&str, String>::new();
    for row in rows(&depends) {
        if let Some(package) = columns.get(row[1]) {
            let line = format!("{}\t{}\n", package.join("\t"), row[0]);
            groups.entry(row[1]).or_default().push_str(&line);
        }
    }
    let groups = groups.into_iter().map(|(key, lines)| (key.into(), lines.into()));
    let join = || {
        let job = Job::new("join").file("in/packages", &packages).file("in/depends", &depends);
        job.reads(&["left=in/packages", "right=in/depends"]).args("-p right-key=2 --reducers 3")
    };
    check(join, &parts(groups, 3));
}

#[test]
fn names_that_no_package_has_are_found() {
    let (packages, depends) = (table("packages.tsv"), table("depends.tsv"));
    let real: BTreeSet<&str> = rows(&packages).map(|row| row[0]).collect();
    let named: BTreeSet<&str> = rows(&depends).map(|row| row[1]).collect();
    let virtual_ones =
        named.difference(&real).map(|name| (name.as_bytes().into(), format!("{name}\n").into()));
    let project = |table: &str, column: u32| {
        let job = Job::new("select").input(table).args("--reducers 0 --split-size 1M");
        job.args(&format!("-p columns={column}")).done().whole()
    };
    let (left, right) = (project(&depends, 2), project(&packages, 1));
    let difference = || {
        let job = Job::new("sets").file("in/named", &left).file("in/real", &right);
        job.reads(&["left=in/named", "right=in/real"]).args("-p op=difference --reducers 2")
    };
    check(difference, &parts(virtual_ones, 2));
}

#[test]
fn the_most_frequent_pairs_of_words_are_found() {
    let text = table("descriptions.txt");
    let mut counts = BTreeMap::<String, u64>::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.windows(2).for_each(|pair| *counts.entry(pair.join(" ")).or_default() += 1);
    }
    let mut lines: Vec<(u64, String)> =
        counts.iter().map(|(pair, count)| (*count, format!("{pair}\t{count}\n"))).collect();
    let groups = counts
        .iter()
        .zip(&lines)
        .map(|((pair, _), (_, line))| (pair.as_bytes().into(), line.as_bytes().into()));
    let pairs = check(|| Job::new("ngrams").input(&text).args("--reducers 2"), &parts(groups, 2));
    lines.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let expected: String = lines.iter().take(50).map(|(_, line)| line.as_str()).collect();
    check(|| Job::new("top-k").input(pairs.whole()).args("-p k=50 --reducers 1"), &[expected.into()]);
}

#[test]
fn words_that_no_dictionary_has_are_found() {
    let (text, words) = (table("descriptions.txt"), table("words.txt"));
    let counted = Job::new("wordcount").input(&text).args("--reducers 2").done().whole();
    let used = Job::new("select").input(&counted).args("-p columns=1 --reducers 0").done().whole();
    let known: BTreeSet<&str> = words.lines().collect();
    let unknown: BTreeSet<&str> =
        text.split_ascii_whitespace().filter(|word| !known.contains(word)).collect();
    let groups = unknown.iter().map(|word| (word.as_bytes().into(), format!("{word}\n").into()));
    let difference = || {
        let job = Job::new("sets").file("in/used", &used).file("in/words", &words);
        job.reads(&["left=in/used", "right=in/words"]).args("-p op=difference --reducers 2")
    };
    check(difference, &parts(groups, 2));
}

#[test]
fn sizes_of_sections_are_added_up() {
    let packages = table("packages.tsv");
    let mut sections = BTreeMap::<&str, Vec<u64>>::new();
    for row in rows(&packages) {
        sections.entry(row[1]).or_default().push(row[3].parse().unwrap());
    }
    let groups = sections.into_iter().map(|(section, sizes)| {
        let (count, sum): (_, u64) = (sizes.len(), sizes.iter().sum());
        let (min, max) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        let average = sum as f64 / count as f64;
        (section.into(), format!("{section}\t{count}\t{sum}\t{min}\t{max}\t{average}\n").into())
    });
    let sizes = || Job::new("aggregate").input(&packages).args("-p by=2 -p column=4 --reducers 2");
    check(sizes, &parts(groups, 2));
}
