//! What is said of files that are not what they should be, and how much memory they can take.

use std::io;
use std::sync::Arc;

use mr_formats::{ReadOptions, Source, open};
use mr_model::{BatchBuf, Compression, InputFormat};

use crate::compressed::packed;
use crate::read::Reading;

#[test]
fn compressed_files_are_told_apart() {
    for (compression, bytes, said) in [
        (
            Compression::Gzip,
            &b"plain text"[..],
            "the file is read as gzip and does not begin as gzip data do; name its compression with --compression",
        ),
        (
            Compression::Bzip2,
            b"BZ",
            "the file is read as bzip2 and does not begin as bzip2 data do; name its compression with --compression",
        ),
        (
            Compression::Zstd,
            b"abcd",
            "the file is read as zstd and does not begin as zstd data do; name its compression with --compression",
        ),
        (
            Compression::Lz4,
            b"\x04\x22\x4d",
            "the file is read as lz4 and does not begin as lz4 data do; name its compression with --compression",
        ),
        (
            Compression::Gzip,
            b"\x1f\x8b\x08",
            "the gzip data that begin here are cut off: the file ends at byte 3",
        ),
        (
            Compression::Gzip,
            b"\x1f\x8b\x07\0\0\0\0\0\0\0",
            "the gzip data that begin here are corrupt: their header is of no known kind",
        ),
        (Compression::Bzip2, b"BZh9", "the bzip2 data that begin here are cut off: the file ends at byte 4"),
        (
            Compression::Zstd,
            b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00",
            "the zstd data that begin here need a window of 134217728 bytes",
        ),
        (
            Compression::Zstd,
            b"\x28\xb5\x2f\xfd\x01\x58\x07\x01\x00\x00",
            "the zstd data that begin here are corrupt: they need a dictionary, which is not supported",
        ),
        (
            Compression::Lz4,
            b"\x04\x22\x4d\x18\x64\x40",
            "the lz4 data that begin here are cut off: the file ends at byte 6",
        ),
        (
            Compression::Lz4,
            b"\x04\x22\x4d\x18\x64\x40\x00\0\0\0\0",
            "the lz4 data that begin here are corrupt: the checksum of their header is another one",
        ),
    ] {
        let told = Reading::new("lines").compressed(compression).refused(bytes);
        if said.ends_with("134217728 bytes") {
            // Just what is allowed: an empty frame.
            assert_eq!(told, "it was read");
            continue;
        }
        assert_eq!(told, format!("at byte 0: {said}"), "{compression}");
    }
    let wide = b"\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00";
    assert_eq!(
        Reading::new("lines").compressed(Compression::Zstd).refused(wide),
        "at byte 0: the zstd data that begin here need a window of 268435456 bytes and 134217728 are allowed; compress \
         them again without --long"
    );
}

#[test]
fn what_is_behind_compressed_data_is_told() {
    for compression in [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4] {
        let whole = packed(compression, b"a\nb\n");
        let file = [&whole[..], b"garbage"].concat();
        let reading = Reading::new("lines").compressed(compression);
        let end = whole.len();
        let said = format!("at byte {end}: what follows here is no {compression} data any more");
        assert_eq!(reading.refused(&file), said);
        let twice = [&whole[..], &whole[..whole.len() - 1]].concat();
        let told = reading.refused(&twice);
        let place: usize = told["at byte ".len()..told.find(':').unwrap()].parse().unwrap();
        assert!(told.contains("are cut off") && place >= end, "{compression}: {told}");
    }
}

#[test]
fn a_stream_whose_sum_is_another_one_is_refused() {
    let mut file = packed(Compression::Bzip2, b"a\n");
    let sum = file.len() - 3;
    file[sum] ^= 0x10;
    let told = Reading::new("lines").compressed(Compression::Bzip2).refused(&file);
    assert!(told.ends_with("are corrupt: the checksum at their end is another one"), "{told}");
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![b'\n'; 1 << 20];
    for compression in [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4] {
        let frame = packed(compression, &zeros);
        let file = frame.repeat(80);
        let mut reading = Reading::new("whole").compressed(compression).record_bytes_max(1 << 30);
        reading.options.expansion_max = 2;
        let told = reading.refused(&file);
        assert!(
            told.ends_with(&format!(
                "the {compression} data expand to more than 2 times their length; raise that with --max-expansion if \
                 they are meant to"
            )),
            "{told}"
        );
        reading.options.expansion_max = 1 << 20;
        assert_eq!(reading.all(&file)[0].1.len(), 80 << 20);
    }
}

#[test]
fn quotes_and_lengths_are_told() {
    let csv = b"a,b\n1,2\n3,\"x\n4,5\n";
    let reading = Reading::new("csv").fields(csv, None, None);
    assert_eq!(
        reading.refused(csv),
        "at byte 10: the quote that opens here is not closed before the end of the file; if quotes mean nothing in it, \
         say quote=none"
    );
    let long = |record: &str| {
        format!(
            "the {record} is longer than 10 bytes, the limit for a record; raise it with --max-record if this is text"
        )
    };
    let reading = reading.record_bytes_max(10);
    assert_eq!(reading.refused(b"a,b\n1,2\n1234567890,1\n"), format!("at byte 8: {}", long("row")));
    assert_eq!(reading.refused(b"a,b\n1,2\n12345678,1\n1,\"\"\"\"\n"), "it was read");
    let lines = Reading::new("lines").record_bytes_max(10);
    assert_eq!(lines.refused(b"1234567890\n12345678901"), format!("at byte 11: {}", long("line")));
    assert_eq!(lines.refused(b"1234567890\n1234567890"), "it was read");
    let packed = packed(Compression::Zstd, b"1234567890\n12345678901");
    assert_eq!(
        lines.compressed(Compression::Zstd).refused(&packed),
        format!("at byte 0: {} (11 bytes into the zstd data that begin here)", long("line"))
    );
    let fixed = Reading::new("fixed:4:1");
    assert_eq!(fixed.refused(b"123456"), "at byte 4: the last record has 2 bytes where records have 4");
}

/// A line of 10 GB that is nowhere.
struct Endless;

impl Source for Endless {
    fn bytes(&self) -> u64 {
        10 << 30
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(offset < 64 << 20, "reading goes on far behind the longest record");
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

#[test]
fn an_endless_line_is_refused_where_it_is_too_long() {
    for format in ["lines", "line-keys", "csv", "jsonl", "whole", "tsv,quote=none"] {
        let format: InputFormat = format.parse().unwrap();
        let row = matches!(format, InputFormat::JsonLines)
            .then(|| mr_model::Row { value: "a".parse().unwrap(), ..mr_model::Row::default() });
        for chunks in [false, true] {
            let options = ReadOptions {
                record_bytes_max: 16 << 20,
                expansion_max: 1000,
                chunks,
                row: row.clone(),
                ..ReadOptions::default()
            };
            let source: Arc<dyn Source> = Arc::new(Endless);
            let opened = open(source, format, Compression::None, 0..64 << 20, options);
            let read = opened.and_then(|mut reader| {
                reader.fill(&mut BatchBuf::default(), &mut Vec::new(), 256 << 10, &mut |bad| bad.refuse())
            });
            let told = read.unwrap_err().to_string();
            assert!(
                told.starts_with("at byte 0: the ") && told.contains("is longer than 16777216 bytes"),
                "{told}"
            );
        }
    }
}

#[test]
fn a_file_that_shrinks_is_told() {
    struct Shrunk;
    impl Source for Shrunk {
        fn bytes(&self) -> u64 {
            100
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            vec![b'x'; 40].read_at(offset, buffer)
        }
    }
    let reading = Reading::new("lines");
    let read = reading.range(Arc::new(Shrunk), 0..100, &mut |bad| bad.refuse());
    assert_eq!(read.unwrap_err().to_string(), "it ends at byte 40, ahead of its length");
}
