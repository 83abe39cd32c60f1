//! What reading costs against the crates of the formats alone. Run by hand:
//! `cargo test --release -p mr-formats speed -- --ignored --nocapture`.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use mr_model::{BatchBuf, Compression, InputFormat, Row};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use crate::kv::KvWriter;
use crate::{FileSource, ReadOptions, Source, open};

const ROWS: usize = 3_000_000;
const TRIES: usize = 15;

/// The least of several times, in seconds.
fn least(mut work: impl FnMut() -> usize) -> f64 {
    let times = (0..TRIES).map(|_| {
        let start = Instant::now();
        assert_eq!(work(), ROWS);
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn read(file: &Arc<dyn Source>, format: InputFormat, row: Row) -> usize {
    let options = ReadOptions {
        record_bytes_max: 1 << 20,
        expansion_max: 1000,
        row: Some(row),
        ..ReadOptions::default()
    };
    let mut reader = open(file.clone(), format, Compression::None, 0..file.bytes(), options).unwrap();
    let (mut batch, mut offsets, mut rows) = (BatchBuf::default(), Vec::new(), 0);
    let mut more = true;
    while more {
        more = reader.fill(&mut batch, &mut offsets, 256 * 1024, &mut |bad| bad.refuse()).unwrap();
        rows += batch.rows() as usize;
        batch.clear();
        offsets.clear();
    }
    rows
}

fn columns() -> RecordBatch {
    let numbers = (0..ROWS as i64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) >> 20);
    let floats = (0..ROWS).map(|i| (i * 7 % 100_003) as f64 / 16.0);
    let strings = (0..ROWS).map(|i| format!("word{}", i * 31 % 500_009));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(Int64Array::from_iter_values(numbers))),
        ("float", Arc::new(Float64Array::from_iter_values(floats))),
        ("text", Arc::new(StringArray::from_iter_values(strings))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
#[ignore = "measures, and checks nothing"]
fn parquet_against_its_crate() {
    let batch = columns();
    for (name, compression, dictionary) in [
        ("plain", parquet::basic::Compression::UNCOMPRESSED, false),
        ("dictionaries", parquet::basic::Compression::UNCOMPRESSED, true),
        ("snappy", parquet::basic::Compression::SNAPPY, true),
    ] {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_dictionary_enabled(dictionary)
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(&bytes).unwrap();
        let file: Arc<dyn Source> = Arc::new(FileSource::new(disk.try_clone().unwrap()).unwrap());
        let alone = least(|| {
            let disk = disk.try_clone().unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(disk).unwrap().build().unwrap();
            reader.map(|batch| batch.unwrap().num_rows()).sum()
        });
        let row = Row { value: "number:s64,float:f64,text:text".parse().unwrap(), ..Row::default() };
        let ours = least(|| read(&file, InputFormat::Parquet, row.clone()));
        println!("parquet, {name}: alone {alone:.3} s, as rows {ours:.3} s, ratio {:.2}", ours / alone);
    }
}

#[test]
#[ignore = "measures, and checks nothing"]
fn kv_by_itself() {
    for (name, lz4) in [("plain", false), ("LZ4", true)] {
        let mut writer = KvWriter::new(&mr_model::StageTypes::default(), lz4).unwrap();
        let mut out = Vec::new();
        let start = Instant::now();
        for i in 0..ROWS as u64 {
            writer.push(format!("word{}", i % 9973).as_bytes(), &i.to_be_bytes(), &mut out);
        }
        writer.finish(&mut out);
        let wrote = start.elapsed().as_secs_f64();
        let bytes = out.len() as f64;
        let file: Arc<dyn Source> = Arc::new(out);
        let seconds = least(|| read(&file, InputFormat::Kv, Row::default()));
        let each = seconds * 1e9 / ROWS as f64;
        println!(
            "kv, {name}: {:.2} GB/s of file, {each:.1} ns a record; written in {wrote:.3} s",
            bytes / seconds / 1e9
        );
    }
}
