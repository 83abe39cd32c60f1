//! What a task writes beside its one file: named outputs, and files of a target size. Compared with a naive
//! reference, and over clusters with the same job without one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::cluster::{Cluster, Work};
use crate::support::process::run;
use crate::support::random::Random;
use crate::support::{Job, assert_same_bytes};

/// Lines of a word and a rest; some of each kind that the plugin `route` tells apart.
pub fn text(lines: u64) -> String {
    let mut random = Random::new(lines);
    let mut text = String::new();
    for line in 0..lines {
        let letter = ["a", "b", "m", "z"][usize::try_from(random.below(4)).unwrap()];
        let mark = if random.below(7) == 0 { "!" } else { "" };
        writeln!(
            text,
            "{letter}{} {mark}{line} {}",
            random.below(50),
            "x".repeat(usize::try_from(line % 9).unwrap())
        )
        .unwrap();
    }
    text
}

/// Lines of each output that `route` writes of these lines, in their order.
pub fn routed<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<&'static str, Vec<String>> {
    let mut outputs = BTreeMap::<_, Vec<_>>::new();
    for line in lines {
        let (key, value) = line.split_once(' ').unwrap();
        let (output, line) = match (key, value) {
            _ if value.starts_with('!') => ("errors", format!("{key}\t{value}\n")),
            _ if key.starts_with('z') => ("lengths", format!("{key}\t{}\n", value.len())),
            _ => ("", format!("{key}\t{value}\n")),
        };
        outputs.entry(output).or_default().push(line);
    }
    outputs
}

/// Files of `size`, each ended with the record with which it has it.
fn cut(lines: &[String], size: usize) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut file = Vec::new();
    for line in lines {
        file.extend_from_slice(line.as_bytes());
        if file.len() >= size {
            files.push(std::mem::take(&mut file));
        }
    }
    if !file.is_empty() || files.is_empty() {
        files.push(file);
    }
    files
}

/// Names and bytes of what a task must write.
fn expected(task: &str, outputs: &BTreeMap<&str, Vec<String>>, size: usize) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for output in ["", "errors", "lengths"] {
        let Some(lines) = outputs.get(output) else { continue };
        for (number, bytes) in cut(lines, size).into_iter().enumerate() {
            let folder = if output.is_empty() { String::new() } else { format!("{output}/") };
            files.push((format!("{folder}part-{task}-{number:04}"), bytes));
        }
    }
    files
}

/// The files of a job are these, by name and byte.
#[track_caller]
pub fn assert_same_files(got: &[(String, Vec<u8>)], expected: &[(String, Vec<u8>)]) {
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(got), names(expected));
    for ((name, got), (_, expected)) in got.iter().zip(expected) {
        assert_same_bytes(name, got, expected);
    }
}

#[test]
fn a_reducer_writes_named_outputs_in_files_of_a_size() {
    let text = text(3_000);
    let mut sorted: Vec<&str> = text.lines().collect();
    sorted.sort_by_key(|line| line.split(' ').next());
    let files = expected("r-00000", &routed(sorted.into_iter()), 2_000);
    assert!(files.len() > 12, "the test shows something: {}", files.len());
    let job = Job::new("route").input(&text).args("--reducers 1 --split-size 9000");
    let sized = |size: &str, overwrite: &[&str]| {
        let mut command = job.command_to_folder();
        command.args(["--json", "--output-file-size", size]).args(overwrite);
        job.judge_done(run(command))
    };
    assert_same_files(&sized("2000", &[]).parts, &files);
    // Over a former output, with other files.
    let whole = sized("1G", &["--overwrite"]);
    let names: Vec<&str> = whole.parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["part-r-00000-0000", "errors/part-r-00000-0000", "lengths/part-r-00000-0000"]);
    assert_eq!(whole.manifest["output"]["ports"][1]["name"], "lengths");
    assert_eq!(whole.manifest["output"]["ports"][1]["types"]["value"], "u64");
}

#[test]
fn a_mapper_writes_named_outputs_where_there_are_no_reducers() {
    let job = Job::new("route").input("a 1\nz 22\nb !no\n").args("--reducers 0");
    let done = job.done();
    let line = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    let files = [
        line("part-m-00000", "a\t1\n"),
        line("errors/part-m-00000", "b\t!no\n"),
        line("lengths/part-m-00000", "z\t2\n"),
    ];
    assert_same_files(&done.parts, &files);
    // A folder that is an output is read without its named ones; those are read by their names.
    let out = job.path("out");
    for (folder, expected) in [(out.clone(), "a\t1\n"), (out.join("errors"), "b\t!no\n")] {
        let next = Job::new("wordcount").reads(&[folder.to_str().unwrap()]);
        let words = expected.split_whitespace().map(|word| format!("{word}\t1\n"));
        let mut words: Vec<String> = words.collect();
        words.sort();
        next.check_whole(words.concat().as_bytes());
    }
}

#[test]
fn an_output_that_nothing_goes_to_has_no_file_and_the_main_one_always() {
    let done = Job::new("route").input("z 1\n").args("--reducers 2").done();
    let names: Vec<&str> = done.parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["part-r-00000", "part-r-00001"]);
    assert!(names.len() == 3 && names[2].starts_with("lengths/part-r-0000"), "{names:?}");
}

#[test]
fn what_cannot_be_is_refused_in_a_sentence() {
    let job = Job::new("route").input("a 1\n");
    let refused = run(job.command("submit"));
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("named output errors") && refused.stderr.contains("needs --output"));
    let counting = Job::new("wordcount").input("a\n").args("--output-file-size 1M");
    let refused = run(counting.command("submit"));
    assert!(refused.stderr.contains("--output-file-size") && refused.stderr.contains("needs --output"));
    let stray = job.args("-p stray=yes");
    stray.fails(
        6,
        &["there is no output errors in this stage", "of the reducer, or of the mapper of a job without"],
    );
    let many = Job::new("wordcount").input("a b c\n".repeat(9)).args("--reducers 1 --output-file-size 1");
    many.done();
    let text: String = (0..5_000).map(|word| format!("{word}\n")).collect();
    let many = Job::new("wordcount").input(text).args("--reducers 1 --output-file-size 1");
    many.fails(7, &["output files of a task", "4001, and 4000 are allowed"]);
}

#[test]
fn a_cluster_writes_the_same_files() {
    let cluster = Cluster::steady(2);
    let input = cluster.path("routed.txt");
    std::fs::write(&input, text(20_000)).unwrap();
    let args = "--split-size 40K --output-file-size 9000 --reducers";
    for reducers in [0, 3] {
        let work = Work::new("route", input.clone(), &format!("{args} {reducers}"));
        cluster.check(&work, &format!("routed-{reducers}"));
    }
}
