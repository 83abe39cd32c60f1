//! Files that the crates of the formats wrote, read as rows: against rows encoded one by one, in any ranges,
//! with what cannot be read, and damaged.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int32Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
    types::{Int8Type, Int32Type},
};
use mr_model::{BatchBuf, Compression, DataType, Fields, InputFormat, Row};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as Parquet;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::cell::{push_bool, push_bytes, push_f64, push_null, push_s64, push_u64};
use crate::tiling::{Damage, Record, check_footprint, records, refused, tiled};
use crate::{Cuts, ReadOptions, Source, cuts, describe, open};

/// Rows of all files here.
const ROWS: usize = 5000;

struct Values {
    id: i64,
    count: u32,
    price: Option<f64>,
    name: Option<String>,
    flag: bool,
    blob: Vec<u8>,
    day: i32,
}

fn values(row: usize) -> Values {
    let number = i32::try_from(row).unwrap();
    let id = (i64::from(number) - 2000) * 1_000_003;
    Values {
        id,
        count: number.cast_unsigned() * 7,
        price: (!row.is_multiple_of(3)).then_some(id as f64 / 8.0),
        name: (!row.is_multiple_of(5)).then(|| format!("n{}", "ä\0".repeat(row % 7))),
        flag: row.is_multiple_of(2),
        blob: vec![number.to_le_bytes()[0]; row % 11],
        day: number,
    }
}

/// The columns of some rows.
fn batch(rows: std::ops::Range<usize>) -> RecordBatch {
    let rows: Vec<Values> = rows.map(values).collect();
    let lists = rows.iter().map(|row| Some(vec![Some(row.day)]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>())),
        (
            "count",
            Arc::new(
                rows.iter()
                    .map(|row| row.count)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .map(Some)
                    .collect::<UInt32Array>(),
            ),
        ),
        ("price", Arc::new(rows.iter().map(|row| row.price).collect::<Float64Array>())),
        ("name", Arc::new(rows.iter().map(|row| row.name.clone()).collect::<StringArray>())),
        ("flag", Arc::new(rows.iter().map(|row| Some(row.flag)).collect::<BooleanArray>())),
        ("blob", Arc::new(rows.iter().map(|row| Some(row.blob.clone())).collect::<BinaryArray>())),
        ("day", Arc::new(rows.iter().map(|row| Some(row.day)).collect::<Date32Array>())),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet_file(batches: &[RecordBatch], group_rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn arrow_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Written by hand, as the specification says.
fn avro_file(rows: usize, codec: &str) -> Vec<u8> {
    let schema = br#"{"type": "record", "name": "R", "namespace": "n.s", "fields": [
        {"name": "id", "type": "long"}, {"name": "count", "type": {"type": "long"}},
        {"name": "price", "type": ["null", "double"]}, {"name": "name", "type": ["string", "null"]},
        {"name": "flag", "type": "boolean"}, {"name": "blob", "type": "bytes"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "list", "type": {"type": "array", "items": ["null", {"type": "map", "values": "R"}, "int"]}}]}"#;
    let sync = *b"0123456789abcdef";
    let mut file = b"Obj\x01".to_vec();
    long(2, &mut file);
    counted(b"avro.schema", &mut file);
    counted(schema, &mut file);
    counted(b"avro.codec", &mut file);
    counted(codec.as_bytes(), &mut file);
    long(0, &mut file);
    file.extend_from_slice(&sync);
    for from in (0..rows).step_by(400) {
        let block: Vec<Values> = (from..rows.min(from + 400)).map(values).collect();
        let mut data = Vec::new();
        for row in &block {
            long(row.id, &mut data);
            long(row.count.into(), &mut data);
            long(row.price.is_some().into(), &mut data);
            row.price.iter().for_each(|price| data.extend_from_slice(&price.to_le_bytes()));
            long(row.name.is_none().into(), &mut data);
            row.name.iter().for_each(|name| counted(name.as_bytes(), &mut data));
            data.push(row.flag.into());
            counted(&row.blob, &mut data);
            long(row.day.into(), &mut data);
            data.extend_from_slice(&[4, 0, 4, 6, 0]);
        }
        let stored = match codec {
            "deflate" => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                std::io::Write::write_all(&mut encoder, &data).unwrap();
                encoder.finish().unwrap()
            }
            "snappy" => {
                let mut stored = snap::raw::Encoder::new().compress_vec(&data).unwrap();
                stored.extend_from_slice(&crc32fast::hash(&data).to_be_bytes());
                stored
            }
            "zstandard" => zstd::stream::encode_all(data.as_slice(), 1).unwrap(),
            _ => data,
        };
        long(block.len() as i64, &mut file);
        counted(&stored, &mut file);
        file.extend_from_slice(&sync);
    }
    file
}

/// The same rows in a file of each format, with several groups.
fn files() -> Vec<(InputFormat, Arc<dyn Source>)> {
    let whole = batch(0..ROWS);
    let parts: Vec<RecordBatch> =
        (0..ROWS).step_by(700).map(|at| whole.slice(at, 700.min(ROWS - at))).collect();
    vec![
        (InputFormat::Parquet, Arc::new(parquet_file(&[whole], 900))),
        (InputFormat::Arrow, Arc::new(arrow_file(&parts))),
        (InputFormat::Avro, Arc::new(avro_file(ROWS, "null"))),
    ]
}

fn row(key: &str, value: &str) -> Row {
    let fields = |text: &str| if text.is_empty() { Fields::default() } else { text.parse().unwrap() };
    Row { key: fields(key), value: fields(value) }
}

fn options(row: Row) -> ReadOptions {
    ReadOptions { record_bytes_max: 1 << 20, expansion_max: 1000, row: Some(row), ..ReadOptions::default() }
}

/// Name and day as the key, everything else that has values as the value.
const KEY: &str = "name:text?,day:text";
const VALUE: &str = "flag:bool,id:s64,price:f64?,count:u64,blob:bytes";

fn expected(row: usize) -> Record {
    let (values, mut key, mut value) = (values(row), Vec::new(), Vec::new());
    match values.name {
        Some(name) => {
            push_bool(&mut key, true);
            push_bytes(&mut key, name.as_bytes());
        }
        None => push_null(&mut key, &DataType::Text),
    }
    let mut day = Vec::new();
    super::show::date(values.day.into(), &mut day);
    push_bytes(&mut key, &day);
    push_bool(&mut value, values.flag);
    push_s64(&mut value, values.id);
    match values.price {
        Some(price) => {
            push_bool(&mut value, true);
            push_f64(&mut value, price);
        }
        None => push_null(&mut value, &DataType::F64),
    }
    push_u64(&mut value, values.count.into());
    push_bytes(&mut value, &values.blob);
    (key, value)
}

#[test]
fn ranges_that_tile_a_file_give_its_rows() {
    let expected: Vec<Record> = (0..ROWS).map(expected).collect();
    for (format, file) in files() {
        let strategy = (prop::collection::vec(any::<u64>(), 0..6), 1_usize..100_000);
        let mut runner = TestRunner::new(Config::with_cases(24));
        let tested = runner.run(&strategy, |(places, target)| {
            let read = tiled(&file, format, &places, &options(row(KEY, VALUE)), target).unwrap();
            prop_assert!(read == expected);
            Ok(())
        });
        tested.unwrap_or_else(|error| panic!("{format}: {error}"));
    }
}

#[test]
fn files_are_cut_at_groups() {
    for (format, file) in files() {
        if format == InputFormat::Avro {
            assert!(cuts(&*file, format, Compression::None, 1).unwrap() == Cuts::Anywhere);
            continue;
        }
        let Cuts::At(places) = cuts(&*file, format, Compression::None, 1).unwrap() else {
            panic!("{format} has groups")
        };
        assert!(places.len() >= 5, "{format} {places:?}");
        let read = |range| records(&file, format, range, &options(row(KEY, VALUE)), 1 << 20).unwrap();
        for pair in places.windows(2) {
            let rows = read(pair[0]..pair[1]).len();
            assert!(rows == 900 || rows == 700, "{format}: a group each, not {rows}");
        }
        assert!(cuts(&*file, format, Compression::None, 1 << 30).unwrap() == Cuts::At(vec![]));
    }
}

#[test]
fn a_range_is_read_from_its_footprint_alone() {
    for (format, file) in files() {
        let fifth = file.bytes() / 5;
        for from in [0, 1, 100, fifth, fifth * 4] {
            for to in [from, from + 100, from + fifth] {
                check_footprint(&file, format, from..to, &options(row(KEY, VALUE)));
            }
        }
    }
}

#[test]
fn avro_blocks_may_be_compressed() {
    let expected: Vec<Record> = (0..ROWS).map(expected).collect();
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let file: Arc<dyn Source> = Arc::new(avro_file(ROWS, codec));
        let third = file.bytes() / 3;
        let read = tiled(&file, InputFormat::Avro, &[third, third * 2], &options(row(KEY, VALUE)), 1 << 16);
        assert!(read.unwrap() == expected, "{codec}");
    }
}

#[test]
fn keys_tell_the_row_unless_they_are_fields() {
    for (format, file) in files() {
        let options = ReadOptions { path_key: Some(b"path\0\0".to_vec()), ..options(row("", "id")) };
        let read = tiled(&file, format, &[file.bytes() / 2], &options, 999).unwrap();
        if format == InputFormat::Avro {
            assert!(
                read.is_sorted() && read.windows(2).all(|pair| pair[0].0 != pair[1].0),
                "each place once"
            );
            continue;
        }
        for (number, (key, _)) in (0_u64..).zip(read) {
            assert_eq!(key, [b"path\0\0".as_slice(), &number.to_be_bytes()].concat());
        }
    }
}

#[test]
fn schemas_tell_the_fields() {
    let fields = |text: &str| text.parse::<Fields>().unwrap();
    for (format, file) in files() {
        let describe = |asked: Option<&str>, key: Option<&str>| {
            let described = describe(
                &*file,
                format,
                Compression::None,
                asked.map(fields).as_ref(),
                key.map(fields).as_ref(),
            );
            described.map(|row| row.unwrap()).map_err(|error| error.to_string())
        };
        let row = describe(Some("day,price,count:s64,id:text"), Some("name,flag:bool?")).unwrap();
        assert_eq!(row.key.to_string(), "name:text?,flag:bool?");
        assert_eq!(row.value.to_string(), "day:text,price:f64?,count:s64,id:text");
        let error = describe(None, Some("id")).unwrap_err();
        assert!(
            error.starts_with("at byte 0: its column \"list\" is of type List"),
            "nested columns are refused unless they are left out: {error}"
        );
        assert_eq!(
            describe(Some("nope"), None).unwrap_err(),
            "at byte 0: it has no column \"nope\"; it has id, count, price, name, flag, blob, day, list"
        );
        let error = describe(Some("name:u64"), None).unwrap_err();
        assert_eq!(error, "at byte 0: its column \"name\" is text and cannot be read as u64");
    }
}

/// The rows of a file, those that are bad as their sentences.
fn with_bad(format: InputFormat, file: &Arc<dyn Source>, row: Row) -> (usize, Vec<String>) {
    let mut reader = open(file.clone(), format, Compression::None, 0..file.bytes(), options(row)).unwrap();
    let (mut batch, mut offsets, mut sentences, mut rows) = (BatchBuf::default(), Vec::new(), Vec::new(), 0);
    let mut more = true;
    while more {
        let mut bad = |bad: crate::BadRecord<'_>| {
            sentences.push(bad.reason);
            Ok(())
        };
        more = reader.fill(&mut batch, &mut offsets, 5000, &mut bad).unwrap();
        rows += batch.rows() as usize;
        batch.clear();
        offsets.clear();
    }
    (rows, sentences)
}

#[test]
fn rows_that_cannot_be_read_are_named_and_left_out() {
    for (format, file) in files() {
        if format == InputFormat::Avro {
            let (rows, bad) = with_bad(format, &file, row("", "price:f64,count"));
            assert_eq!((rows, bad.len()), (ROWS - ROWS.div_ceil(3), ROWS.div_ceil(3)));
            assert_eq!(
                bad[1],
                "row 3 of its Avro block has no \"price\": ask for price:f64? where values may be missing"
            );
            continue;
        }
        let (rows, bad) = with_bad(format, &file, row("", "price:f64,count"));
        assert_eq!((rows, bad.len()), (ROWS - ROWS.div_ceil(3), ROWS.div_ceil(3)));
        assert_eq!(
            bad[1],
            "row 3 of the file has no \"price\": ask for price:f64? where values may be missing"
        );
        let (rows, bad) = with_bad(format, &file, row("", "id:u64"));
        assert_eq!((rows, bad.len()), (3000, 2000));
        assert_eq!(bad[1999], "\"id\" of row 1999 of the file is no u64");
    }
}

#[test]
fn dates_decimals_and_dictionaries_are_text() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![0, -1]).with_timezone("UTC"))),
        ("sum", Arc::new(Decimal128Array::from(vec![12345, -5]).with_precision_and_scale(9, 2).unwrap())),
        ("kind", Arc::new(["x", "y"].into_iter().collect::<DictionaryArray<Int8Type>>())),
        ("small", Arc::new(Int32Array::from(vec![-1, 7]))),
        ("none", Arc::new(NullArray::new(2))),
    ];
    let columns = columns.into_iter().map(|(name, array)| (name, array, name == "none"));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let parquet: Arc<dyn Source> = Arc::new(parquet_file(std::slice::from_ref(&batch), 10));
    let arrow: Arc<dyn Source> = Arc::new(arrow_file(&[batch]));
    for (format, file) in [(InputFormat::Parquet, parquet), (InputFormat::Arrow, arrow)] {
        let row = row("", "at:text,at2:s64,sum:text,kind:text,small:f64,none:text?");
        let mut fields = row.value.0;
        fields[1].name = "sum".into();
        fields[1].datatype = Some(DataType::F64);
        fields.swap(1, 2);
        fields.remove(2);
        let row = Row { value: Fields(fields), ..Row::default() };
        let value_type = row.value_type();
        let read = records(&file, format, 0..file.bytes(), &options(row), 1000).unwrap();
        let shown: Vec<String> = read
            .iter()
            .map(|(_, value)| {
                let mut text = Vec::new();
                value_type.render(value, &mut text).unwrap();
                String::from_utf8(text).unwrap()
            })
            .collect();
        assert_eq!(
            shown,
            [
                "1970-01-01T00:00:00.000000Z\t123.45\tx\t-1\tfalse\t",
                "1969-12-31T23:59:59.999999Z\t-0.05\ty\t7\tfalse\t"
            ]
        );
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let small = batch(0..30);
    // Formats without checksums cannot tell every flipped bit: what is checked is that nothing panics, and that
    // whatever is cut off is noticed.
    for (format, file) in [
        (InputFormat::Parquet, parquet_file(std::slice::from_ref(&small), 10)),
        (InputFormat::Arrow, arrow_file(&[small])),
        (InputFormat::Avro, avro_file(30, "null")),
        (InputFormat::Avro, avro_file(30, "snappy")),
    ] {
        let options = options(row(KEY, VALUE));
        // A file of Avro may end behind its header: it has no rows then, and no end to tell.
        let least = if format == InputFormat::Avro { 1 } else { 0 };
        let cuts = (0..file.len()).map(Damage::Cut);
        let cuts = cuts.filter(|cut| {
            least == 0 || !matches!(cut, Damage::Cut(bytes) if file[..*bytes].ends_with(b"cdef"))
        });
        let cut = refused(&file, format, &options, cuts);
        assert_eq!(cut, file.len() - least, "{format}");
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let damaged: Arc<dyn Source> = Arc::new(damaged);
            if let Ok(reader) =
                open(damaged.clone(), format, Compression::None, 0..damaged.bytes(), options.clone())
            {
                let mut reader = reader;
                let (mut batch, mut offsets) = (BatchBuf::default(), Vec::new());
                while let Ok(true) = reader.fill(&mut batch, &mut offsets, 100_000, &mut |_| Ok(())) {
                    batch.clear();
                    offsets.clear();
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_one_sentence() {
    let reason = |format: InputFormat, file: Vec<u8>| {
        let file: Arc<dyn Source> = Arc::new(file);
        open(file.clone(), format, Compression::None, 0..file.bytes(), options(row("", "id")))
            .err()
            .unwrap()
            .to_string()
    };
    let text = b"id,name\n".repeat(100);
    let parquet = parquet_file(&[batch(0..10)], 10);
    let arrow = arrow_file(&[batch(0..10)]);
    assert_eq!(
        reason(InputFormat::Parquet, text.clone()),
        "at byte 0: it does not begin as a Parquet file does"
    );
    assert_eq!(
        reason(InputFormat::Parquet, parquet[..500].to_vec()),
        "at byte 496: it does not end as a Parquet file does: it was cut off, or is not complete yet"
    );
    let mut huge = parquet.clone();
    let at = huge.len() - 8;
    huge[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let room = at - 4;
    assert_eq!(
        reason(InputFormat::Parquet, huge),
        format!(
            "at byte {at}: it says that its footer has 4294967295 bytes, and there are {room} ahead of this place"
        )
    );
    assert_eq!(
        reason(InputFormat::Arrow, text),
        "at byte 0: it does not begin as a file of Arrow IPC does (a stream of Arrow IPC is not one)"
    );
    assert_eq!(
        reason(InputFormat::Arrow, arrow[..500].to_vec()),
        "at byte 494: it does not end as a file of Arrow IPC does: it was cut off, or is not complete yet"
    );
}

#[test]
fn pages_of_every_version_are_read() {
    let small = batch(0..500);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for compression in [Parquet::UNCOMPRESSED, Parquet::SNAPPY, Parquet::GZIP(Default::default())] {
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_compression(compression)
                .set_statistics_enabled(EnabledStatistics::Page)
                .set_write_page_header_statistics(true)
                .set_data_page_row_count_limit(100)
                .set_write_batch_size(50)
                .build();
            let mut writer = ArrowWriter::try_new(Vec::new(), small.schema(), Some(properties)).unwrap();
            writer.write(&small).unwrap();
            let file: Arc<dyn Source> = Arc::new(writer.into_inner().unwrap());
            let (rows, bad) = with_bad(InputFormat::Parquet, &file, row(KEY, VALUE));
            assert_eq!((rows, bad), (500, vec![]), "{version:?}, {compression:?}");
        }
    }
}

/// A number of the compact protocol of Thrift.
fn varint(number: i32) -> Vec<u8> {
    let mut rest = u64::from(number.cast_unsigned()) << 1;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

#[test]
fn what_a_page_claims_is_looked_at_first() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let file = parquet_file(&[batch], 1000);
    let footer = u32::from_le_bytes(*file[..file.len() - 4].last_chunk().unwrap()) as usize;
    let footer = &file[file.len() - 8 - footer..file.len() - 8];
    let metadata = ParquetMetaDataReader::decode_metadata(footer);
    let chunk = i32::try_from(metadata.unwrap().row_group(0).column(0).compressed_size()).unwrap();
    // A header of a page of a kind that says how much it becomes, and the first number of its kind.
    let forged = |kind: u8, decoded: i32, first: i32| {
        let header = |stored: i32| {
            let front = [vec![0x15, 0, 0x15], varint(decoded), vec![0x15], varint(stored)].concat();
            [front, vec![kind, 0x15], varint(first), vec![0, 0]].concat()
        };
        let length = i32::try_from(header(chunk).len()).unwrap();
        let header = header(chunk - length);
        let mut file = file.clone();
        file[4..4 + header.len()].copy_from_slice(&header);
        let file: Arc<dyn Source> = Arc::new(file);
        let bytes = file.bytes();
        let reader = open(file, InputFormat::Parquet, Compression::None, 0..bytes, options(row("", "id")));
        let (mut batch, mut offsets) = (BatchBuf::default(), Vec::new());
        let read = reader.unwrap().fill(&mut batch, &mut offsets, 1000, &mut |_| Ok(()));
        read.unwrap_err().to_string()
    };
    let (data, dictionary) = (0x2c, 0x4c);
    assert_eq!(
        forged(data, i32::MAX, 1000),
        "at byte 4: the header of the page that begins here says that it has 2147483647 bytes, and 268435456 is the \
         limit; write the file with smaller pages"
    );
    assert_eq!(
        forged(dictionary, 8000, i32::MAX),
        "at byte 4: the header of the page that begins here says that 2147483647 values are in its 8000 bytes"
    );
    let error = forged(0x48, 8000, 1000);
    assert_eq!(error, "at byte 4: no page begins here, where its column says so");
}
