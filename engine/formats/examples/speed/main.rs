//! How fast rows are read, beside the crate that reads the same bytes alone, on one thread:
//!
//! ```sh
//! cargo run --release -p mr-formats --example speed                  # a table: the best of some rounds, and the ratio
//! cargo run --release -p mr-formats --example speed -- rounds 5     # seconds of every round, for a program
//! cargo run --release -p mr-formats --example speed -- write DIR N  # files of N rows, for measuring the engine
//! cargo run --release -p mr-formats --example speed -- only NAME N  # one reading, N times, for `perf stat`
//! cargo run --release -p mr-formats --example speed -- shapes       # Parquet files of several shapes
//! ```
#![expect(clippy::unwrap_used, reason = "nobody but its author and the benchmarks run it")]

mod shapes;

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use mr_formats::{ReadOptions, Source, describe, open};
use mr_model::{BatchBuf, Compression, Fields, InputFormat};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

const ROUNDS: usize = 15;
const ROWS: u64 = 200_000;
/// Fields with the types that their values have.
const TYPED: &str = "id:u64,name,price:f64,ok:bool,count:s64,note:text?";

/// A file, and what reads it.
struct Group {
    /// Name of the reading alone.
    name: String,
    bytes: Arc<Vec<u8>>,
    alone: Alone,
    compression: Compression,
    /// Length of what is decoded, in bytes.
    decoded: usize,
    readings: Vec<Reading>,
}

/// What a crate does alone.
type Alone = Box<dyn Fn(&[u8]) -> usize>;

/// One reading through the engine's reader.
struct Reading {
    name: String,
    format: &'static str,
    fields: Option<&'static str>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => groups().iter().for_each(print_best),
        ["rounds", rounds] => {
            let rounds = rounds.parse().unwrap();
            print_rounds(&groups(), rounds);
            print_rounds(&shape_groups(), rounds);
        }
        ["write", folder, rows] => write(Path::new(folder), rows.parse().unwrap()),
        ["only", name, rounds] => {
            let rounds = rounds.parse().unwrap();
            let _ = print_only(shape_groups, name, rounds) || print_only(groups, name, rounds);
        }
        ["shapes"] => print_shapes(),
        _ => eprintln!("usage: speed [rounds N | write FOLDER ROWS | only NAME ROUNDS | shapes]"),
    }
}

/// Everything that is measured.
fn groups() -> Vec<Group> {
    let [csv, quoted, json, parquet] = files(ROWS);
    let reading = |name: &str, format, fields| Reading { name: name.to_owned(), format, fields };
    let plain = |name: &str, bytes: &Arc<Vec<u8>>, alone: fn(&[u8]) -> usize, readings| Group {
        name: name.to_owned(),
        bytes: bytes.clone(),
        alone: Box::new(alone),
        compression: Compression::None,
        decoded: bytes.len(),
        readings,
    };
    let csv_readings = vec![
        reading("csv as text", "csv", None),
        reading("csv typed", "csv", Some(TYPED)),
        reading("csv, two columns", "csv", Some("name,id:u64")),
    ];
    let json_readings = vec![
        reading("jsonl, the same fields", "jsonl", Some(TYPED)),
        reading("jsonl, two fields", "jsonl", Some("name,id:u64")),
        reading("jsonl as lines", "jsonl", None),
    ];
    let parquet_readings = vec![
        reading("parquet", "parquet", None),
        reading("parquet, two columns", "parquet", Some("name,id")),
    ];
    let quoted_readings = vec![reading("csv with quotes", "csv", None)];
    let mut groups = vec![
        plain("csv crate, numbers and words", &csv, csv_crate, csv_readings),
        plain("csv crate, text in quotes", &quoted, csv_crate, quoted_readings),
        plain("serde_json into a struct", &json, serde, json_readings),
        plain("parquet crate into columns", &parquet, parquet_crate, parquet_readings),
    ];
    for (compression, packed) in packed(&json) {
        groups.push(Group {
            name: format!("{compression}, decoded alone"),
            bytes: packed,
            alone: Box::new(move |bytes| decode(compression, bytes)),
            compression,
            decoded: json.len(),
            readings: vec![reading("lines", "jsonl", None)],
        });
    }
    groups
}

impl Group {
    fn read_alone(&self) -> usize {
        (self.alone)(&self.bytes)
    }

    fn read(&self, reading: &Reading) -> usize {
        read(&self.bytes, reading.format, self.compression, reading.fields)
    }

    /// Times that reading alone and each of ours take, in turn.
    fn rounds(&self, rounds: usize) -> Vec<Vec<Duration>> {
        let round = |_| {
            let ours = self.readings.iter().map(|reading| time(|| self.read(reading)));
            std::iter::once(time(|| self.read_alone())).chain(ours).collect()
        };
        (0..rounds).map(round).collect()
    }
}

fn print_best(group: &Group) {
    let rounds = group.rounds(ROUNDS);
    let best = |i: usize| rounds.iter().map(|round| round[i]).min().unwrap_or_default().as_secs_f64();
    let names = std::iter::once(group.name.as_str())
        .chain(group.readings.iter().map(|reading| reading.name.as_str()));
    for (i, name) in names.enumerate() {
        let speed = group.decoded as f64 / best(i) / 1e6;
        println!("{name:30} {speed:6.0} MB/s {:6.2} times", best(i) / best(0));
    }
}

/// A line for each reading of each round: its name, that of reading alone, seconds of both, decoded bytes.
fn print_rounds(groups: &[Group], count: usize) {
    for group in groups {
        for round in group.rounds(count) {
            for (reading, took) in group.readings.iter().zip(&round[1..]) {
                let (took, alone) = (took.as_secs_f64(), round[0].as_secs_f64());
                println!("{}\t{}\t{took}\t{alone}\t{}", reading.name, group.name, group.decoded);
            }
        }
    }
}

/// Parquet files of every shape and compression.
fn shape_groups() -> Vec<Group> {
    let group = |(shape, compression, bytes): (&str, &str, Vec<u8>)| Group {
        name: format!("parquet crate, {shape}, {compression}"),
        decoded: bytes.len(),
        bytes: Arc::new(bytes),
        alone: Box::new(parquet_crate),
        compression: Compression::None,
        readings: vec![Reading {
            name: format!("parquet, {shape}, {compression}"),
            format: "parquet",
            fields: None,
        }],
    };
    shapes::files(ROWS).into_iter().map(group).collect()
}

/// What each shape takes beside the crate alone: the median of its rounds.
fn print_shapes() {
    for group in shape_groups() {
        let median = |mut numbers: Vec<f64>| {
            numbers.sort_by(f64::total_cmp);
            numbers[numbers.len() / 2]
        };
        let rounds: Vec<Vec<f64>> = group
            .rounds(ROUNDS)
            .iter()
            .map(|round| round.iter().map(Duration::as_secs_f64).collect())
            .collect();
        let alone = median(rounds.iter().map(|round| round[0]).collect());
        let ratio = median(rounds.iter().map(|round| round[1] / round[0]).collect());
        let nanoseconds = alone * 1e9 / ROWS as f64;
        println!("{:40} {nanoseconds:6.1} ns a row alone {ratio:6.2} times", group.readings[0].name);
    }
}

fn print_only(groups: impl Fn() -> Vec<Group>, name: &str, rounds: usize) -> bool {
    let best = |work: &dyn Fn() -> usize| (0..rounds).map(|_| time(work)).min().unwrap_or_default();
    let mut found = false;
    for group in groups() {
        if group.name == name {
            println!("{name}: {:?}", best(&|| group.read_alone()));
            found = true;
        }
        for reading in group.readings.iter().filter(|reading| reading.name == name) {
            println!("{name}: {:?}", best(&|| group.read(reading)));
            found = true;
        }
    }
    found
}

/// Writes the files that groups are of.
fn write(folder: &Path, rows: u64) {
    let names = ["rows.csv", "quoted.csv", "rows.jsonl", "rows.parquet"];
    for (name, bytes) in names.iter().zip(files(rows)) {
        std::fs::write(folder.join(name), bytes.as_slice()).unwrap();
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

/// The same rows as CSV, as CSV with quotes around every text, as JSON lines, and as Parquet.
fn files(rows: u64) -> [Arc<Vec<u8>>; 4] {
    let names = ["id", "name", "price", "ok", "count", "note"];
    let (mut csv, mut json) = (names.join(",") + "\n", String::new());
    let mut quoted = csv.clone();
    let rows: Vec<Row> = (0..rows).map(row).collect();
    for Row { id, name, price, ok, count, note } in &rows {
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
    [csv.into_bytes(), quoted.into_bytes(), json.into_bytes(), parquet_file(&rows)].map(Arc::new)
}

struct Row {
    id: u64,
    name: &'static str,
    price: f64,
    ok: bool,
    count: i64,
    note: &'static str,
}

fn row(id: u64) -> Row {
    let seed = id.wrapping_mul(6_364_136_223_846_793_005) >> 20;
    Row {
        id,
        name: ["anna", "bertram the second", "christine", "d"][(seed % 4) as usize],
        price: (seed % 1_000_000) as f64 / 100.0,
        ok: seed.is_multiple_of(3),
        count: -((seed % 1000) as i64),
        note: ["", "a note of some more words", "short"][(seed % 3) as usize],
    }
}

fn parquet_file(rows: &[Row]) -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.id)))),
        ("name", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.name)))),
        ("price", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.price)))),
        ("ok", Arc::new(rows.iter().map(|row| Some(row.ok)).collect::<BooleanArray>())),
        ("count", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.count)))),
        ("note", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.note)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn parquet_crate(bytes: &[u8]) -> usize {
    let file = bytes::Bytes::copy_from_slice(bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| black_box(batch.unwrap()).num_rows()).sum()
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
