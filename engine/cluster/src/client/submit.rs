//! Handing a job in: the head, then what the coordinator wants of it in chunks, until it is accepted
//! or refused.
//!
//! A connection that breaks before the job is accepted says nothing about it, so everything is said
//! again: the coordinator knows the job by its digest.

use std::time::Duration;

use mr_net::limits::REQUEST_DEADLINE;
use mr_net::{Channel, ExchangeError, Peer, Receiver, Sender};

use super::Client;
use super::error::ClientError;
use super::link::{Contact, Link, Patience, Trouble};
use super::submission::Submission;
use crate::protocol::{CHUNK_BYTES, Down, Opening, SubmitReply, Up};

/// Longest that the coordinator may take to accept a job that it has whole: it checks the output's place
/// and writes the job to its journal, on a disk that may be busy.
const ACCEPT_DEADLINE: Duration = Duration::from_secs(60);

/// Bytes of a side input that are read at once.
const SIDE_READ_BYTES: usize = 4 * CHUNK_BYTES;

/// A job is in the coordinator's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// It was there before this client handed it in.
    pub known: bool,
}

/// How much of a job has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Bytes sent.
    pub bytes: u64,
    /// Bytes that the coordinator wants.
    pub bytes_total: u64,
}

type Submitting = (Sender<Up>, Receiver<Down>);

impl Client {
    /// Hands a job in. When this returns the job runs, whatever becomes of the client. While the
    /// coordinator is away the job is handed in again, under the same name. `on_upload` hears how much of
    /// it has been sent.
    ///
    /// # Errors
    /// See [`Client::jobs`]; [`ClientError::Io`] when a component cannot be read, or changed.
    pub async fn submit(
        &self,
        submission: &Submission,
        mut on_upload: impl FnMut(Upload),
    ) -> Result<Accepted, ClientError> {
        let mut patience = Patience::default();
        // Once it was sent whole it may be known because of that.
        let mut sent_whole = false;
        loop {
            let trouble = match self.link.peer().await {
                Ok(peer) => {
                    let handover = Handover { link: &self.link, submission, sent_whole: &mut sent_whole };
                    match handover.run(&peer, &mut on_upload).await {
                        Ok(known) => {
                            self.link.note(Contact::Held);
                            return Ok(Accepted { known: known && !sent_whole });
                        }
                        Err(trouble) => trouble,
                    }
                }
                Err(trouble) => trouble,
            };
            self.link.bear(&mut patience, trouble).await?;
        }
    }
}

/// Numbers of what the coordinator does not have.
struct Wanted {
    components: Vec<usize>,
    sides: Vec<usize>,
}

/// One try at handing a job in.
struct Handover<'a> {
    link: &'a Link,
    submission: &'a Submission,
    sent_whole: &'a mut bool,
}

impl Handover<'_> {
    /// Whether the job was known, once it is accepted.
    async fn run(self, peer: &Peer, on_upload: &mut impl FnMut(Upload)) -> Result<bool, Trouble> {
        let opening = Opening::Submit(self.submission.head.clone());
        let channel: Channel<Up, Down> =
            peer.channel(&opening, REQUEST_DEADLINE).await.map_err(|error| self.link.judge(error))?;
        let mut channel = channel.split();
        let wanted = match self.reply(&mut channel.1).await? {
            SubmitReply::Accepted { known } => return Ok(known),
            SubmitReply::Refused(refused) => return Err(Trouble::of_refusal(refused)),
            SubmitReply::Wants { components, sides } => {
                let head = &self.submission.head;
                let components = self.check_wants(&components, head.components.len())?;
                Wanted { components, sides: self.check_wants(&sides, head.sides.len())? }
            }
        };
        let reply = match self.upload(&wanted, &mut channel, on_upload).await? {
            Some(early) => early,
            None => {
                *self.sent_whole = true;
                self.reply(&mut channel.1).await?
            }
        };
        match reply {
            SubmitReply::Accepted { known } => Ok(known),
            SubmitReply::Refused(refused) => Err(Trouble::of_refusal(refused)),
            SubmitReply::Wants { .. } => Err(self.nonsense("it wanted the job's components twice")),
        }
    }

    /// Numbers of things of which the job has `most`.
    fn check_wants(&self, wanted: &[u32], most: usize) -> Result<Vec<usize>, Trouble> {
        let wanted: Vec<usize> =
            wanted.iter().map(|number| usize::try_from(*number).unwrap_or(usize::MAX)).collect();
        // Each at most once bounds what is sent.
        if wanted.iter().any(|number| *number >= most) || wanted.len() > most {
            return Err(self.nonsense("it wants components or side inputs that the job does not have"));
        }
        Ok(wanted)
    }

    /// Sends what is wanted. The reply, if one comes before everything is sent.
    async fn upload(
        &self,
        wanted: &Wanted,
        channel: &mut Submitting,
        on_upload: &mut impl FnMut(Upload),
    ) -> Result<Option<SubmitReply>, Trouble> {
        let head = &self.submission.head;
        let components = wanted.components.iter().filter_map(|number| Some(head.components.get(*number)?.1));
        let sides = wanted.sides.iter().filter_map(|number| Some(head.sides.get(*number)?.bytes));
        let bytes_total = components.chain(sides).fold(head.plan_bytes, u64::saturating_add);
        let mut upload = Upload { bytes: 0, bytes_total };
        for number in &wanted.components {
            let bytes = self.submission.component(*number).await.map_err(Trouble::Final)?;
            if let Some(early) = self.send(&bytes, channel, &mut upload, on_upload).await? {
                return Ok(Some(early));
            }
        }
        for number in &wanted.sides {
            if let Some(early) = self.send_side(*number, channel, &mut upload, on_upload).await? {
                return Ok(Some(early));
            }
        }
        self.send(&self.submission.plan, channel, &mut upload, on_upload).await
    }

    async fn send_side(
        &self,
        number: usize,
        channel: &mut Submitting,
        upload: &mut Upload,
        on_upload: &mut impl FnMut(Upload),
    ) -> Result<Option<SubmitReply>, Trouble> {
        let bytes = self.submission.head.sides.get(number).map_or(0, |side| side.bytes);
        let mut start = 0;
        while start < bytes {
            let piece = usize::try_from(bytes - start).unwrap_or(usize::MAX).min(SIDE_READ_BYTES);
            let piece = self.submission.side(number, start, piece).await.map_err(Trouble::Final)?;
            if let Some(early) = self.send(&piece, channel, upload, on_upload).await? {
                return Ok(Some(early));
            }
            start += piece.len() as u64;
        }
        Ok(None)
    }

    /// Sends bytes in chunks, and listens meanwhile: a coordinator that has seen enough reads no further.
    async fn send(
        &self,
        bytes: &[u8],
        (sender, receiver): &mut Submitting,
        upload: &mut Upload,
        on_upload: &mut impl FnMut(Upload),
    ) -> Result<Option<SubmitReply>, Trouble> {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let up = Up::Chunk(chunk.to_vec());
            let sent = tokio::select! {
                biased;
                reply = receiver.receive() => return self.read(reply).map(Some),
                sent = sender.send(&up) => sent,
            };
            match sent {
                Ok(()) => {}
                // It reads no further: its last word says why.
                Err(ExchangeError::Abandoned) => return self.reply(receiver).await.map(Some),
                Err(error) => return Err(self.link.judge(error)),
            }
            upload.bytes += chunk.len() as u64;
            on_upload(*upload);
        }
        Ok(None)
    }

    async fn reply(&self, receiver: &mut Receiver<Down>) -> Result<SubmitReply, Trouble> {
        let reply = receiver.receive_within(ACCEPT_DEADLINE).await;
        self.read(reply)
    }

    fn read(&self, reply: Result<Option<Down>, ExchangeError>) -> Result<SubmitReply, Trouble> {
        match reply {
            Ok(Some(Down::Submit(reply))) => Ok(reply),
            Ok(Some(Down::Worker(_))) => Err(self.nonsense("it gave an order for a worker")),
            Ok(None) => Err(Trouble::Passing("it hung up before it took the job".to_owned())),
            Err(error) => Err(self.link.judge(error)),
        }
    }

    fn nonsense(&self, reason: &str) -> Trouble {
        Trouble::Final(self.link.protocol(reason.to_owned()))
    }
}
