//! How fast rows are read, beside the crate that reads the same bytes alone: `cargo run --release -p mr-formats
//! --example speed [NAME]`. Prints the best of some rounds and the ratio; with a name that reading alone is run, for `perf
//! stat` on a machine that does other things as well.
#![expect(clippy::unwrap_used, reason = "nobody but its author runs it")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mr_formats::{ReadOptions, Source, describe, open};
use mr_model::{BatchBuf, Compression, Fields, InputFormat};
use serde::Deserialize;

const ROUNDS: usize = 15;
const ROWS: u64 = 200_000;

fn main() {
    let [csv, quoted, json] = files();
    let typed = "id:u64,name,price:f64,ok:bool,count:s64,note:text?";
    compare(
        "csv crate, numbers and words",
        &csv,
        csv_crate,
        &[
            ("as text", "csv", None),
            ("typed", "csv", Some(typed)),
            ("two columns", "csv", Some("name,id:u64")),
        ],
    );
    compare("csv crate, text in quotes", &quoted, csv_crate, &[("quotes as text", "csv", None)]);
    compare(
        "serde_json into a struct",
        &json,
        serde,
        &[
            ("with the same fields", "jsonl", Some(typed)),
            ("two fields", "jsonl", Some("name,id:u64")),
            ("lines as they are", "jsonl", None),
        ],
    );
    for (compression, packed) in packed(&json) {
        let format = format!("{compression}, decoded alone");
        let alone = |bytes: &[u8]| decode(compression, bytes);
        compare_with(&format, &packed, &alone, &[("lines of it", "jsonl", None)], compression, json.len());
    }
}

/// The same lines in every compression.
fn packed(bytes: &[u8]) -> [(Compression, Arc<Vec<u8>>); 4] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(bytes).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(9));
    bzip2.write_all(bytes).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(bytes).unwrap();
    [
        (Compression::Gzip, gzip.finish().unwrap()),
        (Compression::Bzip2, bzip2.finish().unwrap()),
        (Compression::Zstd, zstd::encode_all(bytes, 3).unwrap()),
        (Compression::Lz4, lz4.finish().unwrap()),
    ]
    .map(|(compression, file)| (compression, Arc::new(file)))
}

/// Decodes with the crate of the compression, alone.
fn decode(compression: Compression, bytes: &[u8]) -> usize {
    let mut reader: Box<dyn Read + '_> = match compression {
        Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(bytes)),
        Compression::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(bytes)),
        Compression::Zstd => Box::new(zstd::Decoder::new(bytes).unwrap()),
        _ => Box::new(lz4_flex::frame::FrameDecoder::new(bytes)),
    };
    let (mut block, mut read) = (vec![0; 256 << 10], 0);
    loop {
        match reader.read(&mut block).unwrap() {
            0 => return read,
            more => read += black_box(more),
        }
    }
}

fn compare(
    name: &str,
    bytes: &Arc<Vec<u8>>,
    reference: fn(&[u8]) -> usize,
    readings: &[(&str, &str, Option<&str>)],
) {
    compare_with(name, bytes, &reference, readings, Compression::None, bytes.len());
}

/// Prints the time that the reference takes and that of our readings, each the best of some rounds in turn.
fn compare_with(
    name: &str,
    bytes: &Arc<Vec<u8>>,
    reference: &dyn Fn(&[u8]) -> usize,
    readings: &[(&str, &str, Option<&str>)],
    compression: Compression,
    decoded: usize,
) {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let mut best = vec![Duration::MAX; readings.len() + 1];
    for _ in 0..ROUNDS {
        if wanted(name) {
            best[0] = best[0].min(time(|| reference(bytes)));
        }
        for ((name, format, fields), best) in readings.iter().zip(&mut best[1..]) {
            if !wanted(name) {
                continue;
            }
            *best = (*best).min(time(|| read(bytes, format, compression, *fields)));
        }
    }
    for (name, took) in std::iter::once(&name).chain(readings.iter().map(|(name, ..)| name)).zip(&best) {
        let speed = decoded as f64 / took.as_secs_f64() / 1e6;
        let ratio = took.as_secs_f64() / best[0].as_secs_f64();
        println!("{name:30} {speed:6.0} MB/s {ratio:6.2} times");
    }
}

/// The same rows as CSV, as CSV with quotes around every text, and as JSON lines.
fn files() -> [Arc<Vec<u8>>; 3] {
    let names = ["id", "name", "price", "ok", "count", "note"];
    let (mut csv, mut json) = (names.join(",") + "\n", String::new());
    let mut quoted = csv.clone();
    for id in 0..ROWS {
        let seed = id.wrapping_mul(6_364_136_223_846_793_005) >> 20;
        let (price, ok, count) =
            (seed.rem_euclid(1_000_000) as f64 / 100.0, seed % 3 == 0, -((seed % 1000) as i64));
        let name = ["anna", "bertram the second", "christine", "d"][(seed % 4) as usize];
        let note = ["", "a note of some more words", "short"][(seed % 3) as usize];
        writeln!(csv, "{id},{name},{price},{ok},{count},{note}").unwrap();
        writeln!(
            quoted,
            "\"{id}\",\"{name}, esq.\",\"{price}\",\"{ok}\",\"{count}\",\"{note}\n\"\"{note}\"\"\""
        )
        .unwrap();
        writeln!(
            json,
            "{{\"id\":{id},\"name\":\"{name}\",\"price\":{price},\"ok\":{ok},\"count\":{count},\"note\":\"{note}\"}}"
        )
        .unwrap();
    }
    [csv, quoted, json].map(|file| Arc::new(file.into_bytes()))
}

fn csv_crate(bytes: &[u8]) -> usize {
    let mut reader = csv::Reader::from_reader(bytes);
    let mut row = csv::ByteRecord::new();
    let mut values = 0;
    while reader.read_byte_record(&mut row).unwrap() {
        values += black_box(&row).len();
    }
    values
}

#[derive(Deserialize)]
struct Line<'a> {
    id: u64,
    name: &'a str,
    price: f64,
    ok: bool,
    count: i64,
    note: Option<&'a str>,
}

fn serde(bytes: &[u8]) -> usize {
    let mut values = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line<'_> = serde_json::from_slice(line).unwrap();
        let line = black_box(&line);
        values += usize::from(line.ok) + line.name.len() + line.note.map_or(0, str::len);
        black_box((line.id, line.price, line.count));
    }
    values
}

fn read(bytes: &Arc<Vec<u8>>, format: &str, compression: Compression, fields: Option<&str>) -> usize {
    let format: InputFormat = format.parse().unwrap();
    let fields: Option<Fields> = fields.map(|fields| fields.parse().unwrap());
    let row = describe(bytes.as_ref(), format, compression, fields.as_ref(), None).unwrap();
    let options =
        ReadOptions { record_bytes_max: 1 << 20, expansion_max: 1000, row, ..ReadOptions::default() };
    let source: Arc<dyn Source> = bytes.clone();
    let mut reader = open(source, format, compression, 0..bytes.len() as u64, options).unwrap();
    let (mut batch, mut offsets, mut rows) = (BatchBuf::default(), Vec::new(), 0);
    loop {
        batch.clear();
        offsets.clear();
        let more = reader.fill(&mut batch, &mut offsets, 256 << 10, &mut |bad| bad.refuse()).unwrap();
        rows += black_box(&batch).rows() as usize;
        if !more {
            return rows;
        }
    }
}

fn time(run: impl Fn() -> usize) -> Duration {
    let began = Instant::now();
    black_box(run());
    began.elapsed()
}
