//! One life of a worker, from its registration until it is fenced, hears nothing for too long, or leaves.
//!
//! One task owns all state: the ledger of attempts, the lease, the connection. It never waits for the
//! network or a disk while it holds a decision: words go to the link, attempts run in tasks of their own
//! and report. The lease is looked at after every wait and before anything is acted on, because the
//! process may have been stopped meanwhile. Must not run attempts itself, nor decide
//! what runs. What becomes of attempts is in `work`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mr_model::{Incarnation, JobId, WorkerId};
use mr_net::{CloseReason, Peer};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WorkerError;
use super::ask::Asker;
use super::attempt::{Finished, Shop};
use super::disk::Room;
use super::house::House;
use super::jobs::Jobs;
use super::lease::OwnLease;
use super::ledger::Ledger;
use super::link::{Link, LinkEvent, Word};
use super::near::machine;
use super::work::clean;
use crate::protocol::{Order, WorkerWord};

/// Longest wait for attempts to stop at the end of a life. Plugins are interrupted within milliseconds,
/// so only a disk that hangs takes longer; then the process has to end, so that no attempt outlives
/// its life.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for the coordinator to take a registration, and for the last words to arrive.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Ends of attempts that wait to be taken note of.
const FINISHED_MAX: usize = 64;
/// Wake-up where nothing else is due.
const IDLE_WAKE: Duration = Duration::from_secs(3600);

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LifeEnd {
    /// The next one begins. Whether the coordinator had welcomed this one.
    Over {
        /// It had.
        welcomed: bool,
    },
    /// The coordinator needs nothing from it any more.
    Left,
    /// It was told to stop.
    Shutdown,
}

/// What the owner of the state wakes up for.
enum Step {
    Shutdown,
    Due,
    Finished(Box<Finished>),
    Link(LinkEvent),
}

/// The state of one life.
pub(super) struct Life {
    pub(super) house: Arc<House>,
    incarnation: Incarnation,
    pub(super) dir: PathBuf,
    pub(super) shop: Arc<Shop>,
    link: Link,
    peer: watch::Sender<Option<Peer>>,
    words: Option<mpsc::Sender<Word>>,
    /// When the registration was sent that waits for its welcome.
    registered: Option<Instant>,
    pub(super) worker: Option<WorkerId>,
    lease: Option<OwnLease>,
    next_beat: Instant,
    pub(super) ledger: Ledger,
    pub(super) attempts: TaskTracker,
    pub(super) finish: mpsc::Sender<Finished>,
    finished: mpsc::Receiver<Finished>,
    /// Jobs that have ended and of which attempts still run.
    pub(super) forgotten: BTreeSet<JobId>,
    pub(super) removals: TaskTracker,
    pub(super) room: Room,
    /// Slots in the next registration.
    offered: Arc<AtomicU32>,
    /// Slots that the coordinator knows of.
    told: Option<u32>,
}

impl Life {
    /// Begins a life and dials the coordinator. Blocks a moment to write its number to disk.
    pub fn begin(house: Arc<House>) -> Result<Self, WorkerError> {
        let incarnation = house.data.begin_life()?;
        house.outputs.begin(incarnation);
        let dir = house.data.life(incarnation);
        let room = Room::new(house.options.disk_reserve_bytes, *house.disk.borrow());
        let offered = Arc::new(AtomicU32::new(if room.is_enough() { house.options.slots } else { 0 }));
        let (peer, watched) = watch::channel(None);
        let (finish, finished) = mpsc::channel(FINISHED_MAX);
        let jobs = Jobs::new(
            dir.clone(),
            house.options.codec,
            house.memory.clone(),
            house.components.clone(),
            house.sides.clone(),
            house.options.policy.clone(),
        );
        let shop = Shop {
            asker: Asker::new(watched),
            jobs,
            executors: house.components.loader().executors().cloned(),
            outputs: house.outputs.clone(),
            fetcher: house.fetcher.clone(),
            slots: Semaphore::new(house.memory.slots),
            tenants: house.tenants.clone(),
            remote: house.options.remote.clone(),
            remote_outputs: house.options.remote_outputs.clone(),
            machine: house.options.read_near.then(machine).flatten(),
        };
        let registration = house.registration(incarnation, offered.clone());
        let link = Link::new(house.dialer.clone(), house.options.coordinator.clone(), registration);
        Ok(Self {
            incarnation,
            dir,
            shop: Arc::new(shop),
            link,
            peer,
            words: None,
            registered: None,
            worker: None,
            lease: None,
            next_beat: Instant::now(),
            ledger: Ledger::new(incarnation),
            attempts: TaskTracker::new(),
            finish,
            finished,
            forgotten: BTreeSet::new(),
            removals: TaskTracker::new(),
            room,
            offered,
            told: None,
            house,
        })
    }

    /// Lives until the end; [`Life::end`] has to follow.
    pub async fn live(&mut self, shutdown: &CancellationToken) -> Result<LifeEnd, WorkerError> {
        loop {
            let wake = tokio::time::Instant::from_std(self.wake());
            let step = tokio::select! {
                biased;
                () = shutdown.cancelled() => Step::Shutdown,
                () = tokio::time::sleep_until(wake) => Step::Due,
                Some(finished) = self.finished.recv() => Step::Finished(Box::new(finished)),
                event = self.link.event() => Step::Link(event),
            };
            if self.lease.as_ref().is_some_and(|lease| lease.has_lapsed(Instant::now())) {
                tracing::warn!(
                    incarnation = self.incarnation.0,
                    "the coordinator was silent for too long: all attempts and data of this life are given up"
                );
                return Ok(self.over());
            }
            let ended = match step {
                Step::Shutdown => Some(LifeEnd::Shutdown),
                Step::Due => {
                    self.beat();
                    None
                }
                Step::Finished(finished) => {
                    self.take(*finished);
                    None
                }
                Step::Link(event) => self.follow(event)?,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Ends everything, says goodbye where that was agreed, and removes all data.
    pub async fn end(mut self, ended: LifeEnd) -> Result<(), WorkerError> {
        let leaves = matches!(ended, LifeEnd::Left | LifeEnd::Shutdown);
        if !leaves {
            self.hang_up();
        }
        self.ledger.cancel_all();
        // Attempts do not wait until somebody hears how they ended.
        self.finished.close();
        self.attempts.close();
        if timeout(STOP_PATIENCE, self.attempts.wait()).await.is_err() {
            return Err(WorkerError::Stuck { attempts: self.attempts.len(), after: STOP_PATIENCE });
        }
        let removed = self.house.outputs.end();
        if leaves {
            self.say_goodbye().await;
        }
        self.house.fetcher.rest();
        self.removals.close();
        self.removals.wait().await;
        clean(removed, self.dir.clone()).await;
        Ok(())
    }

    fn over(&self) -> LifeEnd {
        LifeEnd::Over { welcomed: self.lease.is_some() }
    }

    /// When something is due without anybody's word.
    fn wake(&self) -> Instant {
        let lapse = self.lease.as_ref().map(OwnLease::end);
        let welcome = self.registered.map(|sent| sent + ANSWER_PATIENCE);
        let beat = (self.is_welcome() && self.lease.is_some()).then_some(self.next_beat);
        let due = [lapse, welcome, beat].into_iter().flatten().min();
        due.unwrap_or_else(|| Instant::now() + IDLE_WAKE)
    }

    /// Whether the coordinator hears words now.
    fn is_welcome(&self) -> bool {
        self.words.is_some() && self.registered.is_none()
    }

    pub(super) fn say(&mut self, word: Word) {
        if !self.is_welcome() {
            return;
        }
        let Some(words) = &self.words else { return };
        if words.try_send(word).is_err() {
            tracing::warn!("the coordinator does not take what it is told; the connection is given up");
            self.hang_up();
        }
    }

    /// Ends the connection; the link makes another one.
    fn hang_up(&mut self) {
        (self.words, self.registered, self.told) = (None, None, None);
        if let Some(peer) = self.peer.send_replace(None) {
            peer.close(CloseReason::Done);
        }
    }

    fn beat(&mut self) {
        let now = Instant::now();
        if self.registered.is_some_and(|sent| now >= sent + ANSWER_PATIENCE) {
            tracing::warn!("the coordinator does not answer the registration; the connection is given up");
            return self.hang_up();
        }
        let Some(lease) = self.lease.as_mut().filter(|_| self.words.is_some()) else { return };
        if self.registered.is_some() || now < self.next_beat {
            return;
        }
        if lease.is_unanswered(now) {
            tracing::warn!("the coordinator does not answer; the connection is given up");
            return self.hang_up();
        }
        let sequence = lease.beat(now);
        self.next_beat = now + lease.interval();
        self.resize();
        let (running, disk_free_bytes) = (self.ledger.progress(), self.room.free_bytes());
        self.say(Word::Say(WorkerWord::Heartbeat { sequence, running, disk_free_bytes }));
    }

    /// Looks at the disk, and says how many slots there are if the coordinator believes otherwise.
    fn resize(&mut self) {
        self.room.measured(*self.house.disk.borrow());
        let slots = if self.room.is_enough() { self.house.options.slots } else { 0 };
        self.offered.store(slots, Ordering::Relaxed);
        if self.told == Some(slots) {
            return;
        }
        if self.told.is_some() {
            tracing::warn!(
                slots,
                free_bytes = self.room.free_bytes(),
                "the room of the data folder changed what is taken"
            );
        }
        self.told = Some(slots);
        self.say(Word::Say(WorkerWord::Resized { slots }));
    }

    fn follow(&mut self, event: LinkEvent) -> Result<Option<LifeEnd>, WorkerError> {
        match event {
            LinkEvent::Opened { peer, sent, words } => {
                (self.words, self.registered) = (Some(words), Some(sent));
                self.peer.send_replace(Some(peer));
            }
            LinkEvent::Broken => self.hang_up(),
            LinkEvent::Refused(error) => return Err(WorkerError::Refused(error)),
            LinkEvent::Order(order) => return self.obey(order),
        }
        Ok(None)
    }

    fn obey(&mut self, order: Order) -> Result<Option<LifeEnd>, WorkerError> {
        match order {
            Order::Welcome { worker, lease_millis, jobs } => {
                return Ok(self.welcomed(worker, lease_millis, &jobs));
            }
            Order::Launch { lease } => self.launch(lease),
            Order::Cancel { lease } => self.cancel(&lease),
            Order::Heard { sequence } => {
                if let Some(lease) = &mut self.lease {
                    lease.heard(sequence);
                }
            }
            Order::Noted { lease } => self.ledger.noted(&lease),
            Order::Forget { job } => self.forget(&job),
            Order::Lost { worker, incarnation } => self.house.fetcher.lose(worker, incarnation),
            Order::Fenced { incarnation, replaced } if incarnation == self.incarnation => {
                if replaced {
                    return Err(WorkerError::Replaced { name: self.house.name().to_owned() });
                }
                tracing::warn!(
                    incarnation = incarnation.0,
                    "fenced: all attempts and data of this life are given up"
                );
                return Ok(Some(self.over()));
            }
            Order::Fenced { incarnation, .. } => {
                tracing::debug!(incarnation = incarnation.0, "a fence for another life is ignored");
            }
            Order::Leave => return Ok(Some(LifeEnd::Left)),
        }
        Ok(None)
    }

    fn welcomed(&mut self, worker: WorkerId, lease_millis: u64, jobs: &[JobId]) -> Option<LifeEnd> {
        let sent = self.registered.take()?;
        if self.worker.is_some_and(|known| known != worker) {
            tracing::warn!("the coordinator does not know this worker any more; a new life begins");
            return Some(self.over());
        }
        self.worker = Some(worker);
        match &mut self.lease {
            Some(lease) => lease.welcomed(sent, lease_millis),
            lease @ None => *lease = Some(OwnLease::new(sent, lease_millis)),
        }
        tracing::info!(
            worker = worker.0,
            incarnation = self.incarnation.0,
            lease_millis,
            "joined the cluster"
        );
        self.house.joined.cancel();
        for job in self.shop.jobs.known() {
            if !jobs.contains(&job) {
                self.forget(&job);
            }
        }
        for ended in self.ledger.unnoted().collect::<Vec<_>>() {
            self.say(Word::Ended(ended));
        }
        self.next_beat = Instant::now();
        self.beat();
        None
    }

    /// Tells the coordinator that nothing is left here, if it hears it in time.
    async fn say_goodbye(&mut self) {
        self.say(Word::Say(WorkerWord::Leaving));
        let (tell, told) = oneshot::channel();
        self.say(Word::Finish(tell));
        if self.is_welcome() && !matches!(timeout(ANSWER_PATIENCE, told).await, Ok(Ok(()))) {
            tracing::warn!("the coordinator may not have heard that this worker leaves");
        }
        self.hang_up();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.ledger.cancel_all();
    }
}
