//! The S3-compatible store: one bucket, one pair of keys, whose signatures it checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use http_body_util::BodyExt;
use s3s::auth::SimpleAuth;
use s3s::dto::{PutObjectInput, StreamingBlob};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, StdError};
use tempfile::TempDir;

use crate::backend::{Backend, request};
use crate::fault::{Fault, Faults};
use crate::listen::{Answer, Body, Listening, cut, whole};

/// The bucket that is there.
pub const BUCKET: &str = "bucket";
/// The key's id that the store knows.
pub const ACCESS_KEY: &str = "TESTACCESSKEYID";
/// The key's secret.
pub const SECRET_KEY: &str = "a-secret-that-nobody-may-print";

/// A store under way.
#[derive(Debug)]
pub struct Store {
    listening: Listening,
    faults: Arc<Faults>,
    root: TempDir,
}

impl Store {
    /// An empty store.
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(Backend::new(root.path()));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (service, faults) = (builder.build(), Arc::new(Faults::default()));
        let counted = Arc::clone(&faults);
        let listening = Listening::start(move |request| {
            let fault = counted.of(format!("{} {}", request.method(), request.uri()));
            answer(service.clone(), request, fault)
        });
        Self { listening, faults, root }
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// The variables with which a program finds it and is let in.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
        .into()
    }

    /// Address of an object.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}")
    }

    /// Writes an object.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let blob = StreamingBlob::from(s3s::Body::from(bytes.to_vec()));
        let input = PutObjectInput {
            bucket: BUCKET.to_owned(),
            key: key.to_owned(),
            body: Some(blob),
            ..PutObjectInput::default()
        };
        let backend = Backend::new(self.root.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(backend.put_object(request(input))).unwrap()).join().unwrap()
        });
    }

    /// Removes an object.
    pub fn remove(&self, key: &str) {
        std::fs::remove_file(self.root.path().join(BUCKET).join(key)).unwrap();
    }

    /// An object's bytes, if it is there.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.path().join(BUCKET).join(key)).ok()
    }

    /// The keys of all objects, in order.
    pub fn keys(&self) -> Vec<String> {
        let bucket = self.root.path().join(BUCKET);
        let mut keys = Vec::new();
        walk(&bucket, &bucket, &mut keys);
        keys.sort();
        keys
    }

    /// How many uploads are neither completed nor aborted.
    pub fn uploads(&self) -> usize {
        let names = std::fs::read_dir(self.root.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".upload-") && name.ends_with(".json")).count()
    }

    /// Faults to come, and what was asked for.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

fn walk(bucket: &Path, folder: &Path, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(bucket, &path, keys);
        } else {
            keys.push(path.strip_prefix(bucket).unwrap().to_str().unwrap().to_owned());
        }
    }
}

async fn answer(
    service: S3Service,
    request: http::Request<hyper::body::Incoming>,
    fault: Option<Fault>,
) -> Answer {
    match fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            return Some(http::Response::builder().status(status).body(whole("on demand")).unwrap());
        }
        _ => {}
    }
    // On a task of its own: what a store has begun it finishes, whether somebody waits for it or not.
    let serving = tokio::spawn(async move { service.call(request.map(s3s::Body::from)).await });
    let response = serving.await.ok()?.ok()?;
    match fault {
        Some(Fault::Lost) => None,
        Some(Fault::Cut(at)) => {
            let (mut parts, body) = response.into_parts();
            let bytes = body.collect().await.ok()?.to_bytes();
            parts.headers.insert("content-length", bytes.len().into());
            Some(http::Response::from_parts(parts, cut(bytes.slice(..at.min(bytes.len())))))
        }
        _ => Some(response.map(passed)),
    }
}

fn passed(body: s3s::Body) -> Body {
    body.map_err(|error: StdError| std::io::Error::other(error)).boxed_unsync()
}
