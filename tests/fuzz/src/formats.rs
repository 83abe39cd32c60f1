//! Readers of formats over any bytes: whatever they hold, reading ends with records or one sentence, ranges that
//! tile a file give the records of the whole file, and batches are no larger than asked for.

use std::ops::Range;
use std::sync::Arc;

use mr_formats::{Encoder, FormatError, ReadOptions, Source, describe, open};
use mr_model::{BatchBuf, Compression, Delimited, Fields, InputFormat, OutputFormat, StageTypes};

use crate::take::Supply;

/// Decoded bytes for each byte of a file: small, so that a few bytes cannot become many.
const EXPANSION_MAX: u64 = 50;
/// Memory of a batch beside its bytes, in bytes: a row of columns is laid with some hundred others.
const BATCH_SLACK: usize = 64 << 10;
/// Places that a file is cut at.
const CUTS: usize = 3;

type Record = (u64, Vec<u8>, Vec<u8>);

/// Target: rows of delimited text, with and without quotes, header and types.
pub fn delimited(data: &[u8]) {
    let mut supply = Supply(data);
    let flags = supply.byte();
    let delimited = Delimited {
        delimiter: [b',', b'\t', b';', b'"'][usize::from(flags & 3)],
        quote: (flags & 4 == 0).then_some(if flags & 3 == 3 { b'\'' } else { b'"' }),
        header: flags & 8 == 0,
    };
    let asked = match flags >> 4 & 3 {
        0 => Some("1:u64,2:text?"),
        1 => Some("a:f64?,b:bytes"),
        _ => None,
    };
    check(supply, InputFormat::Delimited(delimited), Compression::None, asked);
}

/// Target: objects in lines.
pub fn json_lines(data: &[u8]) {
    let mut supply = Supply(data);
    let asked = ["a:u64,b", "a:s64?,b:text?", "b:bytes?,a:f64,c:bool?"][usize::from(supply.below(3))];
    check(supply, InputFormat::JsonLines, Compression::None, Some(asked));
}

/// Target: lines in data of every compression.
pub fn compressed(data: &[u8]) {
    let mut supply = Supply(data);
    let all = [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4];
    let compression = all[usize::from(supply.below(4))];
    check(supply, InputFormat::Lines, compression, None);
}

/// Target: the engine's own file.
pub fn kv(data: &[u8]) {
    check(Supply(data), InputFormat::Kv, Compression::None, None);
}

/// Target: Parquet. Its crate panics on some files, which the reader catches and a fuzzer does not forgive: under
/// libFuzzer such a panic is a finding about the crate.
pub fn parquet(data: &[u8]) {
    let mut supply = Supply(data);
    let asked = [None, Some("key,value_1:text"), Some("value_2:f64?")][usize::from(supply.below(3))];
    check(supply, InputFormat::Parquet, Compression::None, asked);
}

/// Reads a file as a whole and in ranges.
fn check(mut supply: Supply<'_>, format: InputFormat, compression: Compression, asked: Option<&str>) {
    let target = usize::from(supply.short()).max(1);
    let record_bytes_max = 1 + 16 * u64::from(supply.byte());
    let cuts: Vec<u64> = (0..CUTS).map(|_| u64::from(supply.short())).collect();
    let file: Arc<dyn Source> = Arc::new(supply.rest().to_vec());
    let asked: Option<Fields> = asked.map(|fields| fields.parse().unwrap());
    let row = match describe(&*file, format, compression, asked.as_ref(), None) {
        Ok(row) => row,
        Err(error) => return check_sentence(&error),
    };
    let options =
        ReadOptions { record_bytes_max, expansion_max: EXPANSION_MAX, row, ..ReadOptions::default() };
    let reading = Reading { file: &file, format, compression, options, target };
    let whole = reading.records(0..file.bytes());
    let mut places: Vec<u64> = cuts.iter().map(|place| place % (file.bytes() + 1)).collect();
    places.extend([0, file.bytes()]);
    places.sort_unstable();
    let ranges = places.windows(2).filter(|pair| pair[0] < pair[1]);
    let tiled: Result<Vec<Vec<Record>>, FormatError> =
        ranges.map(|pair| reading.records(pair[0]..pair[1])).collect();
    match (whole, tiled) {
        (Ok(whole), Ok(tiled)) => assert_eq!(tiled.concat(), whole),
        // Quotes may not tell, in the middle of a file, where rows begin.
        (Ok(_), Err(error)) => assert!(matches!(format, InputFormat::Delimited(_)), "{error}"),
        (Err(error), _) => check_sentence(&error),
    }
}

/// How a file is read.
struct Reading<'a> {
    file: &'a Arc<dyn Source>,
    format: InputFormat,
    compression: Compression,
    options: ReadOptions,
    target: usize,
}

impl Reading<'_> {
    /// The records of a range, with their places.
    fn records(&self, range: Range<u64>) -> Result<Vec<Record>, FormatError> {
        let bytes = range.end - range.start;
        let mut reader = open(self.file.clone(), self.format, self.compression, range, self.options.clone())?;
        let (mut records, mut batch, mut offsets) = (Vec::new(), BatchBuf::default(), Vec::new());
        let record = usize::try_from(self.options.record_bytes_max).unwrap();
        let mut more = true;
        while more {
            more = reader.fill(&mut batch, &mut offsets, self.target, &mut |bad| bad.refuse())?;
            assert_eq!(offsets.len(), batch.rows() as usize);
            assert!(!more || batch.rows() > 0, "there is a row, or no more");
            assert!(batch.values.bytes() <= self.target + 4 * record + BATCH_SLACK, "a batch is too large");
            assert!(reader.bytes_read() <= bytes);
            let rows = offsets.iter().zip(batch.view().iter());
            records.extend(rows.map(|(offset, (key, value))| (*offset, key.to_vec(), value.to_vec())));
            batch.clear();
            offsets.clear();
        }
        assert_eq!(reader.bytes_read(), bytes, "all of the range is read at its end");
        Ok(records)
    }
}

/// One line, and not a long one.
fn check_sentence(error: &FormatError) {
    let sentence = error.to_string();
    assert!(!sentence.contains('\n') && sentence.len() < 4096, "{sentence}");
}

/// The choices of [`check`]: batches, the longest record, cuts.
fn choices(first: &[u8], target: u8, record: u8, cuts: [u8; CUTS]) -> Vec<u8> {
    let cuts = cuts.into_iter().flat_map(|cut| [cut, 0]);
    first.iter().copied().chain([target, 0, record]).chain(cuts).collect()
}

/// Delimited text of every dialect.
pub fn delimited_seeds() -> Vec<Vec<u8>> {
    let text =
        b"a,b\n1,x\n2.5,\"two\nlines, \"\"quoted\"\"\"\n\n,\"\"\r\n-3,\"1,\"\"\n\"\n4,na\xc3\xafve\0\n"
            .as_slice();
    let plain = b"1\tx\n2\t\n\n3\ty z\n4\t\"\n".as_slice();
    let seed = |flags: u8, text: &[u8]| [choices(&[flags], 30, 4, [9, 20, 33]), text.to_vec()].concat();
    let dialects = [0x10, 0x20, 0x30, 0x14].map(|flags| seed(flags, text));
    let plain = [0x0d, 0x09, 0x2d].map(|flags| seed(flags, plain));
    dialects.into_iter().chain(plain).collect()
}

/// Objects with what JSON has.
pub fn json_lines_seeds() -> Vec<Vec<u8>> {
    let text = b"{\"a\":1,\"b\":\"x\"}\n {\"b\":\"\\u00e9\\ud83d\\ude00\\n\",\"a\":2,\"more\":[1,{\"a\":null}]}\n\n{\"a\":3, \"b\":\"\"}\n";
    let all = b"{\"a\":1e2,\"b\":\"aGk=\",\"c\":true}\n{\"a\":-0.5,\"b\":null}\n".as_slice();
    [(0, text.as_slice()), (1, text), (2, all)]
        .map(|(fields, text)| [choices(&[fields], 40, 9, [5, 30, 60]), text.to_vec()].concat())
        .into()
}

/// A file of some records, as the engine writes it.
fn written(format: OutputFormat, compression: Compression, types: &StageTypes) -> Vec<u8> {
    let mut encoder = Encoder::new(format, compression, types, None, 1).unwrap();
    let mut file = Vec::new();
    for number in 0..40_u64 {
        let value = [b"word\0\0".as_slice(), &(number as f64).to_bits().to_be_bytes()].concat();
        let value = if types.value.is_some() { value } else { b"some text ".repeat(3) };
        encoder.encode(&number.to_be_bytes(), &value, &mut file).unwrap();
    }
    encoder.finish(&mut file).unwrap();
    file
}

/// Lines in several units of each compression.
pub fn compressed_seeds() -> Vec<Vec<u8>> {
    let kinds = [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4];
    let types = StageTypes { key: "u64".parse().ok(), value: None };
    let seed = |(number, compression)| {
        let file = written(OutputFormat::Text, compression, &types).repeat(2);
        [choices(&[number], 100, 9, [40, 90, 130]), file].concat()
    };
    (0..).zip(kinds).map(seed).collect()
}

/// Files of typed and of plain records.
pub fn kv_seeds() -> Vec<Vec<u8>> {
    let typed = StageTypes { key: "u64".parse().ok(), value: "tuple<text,f64>".parse().ok() };
    [(Compression::None, &typed), (Compression::Lz4, &typed), (Compression::None, &StageTypes::default())]
        .map(|(compression, types)| {
            let file = written(OutputFormat::Kv, compression, types);
            [choices(&[], 90, 9, [50, 100, 200]), file].concat()
        })
        .into()
}

/// A file with a number, a text and a float.
pub fn parquet_seeds() -> Vec<Vec<u8>> {
    let types = StageTypes { key: "u64".parse().ok(), value: "tuple<text,f64>".parse().ok() };
    let file = written(OutputFormat::Parquet, Compression::None, &types);
    (0..3).map(|fields| [choices(&[fields], 90, 9, [50, 100, 200]), file.clone()].concat()).collect()
}
