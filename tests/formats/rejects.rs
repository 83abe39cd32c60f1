//! Rows that are left out within `--max-rejects`: the rest is read, and each of them is kept with its place and
//! what is wrong with it.

use serde_json::json;

use super::copy;
use super::table::compressed_once;
use crate::support::Job;

#[test]
fn bad_rows_are_kept_beside_the_output() {
    let csv = "id,name\n1,a\n2\n3,b\nx,c\n4,d,e\n5,f\n";
    let job =
        copy("--input-format csv --fields id:u64,name --output-format jsonl --max-rejects 3 --split-size 7");
    let done = job
        .file("in/rows.csv", csv)
        .check_whole(b"{\"id\":1,\"name\":\"a\"}\n{\"id\":3,\"name\":\"b\"}\n{\"id\":5,\"name\":\"f\"}\n");
    let reject = |offset: u64, reason: &str, sample: &str| json!({ "path": "in/rows.csv", "offset": offset, "reason": reason, "sample": sample });
    let expected = [
        reject(12, "the row has 1 values and the header 2", "2"),
        reject(18, "the field \"id\" is \"x\", which is no u64", "x,c"),
        reject(22, "the row has 3 values and the header 2", "4,d,e"),
    ];
    assert_eq!(done.rejects, expected);
}

#[test]
fn bad_lines_are_kept_beside_the_output() {
    let lines = b"{\"id\":1}\nnothing\n{\"id\":2}\n{\"id\":-3}\n{}\n{\"id\":4}\n";
    let samples = ["nothing", "{\\\"id\\\":-3}", "{}"];
    for (name, bytes) in [("in/a", lines.to_vec()), ("in/a.gz", compressed_once(lines, "gz"))] {
        let job = copy("--input-format jsonl --fields id:u64 --output-format jsonl --max-rejects 3");
        let done = job.file(name, bytes).check_whole(b"{\"id\":1}\n{\"id\":2}\n{\"id\":4}\n");
        for ((reject, offset), sample) in done.rejects.iter().zip([9, 26, 36]).zip(samples) {
            // Of compressed data the place is that of the member, and the reason tells the rest.
            let (at, behind) = match name {
                "in/a" => (offset, String::new()),
                _ => (0, format!(" ({offset} bytes into the gzip data that begin here)")),
            };
            assert_eq!((&reject["path"], &reject["offset"]), (&json!(name), &json!(at)));
            assert_eq!(reject["sample"], sample);
            assert!(reject["reason"].as_str().unwrap().ends_with(&behind), "{reject}");
        }
    }
}

#[test]
fn one_more_than_allowed_fails_the_job() {
    // However many follow in the same batch.
    for rows in ["x\ny\n2\n", "x\ny\nz\nw\n2\n"] {
        let job = copy("--input-format csv --fields id:u64 --output-format jsonl --max-rejects 1");
        let says = "the job rejected a record of in/rows.csv at byte 5 (the field \"id\" is \"y\", which is no u64), and 1 \
                    rejects are allowed (raise it with --max-rejects)";
        job.file("in/rows.csv", format!("id\n{rows}")).fails(6, &[says]);
    }
}

#[test]
fn lines_of_compressed_text_are_told_by_their_frame() {
    for ending in ["zst", "lz4"] {
        let frames =
            ["a\tone\nb\t1\n", "b\t2\na\ttwo\n"].map(|text| compressed_once(text.as_bytes(), ending));
        let job =
            Job::new("aggregate").args("-p by=1 -p column=2 --reducers 1 --max-rejects 2 --split-size 10");
        let done = job.file(&format!("in/a.{ending}"), frames.concat()).reads(&["in"]).done();
        // Each frame is in a split of its own, but for its first line, which the split ahead takes.
        let told: Vec<_> = done.rejects.iter().map(|reject| &reject["offset"]).collect();
        assert_eq!(told, [&json!(0), &json!(frames[0].len())], "{ending}");
    }
}
