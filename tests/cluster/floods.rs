//! Peers in numbers, slow ones and loud ones, let in or not, while a job runs: it ends right, and what the
//! coordinator and the worker take for all of them stays within bounds.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mr_cluster::protocol::{
    AttemptEnd, CoordinatorKey, Opening, OutputsRequest, Registration, Request, SegmentKey, SubmitHead, Up,
    WorkerWord,
};
use mr_model::{AttemptId, Incarnation, JobId, TaskId, WorkerId};
use mr_net::NodeRole;
use mr_scheduler::Lease;
use quinn::{Connection, RecvStream, SendStream};
use serde::Serialize;
use tokio::net::UdpSocket;

use crate::support::cluster::node::status;
use crate::support::cluster::{Cluster, Work, bare};
use crate::support::random::Random;

/// Most memory of a node under all that is done to it here, in KiB: what it has without anybody, and what
/// one identity can make it hold, 8 MiB of frames on each of 16 connections; three times what was measured.
const MEMORY_KIB_MAX: u64 = 320 << 10;
/// Most threads of a node: 32 for files of peers, 32 for outputs, one for each core and some of its own.
const THREADS_MAX: u64 = 100;
/// Longest time of one attack, on a busy machine.
const ATTACK_TIME_MAX: Duration = Duration::from_secs(100);
/// Longest time of one word, on a busy machine.
const WORD_TIME_MAX: Duration = Duration::from_secs(5);
/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(50);
/// A connection flood goes on for so long after the limit of connections of one identity.
const CONNECTIONS_MAX: usize = mr_net::limits::CONNECTIONS_PER_PEER_MAX;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Handshakes at once of those without a good certificate.
    strangers: usize,
    /// Handshakes that begin and do not go on.
    half_open: usize,
    /// Datagrams that are no QUIC, or hardly.
    datagrams: usize,
    /// Connections that hold frames, and those that talk.
    connections: usize,
    /// Bytes that come slowly, one a second.
    slow_bytes: usize,
    /// Words of each channel of a worker that does not stop talking.
    words: usize,
}

const LIGHT: Scale =
    Scale { strangers: 40, half_open: 60, datagrams: 2_000, connections: 2, slow_bytes: 2, words: 20 };
const HEAVY: Scale = Scale {
    strangers: 400,
    half_open: 600,
    datagrams: 100_000,
    connections: CONNECTIONS_MAX,
    slow_bytes: 25,
    words: 300,
};

#[test]
fn floods_harm_nobody() {
    under_attack(LIGHT, Work::toil(300, 300));
}

#[test]
#[ignore = "make chaos"]
fn heavy_floods_harm_nobody() {
    under_attack(HEAVY, Work::toil(3_000, 3_000));
}

/// Whom an attack is on, and with what.
#[derive(Debug, Clone)]
struct Attack {
    scale: Scale,
    ids: PathBuf,
    /// A folder of identities of another cluster.
    foreign: PathBuf,
    coordinator: String,
    worker: String,
}

fn under_attack(scale: Scale, work: Work) {
    let mut cluster = Cluster::steady(1);
    let foreign = cluster.path("foreign");
    let client = mr_net::Certificate::new(NodeRole::Client, "client", &[]);
    mr_net::Authority::create(&foreign).unwrap().issue(&client).unwrap();
    let attack = Attack {
        scale,
        ids: cluster.path("ids"),
        foreign,
        coordinator: cluster.address.clone(),
        worker: cluster.workers[0].ready(),
    };
    let ids = [cluster.coordinator.id(), cluster.workers[0].id()];
    let job = cluster.submit(&work, "job");
    job.maps(1);
    let threads = [AtomicU64::new(0), AtomicU64::new(0)];
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for (id, peak) in ids.iter().zip(&threads) {
                    peak.fetch_max(status(*id, "Threads:"), Ordering::Relaxed);
                }
                std::thread::sleep(LOOK);
            }
        });
        let attacking = scope.spawn(|| attack.run());
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.done()));
        let attacked = attacking.join();
        over.store(true, Ordering::Relaxed);
        done.and(attacked).unwrap();
    });
    assert!(cluster.coordinator.is_running() && cluster.workers[0].is_running());
    for (node, threads) in [&cluster.coordinator, &cluster.workers[0]].into_iter().zip(&threads) {
        let (memory, threads) = (node.memory_kib_peak(), threads.load(Ordering::Relaxed));
        println!("{}: {} MiB at most, {threads} threads", node.name, memory >> 10);
        assert!(memory < MEMORY_KIB_MAX, "{} took {memory} KiB", node.name);
        assert!(threads < THREADS_MAX, "{} had {threads} threads", node.name);
    }
    cluster.check(&Work::toil(0, 0), "next");
    cluster.assert_idle(&["job", "next"]);
}

/// Bounds every attack, so that one that nobody answers is told by its name.
async fn soon<T>(what: &str, attack: impl Future<Output = T>) -> T {
    let attacked = tokio::time::timeout(ATTACK_TIME_MAX, attack).await;
    attacked.unwrap_or_else(|_| panic!("{what}: not over after {ATTACK_TIME_MAX:?}"))
}

impl Attack {
    fn run(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(async {
            for target in [&self.coordinator, &self.worker] {
                soon("garbage", self.garbage(target)).await;
                soon("half-open handshakes", self.half_open(target)).await;
                soon("strangers", self.strangers(target)).await;
            }
            soon("nonsense at boundaries", self.boundaries()).await;
            for target in [&self.coordinator, &self.worker] {
                soon("connections", self.connections(target)).await;
                let held = soon("frames that are held", self.held_frames(target)).await;
                soon("slow frames", self.slow(target)).await;
                drop(held);
            }
            soon("words", self.words()).await;
        });
    }

    /// Datagrams of noise, and first datagrams of handshakes with a bit flipped or cut short.
    async fn garbage(&self, target: &str) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(target).await.unwrap();
        let mut random = Random::new(7);
        let good = bare::first_datagrams(8).await;
        for number in 0..self.scale.datagrams {
            let mut datagram = good[number % good.len()].clone();
            let at = usize::try_from(random.below(datagram.len() as u64)).unwrap();
            match number % 4 {
                0 => datagram.iter_mut().for_each(|byte| *byte = random.byte(255)),
                1 => datagram[at] ^= 1 << random.byte(8),
                2 => datagram.truncate(at + 1),
                // A short header, of a connection that is not there.
                _ => datagram[0] = 0x40 | random.byte(64),
            }
            // The system may say that its buffer is full.
            let _ = socket.send(&datagram).await;
        }
    }

    /// Handshakes whose first datagram alone comes.
    async fn half_open(&self, target: &str) {
        let mut held = Vec::new();
        for datagram in bare::first_datagrams(self.scale.half_open).await {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            socket.send_to(&datagram, target).await.unwrap();
            held.push(socket);
        }
        // Somebody with a good certificate gets in all the same.
        let connection = bare::greet(target, (&self.ids, NodeRole::Worker, "worker-2")).await;
        connection.close(0u32.into(), b"");
    }

    /// No certificate, one of another cluster, one of a role that is not served; all at once.
    async fn strangers(&self, target: &str) {
        let mut trying = Vec::new();
        for number in 0..self.scale.strangers {
            let (attack, target) = (self.clone(), target.to_owned());
            trying.push(tokio::spawn(async move {
                let shown = match number % 3 {
                    0 => None,
                    1 => Some((attack.foreign.as_path(), NodeRole::Client, "client")),
                    _ => Some((attack.ids.as_path(), NodeRole::Coordinator, "coordinator")),
                };
                let connection = bare::connect(&target, shown, &bare::protocol()).await;
                bare::reason_of_close(connection).await
            }));
        }
        for tried in trying {
            let reason = tried.await.unwrap();
            assert!(
                reason.starts_with("alert ") || reason.contains("Refused(") || reason.contains("refused"),
                "{reason}"
            );
        }
    }

    /// Conversations that are good up to a frame, and nonsense from there.
    async fn boundaries(&self) {
        for Conversation { target, whose, frames, ends } in self.conversations() {
            for boundary in 0..=frames.len() {
                for nonsense in [&[][..], &[0xff; 5], &[40, 0, 0, 0, 0xff, 0xff, 0xff], &[0xff; 64]] {
                    let connection = bare::greet(target, (&self.ids, whose.0, whose.1)).await;
                    let (mut send, receive) = connection.open_bi().await.unwrap();
                    let mut bytes = frames[..boundary].concat();
                    // Nothing more at a boundary is an end; half a frame is none.
                    let half = frames.get(boundary).map_or(&[][..], |frame| &frame[..frame.len() / 2]);
                    bytes.extend_from_slice(if nonsense.is_empty() { half } else { nonsense });
                    // It may be closed before it has all.
                    let _ = send.write_all(&bytes).await;
                    let _ = send.finish();
                    if boundary < frames.len() || !(ends || nonsense.is_empty()) {
                        let closed = bare::reason_of_close(Ok(connection));
                        let reason = soon(&format!("{boundary} {nonsense:?} to {target}"), closed).await;
                        assert!(reason.starts_with("Fault("), "{boundary} {nonsense:?}: {reason}");
                    }
                    drop(receive);
                }
            }
        }
    }

    /// More connections of one identity than it may have, again and again.
    async fn connections(&self, target: &str) {
        let mut held = Vec::new();
        let mut refused = 0;
        for _ in 0..2 * CONNECTIONS_MAX {
            let shown = (self.ids.as_path(), NodeRole::Worker, "worker-3");
            match bare::try_greet(target, shown).await {
                Some(connection) => held.push(connection),
                None => refused += 1,
            }
        }
        assert!(held.len() <= CONNECTIONS_MAX && refused >= CONNECTIONS_MAX, "{} were let in", held.len());
        // Others of the cluster are let in.
        let connection = bare::greet(target, (&self.ids, NodeRole::Worker, "worker-2")).await;
        connection.close(0u32.into(), b"");
        held.iter().for_each(|connection| connection.close(0u32.into(), b""));
    }

    /// All streams that a connection may have, each with most of a large frame.
    async fn held_frames(&self, target: &str) -> Vec<(Connection, Vec<(SendStream, RecvStream)>)> {
        let most = [&[2][..], &(1u32 << 20).to_le_bytes(), &vec![1; 900 << 10]].concat();
        let mut held = Vec::new();
        for _ in 0..self.scale.connections {
            let shown = (self.ids.as_path(), NodeRole::Worker, "worker-2");
            let Some(connection) = bare::try_greet(target, shown).await else { continue };
            let mut streams = Vec::new();
            for _ in 0..mr_net::limits::STREAMS_MAX - 1 {
                // What does not get through is held up by QUIC, as it should be.
                let within = Duration::from_millis(100);
                let opened = tokio::time::timeout(within, connection.open_bi()).await;
                let Ok(Ok((mut send, receive))) = opened else { break };
                let _ = tokio::time::timeout(within, send.write_all(&most)).await;
                streams.push((send, receive));
            }
            held.push((connection, streams));
        }
        held
    }

    /// A frame of which a byte comes now and then.
    async fn slow(&self, target: &str) {
        let shown = (self.ids.as_path(), NodeRole::Worker, "worker-3");
        let connection = bare::greet(target, shown).await;
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(connection.open_bi().await.unwrap());
        }
        let bytes = [&[1, 200, 0, 0, 0][..], &[0; 200]].concat();
        for byte in &bytes[..self.scale.slow_bytes] {
            for (send, _) in &mut streams {
                // It is cut off at some time.
                let _ = send.write_all(&[*byte]).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if Duration::from_secs(self.scale.slow_bytes as u64) > 2 * mr_net::limits::FIRST_FRAME_TIMEOUT {
            let reason = bare::reason_of_close(Ok(connection)).await;
            assert_eq!(reason, "Fault(Silent)");
        }
    }

    /// A worker that says large things without end, on all channels that it may have.
    async fn words(&self) {
        let lease =
            Lease { job: job(), attempt: attempt(), worker: WorkerId(1), incarnation: Incarnation(1) };
        let log = vec!["x".repeat(1_000); 900];
        let word = Up::Worker(WorkerWord::Ended { lease, end: Box::new(AttemptEnd::Cancelled), log });
        let (opening, word) = (stream(2, &Opening::Register(registration())), frame(&word));
        let mut talking = Vec::new();
        for _ in 0..self.scale.connections {
            let shown = (self.ids.as_path(), NodeRole::Worker, "worker-2");
            let Some(connection) = bare::try_greet(&self.coordinator, shown).await else { continue };
            for _ in 0..mr_net::limits::CHANNELS_MAX {
                let (connection, opening, word) = (connection.clone(), opening.clone(), word.clone());
                let words = self.scale.words;
                talking.push(tokio::spawn(async move {
                    let (mut send, _receive) = connection.open_bi().await.unwrap();
                    let _ = send.write_all(&opening).await;
                    for _ in 0..words {
                        // Quinn 0.11 does not always wake a writer whose stream is stopped while the
                        // connection is full; asked again, it knows.
                        let written = tokio::time::timeout(WORD_TIME_MAX, send.write_all(&word)).await;
                        if !matches!(written, Ok(Ok(()))) {
                            break;
                        }
                    }
                }));
            }
        }
        for talk in talking {
            talk.await.unwrap();
        }
    }

    fn conversations(&self) -> Vec<Conversation<'_>> {
        let incarnation = Incarnation(1);
        let (job, attempt) = (job(), attempt());
        let lease = Lease { job: job.clone(), attempt, worker: WorkerId(1), incarnation };
        let (client, worker) = ((NodeRole::Client, "client"), (NodeRole::Worker, "worker-2"));
        let heartbeat = WorkerWord::Heartbeat { sequence: 1, running: Vec::new(), disk_free_bytes: 1 << 30 };
        let ended = WorkerWord::Ended { lease, end: Box::new(AttemptEnd::Cancelled), log: vec!["l".into()] };
        let head = SubmitHead {
            job: JobId::new("never").unwrap(),
            digest: [0; 32],
            components: vec![([7; 32], 100)],
            sides: Vec::new(),
            plan_bytes: 100,
        };
        let outputs = OutputsRequest::Outputs {
            job: job.clone(),
            incarnation,
            partition: 0,
            attempts: vec![attempt],
            machine: None,
        };
        let key = SegmentKey { job: job.clone(), incarnation, attempt, sequence: 0, partition: 0 };
        let talk = |target, whose, ends, frames| Conversation { target, whose, frames, ends };
        let (to_coordinator, to_worker) = (self.coordinator.as_str(), self.worker.as_str());
        vec![
            talk(to_coordinator, client, true, vec![stream(1, &Request::Jobs { before: None, limit: 10 })]),
            talk(
                to_coordinator,
                client,
                false,
                vec![stream(2, &Opening::Submit(head)), frame(&Up::Chunk(vec![1; 40]))],
            ),
            talk(
                to_coordinator,
                worker,
                false,
                vec![
                    stream(2, &Opening::Register(registration())),
                    frame(&Up::Worker(heartbeat)),
                    frame(&Up::Worker(ended)),
                ],
            ),
            talk(to_coordinator, worker, true, vec![stream(3, &CoordinatorKey::Job(job))]),
            talk(to_worker, worker, true, vec![stream(1, &outputs)]),
            talk(to_worker, worker, true, vec![stream(3, &key)]),
        ]
    }
}

/// What one peer says on one stream.
struct Conversation<'a> {
    target: &'a str,
    whose: (NodeRole, &'a str),
    frames: Vec<Vec<u8>>,
    /// The other side reads no further.
    ends: bool,
}

/// A frame with a message.
fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    let message = postcard::to_stdvec(message).unwrap();
    [&u32::try_from(message.len()).unwrap().to_le_bytes(), message.as_slice()].concat()
}

/// The first frame of a stream, with its kind.
fn stream<T: Serialize>(kind: u8, message: &T) -> Vec<u8> {
    [&[kind], frame(message).as_slice()].concat()
}

fn job() -> JobId {
    JobId::new("job").unwrap()
}

fn attempt() -> AttemptId {
    AttemptId { task: TaskId::map(0), attempt: 9 }
}

/// A worker that takes no tasks.
fn registration() -> Registration {
    let (address, host) = ("127.0.0.1:9".to_owned(), "host".to_owned());
    Registration { incarnation: Incarnation(1), instance: 1, slots: 0, address, host }
}
