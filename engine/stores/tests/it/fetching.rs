//! Copies of ranges.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::slice::from_ref;

use mr_model::Failure;
use mr_s3::{Fault, Store, Web};
use mr_stores::Stores;

use crate::{bytes, never, stores};

const MIB: usize = 1 << 20;

/// Ranges come at their offsets, the rest is zeros that take no space, and broken transfers go on.
#[test]
fn ranges_are_copied_to_their_offsets_whatever_breaks() {
    let store = Store::start();
    let object = bytes(40 * MIB + 12_345);
    store.put("big", &object);
    let stores = stores(&store);
    let file = stores.list("s3://bucket/big").unwrap().remove(0);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("spool");
    // Of what is asked for, some answers are cut, some are refused for a moment.
    let is_get = |asked: &str| asked.starts_with("GET /bucket/big");
    store.faults().add(3, Fault::Cut(100_000), is_get);
    store.faults().add(2, Fault::Status(503), is_get);
    store.faults().add(1, Fault::Lost, is_get);
    let ranges = [3..20 * MIB as u64, 39 * MIB as u64..object.len() as u64, 5 * MIB as u64..6 * MIB as u64];
    let copied = stores.fetch_ranges(&file, &ranges, &to, &never).unwrap();
    assert_eq!(copied, ranges[0].end - ranges[0].start + ranges[1].end - ranges[1].start);
    let got = fs::read(&to).unwrap();
    let mut expected = vec![0; object.len()];
    for range in ranges {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        expected[range.clone()].copy_from_slice(&object[range]);
    }
    assert!(got == expected, "the bytes differ");
    let on_disk = fs::metadata(&to).unwrap().blocks() * 512;
    assert!(on_disk < 24 * MIB as u64, "{on_disk} bytes on the disk");
}

#[test]
fn nothing_and_an_empty_object_are_copied() {
    let store = Store::start();
    store.put("empty", b"");
    store.put("some", b"abc");
    let stores = stores(&store);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("spool");
    for (key, expected) in [("empty", ""), ("some", "\0\0\0")] {
        let file = stores.list(&store.url(key)).unwrap().remove(0);
        assert_eq!(stores.fetch_ranges(&file, &[], &to, &never).unwrap(), 0);
        assert_eq!(fs::read(&to).unwrap(), expected.as_bytes());
    }
}

#[test]
fn an_object_that_changed_or_went_is_named() {
    let store = Store::start();
    let stores = stores(&store);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("spool");
    store.put("k", b"before");
    let file = stores.list("s3://bucket/k").unwrap().remove(0);
    // As long as it was, shorter, longer.
    for now in [&b"after."[..], b"x", b"much longer"] {
        store.put("k", now);
        let failure = stores.fetch_ranges(&file, from_ref(&(2..6)), &to, &never).unwrap_err();
        assert!(
            matches!(&failure, Failure::InputChanged { path, .. } if path.to_str() == Some("s3://bucket/k")),
            "{failure}"
        );
        assert!(!to.exists(), "a failed copy leaves nothing");
    }
    store.remove("k");
    let failure = stores.fetch_ranges(&file, from_ref(&(0..6)), &to, &never).unwrap_err();
    assert_eq!(failure.to_string(), "input s3://bucket/k cannot be read: there is no such object");
    assert!(matches!(failure, Failure::InputLost { .. }));
}

#[test]
fn a_web_servers_ranges_are_copied() {
    let object = bytes(9 * MIB);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("spool");
    let stores = Stores::default();
    for tag in ["\"strong\"", "W/\"weak\""] {
        let web = Web::file(object.clone(), tag, 2);
        let file = stores.list(&web.url("/f")).unwrap().remove(0);
        stores.fetch_ranges(&file, from_ref(&(1..object.len() as u64)), &to, &never).unwrap();
        let got = fs::read(&to).unwrap();
        assert!(got[1..] == object[1..] && got[0] == 0);

        let changed = mr_stores::RemoteFile { fingerprint: "etag:\"other\"".into(), ..file.clone() };
        let failure = stores.fetch_ranges(&changed, from_ref(&(0..5)), &to, &never).unwrap_err();
        assert!(matches!(failure, Failure::InputChanged { .. }), "{failure}");
        let shorter = mr_stores::RemoteFile { bytes: 7, ..file };
        let failure = stores.fetch_ranges(&shorter, from_ref(&(0..5)), &to, &never).unwrap_err();
        assert!(matches!(failure, Failure::InputChanged { .. }), "{failure}");
    }
}

#[test]
fn whoever_gives_up_is_let_go() {
    let store = Store::start();
    store.put("k", b"bytes");
    let stores = stores(&store);
    let file = stores.list("s3://bucket/k").unwrap().remove(0);
    store.faults().add(usize::MAX, Fault::Silence, |_| true);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("spool");
    let failure = stores.fetch_ranges(&file, from_ref(&(0..5)), &to, &|| true).unwrap_err();
    assert_eq!(failure, Failure::Cancelled);
    assert!(!to.exists());
}
