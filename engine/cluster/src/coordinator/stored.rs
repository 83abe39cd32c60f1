//! What the coordinator sends as segments: bytes that it has in memory anyway, and files, which it reads
//! piece by piece, so that who asks for many large ones takes no memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use mr_net::limits::SEGMENT_CHUNK_BYTES;
use mr_net::{SegmentError, SegmentHasher, SegmentInfo, SegmentResponder};

/// A segment that was found.
#[derive(Debug)]
pub struct Stored {
    info: SegmentInfo,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    /// What lies in a file from a place on.
    File(Arc<File>, u64),
}

impl Stored {
    /// Bytes that are in memory.
    pub fn memory(bytes: Bytes) -> Self {
        Self { info: SegmentInfo::of(&bytes), content: Content::Memory(bytes) }
    }

    /// A whole file, which does not change.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub async fn file(path: PathBuf) -> io::Result<Self> {
        Self::piece(path, 0, u64::MAX).await
    }

    /// `bytes` bytes from `start` of a file that does not change; fewer where it ends.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub async fn piece(path: PathBuf, start: u64, bytes: u64) -> io::Result<Self> {
        blocking(move || {
            let file = Arc::new(File::open(path)?);
            let (mut hasher, mut at, mut left) = (SegmentHasher::default(), start, bytes);
            loop {
                let piece = read(&file, at, left)?;
                if piece.is_empty() {
                    return Ok(Self { info: hasher.info(), content: Content::File(file, start) });
                }
                hasher.update(&piece);
                at = at.saturating_add(piece.len() as u64);
                left -= piece.len() as u64;
            }
        })
        .await
    }

    /// Sends it as the answer.
    ///
    /// # Errors
    /// Those of the connection, and of reading the file.
    pub async fn send(self, responder: SegmentResponder) -> Result<(), SegmentError> {
        let mut writer = responder.found(self.info).await?;
        match self.content {
            Content::Memory(bytes) => writer.write(bytes).await?,
            Content::File(file, start) => {
                let mut sent = 0;
                while sent < self.info.bytes {
                    let (source, left) = (file.clone(), self.info.bytes - sent);
                    let piece = blocking(move || read(&source, start.saturating_add(sent), left)).await?;
                    if piece.is_empty() {
                        break;
                    }
                    sent += piece.len() as u64;
                    writer.write(piece).await?;
                }
            }
        }
        writer.finish().await
    }
}

/// What lies in a file at a place, no more than is `left`; nothing at its end.
fn read(file: &File, at: u64, left: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(SEGMENT_CHUNK_BYTES)];
    if piece.is_empty() {
        return Ok(Bytes::new());
    }
    let bytes = file.read_at(&mut piece, at)?;
    piece.truncate(bytes);
    Ok(piece.into())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
