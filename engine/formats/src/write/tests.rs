//! Files as the formats write them, against what they have to be.

use std::io::Read;

use super::*;

fn types(key: &str, value: &str) -> StageTypes {
    let parse = |name: &str| (!name.is_empty()).then(|| name.parse().unwrap());
    StageTypes { key: parse(key), value: parse(value) }
}

/// The file that a format makes of records.
fn written(
    format: &str,
    compression: Compression,
    types: &StageTypes,
    records: &[(&[u8], &[u8])],
) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(format.parse().unwrap(), compression, types, None, 1).unwrap();
    let mut out = Vec::new();
    for (key, value) in records {
        let before = out.clone();
        if let Err(error) = encoder.encode(key, value, &mut out) {
            assert_eq!(out, before, "a refused record leaves nothing");
            return Err(error);
        }
    }
    encoder.finish(&mut out)?;
    Ok(out)
}

fn text(format: &str, types: &StageTypes, records: &[(&[u8], &[u8])]) -> String {
    String::from_utf8(written(format, Compression::None, types, records).unwrap()).unwrap()
}

#[test]
fn text_is_rendered_by_type() {
    let line = |key: &str, value: &str, record: (&[u8], &[u8])| {
        let file = written("text", Compression::None, &types(key, value), &[record]).ok();
        file.map(|file| String::from_utf8(file).unwrap())
    };
    let five = &5_u64.to_be_bytes();
    assert_eq!(line("", "", (b"k", b"v")).unwrap(), "k\tv\n");
    assert_eq!(line("text", "u64", (b"word", five)).unwrap(), "word\t5\n");
    assert_eq!(line("u64", "unit", (five, b"")).unwrap(), "5\n");
    assert_eq!(line("unit", "bytes", (b"", b"line")).unwrap(), "line\n");
    assert_eq!(line("unit", "unit", (b"", b"")).unwrap(), "\n");
    assert_eq!(line("tuple<text,u64>", "", (b"a\0\0\0\0\0\0\0\0\0\x05", b"v")).unwrap(), "a\t5\tv\n");
    assert_eq!(line("text", "u64", (b"word", b"5")), None);
    assert_eq!(line("unit", "", (b"x", b"")), None);
}

#[test]
fn raw_is_key_then_value() {
    assert_eq!(text("raw", &types("u64", "unit"), &[(b"not", b"checked")]), "notchecked");
}

#[test]
fn json_lines_have_names_and_types() {
    let types = types("text", "tuple<u64,tuple<bool,f64>,bytes,bool>");
    let mut value = u64::MAX.to_be_bytes().to_vec();
    value.extend_from_slice(b"\0\0\0\0\0\0\0\0\0foo\0\0\x01");
    assert_eq!(
        text("jsonl", &types, &[(b"a\"b\n", &value)]),
        "{\"key\":\"a\\\"b\\n\",\"value_1\":18446744073709551615,\"value_2\":null,\"value_3\":\"Zm9v\",\
         \"value_4\":true}\n"
    );
    let refused = written("jsonl", Compression::None, &types, &[(b"\xff", &value)]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the text of its column \"key\" is not UTF-8, which JSON needs: make it bytes, or use \
         --output-format text"
    );
}

#[test]
fn delimited_rows_are_quoted_where_they_have_to_be() {
    let both = types("text", "tuple<tuple<bool,text>,s64>");
    let value = |there: u8, text: &str| {
        let mut value = vec![there];
        value.extend_from_slice(text.as_bytes());
        value.extend_from_slice(b"\0\0\x80\0\0\0\0\0\0\x07");
        value
    };
    let records = [
        (b"plain".as_slice(), &*value(1, "a b")),
        (b"a,b", &value(1, "say \"no\"")),
        (b"two\nlines", &value(0, "")),
        (b"", &value(1, "")),
    ];
    assert_eq!(
        text("csv", &both, &records),
        "key,value_1,value_2\nplain,a b,7\n\"a,b\",\"say \"\"no\"\"\",7\n\"two\nlines\",,7\n,\"\",7\n"
    );
    let one = types("text", "unit");
    assert_eq!(text("csv", &one, &[(b"", b""), (b"x", b"")]), "key\n\"\"\nx\n");
    assert_eq!(text("tsv,header=no", &types("", ""), &[(b"a,b", b"c")]), "a,b\tc\n");
    let refused = written("tsv,quote=none", Compression::None, &one, &[(b"a\tb", b"")]).unwrap_err();
    assert_eq!(refused, EncodeError::Unquoted { column: "key".into() });
}

#[test]
fn files_without_records_are_files_of_their_format() {
    assert_eq!(text("csv", &types("text", "u64"), &[]), "key,value\n");
    assert_eq!(text("jsonl", &types("text", "u64"), &[]), "");
    for compression in [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4] {
        let file = written("text", compression, &types("", ""), &[]).unwrap();
        assert_eq!(decompressed(&file, compression), b"");
        assert!(!file.is_empty());
    }
}

#[test]
fn names_replace_those_of_columns() {
    let names = ["word".to_owned(), "times".to_owned()];
    let types = types("text", "u64");
    let mut encoder =
        Encoder::new(OutputFormat::JsonLines, Compression::None, &types, Some(&names), 1).unwrap();
    let mut out = Vec::new();
    encoder.encode(b"a", &3_u64.to_be_bytes(), &mut out).unwrap();
    assert_eq!(out, b"{\"word\":\"a\",\"times\":3}\n");
    assert!(Encoder::new(OutputFormat::Parquet, Compression::Zstd, &types, None, 1).is_err());
}

fn decompressed(file: &[u8], compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = match compression {
        Compression::None => unreachable!("there is nothing to decompress"),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes),
        Compression::Bzip2 => bzip2::read::MultiBzDecoder::new(file).read_to_end(&mut bytes),
        Compression::Zstd => zstd::stream::read::Decoder::new(file).unwrap().read_to_end(&mut bytes),
        Compression::Lz4 => {
            // A decoder reads one frame.
            let mut decoder = lz4_flex::frame::FrameDecoder::new(file);
            loop {
                let before = bytes.len();
                decoder.read_to_end(&mut bytes).unwrap();
                if bytes.len() == before {
                    return bytes;
                }
            }
        }
    };
    read.unwrap();
    bytes
}

#[test]
fn compressed_files_decompress_to_the_plain_one() {
    let types = types("u64", "");
    let keys: Vec<[u8; 8]> = (0..300_000_u64).map(|i| (i * i % 9973).to_be_bytes()).collect();
    let value = [b'v'; 100];
    let records: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &value[..])).collect();
    let plain = written_long(Compression::None, &types, &records);
    assert!(plain.len() > compress::FRAME_BYTES, "more than one frame");
    for compression in [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4] {
        let file = written_long(compression, &types, &records);
        assert!(decompressed(&file, compression) == plain, "{compression}");
        assert_eq!(file, written_long(compression, &types, &records), "the same bytes each time");
    }
}

fn written_long(compression: Compression, types: &StageTypes, records: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut encoder = Encoder::new(OutputFormat::Text, compression, types, None, 1).unwrap();
    let mut out = Vec::new();
    for (key, value) in records {
        encoder.encode(key, value, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out
}
