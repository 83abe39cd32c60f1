//! Files that are not what they are read as: one sentence tells which, where and what is wrong with it.

use super::copy;
use super::table::{self, COMPRESSIONS, FIELDS, compressed, rows};
use crate::support::Job;
use crate::support::process::run;

/// Runs a job over the file `in/NAME`, which must be refused with this sentence and nothing else.
#[track_caller]
fn refused(name: &str, bytes: &[u8], args: &str, sentence: &str) {
    let said = complaint(copy(args).file(&format!("in/{name}"), bytes));
    if sentence == "?" {
        eprintln!("SAID {name} {args} => {said}");
        return;
    }
    assert_eq!(said, format!("mr-engine: {sentence}\n"), "{name} {args}");
}

/// What a job says that fails because of its input.
#[track_caller]
fn complaint(job: Job) -> String {
    let mut command = job.command_to_folder();
    command.arg("--quiet");
    job.judge_failed(run(command), 3).stderr
}

#[test]
fn rows_of_delimited_text() {
    let csv = "--input-format csv --output-format jsonl";
    let typed = &format!("{csv} --fields a:u64,b");
    refused("a", b"a,b\n1,2\n3\n4,5\n", csv, "?");
    refused("a", b"a,b\n1,2\n3,\"4\n5,6\n", csv, "?");
    refused("a", b"a,b\n1,\"2\"x\n", csv, "?");
    refused("a", b"a,b\n1,2\n-3,4\n", typed, "?");
    refused("a", b"a,b\n1,2\n,4\n", typed, "?");
    refused("a", b"a,c\n1,2\n", typed, "?");
    refused("a", b"a,a\n1,2\n", csv, "?");
    refused("a", b"a,b\n1,\xff\n", csv, "?");
}

#[test]
fn json_lines() {
    let json = "--input-format jsonl --output-format jsonl --fields a:u64,b";
    let good = b"{\"a\":1,\"b\":\"x\"}\n".as_slice();
    for (line, says) in [
        (b"{\"a\":2,\"b\":\"x\"\n".as_slice(), "?"),
        (b"[2]\n", "?"),
        (b"{\"a\":2}\n", "?"),
        (b"{\"a\":-2,\"b\":\"x\"}\n", "?"),
        (b"{\"a\":null,\"b\":\"x\"}\n", "?"),
        (b"{\"a\":2,\"b\":7}\n", "?"),
        (b"{\"a\":2,\"b\":\"\xff\"}\n", "?"),
        (b"{\"a\":2,\"b\":\"x\"} tail\n", "?"),
    ] {
        refused("a", &[good, line, good].concat(), json, says);
    }
    refused("a", good, "--input-format jsonl --output-format csv --key-fields a:u64 --fields b:", "?");
}

#[test]
fn records_of_a_fixed_length_and_whole_files() {
    refused("a", b"0123456789", "--input-format fixed:4", "?");
    refused("a", &[b'x'; 5000], "--input-format whole --max-record 4K", "?");
    refused("a", &[b"ok\n".as_slice(), &[b'x'; 5000]].concat(), "--max-record 4K", "?");
}

#[test]
fn files_with_a_schema() {
    let table = rows(50, 500);
    let kv =
        copy("--input-format csv --output-format kv").input(table::delimited(&table, ',')).done().whole();
    for (format, whole, empty, magic, cut) in [
        ("parquet", table::parquet(&table, 100), "?", "?", "?"),
        ("arrow", table::arrow(&table, 100), "?", "?", "?"),
        ("avro", table::avro(&table, 100), "?", "?", "?"),
        ("kv", kv, "?", "?", "?"),
    ] {
        let args = format!("--input-format {format}");
        refused("a", b"x", &args, empty);
        refused("a", &table::delimited(&table, ','), &args, magic);
        refused("a", &whole[..whole.len() * 2 / 3], &args, cut);
    }
    let parquet = table::parquet(&table, 100);
    refused("a", &parquet, "--input-format parquet --fields id,size", "?");
    refused("a", &parquet, "--input-format parquet --fields name:u64", "?");
    let mut damaged = parquet;
    damaged[2_000..2_040].fill(0xff);
    refused("a", &damaged, "--input-format parquet", "?");
}

#[test]
fn compressed_files() {
    let text = table::json_lines(&rows(51, 500));
    for (ending, (magic, cut, corrupt, behind)) in COMPRESSIONS.into_iter().zip([
        ("?", "?", "?", "?"),
        ("?", "?", "?", "?"),
        ("?", "?", "?", "?"),
        ("?", "?", "?", "?"),
    ]) {
        let name = format!("a.{ending}");
        let bytes = compressed(&text, ending, 30_000);
        refused(&name, &text, "", magic);
        refused(&name, &bytes[..bytes.len() - 5], "", cut);
        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 20].fill(0x55);
        refused(&name, &damaged, "", corrupt);
        refused(&name, &[bytes.as_slice(), b"more"].concat(), "", behind);
    }
    // Lines within are told by their places.
    let lines = b"{\"id\":1}\n{\"id\":2}\nnothing\n";
    let json = "--input-format jsonl --fields id:u64";
    for (ending, says) in COMPRESSIONS.into_iter().zip(["?", "?", "?", "?"]) {
        refused(&format!("a.{ending}"), &table::compressed_once(lines, ending), json, says);
    }
    let _ = FIELDS;
}
