//! What the coordinator offers on the network: a place for workers, answers for clients, and segments
//! with components, side inputs and descriptions. Holds no state of jobs: everything goes to the driver.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mr_model::limit::COMPONENT_BYTES_MAX;
use mr_model::{Side, WorkerId};
use mr_net::{
    Channel, ExchangeError, Handler, NodeRole, Receiver, Remote, Responder, SegmentResponder, Sender,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Stores;
use super::contents::Contents;
use super::driver::{Message, worker_id};
use super::gate::Gate;
use super::intake::{Intake, time_max};
use super::stored::Stored;
use super::submission;
use crate::protocol::{
    Answer, ContentHash, CoordinatorKey, Down, Opening, Order, PLAN_BYTES_MAX, Refused, Registration,
    Request, SIDE_PIECE_BYTES_MAX, SubmitHead, SubmitReply, Up,
};

/// Longest that the driver may take for an answer: a round with a write of the journal, many times
/// over, and what clients may wait on top.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest pause of a client in the middle of a submission.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// Orders that wait for one worker.
const ORDERS_MAX: usize = 16_384;
/// Words of one worker that wait to be heard; it says no more until they are. A word may be as large as a
/// frame, and all of them together must not take the coordinator's memory.
const WORDS_MAX: usize = 16;
/// Most components of a job: one for each role and the main one.
const COMPONENTS_MAX: usize = 8;

/// The handler of the coordinator's server.
pub struct Service {
    messages: mpsc::Sender<Message>,
    stores: Stores,
    gate: Gate,
    stop: CancellationToken,
    intake: Intake,
    uploads: AtomicU64,
    /// Room for the words of each worker that was here, on however many connections it speaks: as many as
    /// there are certificates.
    words: Mutex<HashMap<WorkerId, Arc<Semaphore>>>,
}

impl Service {
    /// A service that hands everything to `messages`, until `stop`.
    pub fn new(messages: mpsc::Sender<Message>, stores: Stores, gate: Gate, stop: CancellationToken) -> Self {
        let (intake, uploads) = (Intake::default(), AtomicU64::new(0));
        Self { messages, stores, gate, stop, intake, uploads, words: Mutex::default() }
    }

    /// Asks the driver, and waits for its answer.
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.messages.send(message(reply)).await.ok()?;
            answer.await.ok()
        };
        timeout(ANSWER_TIMEOUT, asked).await.ok().flatten()
    }

    async fn serve_worker(&self, remote: &Remote, registration: Registration, channel: Channel<Down, Up>) {
        let name = remote.node().name().to_owned();
        let (worker, incarnation, instance) =
            (worker_id(&name), registration.incarnation, registration.instance);
        let (orders, mut inbox) = mpsc::channel::<Order>(ORDERS_MAX);
        let (mut sender, mut receiver) = channel.split();
        tracing::info!(
            worker = name,
            incarnation = incarnation.0,
            address = registration.address,
            "connected"
        );
        let registered = Message::Registered { worker, name: name.clone(), registration, orders };
        if self.messages.send(registered).await.is_err() {
            return;
        }
        let room = self.room_for_words(worker);
        let words = async {
            while let Some(Up::Worker(word)) = receiver.receive().await?
                && let Ok(room) = room.clone().acquire_owned().await
            {
                if self.messages.send(Message::Word { worker, incarnation, word, room }).await.is_err() {
                    break;
                }
            }
            Ok::<_, ExchangeError>(())
        };
        let orders = async {
            while let Some(order) = inbox.recv().await {
                sender.send(&Down::Worker(order)).await?;
            }
            sender.finish().await
        };
        let ended = tokio::select! {
            ended = words => ended,
            ended = orders => ended,
            () = self.stop.cancelled() => Ok(()),
        };
        match ended {
            Ok(()) => tracing::info!(worker = name, "disconnected"),
            Err(error) => tracing::info!(worker = name, %error, "disconnected"),
        }
        drop(inbox);
        let _ = self.messages.send(Message::Disconnected { worker, instance }).await;
    }

    fn room_for_words(&self, worker: WorkerId) -> Arc<Semaphore> {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.entry(worker).or_insert_with(|| Arc::new(Semaphore::new(WORDS_MAX))).clone()
    }

    async fn serve_submission(&self, head: SubmitHead, channel: Channel<Down, Up>) {
        let (mut sender, mut receiver) = channel.split();
        let reply = match check_head(&head) {
            Ok(()) => {
                let late = malformed("it did not come in time");
                let submitted = self.submission(&head, &mut sender, &mut receiver);
                timeout(time_max(&head), submitted).await.unwrap_or(Err(late))
            }
            Err(reason) => Err(reason),
        };
        let reply = reply.unwrap_or_else(SubmitReply::Refused);
        if sender.send(&Down::Submit(reply)).await.is_ok() {
            let _ = sender.finish().await;
        }
    }

    /// Takes a submission up to its place in the journal.
    async fn submission(
        &self,
        head: &SubmitHead,
        sender: &mut Sender<Down>,
        receiver: &mut Receiver<Up>,
    ) -> Result<SubmitReply, Refused> {
        let _place = self.intake.place().await?;
        let Stores { components, sides } = &self.stores;
        let side_hashes = side_hashes(head)?;
        // Until a job names them, nothing else keeps what is uploaded here.
        let _components = components.claim(head.components.iter().map(|(hash, _)| *hash));
        let _sides = sides.claim(side_hashes.iter().copied());
        let known = self.ask(|reply| Message::Known { head: head.clone(), reply }).await;
        if let Some(reply) = known.ok_or(Refused::ShuttingDown)? {
            return Ok(reply);
        }
        self.gate.check_head(head)?;
        self.contents(head, &side_hashes, sender, receiver).await?;
        let _memory = self.intake.memory(head.plan_bytes).await?;
        let mut encoded = Vec::new();
        while (encoded.len() as u64) < head.plan_bytes {
            encoded.extend_from_slice(&next_chunk(receiver).await?);
        }
        if encoded.len() as u64 != head.plan_bytes {
            return Err(malformed("the plan is longer than was announced"));
        }
        let plan = tokio::task::spawn_blocking({
            let head = head.clone();
            move || submission::decode(&head, &encoded)
        });
        let plan = plan.await.map_err(|error| Refused::Fault { reason: error.to_string() })??;
        let plan = self.gate.admit(plan).await?;
        let head = head.clone();
        let submitted = self.ask(|reply| Message::Submit { head, plan: Box::new(plan), reply }).await;
        submitted.ok_or(Refused::ShuttingDown)
    }

    /// Takes those components and side inputs that are not here.
    async fn contents(
        &self,
        head: &SubmitHead,
        side_hashes: &[ContentHash],
        sender: &mut Sender<Down>,
        receiver: &mut Receiver<Up>,
    ) -> Result<(), Refused> {
        let Stores { components, sides } = &self.stores;
        let missing = missing(components, head.components.iter().map(|(hash, _)| hash));
        let missing_sides = missing_sides(sides, side_hashes);
        let wants = SubmitReply::Wants { components: missing.clone(), sides: missing_sides.clone() };
        sender.send(&Down::Submit(wants)).await.map_err(|error| malformed(&error.to_string()))?;
        for (number, (hash, bytes)) in (0u32..).zip(&head.components) {
            if missing.contains(&number) {
                self.receive(components, "a component", *hash, *bytes, receiver).await?;
            }
            self.gate.check_component(*hash, components).await?;
        }
        for (number, (hash, side)) in (0u32..).zip(side_hashes.iter().zip(&head.sides)) {
            if missing_sides.contains(&number) {
                self.receive(sides, &format!("side input {}", side.name), *hash, side.bytes, receiver)
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes a content, whose name for people is `what`, into a store.
    async fn receive(
        &self,
        store: &Contents,
        what: &str,
        hash: ContentHash,
        bytes: u64,
        receiver: &mut Receiver<Up>,
    ) -> Result<(), Refused> {
        let disk = |error: io::Error| Refused::Fault { reason: format!("{what} cannot be stored: {error}") };
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let mut receiving = store.receive(hash, bytes, number).map_err(disk)?;
        while receiving.left() > 0 {
            let chunk = next_chunk(receiver).await?;
            if !tokio::task::block_in_place(|| receiving.take(&chunk)).map_err(disk)? {
                return Err(malformed(&format!("{what} is longer than was announced")));
            }
        }
        if tokio::task::block_in_place(|| receiving.finish()).map_err(disk)? {
            tracing::info!(what, bytes, "received");
            Ok(())
        } else {
            Err(malformed(&format!("{what} is not what its hash says")))
        }
    }

    async fn find(&self, remote: &Remote, key: CoordinatorKey) -> Option<Stored> {
        match key {
            CoordinatorKey::Component(hash) => Stored::file(self.stores.components.path(&hash)).await.ok(),
            CoordinatorKey::Side { hash, start, bytes } if bytes <= SIDE_PIECE_BYTES_MAX => {
                Stored::piece(self.stores.sides.path(&hash), start, bytes).await.ok()
            }
            CoordinatorKey::Side { .. } => None,
            CoordinatorKey::Job(job) => {
                let description = self.ask(|reply| Message::Description { job, reply }).await??;
                Some(Stored::memory(Bytes::from_owner(description)))
            }
            CoordinatorKey::Task { job, attempt } => {
                let worker = worker_id(remote.node().name());
                let order = self.ask(|reply| Message::Task { worker, job, attempt, reply }).await??;
                Some(Stored::memory(postcard::to_stdvec(&order).ok()?.into()))
            }
        }
    }
}

impl Handler for Service {
    type Request = Request;
    type Response = Answer;
    type Opening = Opening;
    type Up = Up;
    type Down = Down;
    type Key = CoordinatorKey;

    async fn request(&self, remote: &Remote, request: Request, responder: Responder<Answer>) {
        let answer = if remote.node().role() == NodeRole::Client {
            let asked = self.ask(|reply| Message::Ask { request, reply }).await;
            asked.unwrap_or(Answer::Refused(Refused::ShuttingDown))
        } else {
            Answer::Refused(Refused::Role { role: remote.node().role().to_string() })
        };
        let _ = responder.answer(&answer).await;
    }

    async fn channel(&self, remote: &Remote, opening: Opening, channel: Channel<Down, Up>) {
        match (remote.node().role(), opening) {
            (NodeRole::Worker, Opening::Register(registration)) => {
                self.serve_worker(remote, registration, channel).await;
            }
            (NodeRole::Client, Opening::Submit(head)) => self.serve_submission(head, channel).await,
            (role, _) => {
                tracing::warn!(node = %remote.node(), "asks for what its role does not allow");
                let refused = SubmitReply::Refused(Refused::Role { role: role.to_string() });
                let mut sender = channel.sender;
                if sender.send(&Down::Submit(refused)).await.is_ok() {
                    let _ = sender.finish().await;
                }
            }
        }
    }

    async fn segment(&self, remote: &Remote, key: CoordinatorKey, responder: SegmentResponder) {
        let found =
            if remote.node().role() == NodeRole::Worker { self.find(remote, key).await } else { None };
        let sent = match found {
            Some(stored) => stored.send(responder).await,
            None => responder.gone().await,
        };
        if let Err(error) = sent {
            tracing::debug!(node = %remote.node(), %error, "a segment was not taken");
        }
    }

    fn refused(&self, from: std::net::SocketAddr, error: &mr_net::ConnectError) {
        tracing::warn!(%from, %error, "a connection was refused");
    }
}

fn check_head(head: &SubmitHead) -> Result<(), Refused> {
    if head.components.len() > COMPONENTS_MAX {
        return Err(malformed("it has too many components"));
    }
    if head.components.iter().any(|(_, bytes)| *bytes > COMPONENT_BYTES_MAX) {
        return Err(malformed("a component is too large"));
    }
    if head.plan_bytes > PLAN_BYTES_MAX {
        return Err(malformed("its plan is too large"));
    }
    Side::check_all(&head.sides).map_err(|reason| malformed(&reason))
}

/// Hashes of the side inputs, in their order.
fn side_hashes(head: &SubmitHead) -> Result<Vec<ContentHash>, Refused> {
    let hash = |side: &Side| blake3::Hash::from_hex(&side.blake3).map(|hash| *hash.as_bytes());
    let hashes: Result<_, _> = head.sides.iter().map(hash).collect();
    hashes.map_err(|_| malformed("a side input has a malformed hash"))
}

/// Numbers of those that a store does not have.
fn missing<'a>(store: &Contents, hashes: impl Iterator<Item = &'a ContentHash>) -> Vec<u32> {
    (0u32..).zip(hashes).filter(|(_, hash)| !store.has(hash)).map(|(number, _)| number).collect()
}

/// The same; of several with one content the first.
fn missing_sides(store: &Contents, hashes: &[ContentHash]) -> Vec<u32> {
    let mut missing = missing(store, hashes.iter());
    let mut seen = BTreeSet::new();
    missing.retain(|number| hashes.get(*number as usize).is_some_and(|hash| seen.insert(hash)));
    missing
}

async fn next_chunk(receiver: &mut Receiver<Up>) -> Result<Vec<u8>, Refused> {
    match receiver.receive_within(CHUNK_TIMEOUT).await {
        Ok(Some(Up::Chunk(chunk))) if !chunk.is_empty() => Ok(chunk),
        Ok(_) => Err(malformed("it ended early")),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

fn malformed(reason: &str) -> Refused {
    Refused::Malformed { reason: reason.to_owned() }
}
