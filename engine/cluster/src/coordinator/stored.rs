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
    File(Arc<File>),
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
        blocking(move || {
            let file = Arc::new(File::open(path)?);
            let (mut hasher, mut at) = (SegmentHasher::default(), 0);
            loop {
                let piece = read(&file, at)?;
                if piece.is_empty() {
                    return Ok(Self { info: hasher.info(), content: Content::File(file) });
                }
                hasher.update(&piece);
                at += piece.len() as u64;
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
            Content::File(file) => {
                let mut at = 0;
                while at < self.info.bytes {
                    let source = file.clone();
                    let piece = blocking(move || read(&source, at)).await?;
                    if piece.is_empty() {
                        break;
                    }
                    at += piece.len() as u64;
                    writer.write(piece).await?;
                }
            }
        }
        writer.finish().await
    }
}

/// The piece of a file at a place; an empty one at its end.
fn read(file: &File, at: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; SEGMENT_CHUNK_BYTES];
    let bytes = file.read_at(&mut piece, at)?;
    piece.truncate(bytes);
    Ok(piece.into())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
