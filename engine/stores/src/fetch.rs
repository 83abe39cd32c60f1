//! Ranges of an object, copied into a local file at the same offsets. The file is as long as the object and
//! sparse, so that readers need not know that the rest is missing. What is copied is of the state that was
//! listed, or the copy fails. Must not keep more of an object in memory than what just arrived.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path as LocalPath;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use mr_model::Failure;
use object_store::{GetOptions, ObjectStore};

use crate::error::{Problem, StoreError};
use crate::identity::{Identity, tag};
use crate::listing::RemoteFile;
use crate::location::{Location, shown_url};
use crate::stores::{Cancelled, Stores};
use crate::web;

/// Bytes that one request asks for: enough for its round trip not to matter, few enough to be had again.
const CHUNK_BYTES: u64 = 8 << 20;
/// Requests for one file at a time; one connection to a store gives a fraction of a line's speed.
const CHUNKS_AT_ONCE: usize = 8;
/// Tries at a chunk whose transfer broke off; each goes on where the one before ended.
const CHUNK_TRIES: u32 = 8;
/// Pause before the second try; it grows with each further one.
const CHUNK_PAUSE: Duration = Duration::from_millis(100);

type Body = BoxStream<'static, Result<Bytes, StoreError>>;

impl Stores {
    /// Copies `ranges` of `file` into `to`, a new local file of its length, at the same offsets, and answers
    /// how many bytes that were. What else is in `to` is zeros that take no space. A failed copy leaves
    /// nothing.
    ///
    /// # Errors
    /// [`Failure::InputChanged`] if the object is not the one that was listed, [`Failure::InputLost`] if it
    /// is gone or its store cannot be reached within the patience for it, [`Failure::Disk`] if the file
    /// cannot be written, [`Failure::Cancelled`] soon after `cancelled` says so.
    pub fn fetch_ranges(
        &self,
        file: &RemoteFile,
        ranges: &[Range<u64>],
        to: &LocalPath,
        cancelled: Cancelled<'_>,
    ) -> Result<u64, Failure> {
        let chunks = chunks(file, ranges)?;
        let bytes = chunks.iter().map(|chunk| chunk.end - chunk.start).sum();
        let local = File::create(to).and_then(|local| local.set_len(file.bytes).map(|()| local));
        let copied = match local {
            Err(error) => Err(StoreError::local(to, &error)),
            Ok(local) => self.run_unless(cancelled, async {
                stream::iter(chunks)
                    .map(|chunk| self.fetch_chunk(file, chunk, (&local, to)))
                    .buffer_unordered(CHUNKS_AT_ONCE)
                    .try_for_each(|()| std::future::ready(Ok(())))
                    .await
            }),
        };
        copied.map(|()| bytes).map_err(|error| {
            // Nobody reads it without an answer from here.
            let _ = std::fs::remove_file(to);
            error.into_input_failure()
        })
    }

    /// The bytes of a short range of `file`.
    ///
    /// # Errors
    /// As [`Stores::fetch_ranges`], of the store alone.
    pub fn fetch_bytes(&self, file: &RemoteFile, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.run(async {
            // It is never closed.
            let _lane = self.lanes.fetches.acquire().await;
            let (mut bytes, mut tries) = (Vec::new(), 1);
            loop {
                let Err(error) = self.append_some(file, &range, &mut bytes).await else { return Ok(bytes) };
                if !matches!(error.problem, Problem::Interrupted(_)) || tries == CHUNK_TRIES {
                    return Err(error);
                }
                tokio::time::sleep(CHUNK_PAUSE * tries).await;
                tries += 1;
            }
        })
    }

    /// Appends what comes of the bytes of `range` behind those that are there.
    async fn append_some(
        &self,
        file: &RemoteFile,
        range: &Range<u64>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let mut body = self.read(file, range.start + bytes.len() as u64..range.end).await?;
        while let Some(piece) = body.try_next().await? {
            if (bytes.len() + piece.len()) as u64 > range.end - range.start {
                return Err(interrupted(file, "the server sends more than it was asked for"));
            }
            bytes.extend_from_slice(&piece);
        }
        if (bytes.len() as u64) < range.end - range.start {
            return Err(interrupted(file, "the server sent less than it promised"));
        }
        Ok(())
    }

    async fn fetch_chunk(
        &self,
        file: &RemoteFile,
        chunk: Range<u64>,
        to: (&File, &LocalPath),
    ) -> Result<(), StoreError> {
        // It is never closed.
        let _lane = self.lanes.fetches.acquire().await;
        let (mut at, mut tries) = (chunk.start, 1);
        loop {
            let Err(error) = self.fetch_some(file, &mut at, chunk.end, to).await else { return Ok(()) };
            if !matches!(error.problem, Problem::Interrupted(_)) {
                return Err(error);
            }
            if tries == CHUNK_TRIES {
                let reason =
                    format!("{}, {tries} times in bytes {} to {}", error.problem, chunk.start, chunk.end);
                return Err(StoreError::new(error.url, Problem::Unreachable(reason)));
            }
            tokio::time::sleep(CHUNK_PAUSE * tries).await;
            tries += 1;
        }
    }

    /// Copies what comes of the bytes from `at` to `end`, and moves `at` behind what came.
    async fn fetch_some(
        &self,
        file: &RemoteFile,
        at: &mut u64,
        end: u64,
        (local, to): (&File, &LocalPath),
    ) -> Result<(), StoreError> {
        let mut body = self.read(file, *at..end).await?;
        while let Some(piece) = body.try_next().await? {
            let next = *at + piece.len() as u64;
            if next > end {
                return Err(interrupted(file, "the server sends more than it was asked for"));
            }
            local.write_all_at(&piece, *at).map_err(|error| StoreError::local(to, &error))?;
            *at = next;
        }
        if *at < end { Err(interrupted(file, "the server sent less than it promised")) } else { Ok(()) }
    }

    async fn read(&self, file: &RemoteFile, range: Range<u64>) -> Result<Body, StoreError> {
        let shown = shown_url(&file.url);
        if let Location::Http { url } = Location::parse(&file.url)? {
            let identity = (file.fingerprint.as_str(), file.bytes);
            let body = web::read(self.transport()?, &url, identity, (range.start, range.end)).await?;
            let broken = move |error| StoreError::new(&shown, Problem::from_chain(&error));
            return Ok(body.map_err(broken).boxed());
        }
        let (store, path) = self.object(&file.url)?;
        let options = GetOptions {
            range: Some(range.into()),
            if_match: tag(&file.fingerprint).map(Into::into),
            ..GetOptions::default()
        };
        let found = store.get_opts(&path, options).await.map_err(|error| {
            match StoreError::from_client(&file.url, &error) {
                StoreError { url, problem: Problem::Conflict } => {
                    StoreError::new(url, Problem::Changed("it was written again".into()))
                }
                error => error,
            }
        })?;
        if let Some(change) = Identity::from(&found.meta).change(&file.fingerprint, file.bytes) {
            return Err(StoreError::new(shown, Problem::Changed(change)));
        }
        let broken = move |error| StoreError::from_client(&shown, &error);
        Ok(found.into_stream().map_err(broken).boxed())
    }
}

/// What is asked for, cut into requests, without what is asked for twice.
fn chunks(file: &RemoteFile, ranges: &[Range<u64>]) -> Result<Vec<Range<u64>>, Failure> {
    let mut sorted: Vec<&Range<u64>> = ranges.iter().filter(|range| range.start < range.end).collect();
    sorted.sort_by_key(|range| range.start);
    let mut chunks: Vec<Range<u64>> = Vec::new();
    let mut done = 0;
    for range in sorted {
        if range.end > file.bytes {
            let (end, bytes) = (range.end, file.bytes);
            return Err(Failure::internal(format!(
                "byte {end} of {} is asked for, which has {bytes}",
                file.shown()
            )));
        }
        let mut at = range.start.max(done);
        while at < range.end {
            let end = range.end.min(at + CHUNK_BYTES);
            chunks.push(at..end);
            at = end;
        }
        done = done.max(range.end);
    }
    Ok(chunks)
}

fn interrupted(file: &RemoteFile, reason: &str) -> StoreError {
    StoreError::new(file.shown(), Problem::Interrupted(reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_and_asked_for_once() {
        let file = RemoteFile { url: "s3://b/k".into(), bytes: 3 * CHUNK_BYTES, fingerprint: String::new() };
        let asked = [CHUNK_BYTES / 2..2 * CHUNK_BYTES, 5..7, 6..9, 8..8, 0..CHUNK_BYTES];
        let cut = chunks(&file, &asked).unwrap();
        assert_eq!(cut, [0..CHUNK_BYTES, CHUNK_BYTES..2 * CHUNK_BYTES]);
        assert!(chunks(&file, std::slice::from_ref(&(1..file.bytes + 1))).is_err());
    }
}
