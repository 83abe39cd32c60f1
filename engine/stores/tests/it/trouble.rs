//! Servers and credentials that are no good: one clear sentence, soon, and nothing secret in it.

use std::net::TcpListener;
use std::slice::from_ref;

use mr_model::{Failure, Retry};
use mr_s3::{ACCESS_KEY, Fault, SECRET_KEY, Store};
use mr_stores::{Options, Problem, RemoteFile, Settings, Stores};

use crate::{enough, little, never, stores, stores_with};

#[test]
fn wrong_credentials_are_told_without_being_told() {
    let store = Store::start();
    store.put("k", b"x");
    for (name, value, words) in [
        ("AWS_SECRET_ACCESS_KEY", "not-the-secret", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "NOTTHEKEY", "NotSignedUp"),
    ] {
        let stores = stores_with(&store, &[(name, value), ("AWS_SESSION_TOKEN", "not-the-token")], enough());
        let error = stores.list("s3://bucket/*").unwrap_err();
        assert!(matches!(error.problem, Problem::Denied(_)), "{error}");
        let input = error.clone().into_input_failure();
        let output = stores.put_small("s3://bucket/new", b"x").unwrap_err();
        let said = format!("{error} {error:?} {input} {input:?} {output} {output:?} {stores:?}");
        assert!(
            said.contains(words) && said.contains("AWS_SECRET_ACCESS_KEY") && said.contains("AWS_PROFILE"),
            "{said}"
        );
        for hidden in ["not-the-secret", "not-the-token", SECRET_KEY, "NOTTHEKEY", ACCESS_KEY] {
            assert!(!said.contains(hidden), "{hidden} in {said}");
        }
        // Another worker may have better ones.
        assert_eq!(input.retry(), Retry::Elsewhere);
    }
}

#[test]
fn a_server_that_is_not_there_or_hangs_is_given_up() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = Store::start();
    for (endpoint, words) in [(refused, "onnection refused"), (hanging.local_addr().unwrap(), "")] {
        let endpoint = format!("http://{endpoint}");
        let stores = stores_with(&store, &[("AWS_ENDPOINT_URL", &endpoint)], little());
        let error = stores.list("s3://bucket/*").unwrap_err();
        assert!(matches!(error.problem, Problem::Unreachable(_)), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let url = format!("{endpoint}/file");
        let error = stores.list(&url).unwrap_err();
        assert!(matches!(error.problem, Problem::Unreachable(_)), "{error}");
        let file = RemoteFile { url, bytes: 5, fingerprint: String::new() };
        let to = tempfile::tempdir().unwrap();
        let failure =
            stores.fetch_ranges(&file, from_ref(&(0..5)), &to.path().join("spool"), &never).unwrap_err();
        assert!(
            matches!(failure, Failure::InputLost { .. }) && failure.retry() == Retry::Elsewhere,
            "{failure}"
        );
    }
}

#[test]
fn a_store_that_fails_for_a_moment_is_asked_again() {
    let store = Store::start();
    store.put("k", b"x");
    for fault in [Fault::Status(500), Fault::Status(429), Fault::Lost, Fault::Cut(3)] {
        store.faults().add(2, fault.clone(), |asked| asked.contains("list-type"));
        let listed = stores(&store).list("s3://bucket/*");
        assert_eq!(listed.map(|files| files.len()), Ok(1), "{fault:?}");
    }
    store.faults().add(usize::MAX, Fault::Status(500), |_| true);
    let error = stores_with(&store, &[], little()).list("s3://bucket/*").unwrap_err();
    assert!(error.to_string().contains("it cannot be reached: status 500, at the last of"), "{error}");
}

/// Where nobody has credentials, it is said what to set; where nobody needs them, nothing is signed.
#[test]
fn no_credentials_at_all_are_told() {
    let store = Store::start();
    let endpoint = store.endpoint();
    let read = |extra: (&'static str, String)| {
        let settings = Settings::read(&|name| match name {
            "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
            name if name == extra.0 => Some(extra.1.clone()),
            _ => None,
        });
        Stores::new(Options { settings: Some(settings.unwrap()), patience: enough() })
    };
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = read(("AWS_METADATA_ENDPOINT", format!("http://{refused}")));
    let error = nobody.list("s3://bucket/*").unwrap_err();
    assert!(matches!(error.problem, Problem::NoCredentials(_)), "{error}");
    let anonymous = read(("AWS_SKIP_SIGNATURE", "true".into()));
    let error = anonymous.list("s3://bucket/*").unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
}

/// Calls from asynchronous code hold up its thread and work.
#[test]
fn asynchronous_callers_are_served() {
    let store = Store::start();
    store.put("k", b"x");
    let stores = stores(&store);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(async move {
        let found = stores.exists("s3://bucket/k");
        drop(stores);
        found
    });
    assert_eq!(found, Ok(true));
}
