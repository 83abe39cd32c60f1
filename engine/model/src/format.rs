//! How bytes become records and records bytes: formats of inputs and outputs, their options, the fields of
//! rows. Names and grammar only: what reads and writes them is elsewhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::datatype::DataType;
use crate::limit;

/// How bytes of input become records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum InputFormat {
    /// One record for each line: the key tells the place ([`crate::InputKey`]), the value is the line
    /// without its `\n`. A last line without `\n` counts.
    Lines,
    /// One record for each line: the key is the line without its `\n`, the value is empty.
    LineKeys,
    /// Records of `bytes` bytes each; the first `key` of them are the key, the rest the value.
    Fixed {
        /// Length of a record, at least 1.
        bytes: u32,
        /// Length of its key, at most `bytes`.
        key: u32,
    },
    /// One record for each file: the key is its path, the value all of its bytes.
    Whole,
    /// Rows of values with a delimiter between them: CSV (RFC 4180) and its relatives.
    Delimited(Delimited),
    /// One JSON object in each line. Without fields the value is the line as it is.
    JsonLines,
    /// The engine's own file of keys and values, with their types.
    Kv,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC, the file format.
    Arrow,
    /// Apache Avro object container files.
    Avro,
}

/// How rows of delimited text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimited {
    /// Between two values.
    pub delimiter: u8,
    /// Around values that hold delimiters, quotes or newlines; a quote within is doubled. None where
    /// nothing is quoted.
    pub quote: Option<u8>,
    /// The first row of each file holds the names of the fields.
    pub header: bool,
}

impl Delimited {
    /// Comma-separated values with quotes and a header.
    pub const CSV: Self = Self { delimiter: b',', quote: Some(b'"'), header: true };
    /// Tab-separated values with quotes and a header.
    pub const TSV: Self = Self { delimiter: b'\t', ..Self::CSV };

    /// Parses the options behind the name of a format: `delimiter=;`, `quote=none`, `header=no`.
    fn parse(self, options: &str) -> Option<Self> {
        let mut parsed = self;
        for option in options.split(',') {
            match option.split_once('=')? {
                ("delimiter", "tab") => parsed.delimiter = b'\t',
                ("delimiter", "comma") => parsed.delimiter = b',',
                ("delimiter", byte) => parsed.delimiter = delimiter(byte)?,
                ("quote", "none") => parsed.quote = None,
                ("quote", byte) => parsed.quote = Some(delimiter(byte)?),
                ("header", "yes") => parsed.header = true,
                ("header", "no") => parsed.header = false,
                _ => return None,
            }
        }
        (parsed.quote != Some(parsed.delimiter)).then_some(parsed)
    }
}

/// One printable ASCII character.
fn delimiter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_graphic() || *byte == b' ' => Some(*byte),
        _ => None,
    }
}

impl fmt::Display for Delimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, base) = match self.delimiter {
            b'\t' => ("tsv", Self::TSV),
            _ => ("csv", Self::CSV),
        };
        f.write_str(name)?;
        match self.delimiter {
            same if same == base.delimiter => {}
            other => write!(f, ",delimiter={}", char::from(other))?,
        }
        match self.quote {
            same if same == base.quote => {}
            Some(quote) => write!(f, ",quote={}", char::from(quote))?,
            None => f.write_str(",quote=none")?,
        }
        if self.header { Ok(()) } else { f.write_str(",header=no") }
    }
}

/// What is understood as a format of input, for people.
const INPUT_FORMATS: &str = "lines, line-keys, fixed:BYTES, fixed:BYTES:KEY, whole, csv, tsv (with \
     ,delimiter=C ,quote=C|none ,header=yes|no), jsonl, kv, parquet, arrow or avro";

impl FromStr for InputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{text:?} is no input format: use {INPUT_FORMATS}");
        Ok(match text {
            "lines" => InputFormat::Lines,
            "line-keys" => InputFormat::LineKeys,
            "whole" => InputFormat::Whole,
            "csv" => InputFormat::Delimited(Delimited::CSV),
            "tsv" => InputFormat::Delimited(Delimited::TSV),
            "jsonl" => InputFormat::JsonLines,
            "kv" => InputFormat::Kv,
            "parquet" => InputFormat::Parquet,
            "arrow" => InputFormat::Arrow,
            "avro" => InputFormat::Avro,
            _ => match text.split_once([':', ',']) {
                Some(("fixed", lengths)) => fixed(lengths).ok_or_else(usage)?,
                Some(("csv", options)) => {
                    InputFormat::Delimited(Delimited::CSV.parse(options).ok_or_else(usage)?)
                }
                Some(("tsv", options)) => {
                    InputFormat::Delimited(Delimited::TSV.parse(options).ok_or_else(usage)?)
                }
                _ => return Err(usage()),
            },
        })
    }
}

/// `BYTES` or `BYTES:KEY`.
fn fixed(lengths: &str) -> Option<InputFormat> {
    let (bytes, key) = lengths.split_once(':').unwrap_or((lengths, lengths));
    let (bytes, key): (u32, u32) = (bytes.parse().ok()?, key.parse().ok()?);
    let fits = bytes > 0 && key <= bytes && u64::from(bytes) <= limit::RECORD_BYTES_MAX;
    fits.then_some(InputFormat::Fixed { bytes, key })
}

impl InputFormat {
    /// Whether its records are rows of fields: columns with names and types.
    pub fn has_fields(self) -> bool {
        use InputFormat::{Arrow, Avro, Delimited, JsonLines, Parquet};
        matches!(self, Delimited(_) | JsonLines | Parquet | Arrow | Avro)
    }

    /// What the name of a file says, by what is behind its last dot, where it is a format that is no text.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        let known = [
            ("parquet", InputFormat::Parquet),
            ("arrow", InputFormat::Arrow),
            ("feather", InputFormat::Arrow),
            ("avro", InputFormat::Avro),
            ("kv", InputFormat::Kv),
        ];
        known.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)).map(|(_, format)| *format)
    }

    /// Whether its files may be compressed as a whole: those that compress inside of themselves are not.
    pub fn may_be_compressed(self) -> bool {
        !matches!(self, InputFormat::Kv | InputFormat::Parquet | InputFormat::Arrow | InputFormat::Avro)
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputFormat::Lines => f.write_str("lines"),
            InputFormat::LineKeys => f.write_str("line-keys"),
            InputFormat::Fixed { bytes, key } => write!(f, "fixed:{bytes}:{key}"),
            InputFormat::Whole => f.write_str("whole"),
            InputFormat::Delimited(delimited) => delimited.fmt(f),
            InputFormat::JsonLines => f.write_str("jsonl"),
            InputFormat::Kv => f.write_str("kv"),
            InputFormat::Parquet => f.write_str("parquet"),
            InputFormat::Arrow => f.write_str("arrow"),
            InputFormat::Avro => f.write_str("avro"),
        }
    }
}

impl TryFrom<String> for InputFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<InputFormat> for String {
    fn from(format: InputFormat) -> Self {
        format.to_string()
    }
}

/// How a file is compressed as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, also several members end to end. Read from its beginning: it cannot be split.
    Gzip,
    /// bzip2, split at its blocks.
    Bzip2,
    /// Zstandard, split between frames.
    Zstd,
    /// LZ4 frames, split between frames.
    Lz4,
}

impl Compression {
    /// All of them with the ending of their files and their name.
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::None, "", "none"),
        (Self::Gzip, "gz", "gzip"),
        (Self::Bzip2, "bz2", "bzip2"),
        (Self::Zstd, "zst", "zstd"),
        (Self::Lz4, "lz4", "lz4"),
    ];

    /// What the name of a file says, by what is behind its last dot.
    pub fn of_name(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let known = Self::ALL.iter().skip(1).find(|(_, known, _)| known.eq_ignore_ascii_case(ending));
        known.map_or(Self::None, |(compression, ..)| *compression)
    }

    /// Ending of files, without its dot; empty for none.
    pub fn ending(self) -> &'static str {
        Self::ALL.iter().find(|(known, ..)| *known == self).map_or("", |(_, ending, _)| ending)
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(.., name)| *name == text);
        known
            .map(|(compression, ..)| *compression)
            .ok_or_else(|| format!("{text:?} is no compression: use none, gzip, bzip2, zstd or lz4"))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(known, ..)| known == self).map_or("none", |(.., name)| name))
    }
}

/// A field of a row, as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, as the file has it.
    pub name: String,
    /// Type of its values; none for the one that the file says, text where it says none.
    pub datatype: Option<DataType>,
    /// Values may be missing: then the cell is a `tuple<bool,T>`, false and an empty value for what is
    /// missing.
    pub nullable: bool,
}

impl Field {
    /// Type of its cell; of bytes while its type is not known.
    pub fn cell_type(&self) -> DataType {
        let datatype = self.datatype.clone().unwrap_or(DataType::Bytes);
        if self.nullable { DataType::Tuple(vec![DataType::Bool, datatype]) } else { datatype }
    }
}

/// Fields in order: `id:u64,name,price:f64?`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fields(pub Vec<Field>);

/// Most fields of a row: as many as a tuple has elements.
pub const FIELDS_MAX: usize = 64;

impl FromStr for Fields {
    type Err = String;

    /// Commas between fields, a colon ahead of a type; in a name either is written behind a backslash, which
    /// stands for itself doubled.
    fn from_str(text: &str) -> Result<Self, String> {
        let fields =
            split_fields(text).iter().map(|field| parse_field(field)).collect::<Result<Vec<_>, _>>()?;
        if fields.len() > FIELDS_MAX {
            return Err(format!("{} fields are too many: a row has {FIELDS_MAX} at most", fields.len()));
        }
        for (i, field) in fields.iter().enumerate() {
            if fields[..i].iter().any(|other| other.name == field.name) {
                return Err(format!("field {:?} is there twice", field.name));
            }
        }
        Ok(Self(fields))
    }
}

/// Parts between the commas that are neither escaped nor within `<...>`.
fn split_fields(text: &str) -> Vec<&str> {
    let (mut depth, mut escaped, mut start) = (0_u32, false, 0);
    let mut parts = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_field(text: &str) -> Result<Field, String> {
    let usage =
        || format!("{text:?} is no field: use NAME, NAME:TYPE or NAME:TYPE? where values may be missing");
    let mut name = String::new();
    let mut letters = text.trim().char_indices();
    let mut rest = None;
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next().ok_or_else(usage)?.1),
            ':' => {
                rest = Some(&text.trim()[at + 1..]);
                break;
            }
            _ => name.push(letter),
        }
    }
    let (datatype, nullable) = match rest {
        None => (None, false),
        Some("?") => (None, true),
        Some(rest) => {
            let (name, nullable) = rest.strip_suffix('?').map_or((rest, false), |name| (name, true));
            (Some(name.parse::<DataType>().map_err(|error| format!("field {text:?}: {error}"))?), nullable)
        }
    };
    if name.is_empty() || matches!(datatype, Some(DataType::Tuple(_) | DataType::Desc(_))) {
        return Err(usage());
    }
    Ok(Field { name, datatype, nullable })
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            for letter in field.name.chars() {
                if matches!(letter, '\\' | ',' | ':' | '<' | '>') {
                    f.write_str("\\")?;
                }
                write!(f, "{letter}")?;
            }
            match &field.datatype {
                Some(datatype) => write!(f, ":{datatype}")?,
                None if field.nullable => f.write_str(":")?,
                None => {}
            }
            if field.nullable {
                f.write_str("?")?;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Fields {
    type Error = String;

    /// What [`Fields`] show of themselves: nothing for no field, which nobody types.
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() { Ok(Self::default()) } else { text.parse() }
    }
}

impl From<Fields> for String {
    fn from(fields: Fields) -> Self {
        fields.to_string()
    }
}

/// What the rows of an input are, once its files have been looked at: every field has its type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Fields that make the key, a tuple; without any the key tells the place.
    pub key: Fields,
    /// Fields that make the value, a tuple.
    pub value: Fields,
}

impl Row {
    /// Type of the key; none where it tells the place.
    pub fn key_type(&self) -> Option<DataType> {
        (!self.key.0.is_empty()).then(|| tuple_of(&self.key))
    }

    /// Type of the value.
    pub fn value_type(&self) -> DataType {
        tuple_of(&self.value)
    }
}

fn tuple_of(fields: &Fields) -> DataType {
    if fields.0.is_empty() {
        return DataType::Unit;
    }
    DataType::Tuple(fields.0.iter().map(Field::cell_type).collect())
}

/// How output records become bytes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OutputFormat {
    /// `key TAB value NEWLINE`, rendered by type; a unit and its tab are left out.
    Text,
    /// Key and value end to end, nothing between.
    Raw,
    /// A JSON object in each line.
    JsonLines,
    /// Rows of delimited text.
    Delimited(Delimited),
    /// The engine's own file of keys and values, with their types.
    Kv,
    /// Apache Parquet.
    Parquet,
}

impl OutputFormat {
    /// Ending of its files, without its dot; empty where they have none.
    pub fn ending(self) -> &'static str {
        match self {
            OutputFormat::Text | OutputFormat::Raw => "",
            OutputFormat::JsonLines => "jsonl",
            OutputFormat::Delimited(delimited) if delimited.delimiter == b'\t' => "tsv",
            OutputFormat::Delimited(_) => "csv",
            OutputFormat::Kv => "kv",
            OutputFormat::Parquet => "parquet",
        }
    }

    /// Whether its files may be compressed as a whole.
    pub fn may_be_compressed(self) -> bool {
        !matches!(self, OutputFormat::Kv | OutputFormat::Parquet)
    }
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            format!(
                "{text:?} is no output format: use text, raw, jsonl, csv, tsv (with ,delimiter=C ,quote=C|none \
                 ,header=yes|no), kv or parquet"
            )
        };
        match text {
            "text" => Ok(OutputFormat::Text),
            "raw" => Ok(OutputFormat::Raw),
            "jsonl" => Ok(OutputFormat::JsonLines),
            "kv" => Ok(OutputFormat::Kv),
            "parquet" => Ok(OutputFormat::Parquet),
            _ => match text.parse() {
                Ok(InputFormat::Delimited(delimited)) => Ok(OutputFormat::Delimited(delimited)),
                _ => Err(usage()),
            },
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputFormat::Text => f.write_str("text"),
            OutputFormat::Raw => f.write_str("raw"),
            OutputFormat::JsonLines => f.write_str("jsonl"),
            OutputFormat::Delimited(delimited) => delimited.fmt(f),
            OutputFormat::Kv => f.write_str("kv"),
            OutputFormat::Parquet => f.write_str("parquet"),
        }
    }
}

impl TryFrom<String> for OutputFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<OutputFormat> for String {
    fn from(format: OutputFormat) -> Self {
        format.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_formats_parse() {
        assert_eq!("fixed:100:10".parse(), Ok(InputFormat::Fixed { bytes: 100, key: 10 }));
        assert_eq!("fixed:8".parse(), Ok(InputFormat::Fixed { bytes: 8, key: 8 }));
        for bad in ["", "fixed", "fixed:", "fixed:0", "fixed:4:5", "fixed:-1", "xml", "fixed:99999999999"] {
            assert!(bad.parse::<InputFormat>().is_err(), "{bad}");
        }
        for bad in ["csv,", "csv,x=1", "csv,delimiter=", "csv,delimiter=ab", "csv,delimiter=\"", "csv:header"]
        {
            assert!(bad.parse::<InputFormat>().is_err(), "{bad}");
        }
    }

    #[test]
    fn formats_survive_a_round_trip() {
        let names = [
            "lines",
            "line-keys",
            "fixed:4:2",
            "whole",
            "csv",
            "tsv",
            "csv,header=no",
            "csv,delimiter=;,quote='",
            "tsv,quote=none,header=no",
            "jsonl",
            "kv",
            "parquet",
            "arrow",
            "avro",
        ];
        for name in names {
            assert_eq!(name.parse::<InputFormat>().unwrap().to_string(), name);
        }
        for name in ["text", "raw", "jsonl", "csv", "tsv,header=no", "kv", "parquet"] {
            assert_eq!(name.parse::<OutputFormat>().unwrap().to_string(), name);
        }
        let tab: InputFormat = "csv,delimiter=tab".parse().unwrap();
        assert_eq!(tab, "tsv".parse().unwrap());
    }

    #[test]
    fn fields_parse_and_show_themselves() {
        let text = r"id:u64,full name,price:f64?,note:?,a\,b\:c\\:text";
        let fields: Fields = text.parse().unwrap();
        assert_eq!(fields.to_string(), text);
        let names: Vec<&str> = fields.0.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["id", "full name", "price", "note", r"a,b:c\"]);
        let row = Row { key: Fields::default(), value: "id:u64,price:f64?".parse().unwrap() };
        assert_eq!(row.value_type().to_string(), "tuple<u64,tuple<bool,f64>>");
        assert_eq!(row.key_type(), None);
        let again: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(again, row, "also without any field of the key");
        for bad in ["", "a,,b", "a:int", "a,a", ":u64", "a:tuple<u64>", "a\\"] {
            assert!(bad.parse::<Fields>().is_err(), "{bad}");
        }
    }

    #[test]
    fn compression_follows_the_name() {
        for (name, compression) in [
            ("a.txt", Compression::None),
            ("a.GZ", Compression::Gzip),
            ("a.csv.zst", Compression::Zstd),
            ("gz", Compression::None),
        ] {
            assert_eq!(Compression::of_name(name), compression);
        }
        assert_eq!("bzip2".parse(), Ok(Compression::Bzip2));
        assert_eq!(Compression::Lz4.to_string(), "lz4");
    }
}
