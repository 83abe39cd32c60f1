//! The door to all stores: one value with its own threads, made when the first remote object is asked for.
//! Every call blocks; calls from asynchronous code work, too, and hold up its thread. Settings are read once.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use mr_model::Failure;
use object_store::aws::{AmazonS3, S3ConditionalPut};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

use crate::error::{Problem, StoreError};
use crate::location::{Location, shown_url};
use crate::settings::Settings;
use crate::transport::{Patience, Transport};

/// Threads that move bytes of all transfers of a process.
const THREADS: usize = 2;
/// Ranges that a process copies at a time.
pub(crate) const FETCHES_MAX: usize = 16;
/// Parts of uploads that a process holds in memory at a time, 8 MiB each for all but huge files.
pub(crate) const UPLOADS_MAX: usize = 4;
/// How often it is looked whether a call was cancelled.
const CANCEL_LOOK: Duration = Duration::from_millis(50);
/// Tries of the client's own, for the answers that only it understands: errors within a 200.
const CLIENT_TRIES: usize = 3;

/// Says whether the caller gave up. Asked often, from any thread.
pub type Cancelled<'a> = &'a (dyn Fn() -> bool + Sync);

/// How stores are reached.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Credentials and addresses; none: those of the environment, read when they are first needed.
    pub settings: Option<Settings>,
    /// How long servers are waited for.
    pub patience: Patience,
}

/// All stores and web servers. Cheap to make: threads and connections come with the first use.
#[derive(Default)]
pub struct Stores {
    options: Options,
    runtime: OnceLock<Option<Runtime>>,
    settings: OnceLock<Result<Settings, StoreError>>,
    transport: OnceLock<Result<Transport, String>>,
    buckets: Mutex<HashMap<String, Arc<AmazonS3>>>,
    pub(crate) lanes: Lanes,
}

/// What bounds the transfers of a process.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub fetches: Semaphore,
    pub uploads: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { fetches: Semaphore::new(FETCHES_MAX), uploads: Semaphore::new(UPLOADS_MAX) }
    }
}

impl Stores {
    /// Stores that are reached as `options` say.
    pub fn new(options: Options) -> Self {
        let mut stores = Self::default();
        stores.options = options;
        stores
    }

    /// Writes a small object in one request; what was there is replaced.
    ///
    /// # Errors
    /// [`Failure::Disk`] with the store's reason.
    pub fn put_small(&self, url: &str, bytes: &[u8]) -> Result<(), Failure> {
        let put = async {
            let (store, path) = self.object(url)?;
            let put = store.put(&path, Bytes::copy_from_slice(bytes).into()).await;
            put.map(|_| ()).map_err(|error| StoreError::from_client(url, &error))
        };
        self.run(put).map_err(StoreError::into_output_failure)
    }

    /// Removes objects; those that are not there are fine.
    ///
    /// # Errors
    /// [`Failure::Disk`] with the store's reason for the first that cannot be removed.
    pub fn delete(&self, urls: &[String]) -> Result<(), Failure> {
        let delete = async {
            let mut buckets: HashMap<String, (Arc<AmazonS3>, Vec<Path>)> = HashMap::new();
            for url in urls {
                let (store, path) = self.object(url)?;
                let bucket = url.split('/').nth(2).unwrap_or_default().to_owned();
                buckets.entry(bucket).or_insert_with(|| (store, Vec::new())).1.push(path);
            }
            for (bucket, (store, paths)) in buckets {
                delete_all(&store, &format!("s3://{bucket}/"), paths).await?;
            }
            Ok(())
        };
        self.run(delete).map_err(StoreError::into_output_failure)
    }

    /// Whether there is an object of exactly this name.
    ///
    /// # Errors
    /// The store cannot be asked or does not say.
    pub fn exists(&self, url: &str) -> Result<bool, StoreError> {
        self.run(async {
            match Location::parse(url)? {
                Location::Http { url } => match crate::web::probe(self.transport()?, &url).await {
                    Err(error) if error.problem == Problem::Missing => Ok(false),
                    found => found.map(|_| true),
                },
                Location::S3 { .. } => {
                    let (store, path) = self.object(url)?;
                    Ok(head(&store, &path, url).await?.is_some())
                }
            }
        })
    }

    /// Runs `work` to its end on this thread, with the transfers' threads behind it.
    pub(crate) fn run<T: Send>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let runtime = self.runtime()?;
        if Handle::try_current().is_err() {
            return runtime.block_on(work);
        }
        // A thread that drives other tasks may not wait for a second runtime.
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| runtime.block_on(work));
            waiting.join().unwrap_or_else(|_| Err(internal("a thread that waits for a store panicked")))
        })
    }

    /// Runs `work` unless the caller gives up; what was begun then is dropped.
    pub(crate) fn run_unless<T: Send>(
        &self,
        cancelled: Cancelled<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let given_up = async {
            while !cancelled() {
                tokio::time::sleep(CANCEL_LOOK).await;
            }
        };
        self.run(async {
            tokio::select! {
                biased;
                () = given_up => Err(StoreError::new("", Problem::Cancelled)),
                done = work => done,
            }
        })
    }

    pub(crate) fn runtime(&self) -> Result<&Runtime, StoreError> {
        let build =
            || Builder::new_multi_thread().worker_threads(THREADS).thread_name("stores").enable_all().build();
        let runtime = self.runtime.get_or_init(|| build().ok()).as_ref();
        runtime.ok_or_else(|| internal("the system gives no threads for stores"))
    }

    pub(crate) fn transport(&self) -> Result<&Transport, StoreError> {
        let transport = self.transport.get_or_init(|| Transport::new(self.options.patience));
        transport.as_ref().map_err(|reason| internal(&format!("no client for HTTP can be made: {reason}")))
    }

    /// The store and the key of `url`.
    pub(crate) fn object(&self, url: &str) -> Result<(Arc<AmazonS3>, Path), StoreError> {
        match Location::parse(url)? {
            Location::S3 { bucket, key } => Ok((self.bucket(&bucket)?, parse_key(url, &key)?)),
            Location::Http { .. } => {
                let reason = "web servers are for reading; name an object of a store, s3://bucket/key";
                Err(StoreError::new(shown_url(url), Problem::Unsuited(reason.into())))
            }
        }
    }

    /// The client of a bucket.
    pub(crate) fn bucket(&self, bucket: &str) -> Result<Arc<AmazonS3>, StoreError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = buckets.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let settings = self
            .settings
            .get_or_init(|| self.options.settings.clone().map_or_else(Settings::from_environment, Ok));
        let settings = settings.as_ref().map_err(Clone::clone)?;
        let retry = RetryConfig {
            max_retries: CLIENT_TRIES,
            retry_timeout: self.options.patience.deadline,
            backoff: BackoffConfig::default(),
        };
        let transport = self.transport()?.with_metadata(settings.metadata());
        let builder = settings.builder(bucket).with_http_connector(transport).with_retry(retry);
        let built = builder.with_conditional_put(S3ConditionalPut::ETagMatch).build();
        let store =
            Arc::new(built.map_err(|error| StoreError::from_client(&format!("s3://{bucket}"), &error))?);
        buckets.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

impl fmt::Debug for Stores {
    /// Clients print who asks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed everywhere, and there is nothing to wait for.
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn parse_key(url: &str, key: &str) -> Result<Path, StoreError> {
    Path::parse(key).map_err(|error| StoreError::new(url, Problem::BadAddress(error.to_string())))
}

/// What a store tells of an object, if it is there.
pub(crate) async fn head(
    store: &AmazonS3,
    path: &Path,
    url: &str,
) -> Result<Option<object_store::GetResult>, StoreError> {
    let options = object_store::GetOptions { head: true, ..Default::default() };
    match store.get_opts(path, options).await.map_err(|error| StoreError::from_client(url, &error)) {
        Err(error) if error.problem == Problem::Missing => Ok(None),
        found => found.map(Some),
    }
}

/// Removes objects of one bucket, up to a thousand with each request.
pub(crate) async fn delete_all(store: &AmazonS3, url: &str, paths: Vec<Path>) -> Result<(), StoreError> {
    let mut gone = store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
    loop {
        match gone.try_next().await.map_err(|error| StoreError::from_client(url, &error)) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(error) if error.problem == Problem::Missing => {}
            Err(error) => return Err(error),
        }
    }
}

fn internal(message: &str) -> StoreError {
    let failure = Failure::internal(message);
    StoreError::new(PathBuf::new().display().to_string(), Problem::Local(Box::new(failure)))
}
