//! Reading for tests: all records of a file, through ranges.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use mr_formats::{BadRecord, FormatError, ReadOptions, Source, describe, open};
use mr_model::{BatchBuf, Compression, Fields, InputFormat, Row};

/// A key, a value and where they are.
pub type Record = (Vec<u8>, Vec<u8>, u64);

/// How a file is read.
#[derive(Clone)]
pub struct Reading {
    pub format: InputFormat,
    pub compression: Compression,
    pub options: ReadOptions,
    /// Size that batches aim for, in bytes.
    pub target: usize,
}

impl Reading {
    pub fn new(format: &str) -> Self {
        let options =
            ReadOptions { record_bytes_max: 1 << 20, expansion_max: 1000, ..ReadOptions::default() };
        let format = format.parse().unwrap();
        Self { format, compression: Compression::None, options, target: 1000 }
    }

    pub fn compressed(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    pub fn record_bytes_max(mut self, max: u64) -> Self {
        self.options.record_bytes_max = max;
        self
    }

    /// With these fields, of `bytes`.
    pub fn fields(mut self, bytes: &[u8], asked: Option<&str>, key: Option<&str>) -> Self {
        self.options.row = self.row(bytes, asked, key).unwrap();
        self
    }

    pub fn row(&self, bytes: &[u8], asked: Option<&str>, key: Option<&str>) -> Result<Option<Row>, String> {
        let fields = |text: &str| text.parse::<Fields>().unwrap();
        let (asked, key) = (asked.map(fields), key.map(fields));
        describe(source(bytes).as_ref(), self.format, self.compression, asked.as_ref(), key.as_ref())
            .map_err(|error| error.to_string())
    }

    /// The records of a range; `bad` is given every bad one.
    pub fn range(
        &self,
        source: Arc<dyn Source>,
        range: Range<u64>,
        bad: &mut dyn FnMut(BadRecord<'_>) -> Result<(), FormatError>,
    ) -> Result<Vec<Record>, FormatError> {
        let length = range.end - range.start;
        let mut reader = open(source, self.format, self.compression, range, self.options.clone())?;
        let (mut records, mut read) = (Vec::new(), 0);
        loop {
            let (mut batch, mut offsets) = (BatchBuf::default(), Vec::new());
            let more = reader.fill(&mut batch, &mut offsets, self.target, bad)?;
            assert_eq!(offsets.len(), batch.rows() as usize);
            assert!(!more || batch.rows() > 0, "more is to come behind a batch of nothing");
            assert!(reader.bytes_read() >= read && reader.bytes_read() <= length);
            read = reader.bytes_read();
            let rows = batch.view();
            records.extend(
                rows.iter().zip(&offsets).map(|((key, value), at)| (key.to_vec(), value.to_vec(), *at)),
            );
            if !more {
                assert_eq!(read, length, "all of the range was read");
                return Ok(records);
            }
        }
    }

    /// All records of a file without a bad one.
    pub fn all(&self, bytes: &[u8]) -> Vec<Record> {
        let range = 0..bytes.len() as u64;
        self.range(source(bytes), range, &mut |bad| bad.refuse()).unwrap()
    }

    /// All records of the ranges between `cuts`.
    pub fn tiled(&self, bytes: &[u8], cuts: &[u64]) -> Vec<Record> {
        let source = source(bytes);
        let end = bytes.len() as u64;
        let mut places: Vec<u64> = cuts.iter().map(|cut| cut % (end + 1)).chain([0, end]).collect();
        places.sort_unstable();
        let ranges = places.windows(2).map(|pair| pair[0]..pair[1]).filter(|range| !range.is_empty());
        let read = |range| self.range(source.clone(), range, &mut |bad| bad.refuse()).unwrap();
        ranges.flat_map(read).collect()
    }

    /// What is said of a file that cannot be read.
    pub fn refused(&self, bytes: &[u8]) -> String {
        let range = 0..bytes.len() as u64;
        let read = self.range(source(bytes), range, &mut |bad| bad.refuse());
        read.err().map_or_else(|| "it was read".to_owned(), |error| error.to_string())
    }
}

/// Bytes that are told in portions.
struct Portions(Vec<u8>);

impl Source for Portions {
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let portion = buffer.len().min(777);
        self.0.read_at(offset, &mut buffer[..portion])
    }
}

pub fn source(bytes: &[u8]) -> Arc<dyn Source> {
    Arc::new(Portions(bytes.to_vec()))
}

/// Values of a record as people read them, with tabs between.
pub fn shown(row: &Row, record: &Record) -> String {
    let mut out = Vec::new();
    match row.key_type() {
        Some(key) => key.render(&record.0, &mut out).unwrap(),
        None => out.extend_from_slice(record.2.to_string().as_bytes()),
    }
    out.push(b'\t');
    row.value_type().render(&record.1, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The values of a row of text fields.
pub fn texts(cells: &[u8]) -> Vec<Vec<u8>> {
    let (mut texts, mut text, mut at) = (Vec::new(), Vec::new(), 0);
    while at < cells.len() {
        match (cells[at], cells.get(at + 1)) {
            (0, Some(0)) => {
                texts.push(std::mem::take(&mut text));
                at += 2;
            }
            (0, Some(0xff)) => {
                text.push(0);
                at += 2;
            }
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    texts
}
