//! Lines, records of a fixed length, whole files.

use proptest::prelude::*;

use crate::read::Reading;

/// The lines of some bytes with their offsets.
fn lines(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        lines.push((at, line.strip_suffix(b"\n").unwrap_or(line).to_vec()));
        at += line.len() as u64;
    }
    lines
}

fn files() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec!["\n", "a", "word ", "\r\n", "a line of some more words\n", "\n\n"]);
    prop::collection::vec(part, 0..80).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn lines_are_read_once_whatever_the_cuts(
        bytes in files(), cuts in prop::collection::vec(any::<u64>(), 0..10), target in 1_usize..200,
    ) {
        let expected = lines(&bytes);
        let mut reading = Reading::new("lines");
        reading.target = target;
        let read: Vec<_> = reading.tiled(&bytes, &cuts).into_iter().map(|(key, value, at)| {
            assert_eq!(key, at.to_be_bytes());
            (at, value)
        }).collect();
        prop_assert_eq!(&read, &expected);
        let mut keys = Reading::new("line-keys");
        keys.target = target;
        let read: Vec<_> = keys.tiled(&bytes, &cuts).into_iter().map(|(key, _, at)| (at, key)).collect();
        prop_assert_eq!(&read, &expected);
        reading.options.chunks = true;
        let chunks = reading.tiled(&bytes, &cuts);
        prop_assert_eq!(chunks.iter().flat_map(|chunk| chunk.1.clone()).collect::<Vec<_>>(), bytes);
        for (_, chunk, at) in chunks {
            prop_assert!(expected.iter().any(|line| line.0 == at));
            prop_assert!(chunk.len() <= target || chunk.iter().filter(|byte| **byte == b'\n').count() <= 1);
        }
    }

    #[test]
    fn records_of_a_length_are_read_once_whatever_the_cuts(
        records in 0_usize..50, cuts in prop::collection::vec(any::<u64>(), 0..10),
    ) {
        let bytes: Vec<u8> = (0..records * 7).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let read = Reading::new("fixed:7:2").tiled(&bytes, &cuts);
        let joined: Vec<u8> = read.iter().flat_map(|record| [&record.0[..], &record.1].concat()).collect();
        prop_assert_eq!(joined, bytes);
        prop_assert!(read.iter().all(|record| record.0.len() == 2 && record.2 % 7 == 0));
    }
}

#[test]
fn a_whole_file_is_one_record_of_the_first_range() {
    let bytes = b"all\nof it".repeat(1000);
    let mut reading = Reading::new("whole");
    reading.options.whole_key = b"dir/name".to_vec();
    assert_eq!(reading.tiled(&bytes, &[10, 20, 700]), [(b"dir/name".to_vec(), bytes.clone(), 0)]);
    let short = reading.record_bytes_max(100);
    assert_eq!(
        short.refused(&bytes),
        "at byte 0: the file is longer than 100 bytes, the limit for a record; raise it with --max-record if this is \
         text"
    );
}
