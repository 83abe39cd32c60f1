//! What addresses and patterns mean.

use mr_s3::{Store, Web};
use mr_stores::{Problem, Stores};

use crate::stores;

fn keys(stores: &Stores, pattern: &str) -> Vec<String> {
    let listed = stores.list(&format!("s3://bucket/{pattern}")).unwrap();
    listed.iter().map(|file| file.url.strip_prefix("s3://bucket/").unwrap().to_owned()).collect()
}

#[test]
fn prefixes_and_globs_mean_what_they_do_on_a_disk() {
    let store = Store::start();
    let all = [
        "logs/b.csv",
        "logs/a.csv",
        "logs/2024/x.csv",
        "logs/2024/_tmp/y",
        "logs/.z",
        "logs/_SUCCESS",
        "logs-b/c d.csv",
        "top",
    ];
    for key in all {
        store.put(key, key.as_bytes());
    }
    let stores = stores(&store);
    for (pattern, expected) in [
        ("logs/", vec!["logs/2024/x.csv", "logs/a.csv", "logs/b.csv"]),
        ("logs", vec!["logs/2024/x.csv", "logs/a.csv", "logs/b.csv"]),
        ("logs/*.csv", vec!["logs/a.csv", "logs/b.csv"]),
        ("logs/{a,c}.*", vec!["logs/a.csv"]),
        ("logs*/*.csv", vec!["logs-b/c d.csv", "logs/a.csv", "logs/b.csv"]),
        ("logs/20*", vec!["logs/2024/x.csv"]),
        ("**/[xy]*", vec!["logs/2024/x.csv"]),
        ("logs/_*", vec!["logs/_SUCCESS"]),
        ("logs/_SUCCESS", vec!["logs/_SUCCESS"]),
        ("top", vec!["top"]),
        ("", vec!["logs-b/c d.csv", "logs/2024/x.csv", "logs/a.csv", "logs/b.csv", "top"]),
    ] {
        assert_eq!(keys(&stores, pattern), expected, "{pattern}");
    }
    for pattern in ["nothing", "logs/*.txt", "log"] {
        let error = stores.list(&format!("s3://bucket/{pattern}")).unwrap_err();
        assert_eq!(error.to_string(), format!("s3://bucket/{pattern}: no object matches"));
    }
    let error = stores.list("s3://bucket/logs/[").unwrap_err();
    assert!(matches!(error.problem, Problem::BadPattern(_)), "{error}");
    assert!(stores.list("s3://no-such-bucket/x/*").is_err());
}

#[test]
fn a_listing_of_many_pages_is_whole_and_ordered() {
    let store = Store::start();
    let mut expected: Vec<String> = (0..2_345).map(|i| format!("many/{i}")).collect();
    for key in &expected {
        store.put(key, b"x");
    }
    expected.sort();
    let stores = stores(&store);
    assert_eq!(keys(&stores, "many/"), expected);
    let pages = store.faults().asked().iter().filter(|asked| asked.contains("list-type=2")).count();
    assert_eq!(pages, 3, "pages of a thousand keys");
}

#[test]
fn fingerprints_follow_the_bytes() {
    let store = Store::start();
    let stores = stores(&store);
    let listed = || stores.list("s3://bucket/k").unwrap().remove(0);
    store.put("k", b"one");
    let one = listed();
    assert_eq!((one.bytes, &one), (3, &listed()));
    // An object means the same by its name and in a listing.
    assert_eq!(stores.list("s3://bucket/*").unwrap(), std::slice::from_ref(&one));
    store.put("k", b"two");
    assert_ne!(listed().fingerprint, one.fingerprint);
    assert!(stores.exists("s3://bucket/k").unwrap() && !stores.exists("s3://bucket/l").unwrap());
}

#[test]
fn a_web_server_has_one_object_or_is_told_to_be_unfit() {
    let stores = Stores::default();
    let web = Web::file(b"0123456789".to_vec(), "\"t\"", 0);
    let url = web.url("/a/b.csv?x=1");
    let file = stores.list(&url).unwrap().remove(0);
    assert_eq!((file.url, file.bytes, file.fingerprint.as_str()), (url, 10, "etag:\"t\""));
    let empty = Web::file(Vec::new(), "\"t\"", 0);
    assert_eq!(stores.list(&empty.url("/")).unwrap()[0].bytes, 0);

    let said = |status: u16, range: Option<&'static str>| {
        let web = Web::start(move |_| {
            let response = http::Response::builder().status(status);
            let response =
                range.iter().fold(response, |response, range| response.header("content-range", *range));
            response.body(b"x".to_vec()).unwrap()
        });
        stores.list(&web.url("/file?signature=hidden")).unwrap_err().to_string()
    };
    for (status, range, words) in [
        (200, None, "/file: the server does not serve ranges; copy the file and name the copy"),
        (
            206,
            Some("bytes 0-0/*"),
            "/file: the server does not say how long it is; copy the file and name the copy",
        ),
        (404, None, "/file: there is no such object"),
        (403, None, "/file: the store refuses: status 403; it is not open to everybody"),
    ] {
        let said = said(status, range);
        assert!(said.ends_with(words) && !said.contains("hidden"), "{said}");
    }
    assert!(stores.put_small(&web.url("/x"), b"").unwrap_err().to_string().contains("for reading"));
}
