//! A table of awkward rows, and files of it in every format, written by hand or by the crates of the formats:
//! never by the engine.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::support::random::Random;

/// The fields of a row as they are asked for, where files do not tell types.
pub const FIELDS: &str = "id:u64,name,price:f64?,ok:bool,count:s64,note:?";
/// Names of the fields.
pub const NAMES: &str = "id,name,price,ok,count,note";

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: u64,
    pub name: String,
    pub price: Option<f64>,
    pub ok: bool,
    pub count: i64,
    pub note: Option<String>,
}

/// Rows whose texts are all that a format may stumble over.
pub fn rows(seed: u64, count: u64) -> Vec<Row> {
    const TEXTS: [&str; 12] = [
        "",
        "plain words, apart",
        "two\nlines",
        "\n",
        "carriage\r\nreturn",
        "\"quoted\"",
        "\"",
        "a,b\tc;d",
        "naïve ☃ 漢字",
        "back\\slash",
        " spaces ",
        "1,\"x\"\n2,\"y\"\n3,\"z",
    ];
    let mut random = Random::new(seed);
    let mut text = move |id: u64| {
        let text = TEXTS[usize::from(random.byte(12))];
        if random.below(3) == 0 { format!("{text}{id}") } else { text.to_owned() }
    };
    let mut random = Random::new(seed + 1);
    let row = |id: u64| Row {
        id: id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1,
        name: text(id),
        price: (random.below(4) > 0).then(|| random.below(2_000_000) as f64 / 64.0 - 9_000.0),
        ok: random.below(2) == 0,
        count: random.next().cast_signed() >> random.below(60),
        note: (random.below(3) > 0).then(|| text(id)),
    };
    (0..count).map(row).collect()
}

/// JSON lines, as the engine writes them.
pub fn json_lines(rows: &[Row]) -> Vec<u8> {
    let line = |row: &Row| {
        let price = row.price.map_or("null".to_owned(), |price| format!("{price:?}"));
        let Row { id, ok, count, .. } = row;
        let (name, note) = (json!(row.name), json!(row.note));
        format!(
            "{{\"id\":{id},\"name\":{name},\"price\":{price},\"ok\":{ok},\"count\":{count},\"note\":{note}}}\n"
        )
    };
    rows.iter().map(line).collect::<String>().into_bytes()
}

/// Delimited text, as the engine writes it: quotes where they are needed, and around an empty text that is there
/// where it might not be.
pub fn delimited(rows: &[Row], delimiter: char) -> Vec<u8> {
    let quoted = |text: &str| match text.contains([delimiter, '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let line = |row: &Row| {
        let note = match row.note.as_deref() {
            Some("") => "\"\"".to_owned(),
            note => quoted(note.unwrap_or_default()),
        };
        let price = row.price.map(|price| price.to_string()).unwrap_or_default();
        let values =
            [row.id.to_string(), quoted(&row.name), price, row.ok.to_string(), row.count.to_string(), note];
        values.join(&delimiter.to_string()) + "\n"
    };
    let header = NAMES.replace(',', &delimiter.to_string()) + "\n";
    (header + &rows.iter().map(line).collect::<String>()).into_bytes()
}

fn schema() -> SchemaRef {
    let field = |name: &str, datatype, nullable| Field::new(name, datatype, nullable);
    Arc::new(Schema::new(vec![
        field("id", DataType::UInt64, false),
        field("name", DataType::Utf8, false),
        field("price", DataType::Float64, true),
        field("ok", DataType::Boolean, false),
        field("count", DataType::Int64, false),
        field("note", DataType::Utf8, true),
    ]))
}

/// The rows as columns.
fn columns(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.id))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.name))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.price))),
        Arc::new(rows.iter().map(|row| Some(row.ok)).collect::<BooleanArray>()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.count))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.note.as_deref()))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A Parquet file with row groups of so many rows.
pub fn parquet(rows: &[Row], group_rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties)).unwrap();
    writer.write(&columns(rows)).unwrap();
    writer.into_inner().unwrap()
}

/// An Arrow file with batches of so many rows.
pub fn arrow(rows: &[Row], batch_rows: usize) -> Vec<u8> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &schema()).unwrap();
    for rows in rows.chunks(batch_rows) {
        writer.write(&columns(rows)).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// An Avro file with blocks of so many rows.
pub fn avro(rows: &[Row], block_rows: usize) -> Vec<u8> {
    let field = |name: &str, datatype| json!({ "name": name, "type": datatype });
    let schema = json!({ "type": "record", "name": "row", "fields": [
        field("id", json!("long")),
        field("name", json!("string")),
        field("price", json!(["null", "double"])),
        field("ok", json!("boolean")),
        field("count", json!("long")),
        field("note", json!(["string", "null"])),
    ] });
    let sync = [0x5a; 16];
    let mut file = b"Obj\x01".to_vec();
    avro_long(2, &mut file);
    for (key, value) in [("avro.schema", schema.to_string()), ("avro.codec", "null".to_owned())] {
        avro_text(key, &mut file);
        avro_text(&value, &mut file);
    }
    avro_long(0, &mut file);
    file.extend(sync);
    for rows in rows.chunks(block_rows) {
        let mut block = Vec::new();
        rows.iter().for_each(|row| avro_row(row, &mut block));
        avro_long(rows.len() as i64, &mut file);
        avro_long(block.len() as i64, &mut file);
        file.extend(block);
        file.extend(sync);
    }
    file
}

fn avro_row(row: &Row, out: &mut Vec<u8>) {
    avro_long(row.id.cast_signed(), out);
    avro_text(&row.name, out);
    avro_long(i64::from(row.price.is_some()), out);
    row.price.iter().for_each(|price| out.extend(price.to_le_bytes()));
    out.push(u8::from(row.ok));
    avro_long(row.count, out);
    avro_long(i64::from(row.note.is_none()), out);
    row.note.iter().for_each(|note| avro_text(note, out));
}

fn avro_text(text: &str, out: &mut Vec<u8>) {
    avro_long(text.len() as i64, out);
    out.extend(text.as_bytes());
}

fn avro_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest > 0x7f {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// Ends of names of compressed files.
pub const COMPRESSIONS: [&str; 4] = ["gz", "bz2", "zst", "lz4"];

/// Bytes in many units of a compression, by the end of its files: members, blocks, frames.
pub fn compressed(bytes: &[u8], ending: &str, unit_bytes: usize) -> Vec<u8> {
    bytes.chunks(unit_bytes).flat_map(|unit| compressed_once(unit, ending)).collect()
}

/// Bytes in one unit of a compression, as far as it has such.
pub fn compressed_once(bytes: &[u8], ending: &str) -> Vec<u8> {
    match ending {
        "gz" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        }
        "bz2" => {
            let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
            bzip2.write_all(bytes).unwrap();
            bzip2.finish().unwrap()
        }
        "zst" => zstd::encode_all(bytes, 1).unwrap(),
        "lz4" => {
            let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
            lz4.write_all(bytes).unwrap();
            lz4.finish().unwrap()
        }
        other => panic!("{other} is no compression"),
    }
}
