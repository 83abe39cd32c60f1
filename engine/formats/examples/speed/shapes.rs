//! Parquet files of several shapes and compressions: what reading costs beyond decoding depends on what is in
//! the columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// The names of shape and compression, and a file of `rows` rows, of each.
pub fn files(rows: u64) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let compressions = [
        ("uncompressed", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
    ];
    let mut files = Vec::new();
    for (shape, columns) in shapes(rows) {
        let columns = columns.into_iter().enumerate().map(|(i, column)| (format!("c{i}"), column));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        for (name, compression) in compressions {
            let properties = WriterProperties::builder().set_compression(compression).build();
            let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            files.push((shape, name, writer.into_inner().unwrap()));
        }
    }
    files
}

fn shapes(rows: u64) -> Vec<(&'static str, Vec<ArrayRef>)> {
    let seeds: Vec<u64> = (0..rows).map(|row| row.wrapping_mul(6_364_136_223_846_793_005) >> 20).collect();
    let ints = || -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(seeds.iter().map(|seed| seed.cast_signed() - (1 << 43))))
    };
    let small = || -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(seeds.iter().map(|seed| (seed % 1000) as i32)))
    };
    let floats = || -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(seeds.iter().map(|seed| *seed as f64 / 64.0)))
    };
    let cities = ["Oslo", "Buenos Aires", "Ulaanbaatar", "Rio", "Saint Petersburg on the Neva"];
    let few = || -> ArrayRef {
        Arc::new(StringArray::from_iter_values(seeds.iter().map(|seed| cities[(seed % 5) as usize])))
    };
    let many = |long: bool| -> ArrayRef {
        let text =
            |seed: &u64| if long { format!("item {seed:x} of the catalogue") } else { format!("w{seed:x}") };
        Arc::new(StringArray::from_iter_values(seeds.iter().map(text)))
    };
    let some = |seed: &u64| !seed.is_multiple_of(7);
    let some_ints: ArrayRef =
        Arc::new(seeds.iter().map(|seed| some(seed).then_some(seed.cast_signed())).collect::<Int64Array>());
    let some_floats: ArrayRef =
        Arc::new(seeds.iter().map(|seed| some(seed).then_some(*seed as f64 / 8.0)).collect::<Float64Array>());
    let some_text: ArrayRef = Arc::new(
        seeds.iter().map(|seed| some(seed).then(|| cities[(seed % 5) as usize])).collect::<StringArray>(),
    );
    let bools: ArrayRef =
        Arc::new(seeds.iter().map(|seed| Some(seed.is_multiple_of(3))).collect::<BooleanArray>());
    vec![
        ("whole numbers", vec![ints(), small(), ints(), small()]),
        ("floats", vec![floats(), floats(), floats()]),
        ("few different words", vec![few(), few(), few()]),
        ("different words", vec![many(false), many(true)]),
        ("values missing", vec![some_ints, some_floats, some_text]),
        ("mixed", vec![ints(), few(), floats(), bools, small(), many(false)]),
    ]
}
