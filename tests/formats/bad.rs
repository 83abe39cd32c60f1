//! Files that are not what they are read as: one sentence tells which, where and what is wrong with it.

use super::copy;
use super::table::{self, COMPRESSIONS, compressed, compressed_once, rows};
use crate::support::Job;
use crate::support::process::run;

/// What is ahead of a sentence about a file when its reading has begun.
const READING: &str = "map task 0 attempt 0 failed: input ";

/// Runs a job over the file `in/NAME`, which must be refused with this sentence and nothing else; with one that begins
/// so where it ends in dots.
#[track_caller]
fn refused(name: &str, bytes: &[u8], args: &str, sentence: &str) {
    let said = complaint(copy(args).file(&format!("in/{name}"), bytes));
    match sentence.strip_suffix("...") {
        Some(begin) => {
            assert!(said.starts_with(&format!("mr-engine: {begin}")) && said.lines().count() == 1, "{said}")
        }
        None => assert_eq!(said, format!("mr-engine: {sentence}\n"), "{name} {args}"),
    }
}

/// As [`refused`], of the file `in/a` at a place, once it is read.
#[track_caller]
fn refused_at(offset: u64, bytes: &[u8], args: &str, reason: &str) {
    refused("a", bytes, args, &format!("{READING}in/a at byte {offset}: {reason}"));
}

/// As [`refused`], of the front of the file `in/a`, before anything runs.
#[track_caller]
fn refused_at_once(bytes: &[u8], args: &str, reason: &str) {
    refused("a", bytes, args, &format!("input in/a at byte 0: {reason}"));
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
    refused_at(8, b"a,b\n1,2\n3\n4,5\n", csv, "the row has 1 values and the header 2");
    let unclosed = "the quote that opens here is not closed before the end of the file; if quotes mean nothing in it, \
                    say quote=none";
    refused_at(10, b"a,b\n1,2\n3,\"4\n5,6\n", csv, unclosed);
    refused_at(8, b"a,b\n1,2\n-3,4\n", typed, "the field \"a\" is \"-3\", which is no u64");
    let empty = "the field \"a\" is empty and has to be a u64; ask for a:u64? if it may be missing";
    refused_at(8, b"a,b\n1,2\n,4\n", typed, empty);
    refused_at_once(b"a,c\n1,2\n", typed, "the header has no field \"b\"; it has \"a\", \"c\"");
    let bytes = "the text of its column \"b\" is not UTF-8, which JSON needs: make it bytes, or use --output-format text";
    refused_at(8, b"a,b\n1,2\n3,\xff\n", csv, bytes);
    refused_at_once(b"a,a\n1,2\n", csv, "the header has the field \"a\" twice");
}

#[test]
fn json_lines() {
    let json = "--input-format jsonl --output-format jsonl --fields a:u64,b";
    let good = b"{\"a\":1,\"b\":\"x\"}\n".as_slice();
    for (line, reason) in [
        (
            b"{\"a\":2,\"b\":\"x\"\n".as_slice(),
            "the line is no JSON object: an object has neither , nor } behind a value at its byte 14",
        ),
        (b"[2]\n", "the line is no JSON object: a { is missing at its byte 0"),
        (b"{\"a\":2}\n", "the field \"b\" is missing; ask for b:text? if it may be"),
        (b"{\"a\":-2,\"b\":\"x\"}\n", "the field \"a\" is -2, which is no u64"),
        (b"{\"a\":null,\"b\":\"x\"}\n", "the field \"a\" is null; ask for a:u64? if it may be"),
        (b"{\"a\":2,\"b\":\"\xff\"}\n", "the line is no UTF-8 at its byte 12"),
        (
            b"{\"a\":2,\"b\":\"x\"} tail\n",
            "the line is no JSON object: something follows the object at its byte 16",
        ),
    ] {
        refused_at(16, &[good, line, good].concat(), json, reason);
    }
    let unnamed = "JSON lines have no header: name the fields of the value with --fields";
    refused_at_once(good, "--input-format jsonl --key-fields a:u64", unnamed);
}

#[test]
fn records_of_a_fixed_length_and_whole_files() {
    let uneven = "input in/a has 10 bytes, which is no multiple of the record length of 4 bytes";
    refused("a", b"0123456789", "--input-format fixed:4", uneven);
    let long =
        "is longer than 4096 bytes, the limit for a record; raise it with --max-record if this is text";
    refused_at(0, &[b'x'; 5000], "--input-format whole --max-record 4K", &format!("the file {long}"));
    refused_at(
        3,
        &[b"ok\n".as_slice(), &[b'x'; 5000]].concat(),
        "--max-record 4K",
        &format!("the line {long}"),
    );
}

#[test]
fn files_with_a_schema() {
    let table = rows(50, 500);
    let kv =
        copy("--input-format csv --output-format kv").input(table::delimited(&table, ',')).done().whole();
    for (format, name, whole) in [
        ("parquet", "a Parquet file", table::parquet(&table, 100)),
        ("arrow", "a file of Arrow IPC", table::arrow(&table, 100)),
        ("kv", "a file of format kv", kv),
    ] {
        let args = format!("--input-format {format}");
        refused_at_once(b"x", &args, &format!("its 1 bytes are too few for {name}"));
        refused_at_once(
            &table::delimited(&table, ','),
            &args,
            &format!("it does not begin as {name} does..."),
        );
        let cut = &whole[..whole.len() * 2 / 3];
        let reason = format!("it does not end as {name} does: it was cut off, or is not complete yet");
        // How far ahead of its end a file is looked at: a magic, or a trailer.
        let tail =
            ["parquet", "arrow", "kv"].iter().zip([4, 6, 32]).find(|(known, _)| **known == format).unwrap().1;
        refused("a", cut, &args, &format!("input in/a at byte {}: {reason}", cut.len() - tail));
    }
    let avro = table::avro(&table, 100);
    refused_at_once(
        &table::delimited(&table, ','),
        "--input-format avro",
        "it does not begin as an Avro file does",
    );
    refused("a", &avro[..avro.len() * 2 / 3], "--input-format avro", &format!("{READING}in/a at byte ..."));
}

#[test]
fn columns_and_damage_of_files_with_a_schema() {
    let parquet = table::parquet(&rows(51, 500), 100);
    let args = "--input-format parquet";
    let missing = "it has no column \"size\"; it has id, name, price, ok, count, note";
    refused_at_once(&parquet, &format!("{args} --fields id,size"), missing);
    let other = "its column \"name\" is text and cannot be read as u64";
    refused_at_once(&parquet, &format!("{args} --fields name:u64"), other);
    let mut damaged = parquet;
    damaged[4..1_000].fill(0xff);
    refused_at(4, &damaged, args, "no page begins here, where its column says so");
}

#[test]
fn compressed_files() {
    const UNIT_BYTES: usize = 30_000;
    let text = table::json_lines(&rows(51, 500));
    assert!((UNIT_BYTES..2 * UNIT_BYTES).contains(&text.len()), "two units");
    for (ending, name) in COMPRESSIONS.into_iter().zip(["gzip", "bzip2", "zstd", "lz4"]) {
        let file = format!("a.{ending}");
        let bytes = compressed(&text, ending, UNIT_BYTES);
        // Frames are gone through before anything runs, and blocks are behind a header.
        let planned = if matches!(ending, "zst" | "lz4") { "input " } else { READING };
        let header = if ending == "bz2" { 4 } else { 0 };
        let second = compressed(&text[..UNIT_BYTES], ending, UNIT_BYTES).len() + header;
        let magic = format!(
            "input in/{file} at byte 0: the file is read as {name} and does not begin as {name} data do; name its \
             compression with --compression"
        );
        refused(&file, &text, "", &magic);
        let end = bytes.len() - 5;
        let cut = format!("the {name} data that begin here are cut off: the file ends at byte {end}");
        refused(&file, &bytes[..end], "", &format!("{planned}in/{file} at byte {second}: {cut}"));
        let behind = format!("what follows here is no {name} data any more");
        let more = [bytes.as_slice(), b"more"].concat();
        refused(&file, &more, "", &format!("{planned}in/{file} at byte {}: {behind}", bytes.len()));
        let mut damaged = bytes;
        let middle = second / 2;
        damaged[middle..middle + 20].fill(0x55);
        let corrupt =
            format!("{READING}in/{file} at byte {header}: the {name} data that begin here are corrupt: ...");
        refused(&file, &damaged, "", &corrupt);
        // A line within is told by where its data begin.
        let lines = b"{\"id\":1}\n{\"id\":2}\nnothing\n";
        let reason = format!(
            "{READING}in/{file} at byte {header}: the line is no JSON object: a {{ is missing at its byte 0 (18 bytes \
             into the {name} data that begin here)"
        );
        refused(&file, &compressed_once(lines, ending), "--input-format jsonl --fields id:u64", &reason);
    }
}
