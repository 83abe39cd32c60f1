//! The exemplary plugins against naive references, over texts of every kind.

use std::collections::BTreeMap;

use crate::support::naive::{self, by_hash, lines};
use crate::support::random::{Arrangement, Text, property};
use crate::support::{Job, assert_same_bytes};

#[test]
fn words_are_counted() {
    let values = (Text::any(400), Arrangement::any(), 1..9usize);
    property(40, &values, |(text, arrangement, reducers)| {
        let text = text.write();
        let args = format!("--reducers {reducers} {}", arrangement.args(text.len()));
        let done = Job::new("wordcount").input(&text).args(&args).check(&naive::wordcount(&text, reducers));
        assert_eq!(done.number("input_records"), lines(&text).len() as u64);
    });
}

#[test]
fn a_real_text_is_counted() {
    let text = include_str!("../wit/engine.wit").repeat(200);
    let done = Job::new("wordcount").input(&text).check(&naive::wordcount(text.as_bytes(), 1));
    assert_eq!(done.number("reduce_tasks"), 1, "one reducer for each 64 MiB of input");
    assert_eq!(done.report["spill_files"], 0);
}

#[test]
fn matching_lines_are_found() {
    let flags = (proptest::bool::ANY, proptest::bool::ANY);
    let values = (Text::any(400), Arrangement::any(), 0..3usize, flags);
    property(24, &values, |(text, arrangement, pattern, (invert, fold))| {
        let text = text.write();
        let pattern = ["ab", "Q", "z"][pattern];
        let matched = |line: &&[u8]| {
            let line = if fold { line.to_ascii_lowercase() } else { line.to_vec() };
            let pattern = if fold { pattern.to_lowercase() } else { pattern.to_owned() };
            memmem(&line, pattern.as_bytes()) != invert
        };
        let all = lines(&text);
        let found: Vec<&[u8]> = all.iter().copied().filter(matched).collect();
        let expected: Vec<u8> = found.iter().flat_map(|line| [line, b"\n".as_slice()].concat()).collect();
        let args = format!("-p pattern={pattern} -p invert={invert} -p ignore-case={fold}");
        let job = || Job::new("grep").input(&text).args(&args).args(&arrangement.args(text.len()));
        // Lines are the values of a key that is nothing: also through a shuffle they keep their order.
        job().args("--reducers 1").check_whole(&expected);
        let done = job().args("--reducers 0").check_whole(&expected);
        let matches = if invert { all.len() - found.len() } else { found.len() };
        assert_eq!(done.report["counters"]["lines matched"].as_u64().unwrap_or(0), matches as u64);
    });
}

#[test]
fn words_are_found_in_their_files() {
    let texts = proptest::collection::vec(Text::any(60), 1..6);
    property(16, &(texts, Arrangement::any(), 1..5usize), |(texts, arrangement, reducers)| {
        let texts: Vec<Vec<u8>> = texts.iter().map(Text::write).collect();
        let mut postings = BTreeMap::<&[u8], BTreeMap<String, u64>>::new();
        let mut job = Job::new("inverted-index");
        for (number, text) in texts.iter().enumerate() {
            let name = format!("in/file-{number}");
            for word in text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                *postings.entry(word).or_default().entry(name.clone()).or_default() += 1;
            }
            job = job.file(&name, text);
        }
        let mut parts = vec![Vec::new(); reducers];
        for (word, files) in postings {
            let files: Vec<String> = files.iter().map(|(file, count)| format!("{file}:{count}")).collect();
            let line = [word, b"\t", files.join(",").as_bytes(), b"\n"].concat();
            parts[by_hash(word, reducers)].extend(line);
        }
        let bytes = texts.iter().map(Vec::len).sum();
        job.args(&format!("--reducers {reducers}")).args(&arrangement.args(bytes)).check(&parts);
    });
}

#[test]
fn lines_are_sorted() {
    property(24, &(Text::any(400), Arrangement::any(), 1..7u32), |(text, arrangement, reducers)| {
        let text = text.write();
        let mut sorted = lines(&text);
        sorted.sort_unstable();
        let expected: Vec<u8> = sorted.iter().flat_map(|line| [line, b"\n".as_slice()].concat()).collect();
        let job = Job::new("sort").input(&text).args(&arrangement.args(text.len()));
        let done = job.args(&format!("--reducers {reducers}")).done();
        assert_same_bytes("all parts", &done.whole(), &expected);
        assert_eq!(done.parts.len(), reducers as usize);
    });
}

fn memmem(line: &[u8], pattern: &[u8]) -> bool {
    line.windows(pattern.len()).any(|window| window == pattern)
}
