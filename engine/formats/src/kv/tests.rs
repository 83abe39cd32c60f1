//! Files of keys and values: what is written is read, in any ranges; what is damaged is refused.

use std::sync::Arc;

use mr_model::{InputFormat, StageTypes};
use proptest::prelude::*;

use super::KvWriter;
use super::layout::BLOCK_BYTES;
use crate::tiling::{Damage, Record, check_footprint, records, refused, tiled};
use crate::{Cuts, ReadOptions, Source, kv_types};

fn file(records: &[Record], lz4: bool) -> Vec<u8> {
    let types = StageTypes { key: Some("text".parse().unwrap()), value: None };
    let mut writer = KvWriter::new(&types, lz4).unwrap();
    let mut out = Vec::new();
    for (key, value) in records {
        writer.push(key, value, &mut out);
    }
    writer.finish(&mut out);
    out
}

fn options() -> ReadOptions {
    ReadOptions { record_bytes_max: 1 << 20, ..ReadOptions::default() }
}

fn source(file: Vec<u8>) -> Arc<dyn Source> {
    Arc::new(file)
}

/// Records of several blocks, of many lengths.
fn many() -> Vec<Record> {
    (0..60_000_u64)
        .map(|i| {
            let length = (i * i % 37) as usize;
            (i.to_be_bytes().to_vec(), i.to_string().repeat(length).into_bytes())
        })
        .collect()
}

proptest! {
    #[test]
    fn ranges_that_tile_a_file_give_its_records(
        places in prop::collection::vec(any::<u64>(), 0..8),
        target in 1_usize..600_000,
        lz4: bool,
        wide: bool,
    ) {
        let mut written = many();
        if wide {
            written[777].1 = vec![7; BLOCK_BYTES * 2];
        }
        let file = source(file(&written, lz4));
        let read = tiled(&file, InputFormat::Kv, &places, &options(), target).unwrap();
        prop_assert!(read == written);
    }
}

#[test]
fn blocks_are_where_a_file_may_be_cut() {
    let written = many();
    let file = source(file(&written, false));
    let Cuts::At(places) =
        crate::cuts(&*file, InputFormat::Kv, mr_model::Compression::None, 1 << 20).unwrap()
    else {
        panic!("kv files have blocks")
    };
    assert!(places.len() > 5 && places.is_sorted(), "{places:?}");
    let mut last = 0;
    for place in places.iter().copied().chain([file.bytes()]) {
        check_footprint(&file, InputFormat::Kv, last..place, &options());
        let read = records(&file, InputFormat::Kv, last..place, &options(), 1 << 18).unwrap();
        assert!(last == 0 || !read.is_empty(), "every cut begins a block");
        last = place;
    }
}

#[test]
fn types_and_nothing_are_read_back() {
    let types =
        StageTypes { key: Some("tuple<text,u64>".parse().unwrap()), value: Some("f64".parse().unwrap()) };
    let mut out = Vec::new();
    KvWriter::new(&types, true).unwrap().finish(&mut out);
    assert_eq!(kv_types(&out).unwrap(), types);
    let file = source(out);
    assert_eq!(records(&file, InputFormat::Kv, 0..file.bytes(), &options(), 1).unwrap(), []);
    let empty: Record = (Vec::new(), Vec::new());
    let written = vec![empty; 100_000];
    let file = source(super::tests::file(&written, false));
    assert!(tiled(&file, InputFormat::Kv, &[40, 77], &options(), 4096).unwrap() == written);
}

#[test]
fn whatever_is_damaged_is_refused() {
    for lz4 in [false, true] {
        let written: Vec<Record> = (0..40_u8).map(|i| (vec![i / 3; 5], vec![b'v'; usize::from(i)])).collect();
        let file = file(&written, lz4);
        let flips = (0..file.len() * 8).map(Damage::Flip);
        assert_eq!(refused(&file, InputFormat::Kv, &options(), flips), file.len() * 8);
        let cuts = (0..file.len()).map(Damage::Cut);
        assert_eq!(refused(&file, InputFormat::Kv, &options(), cuts), file.len());
    }
}

#[test]
fn what_is_wrong_is_one_sentence() {
    let reason = |file: Vec<u8>, options: ReadOptions| {
        let file = source(file);
        records(&file, InputFormat::Kv, 0..file.bytes(), &options, 1 << 16).unwrap_err().to_string()
    };
    let good = file(&[(b"key".to_vec(), vec![0; 5000])], false);
    let with = |at: usize, byte: u8| {
        let mut file = good.clone();
        file[at] = byte;
        file
    };
    assert_eq!(
        reason(b"a,b\n".repeat(50), options()),
        "at byte 0: it does not begin as a file of format kv does"
    );
    assert_eq!(
        reason(b"a".to_vec(), options()),
        "at byte 0: its 1 bytes are too few for a file of format kv"
    );
    assert_eq!(
        reason(with(7, 9), options()),
        "at byte 7: it is of version 9 of the format kv; this engine reads 1"
    );
    assert_eq!(
        reason(good[..3000].to_vec(), options()),
        "at byte 2968: it does not end as a file of format kv does: it was cut off, or is not complete yet"
    );
    assert_eq!(
        reason(with(500, 1), options()),
        "at byte 24: the block of the kv file that begins here is damaged: its checksum does not fit"
    );
    assert_eq!(
        reason(good, ReadOptions { record_bytes_max: 1000, ..options() }),
        "at byte 24: the block of the kv file that begins here has a record of about 5003 bytes, and 1000 is the \
         limit for a record; raise it with --max-record"
    );
}
