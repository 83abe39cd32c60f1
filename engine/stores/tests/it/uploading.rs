//! Uploads that another process completes.

use std::fs;

use mr_model::Failure;
use mr_s3::{Fault, Store};
use mr_stores::{PendingObject, UploadTarget};

use crate::{bytes, never, stores};

const MIB: usize = 1 << 20;

fn target(store: &Store) -> UploadTarget {
    UploadTarget { url: store.url("out/part"), records: store.url("out/_pending/job/") }
}

#[test]
fn an_upload_is_invisible_until_another_process_completes_it() {
    let store = Store::start();
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("part");
    for length in [0, 1, 8 * MIB, 20 * MIB + 3] {
        let content = bytes(length);
        fs::write(&from, &content).unwrap();
        let hash = "ab".repeat(32);
        // Parts are tried again.
        store.faults().add(1, Fault::Status(500), |asked| asked.contains("partNumber"));
        store.faults().add(1, Fault::Lost, |asked| asked.contains("partNumber"));
        let pending = stores(&store).upload(&target(&store), &from, &hash, &never).unwrap();
        assert_eq!((pending.bytes, store.object("out/part"), store.uploads()), (length as u64, None, 1));
        assert!(store.keys().iter().all(|key| key.starts_with("out/_pending/job/")), "{:?}", store.keys());

        let told = postcard::to_stdvec(&pending).unwrap();
        let pending: PendingObject = postcard::from_bytes(&told).unwrap();
        let other = stores(&store);
        // Its answer is lost, and asking again finds it done; so does a third process.
        store.faults().add(1, Fault::Lost, |asked| asked.starts_with("POST") && asked.contains("uploadId="));
        other.complete(&pending).unwrap();
        stores(&store).complete(&pending).unwrap();
        assert!(store.object("out/part").unwrap() == content, "{length} bytes differ");
        assert_eq!(store.uploads(), 0);
        // Aborting what was completed removes its record and nothing else.
        other.abort(&pending).unwrap();
        assert_eq!(store.keys(), ["out/part"]);
        other.delete(&[store.url("out/part"), store.url("out/not-there")]).unwrap();
        assert!(store.keys().is_empty());
    }
}

#[test]
fn completing_what_is_gone_fails_unless_the_object_is_there() {
    let store = Store::start();
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("part");
    fs::write(&from, b"content").unwrap();
    let stores = stores(&store);
    let hash = |digit: &str| digit.repeat(64);
    let pending = stores.upload(&target(&store), &from, &hash("a"), &never).unwrap();
    stores.abort(&pending).unwrap();
    stores.abort(&pending).unwrap();
    assert!(store.keys().is_empty() && store.uploads() == 0);
    let failure = stores.complete(&pending).unwrap_err();
    let expected = "s3://bucket/out/part cannot be used: the store refuses: its upload is gone, and the object is not there";
    assert_eq!(failure.to_string(), expected);

    // Another object of that length and name is not taken for it.
    let other = stores.upload(&target(&store), &from, &hash("b"), &never).unwrap();
    stores.complete(&other).unwrap();
    assert_eq!(stores.complete(&pending).unwrap_err().to_string(), expected);
    let lies = PendingObject { tags: Vec::new(), ..other };
    assert!(stores.complete(&lies).unwrap_err().to_string().contains("is no upload"));
}

#[test]
fn a_failed_upload_leaves_nothing() {
    let store = Store::start();
    let dir = tempfile::tempdir().unwrap();
    let stores = stores(&store);
    let failure = stores.upload(&target(&store), &dir.path().join("missing"), "", &never).unwrap_err();
    assert!(matches!(failure, Failure::Disk { path, .. } if path.ends_with("missing")));
    assert!(store.keys().is_empty() && store.uploads() == 0, "{:?}", store.keys());

    let from = dir.path().join("part");
    fs::write(&from, bytes(9 * MIB)).unwrap();
    store.faults().add(usize::MAX, Fault::Status(403), |asked| asked.contains("partNumber=2"));
    let failure = stores.upload(&target(&store), &from, "", &never).unwrap_err();
    assert!(failure.to_string().contains("AWS_ACCESS_KEY_ID"), "{failure}");
    assert!(store.keys().is_empty() && store.uploads() == 0, "{:?}", store.keys());
}
