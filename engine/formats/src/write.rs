//! Records as bytes of a part: every format of output behind one type. Runs once for every record that a
//! job writes, so that text and raw allocate nothing and look nothing up. Must not buffer what is ready:
//! that is the part writer's.

mod columns;
mod compress;
mod delimited;
mod error;
mod json_lines;
mod parquet;
pub(crate) mod render;

use mr_model::{Compression, DataType, OutputFormat, StageTypes};

pub use error::EncodeError;

use crate::kv::KvWriter;
use compress::Compressor;
use delimited::DelimitedWriter;
use json_lines::JsonLinesWriter;
use parquet::ParquetWriter;

/// Encoded output that is handed to the compressor at a time, in bytes.
const COMPRESS_CHUNK_BYTES: usize = 64 * 1024;

/// What the blocks of a kv file take, in bytes: the open one, and as it is written.
const KV_BYTES: usize = 1024 * 1024;

/// Writes the records of one file in the output's format. Its bytes depend on the records and what it was
/// made with only.
#[derive(Debug)]
pub struct Encoder {
    body: Body,
    compressor: Option<Compressor>,
    /// What is still to be compressed.
    plain: Vec<u8>,
}

#[derive(Debug)]
enum Body {
    Raw,
    Text(TextWriter),
    JsonLines(Box<JsonLinesWriter>),
    Delimited(Box<DelimitedWriter>),
    Kv(Box<KvWriter>),
    Parquet(Box<ParquetWriter>),
}

impl Encoder {
    /// An encoder of one file of records of `types`. Columns are called `names`, where the format has them and
    /// names are given; else `key` and `value`, or `key_1` and so on for the elements of tuples.
    ///
    /// A type that is not declared is taken for bytes; for text in JSON lines, which has no bytes. The format kv
    /// takes no compression or LZ4, for its blocks; Parquet compresses its pages with Zstandard by itself. `files` is
    /// how many are written at once: they share the memory that row groups may take.
    ///
    /// # Errors
    /// A sentence: names that are not as many as columns, a format that cannot hold the types or be
    /// compressed so.
    pub fn new(
        format: OutputFormat,
        compression: Compression,
        types: &StageTypes,
        names: Option<&[String]>,
        files: usize,
    ) -> Result<Self, String> {
        let inside = format == OutputFormat::Kv && compression == Compression::Lz4;
        if compression != Compression::None && !format.may_be_compressed() && !inside {
            return Err(format!("files of the format {format} cannot be compressed with {compression}"));
        }
        let body = match format {
            OutputFormat::Raw => Body::Raw,
            OutputFormat::Text => Body::Text(TextWriter::new(types)),
            OutputFormat::JsonLines => Body::JsonLines(Box::new(JsonLinesWriter::new(types, names)?)),
            OutputFormat::Delimited(delimited) => {
                Body::Delimited(Box::new(DelimitedWriter::new(delimited, types, names)?))
            }
            OutputFormat::Kv => Body::Kv(Box::new(KvWriter::new(types, inside)?)),
            OutputFormat::Parquet => Body::Parquet(Box::new(ParquetWriter::new(types, names, files)?)),
        };
        let compressor = if inside { None } else { Compressor::new(compression) };
        Ok(Self { body, compressor, plain: Vec::new() })
    }

    /// Most memory that it takes, in bytes, beside a long record.
    pub fn memory_bytes(&self) -> u64 {
        let body = match &self.body {
            Body::Parquet(parquet) => parquet.memory_bytes(),
            Body::Kv(_) => KV_BYTES,
            _ => 0,
        };
        let compressor = self
            .compressor
            .as_ref()
            .map_or(0, |compressor| compressor.memory_bytes() + 2 * COMPRESS_CHUNK_BYTES);
        (body + compressor) as u64
    }

    /// Takes one record, and appends to `out` what is ready of the file. After an error the record has left
    /// nothing, and the next one may be given.
    ///
    /// # Errors
    /// A record that the format cannot hold.
    #[inline]
    pub fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Some(compressor) = &mut self.compressor else {
            return self.body.encode(key, value, out);
        };
        self.body.encode(key, value, &mut self.plain)?;
        if self.plain.len() >= COMPRESS_CHUNK_BYTES {
            compressor.write(&self.plain, out)?;
            self.plain.clear();
        }
        Ok(())
    }

    /// Appends the rest of the file: a file without records is one of its format, too. Nothing may be given
    /// afterwards.
    ///
    /// # Errors
    /// What the writer of the format says.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Some(compressor) = &mut self.compressor else {
            return self.body.finish(out);
        };
        self.body.finish(&mut self.plain)?;
        compressor.write(&self.plain, out)?;
        self.plain.clear();
        compressor.finish(out)
    }
}

impl Body {
    #[inline]
    fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let from = out.len();
        let encoded = match self {
            Body::Raw => {
                out.extend_from_slice(key);
                out.extend_from_slice(value);
                return Ok(());
            }
            Body::Text(text) => text.encode(key, value, out),
            Body::JsonLines(json) => json.encode(key, value, out),
            Body::Delimited(delimited) => delimited.encode(key, value, out),
            Body::Kv(kv) => {
                kv.push(key, value, out);
                return Ok(());
            }
            Body::Parquet(parquet) => return parquet.encode(key, value, out),
        };
        if encoded.is_err() {
            out.truncate(from);
        }
        encoded
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Body::Raw | Body::Text(_) | Body::JsonLines(_) => Ok(()),
            Body::Delimited(delimited) => {
                delimited.begin(out);
                Ok(())
            }
            Body::Kv(kv) => {
                kv.finish(out);
                Ok(())
            }
            Body::Parquet(parquet) => parquet.finish(out),
        }
    }
}

/// `key TAB value NEWLINE`, rendered by type.
#[derive(Debug)]
struct TextWriter {
    key: DataType,
    value: DataType,
    /// A tab is between key and value: neither is a unit.
    tab: bool,
}

impl TextWriter {
    fn new(types: &StageTypes) -> Self {
        let key = types.key.clone().unwrap_or(DataType::Bytes);
        let value = types.value.clone().unwrap_or(DataType::Bytes);
        let tab = key != DataType::Unit && value != DataType::Unit;
        Self { key, value, tab }
    }

    #[inline]
    fn encode(&self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.key.render(key, out)?;
        if self.tab {
            out.push(b'\t');
        }
        self.value.render(value, out)?;
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests;
