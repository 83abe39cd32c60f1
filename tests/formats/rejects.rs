//! Rows that are left out within `--max-rejects`: the rest is read, and each of them is kept with its place and
//! what is wrong with it.

use serde_json::json;

use super::copy;
use super::table::compressed_once;

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
    let lines = "{\"id\":1}\nnothing\n{\"id\":2}\n{\"id\":-3}\n{}\n{\"id\":4}\n";
    // Places in a compressed file are where what holds them begins.
    for (name, bytes, offsets) in [
        ("in/a", lines.as_bytes().to_vec(), [9, 26, 36]),
        ("in/a.gz", compressed_once(lines.as_bytes(), "gz"), [0, 0, 0]),
    ] {
        let job = copy("--input-format jsonl --fields id:u64 --output-format jsonl --max-rejects 3");
        let done = job.file(name, bytes).check_whole(b"{\"id\":1}\n{\"id\":2}\n{\"id\":4}\n");
        let places: Vec<_> =
            done.rejects.iter().map(|reject| (&reject["offset"], &reject["sample"])).collect();
        assert_eq!(
            places,
            [
                (&json!(offsets[0]), &json!("nothing")),
                (&json!(offsets[1]), &json!("{\\\"id\\\":-3}")),
                (&json!(offsets[2]), &json!("{}")),
            ]
        );
        assert!(done.rejects.iter().all(|reject| reject["path"] == name));
    }
}

#[test]
fn one_more_than_allowed_fails_the_job() {
    let job = copy("--input-format csv --fields id:u64 --output-format jsonl --max-rejects 1");
    job.file("in/rows.csv", "id\n1\nx\ny\n2\n").fails(6, &["rejected"]);
}
