//! Compressed files: what is decoded is what was compressed, in every cut, and damage never goes by unseen.

use std::io::Write;

use mr_formats::{Cuts, FormatError, cuts};
use mr_model::Compression;
use proptest::prelude::*;

use crate::read::{Reading, source};

/// One member, stream or frame.
pub fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(1));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let mut info = lz4_flex::frame::FrameInfo::new();
            info.block_mode = lz4_flex::frame::BlockMode::Linked;
            info.block_checksums = bytes.len().is_multiple_of(2);
            info.content_checksum = true;
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

const ALL: [Compression; 4] = [Compression::Gzip, Compression::Bzip2, Compression::Zstd, Compression::Lz4];

/// Lines that compress badly enough to make several blocks.
fn text(lines: u64) -> Vec<u8> {
    let mut seed = 1_u64;
    let mut word = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 20
    };
    (0..lines).flat_map(|line| format!("{line} {:x} {:x}\n", word(), word()).into_bytes()).collect()
}

#[test]
fn lines_are_read_once_whatever_the_cuts() {
    let text = text(20_000);
    let expected: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let expected = &expected[..expected.len() - 1];
    for compression in ALL {
        let parts: Vec<_> = text.chunks(70_001).map(|part| packed(compression, part)).collect();
        for file in [packed(compression, &text), parts.concat()] {
            let reading = Reading::new("lines").compressed(compression);
            let whole = reading.all(&file);
            let values: Vec<_> = whole.iter().map(|record| record.1.clone()).collect();
            assert!(values == expected, "{compression}");
            assert!(whole.is_sorted_by_key(|record| record.2), "{compression}: places ascend");
            let end = file.len() as u64;
            for step in [2, 3, 17, 60] {
                let cuts: Vec<u64> = (1..step).map(|i| end * i / step).collect();
                assert!(reading.tiled(&file, &cuts) == whole, "{compression} in {step} parts");
            }
        }
    }
}

#[test]
fn every_format_is_read_from_every_compression() {
    let text = text(500);
    let csv = [b"n,m\n".as_slice(), &text.replace_all(b' ', b',')].concat();
    for compression in ALL {
        let pack = |bytes: &[u8]| packed(compression, bytes);
        let whole = Reading::new("whole").compressed(compression).tiled(&pack(&text), &[100, 2000]);
        assert_eq!(whole.len(), 1);
        assert!(whole[0].1 == text);
        let mut chunks = Reading::new("lines").compressed(compression);
        chunks.options.chunks = true;
        assert!(chunks.all(&pack(&text)).into_iter().flat_map(|record| record.1).collect::<Vec<_>>() == text);
        let fixed = Reading::new("fixed:10:3").compressed(compression);
        assert_eq!(fixed.tiled(&pack(&text[..1000]), &[300]).len(), 100);
        let file = pack(&csv);
        let rows = Reading::new("csv").compressed(compression);
        assert!(rows.clone().row(&file, Some("x"), None).unwrap_err().contains("no field \"x\""));
        let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let rows = rows.compressed(compression).row(&pack(b"a b\n1 2\n"), None, None).unwrap().unwrap();
        assert_eq!((rows.value.to_string().as_str(), lines.len()), ("a b:text", 500));
        let json = pack(b"{\"a\":1}\n{\"a\":2}\n");
        let json_lines = Reading::new("jsonl").compressed(compression).fields(&json, Some("a:u64"), None);
        assert_eq!(json_lines.tiled(&json, &[10, 20]).len(), 2);
    }
}

trait Replace {
    fn replace_all(&self, from: u8, to: u8) -> Vec<u8>;
}

impl Replace for Vec<u8> {
    fn replace_all(&self, from: u8, to: u8) -> Vec<u8> {
        self.iter().map(|byte| if *byte == from { to } else { *byte }).collect()
    }
}

#[test]
fn frames_are_where_files_are_cut() {
    let skipped = [&0x184d_2a5e_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
    for compression in [Compression::Zstd, Compression::Lz4] {
        let frames: Vec<_> = text(20_000).chunks(100_000).map(|part| packed(compression, part)).collect();
        let mut starts = Vec::new();
        let mut file = skipped.clone();
        for frame in &frames {
            starts.push(file.len() as u64);
            file.extend_from_slice(frame);
            file.extend_from_slice(&skipped);
        }
        let format = "lines".parse().unwrap();
        let at = |split| cuts(source(&file).as_ref(), format, compression, split).unwrap();
        let Cuts::At(places) = at(1) else { panic!("not cut") };
        assert_eq!(places[0], 0);
        assert_eq!(places[1..], starts);
        let Cuts::At(places) = at(file.len() as u64 / 3) else { panic!("not cut") };
        assert!(places.len() == 3 && places.iter().skip(1).all(|place| starts.contains(place)));
        let reading = Reading::new("lines").compressed(compression);
        assert!(reading.tiled(&file, &places) == reading.all(&file));
        let one = source(&frames[0]);
        let one = cuts(one.as_ref(), format, compression, 10).unwrap();
        assert_eq!(one, Cuts::Nowhere("all of its data are one frame, and only frames can be read apart"));
    }
    let why = |format: &str, compression| {
        let file = packed(compression, b"x\n");
        cuts(source(&file).as_ref(), format.parse().unwrap(), compression, 10).unwrap()
    };
    assert_eq!(why("lines", Compression::Gzip), Cuts::Nowhere("gzip data are read from their beginning"));
    assert_eq!(why("lines", Compression::Bzip2), Cuts::Anywhere);
    assert_eq!(why("tsv,quote=none", Compression::Bzip2), Cuts::Anywhere);
    assert!(matches!(why("csv", Compression::Bzip2), Cuts::Nowhere(_)));
    assert_eq!(why("csv", Compression::None), Cuts::Anywhere);
}

#[test]
fn places_do_not_depend_on_where_reading_begins() {
    let frames = [packed(Compression::Zstd, b"a\nb\n"), packed(Compression::Zstd, b"c\nd\n")];
    let second = frames[0].len() as u64;
    let reading = Reading::new("lines").compressed(Compression::Zstd);
    let places: Vec<_> = reading.all(&frames.concat()).iter().map(|record| record.2).collect();
    assert_eq!(places, [0, 2, second << 20, (second << 20) + 2]);
}

#[test]
fn zeros_may_follow_gzip_data() {
    let reading = Reading::new("lines").compressed(Compression::Gzip);
    let file = [packed(Compression::Gzip, b"a\n"), vec![0; 1000]].concat();
    assert_eq!(reading.all(&file).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// One byte is changed, or the rest is missing: the records are the right ones, or there is an error.
    #[test]
    fn damage_never_goes_by_unseen(
        which in 0_usize..4, at in any::<prop::sample::Index>(), flip in 1_u8..=255, cut in any::<bool>(),
    ) {
        let compression = ALL[which];
        let text = text(2000);
        let mut file = [packed(compression, &text[..40_000]), packed(compression, &text[40_000..])].concat();
        let at = at.index(file.len());
        if cut {
            file.truncate(at);
        } else {
            file[at] ^= flip;
        }
        let reading = Reading::new("lines").compressed(compression);
        let range = 0..file.len() as u64;
        if file.is_empty() {
            return Ok(());
        }
        match reading.range(source(&file), range, &mut |bad| bad.refuse()) {
            Ok(records) => {
                let mut read: Vec<u8> = Vec::new();
                for record in records {
                    read.extend_from_slice(&record.1);
                    read.push(b'\n');
                }
                // A file that is cut between two frames is a whole one, and names and times in headers are nobody's.
                let is_front = cut && text.starts_with(&read[..read.len() - 1]);
                prop_assert!(read == text || is_front, "{} changed at {}", compression, at);
                prop_assert!(!is_front || read == text || read.len().abs_diff(40_000) < 60 || read.is_empty());
            }
            Err(error) => prop_assert!(matches!(error, FormatError::Bad { .. }), "{}", error),
        }
    }

    /// Bytes of any kind behind a right beginning are no danger.
    #[test]
    fn any_bytes_are_read_or_refused(which in 0_usize..4, rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let compression = ALL[which];
        let file = [&packed(compression, b"some text\n")[..4], &rest].concat();
        let reading = Reading::new("lines").compressed(compression);
        let _ = reading.refused(&file);
        let _ = cuts(source(&file).as_ref(), "lines".parse().unwrap(), compression, 10);
    }
}
