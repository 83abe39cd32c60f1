//! A coordinator without a mind of its own: the test hears every word and gives every order.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mr_cluster::protocol::{AttemptEnd, CoordinatorKey, Down, Opening, Order, Registration, Up, WorkerWord};
use mr_model::{AttemptId, WorkerId};
use mr_net::{
    Channel, CloseReason, Handler, Identity, Limits, Listener, Never, NodeRole, Remote, Responder,
    SegmentInfo, SegmentResponder, Server, ServerError,
};
use mr_scheduler::Lease;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SmallJob;
use super::soon;

/// A lease that does not lapse while a test runs.
pub const LONG_LEASE_MILLIS: u64 = 600_000;

pub enum Event {
    Registered(Joined),
    /// A word, with the number of the connection.
    Said(u64, WorkerWord),
}

/// A worker's connection.
#[derive(Clone)]
pub struct Joined {
    /// Number of the connection.
    number: u64,
    pub name: String,
    pub id: WorkerId,
    pub registration: Registration,
    orders: UnboundedSender<Order>,
    remote: Remote,
}

impl Joined {
    pub fn order(&self, order: Order) {
        // A worker that has gone hears nothing, and the test finds out.
        let _ = self.orders.send(order);
    }

    pub fn welcome(&self, lease_millis: u64, jobs: &[&SmallJob]) {
        let jobs = jobs.iter().map(|job| job.id.clone()).collect();
        self.order(Order::Welcome { worker: self.id, lease_millis, jobs });
    }

    pub fn lease(&self, job: &SmallJob, attempt: AttemptId) -> Lease {
        let incarnation = self.registration.incarnation;
        Lease { job: job.id.clone(), attempt, worker: self.id, incarnation }
    }

    pub fn launch(&self, job: &SmallJob, attempt: AttemptId) -> Lease {
        let lease = self.lease(job, attempt);
        self.order(Order::Launch { lease: lease.clone() });
        lease
    }

    /// Breaks the connection.
    pub fn cut(&self) {
        self.remote.close(CloseReason::Shutdown);
    }
}

struct Script {
    segments: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    /// Tasks are described only while this has permits.
    tasks: Semaphore,
    answers_heartbeats: AtomicBool,
    connections: AtomicU64,
    events: UnboundedSender<Event>,
}

pub struct Coordinator {
    pub address: String,
    script: Arc<Script>,
    events: UnboundedReceiver<Event>,
    /// Events that came before the one that was awaited.
    early: VecDeque<Event>,
    _shutdown: tokio_util::sync::DropGuard,
    _task: JoinHandle<Result<(), ServerError>>,
}

impl Coordinator {
    pub fn start(identity: &Identity) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(any, identity, &[NodeRole::Worker], Limits::default()).unwrap();
        let address = listener.address().to_string();
        let (event, events) = unbounded_channel();
        let script = Arc::new(Script {
            segments: Mutex::default(),
            tasks: Semaphore::new(Semaphore::MAX_PERMITS),
            answers_heartbeats: AtomicBool::new(true),
            connections: AtomicU64::new(0),
            events: event,
        });
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Server::new(listener, script.clone()).run(shutdown.clone()));
        let (early, _shutdown) = (VecDeque::new(), shutdown.drop_guard());
        Self { address, script, events, early, _shutdown, _task: task }
    }

    /// Has a segment ready.
    pub fn put(&self, key: &CoordinatorKey, bytes: Vec<u8>) {
        self.script.segments.lock().unwrap().insert(postcard::to_stdvec(key).unwrap(), bytes);
    }

    /// Describes no more tasks.
    pub fn hold_tasks(&self) {
        self.script.tasks.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Describes one task more.
    pub fn describe_one_task(&self) {
        self.script.tasks.add_permits(1);
    }

    pub fn ignore_heartbeats(&self) {
        self.script.answers_heartbeats.store(false, Ordering::SeqCst);
    }

    /// The next registration of a worker.
    pub async fn registered(&mut self, name: &str) -> Joined {
        let event = self.find(format!("a registration of {name}"), |event| match event {
            Event::Registered(joined) => joined.name == name,
            Event::Said(..) => false,
        });
        match event.await {
            Event::Registered(joined) => joined,
            Event::Said(..) => unreachable!(),
        }
    }

    /// The next registration of a worker, welcomed.
    pub async fn joined(&mut self, name: &str, jobs: &[&SmallJob]) -> Joined {
        let joined = self.registered(name).await;
        joined.welcome(LONG_LEASE_MILLIS, jobs);
        joined
    }

    /// The next word on a connection, of whatever kind.
    pub async fn word(&mut self, on: &Joined) -> WorkerWord {
        let is_it = |event: &Event| matches!(event, Event::Said(number, _) if *number == on.number);
        match self.find(format!("a word of {}", on.name), is_it).await {
            Event::Said(_, word) => word,
            Event::Registered(_) => unreachable!(),
        }
    }

    /// How an attempt ended, as said on a connection; it is noted if that is wanted.
    pub async fn ended(&mut self, on: &Joined, lease: &Lease, note: bool) -> AttemptEnd {
        let is_it = |event: &Event| match event {
            Event::Said(number, WorkerWord::Ended { lease: ended, .. }) => {
                *number == on.number && ended == lease
            }
            _ => false,
        };
        let event = self.find(format!("the end of {} on {}", lease.attempt, on.name), is_it).await;
        let Event::Said(_, WorkerWord::Ended { end, .. }) = event else { unreachable!() };
        if note {
            on.order(Order::Noted { lease: lease.clone() });
        }
        *end
    }

    /// Words on a connection up to its next heartbeat.
    pub async fn words_until_heartbeat(&mut self, on: &Joined) -> (Vec<WorkerWord>, WorkerWord) {
        let mut words = Vec::new();
        loop {
            match self.word(on).await {
                heartbeat @ WorkerWord::Heartbeat { .. } => return (words, heartbeat),
                word => words.push(word),
            }
        }
    }

    async fn find(&mut self, what: String, is_it: impl Fn(&Event) -> bool) -> Event {
        if let Some(at) = self.early.iter().position(&is_it) {
            return self.early.remove(at).unwrap();
        }
        soon(&what, async {
            loop {
                let event = self.events.recv().await.unwrap();
                if is_it(&event) {
                    return event;
                }
                self.early.push_back(event);
            }
        })
        .await
    }
}

/// The id that a name has in leases: the number at its end.
fn id(name: &str) -> WorkerId {
    WorkerId(name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0))
}

impl Handler for Script {
    type Request = Never;
    type Response = Never;
    type Opening = Opening;
    type Up = Up;
    type Down = Down;
    type Key = CoordinatorKey;

    async fn request(&self, _remote: &Remote, request: Never, _responder: Responder<Never>) {
        match request {}
    }

    async fn channel(&self, remote: &Remote, opening: Opening, channel: Channel<Down, Up>) {
        let Opening::Register(registration) = opening else { panic!("a worker submits a job") };
        let name = remote.node().name().to_owned();
        let (orders, mut ordered) = unbounded_channel();
        let heard = orders.clone();
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let joined = Joined { number, id: id(&name), name, registration, orders, remote: remote.clone() };
        let _ = self.events.send(Event::Registered(joined));
        let (mut sender, mut receiver) = channel.split();
        let listen = async {
            while let Ok(Some(Up::Worker(word))) = receiver.receive().await {
                if let WorkerWord::Heartbeat { sequence, .. } = &word
                    && self.answers_heartbeats.load(Ordering::SeqCst)
                {
                    let _ = heard.send(Order::Heard { sequence: *sequence });
                }
                let _ = self.events.send(Event::Said(number, word));
            }
        };
        let speak = async {
            while let Some(order) = ordered.recv().await {
                if sender.send(&Down::Worker(order)).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! { () = listen => {}, () = speak => {} }
    }

    async fn segment(&self, _remote: &Remote, key: CoordinatorKey, responder: SegmentResponder) {
        if matches!(key, CoordinatorKey::Task { .. }) {
            self.tasks.acquire().await.unwrap().forget();
        }
        let bytes = self.segments.lock().unwrap().get(&postcard::to_stdvec(&key).unwrap()).cloned();
        // What a worker does with it is seen by the test.
        let _ = match bytes {
            Some(bytes) => responder.send_from(SegmentInfo::of(&bytes), &mut bytes.as_slice()).await,
            None => responder.gone().await,
        };
    }
}
