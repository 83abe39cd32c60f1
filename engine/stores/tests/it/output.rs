//! The folder that a job leaves on a store.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use mr_model::{Failure, JobId};
use mr_s3::{Fault, Store};
use mr_stores::{OutputError, OutputStore, PendingObject, Resumed, Stores};

use crate::{never, stores};

const OUT: &str = "s3://bucket/a/out";

fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

fn create(stores: &Arc<Stores>, overwrite: bool, name: &str) -> Result<OutputStore, OutputError> {
    OutputStore::create(stores, OUT, overwrite, &job(name))
}

/// The same when everybody who has a claim is dead.
fn create_after_death(stores: &Arc<Stores>, overwrite: bool, name: &str) -> Result<OutputStore, OutputError> {
    OutputStore::create_after(stores, OUT, overwrite, &job(name), Duration::ZERO)
}

fn upload(stores: &Stores, output: &OutputStore, name: &str, content: &str) -> PendingObject {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("part");
    fs::write(&from, content).unwrap();
    let hash: String = content.bytes().map(|byte| format!("{byte:02x}")).collect();
    stores.upload(&output.target(name), &from, &hash, &never).unwrap()
}

/// All that is in the bucket.
fn all(store: &Store) -> BTreeMap<String, String> {
    let text = |key: &str| String::from_utf8(store.object(key).unwrap()).unwrap();
    store.keys().into_iter().map(|key| (key.clone(), text(&key))).collect()
}

fn is(store: &Store, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    assert_eq!((all(store), store.uploads()), (expected, 0));
}

#[test]
fn an_output_is_there_as_a_whole_or_not_at_all() {
    let store = Store::start();
    let stores = stores(&store);
    let mut output = create(&stores, false, "first").unwrap();
    for (name, content) in [("part-r-00000", "zero"), ("part-r-00001", ""), ("errors/part-r-00000", "side")] {
        let pending = upload(&stores, &output, name, content);
        output.commit(pending.clone()).unwrap();
        output.commit(pending).unwrap();
    }
    // An attempt that lost, and one whose worker died.
    stores.abort(&upload(&stores, &output, "part-r-00000", "lost")).unwrap();
    upload(&stores, &output, "part-r-00001", "dead");
    let visible = |key: &String| !key.starts_with("a/out/_pending/");
    assert!(!store.keys().iter().any(visible), "{:?}", store.keys());
    assert_eq!(store.uploads(), 4);

    output.publish(b"{}\n").unwrap();
    drop(output);
    let first = [
        ("a/out/_SUCCESS", ""),
        ("a/out/_manifest.json", "{}\n"),
        ("a/out/errors/part-r-00000", "side"),
        ("a/out/part-r-00000", "zero"),
        ("a/out/part-r-00001", ""),
    ];
    is(&store, &first);
    // `_SUCCESS` is written last.
    let asked = store.faults().asked();
    let last = |what: &str| asked.iter().rposition(|asked| asked.contains(what)).unwrap();
    assert!(last("PUT /bucket/a/out/_SUCCESS") > last("PUT /bucket/a/out/_manifest.json"));
    assert!(last("PUT /bucket/a/out/_manifest.json") > last("POST /bucket/a/out/part-r-00001?uploadId"));

    let error = create(&stores, false, "second").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("output {OUT} exists already; remove it, choose another, or replace it with --overwrite")
    );
    is(&store, &first);

    // A job that fails leaves the former output; one that succeeds replaces all of it.
    let output = create(&stores, true, "failing").unwrap();
    output.commit(upload(&stores, &output, "part-r-00000", "never seen")).unwrap();
    output.discard();
    is(&store, &first);
    store.put("a/out/beside", b"it");
    store.put("a/output/of-another", b"stays");
    let mut output = create(&stores, true, "second").unwrap();
    output.commit(upload(&stores, &output, "part-r-00000", "new")).unwrap();
    output.publish(b"{2}").unwrap();
    drop(output);
    is(
        &store,
        &[
            ("a/out/_SUCCESS", ""),
            ("a/out/_manifest.json", "{2}"),
            ("a/out/part-r-00000", "new"),
            ("a/output/of-another", "stays"),
        ],
    );
}

#[test]
fn only_outputs_are_replaced_and_only_by_one_job() {
    let store = Store::start();
    let stores = stores(&store);
    store.put("a/out/mine.txt", b"mine");
    assert!(matches!(create(&stores, false, "job"), Err(OutputError::Exists { .. })));
    assert!(matches!(create(&stores, true, "job"), Err(OutputError::NotAnOutput { .. })));
    assert!(matches!(
        OutputStore::create(&stores, "s3://bucket/a/out/mine.txt", true, &job("job")),
        Err(OutputError::NotAnOutput { .. })
    ));
    assert!(matches!(
        OutputStore::create(&stores, "s3://bucket/", true, &job("job")),
        Err(OutputError::NoName { .. })
    ));
    assert!(matches!(
        OutputStore::create(&stores, "https://h/out", true, &job("job")),
        Err(OutputError::NoName { .. })
    ));
    is(&store, &[("a/out/mine.txt", "mine")]);
    store.remove("a/out/mine.txt");

    let mut output = create(&stores, false, "one").unwrap();
    for name in ["one", "two"] {
        let error = create(&stores, true, name).unwrap_err();
        assert!(matches!(&error, OutputError::Busy { job, .. } if job.as_str() == "one"), "{error}");
    }
    // Objects of other names and places, and a second one of the same name, are refused.
    let pending = upload(&stores, &output, "part-r-00000", "x");
    output.commit(pending.clone()).unwrap();
    for url in [
        "s3://bucket/a/out/_SUCCESS",
        "s3://bucket/a/out/_pending/x",
        "s3://bucket/a/out-2/x",
        "s3://bucket/a/out/x/../y",
        "s3://bucket/a/out/",
        "s3://other/a/out/x",
    ] {
        let lies = PendingObject { url: url.into(), ..pending.clone() };
        assert!(matches!(output.commit(lies), Err(Failure::Internal { .. })), "{url}");
    }
    let again = upload(&stores, &output, "part-r-00000", "x");
    assert!(matches!(output.commit(again), Err(Failure::Internal { .. })));

    // What comes meanwhile is left alone.
    store.put("a/out/part-r-00000", b"theirs");
    let error = output.publish(b"{}").unwrap_err();
    assert!(matches!(error, OutputError::Taken { .. }), "{error}");
    drop(output);
    is(&store, &[("a/out/part-r-00000", "theirs")]);
}

/// Whatever moment the process dies at, another takes the output up or cleans it up.
#[test]
fn an_output_is_taken_up_or_cleaned_up_after_a_death() {
    let store = Store::start();
    let stores = stores(&store);
    let open = |found: Resumed| match found {
        Resumed::Open(output) => output,
        other => panic!("{other:?}"),
    };
    let resume = || OutputStore::resume(&stores, OUT, false, &job("one"));
    assert!(matches!(resume(), Ok(Resumed::Lost)));

    // Before publishing.
    let output = create(&stores, false, "one").unwrap();
    let (zero, one) = (upload(&stores, &output, "part-0", "zero"), upload(&stores, &output, "part-1", "one"));
    output.leave();
    let mut output = open(resume().unwrap());
    output.commit(zero.clone()).unwrap();
    output.commit(one.clone()).unwrap();
    // While publishing: after each step in turn.
    let steps = [
        "PUT /bucket/a/out/_pending",
        "DELETE|POST /bucket?delete",
        "POST /bucket/a/out/part-1",
        "PUT /bucket/a/out/_manifest",
        "PUT /bucket/a/out/_SUCCESS",
    ];
    for step in steps {
        store
            .faults()
            .add(1, Fault::Status(400), move |asked| step.split('|').any(|step| asked.starts_with(step)));
        assert!(matches!(output.publish(b"{}"), Err(OutputError::Failed(_))), "{step}");
        output.leave();
        assert!(store.object("a/out/_SUCCESS").is_none(), "{step}");
        output = open(resume().unwrap());
        output.commit(zero.clone()).unwrap();
        output.commit(one.clone()).unwrap();
    }
    // After publishing, before it could be cleaned up.
    store
        .faults()
        .add(usize::MAX, Fault::Status(400), |asked| asked.starts_with("GET /bucket/a/out/_pending"));
    output.publish(b"{}").unwrap();
    drop(output);
    assert!(store.object("a/out/_pending/claim.json").is_some());
    let other = crate::stores(&store);
    store.faults().forget();
    assert!(matches!(OutputStore::resume(&other, OUT, false, &job("one")), Ok(Resumed::Published)));
    let whole = [
        ("a/out/_SUCCESS", ""),
        ("a/out/_manifest.json", "{}"),
        ("a/out/part-0", "zero"),
        ("a/out/part-1", "one"),
    ];
    is(&store, &whole);
    assert!(matches!(resume(), Ok(Resumed::Published)));
}

#[test]
fn a_dead_jobs_uploads_and_debris_are_removed_by_the_next() {
    let store = Store::start();
    let stores = stores(&store);
    // It died while it made the output.
    let output = create(&stores, false, "dead").unwrap();
    upload(&stores, &output, "part-0", "zero");
    output.leave();
    assert!(matches!(create(&stores, false, "next"), Err(OutputError::Busy { .. })), "it may live");
    let mut output = create_after_death(&stores, false, "next").unwrap();
    assert_eq!(store.uploads(), 0);
    // It died while it published, with one part visible.
    for (name, content) in [("part-0", "zero"), ("part-1", "one")] {
        output.commit(upload(&stores, &output, name, content)).unwrap();
    }
    store.faults().add(1, Fault::Status(400), |asked| asked.starts_with("PUT /bucket/a/out/_manifest"));
    output.publish(b"{}").unwrap_err();
    output.leave();
    assert!(store.object("a/out/part-0").is_some() && store.object("a/out/_SUCCESS").is_none());
    let mut late = match OutputStore::resume(&stores, OUT, false, &job("next")).unwrap() {
        Resumed::Open(late) => late,
        other => panic!("{other:?}"),
    };
    let mut output = create_after_death(&stores, false, "last").unwrap();
    output.commit(upload(&stores, &output, "part-9", "nine")).unwrap();
    // Whoever lost the claim can neither publish nor remove anything.
    assert!(matches!(late.publish(b"{}"), Err(OutputError::Taken { .. })));
    drop(late);
    output.publish(b"{}").unwrap();
    drop(output);
    is(&store, &[("a/out/_SUCCESS", ""), ("a/out/_manifest.json", "{}"), ("a/out/part-9", "nine")]);

    // One that fails while it publishes leaves nothing.
    let mut output = create(&stores, true, "failing").unwrap();
    output.commit(upload(&stores, &output, "part-0", "zero")).unwrap();
    store.faults().add(1, Fault::Status(400), |asked| asked.starts_with("PUT /bucket/a/out/_manifest"));
    output.publish(b"{}").unwrap_err();
    drop(output);
    is(&store, &[]);
}
