//! What is read, and in which order: files, folders, globs, and bytes of every kind in them.

use std::fs;

use crate::support::naive::{self, line_records, text};
use crate::support::random::Random;
use crate::support::{Job, MIB};

/// A job that shows what it reads: offset and line of every record, in order.
fn show() -> Job {
    Job::new("sort").args("--input-format lines --reducers 0 --memory 64M")
}

/// What [`show`] makes of offsets and lines.
fn shown(texts: &[&[u8]]) -> Vec<u8> {
    let decimal = |(offset, line): (Vec<u8>, Vec<u8>)| {
        let offset = u64::from_be_bytes(offset.try_into().unwrap());
        (offset.to_string().into_bytes(), line)
    };
    texts
        .iter()
        .flat_map(|bytes| text(&line_records(bytes).into_iter().map(decimal).collect::<Vec<_>>()))
        .collect()
}

#[test]
fn bytes_of_every_kind_are_lines() {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let cases: [&[u8]; 12] = [
        b"",
        b"\n",
        b"\n\n\n",
        b"a",
        b"a\n",
        b"a\nb",
        b"a\r\nb\r\n",
        b"\r\n\r\n",
        b"a\0b\n\0\n",
        b"\xff\xfe\x80\nna\xc3\xafve\n",
        b"\xef\xbb\xbfbom\n",
        &all_bytes,
    ];
    for case in cases {
        for split in ["1", "2", "7", "64M"] {
            let done = show().input(case).args(&format!("--split-size {split}")).check_whole(&shown(&[case]));
            assert_eq!(done.number("input_records"), line_records(case).len() as u64);
        }
    }
}

#[test]
fn chunks_of_text_are_the_same_lines() {
    let cases: [&[u8]; 5] = [b"", b"\n", b"to\0 be\r\nor", b"\xff \n\n \xff", b"a\nb\na\n"];
    for case in cases {
        for split in ["1", "3", "64M"] {
            let job = Job::new("wordcount").input(case).args(&format!("--split-size {split} --memory 64M"));
            job.args("--workers 2").check(&naive::wordcount(case, 1));
        }
    }
}

#[test]
fn a_long_line_crosses_many_splits() {
    let line = [b"start ".as_slice(), &vec![b'x'; MIB - 20], b"\nend"].concat();
    show().input(&line).args("--split-size 64K").check_whole(&shown(&[&line]));
}

#[test]
fn folders_are_read_in_name_order_and_hidden_names_are_not() {
    let job = show()
        .file("in/b", "1\n")
        .file("in/a/z", "2\n")
        .file("in/a/b/c", "3\n")
        .file("in/B", "4\n")
        .file("in/_SUCCESS", "5\n")
        .file("in/.hidden", "6\n")
        .file("in/_logs/x", "7\n")
        .file("in/a/.git/x", "8\n")
        .file("in/a-", "9\n")
        .file("in/empty", "");
    let done = job.check_whole(&shown(&[b"4\n", b"9\n", b"3\n", b"2\n", b"1\n"]));
    let read: Vec<&str> =
        done.manifest["files"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(read, ["in/B", "in/a-", "in/a/b/c", "in/a/z", "in/b", "in/empty"]);
}

#[test]
fn globs_choose() {
    let files = |job: Job| {
        ["in/a.log", "in/b.log", "in/c.txt", "in/d/a.log", "in/.a.log", "in/d/e/x.log"]
            .iter()
            .fold(job, |job, name| job.file(name, format!("{name}\n")))
    };
    let cases: [(&[&str], &[&str]); 8] = [
        (&["in/*.log"], &["in/a.log", "in/b.log"]),
        (&["in/?.txt"], &["in/c.txt"]),
        (&["in/[bc].*"], &["in/b.log", "in/c.txt"]),
        (&["in/**/*.log"], &["in/a.log", "in/b.log", "in/d/a.log", "in/d/e/x.log"]),
        (&["in/{c.txt,d}"], &["in/c.txt", "in/d/a.log", "in/d/e/x.log"]),
        (&["in/.*.log"], &["in/.a.log"]),
        (&["in/c.txt", "in/*.log"], &["in/c.txt", "in/a.log", "in/b.log"]),
        (
            &["in/b.log", "in", "in/b.log"],
            &["in/b.log", "in/a.log", "in/c.txt", "in/d/a.log", "in/d/e/x.log"],
        ),
    ];
    for (patterns, expected) in cases {
        let lines: Vec<String> = expected.iter().map(|name| format!("{name}\n")).collect();
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        files(show()).reads(patterns).check_whole(&shown(&lines));
    }
}

#[test]
fn nothing_to_read_is_a_result() {
    let empty = Job::new("wordcount").args("--reducers 2");
    fs::create_dir(empty.path("in")).unwrap();
    let done = empty.check(&[Vec::new(), Vec::new()]);
    assert_eq!((done.number("input_files"), done.number("input_records")), (0, 0));

    let done = Job::new("wordcount").input("").check(&[Vec::new()]);
    assert_eq!((done.number("input_files"), done.number("output_records")), (1, 0));

    let map_only = show().input("");
    map_only.check_whole(b"");
}

#[test]
fn a_file_without_its_last_newline_does_not_run_into_the_next() {
    let job = show().file("in/a", "one").file("in/b", "two").file("in/c", "");
    job.check_whole(&shown(&[b"one", b"two"]));
}

#[test]
fn ten_thousand_small_files() {
    let job = Job::new("wordcount").args("--reducers 3 --workers 2 --memory 64M");
    let mut random = Random::new(9);
    let mut whole = Vec::new();
    for folder in 0..100 {
        fs::create_dir_all(job.path(&format!("in/{folder}"))).unwrap();
        for file in 0..100 {
            let text = format!("word-{} file-{file}\n", random.below(1000));
            fs::write(job.path(&format!("in/{folder}/{file}")), &text).unwrap();
            whole.extend(text.into_bytes());
        }
    }
    let done = job.check(&naive::wordcount(&whole, 3));
    assert_eq!((done.number("input_files"), done.number("input_records")), (10_000, 10_000));
    assert!(done.number("map_tasks") < 10, "small files share splits");
}
