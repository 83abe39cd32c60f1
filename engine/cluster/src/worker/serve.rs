//! What a worker does for other workers: says which segments of map output it has, and sends them.
//!
//! Segments are read from run files in bounded pieces, off the threads that drive the network, and sent
//! as they lie on disk: their reader checks them. What cannot be read is cut short, never made up. Must
//! not serve anybody but workers, nor anything but outputs of the present life.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use mr_net::limits::SEGMENT_CHUNK_BYTES;
use mr_net::{
    Channel, Handler, Never, Remote, Responder, SegmentError, SegmentInfo, SegmentResponder, SegmentWriter,
};
use tokio::sync::Semaphore;

use super::near::machine;
use super::outputs::{Held, Outputs};
use crate::protocol::{OUTPUTS_ASKED_MAX, OutputsAnswer, OutputsRequest, SegmentKey};

/// Segments that are read at once: each holds a file open and a piece of it in memory.
const READING_MAX: usize = 128;

/// Serves the outputs of one worker.
pub(super) struct Serve {
    outputs: Outputs,
    machine: Option<String>,
    reading: Arc<Semaphore>,
}

impl Serve {
    /// Serves these.
    pub fn new(outputs: Outputs) -> Self {
        Self { outputs, machine: machine(), reading: Arc::new(Semaphore::new(READING_MAX)) }
    }

    async fn send(&self, held: Held, responder: SegmentResponder) -> Result<(), SegmentError> {
        let entry = held.segment.entry;
        // Announced before its turn comes, so that the other side knows that it is coming.
        let writer = responder.found(SegmentInfo { bytes: entry.length, hash: entry.hash }).await?;
        let Ok(_turn) = self.reading.acquire().await else { return Ok(()) };
        copy(held, writer).await
    }
}

impl Handler for Serve {
    type Request = OutputsRequest;
    type Response = OutputsAnswer;
    type Opening = Never;
    type Up = Never;
    type Down = Never;
    type Key = SegmentKey;

    async fn request(&self, remote: &Remote, request: OutputsRequest, responder: Responder<OutputsAnswer>) {
        let OutputsRequest::Outputs { job, incarnation, partition, attempts, machine } = request;
        if attempts.len() > OUTPUTS_ASKED_MAX {
            tracing::warn!(from = %remote.node(), asked = attempts.len(), "a worker asks for too many outputs at once");
            return;
        }
        let is_near = machine.is_some() && machine == self.machine;
        let told = |attempt| self.outputs.told(incarnation, &job, attempt, partition, is_near);
        let answer: OutputsAnswer = attempts.into_iter().map(told).collect();
        if let Err(error) = responder.answer(&answer).await {
            tracing::debug!(to = %remote.node(), %error, "a list of segments was not taken");
        }
    }

    async fn channel(&self, _remote: &Remote, opening: Never, _channel: Channel<Never, Never>) {
        match opening {}
    }

    async fn segment(&self, remote: &Remote, key: SegmentKey, responder: SegmentResponder) {
        let SegmentKey { job, incarnation, attempt, sequence, partition } = key;
        let segments = self.outputs.segments(incarnation, &job, attempt, partition);
        let held = segments.into_iter().flatten().find(|held| held.segment.id.sequence == sequence);
        let sent = match held {
            Some(held) => self.send(held, responder).await,
            None => responder.gone().await,
        };
        match sent {
            Ok(()) => {}
            Err(SegmentError::Local(error)) => {
                tracing::warn!(%job, %attempt, %error, "a stored segment cannot be read");
            }
            Err(error) => tracing::debug!(to = %remote.node(), %error, "a segment was not sent"),
        }
    }
}

/// Sends a segment piece by piece. A file that is too short or cannot be read cuts it short.
async fn copy(held: Held, mut writer: SegmentWriter) -> Result<(), SegmentError> {
    let path = held.segment.path.clone();
    let file = Arc::new(blocking(move || File::open(path)).await?);
    let (mut at, mut left) = (held.segment.at, held.segment.entry.length);
    while left > 0 {
        let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(SEGMENT_CHUNK_BYTES);
        let source = file.clone();
        let piece = blocking(move || {
            let mut piece = vec![0; bytes];
            source.read_exact_at(&mut piece, at).map(|()| piece)
        });
        let piece = Bytes::from(piece.await?);
        (at, left) = (at + piece.len() as u64, left - piece.len() as u64);
        writer.write(piece).await?;
    }
    writer.finish().await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
