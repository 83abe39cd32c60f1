//! One life of a worker, from its registration until it is fenced, its lease lapses, or it leaves.
//!
//! One task owns all state: the ledger of attempts, the lease, the connection. It never waits for the
//! network or a disk while it holds a decision: words go to the link, attempts run in tasks of their own
//! and report. The lease is looked at after every wait and before anything is acted on, because the
//! process may have been stopped meanwhile. Must not run attempts itself, nor decide what runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mr_model::{Failure, Incarnation, JobId, WorkerId};
use mr_net::{CloseReason, ConnectError, Peer};
use mr_scheduler::Lease;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WorkerError;
use super::ask::Asker;
use super::attempt::{Finished, Shop, attend};
use super::cancel::Cancel;
use super::data::{job_dir, remove};
use super::disk::Room;
use super::house::House;
use super::jobs::Jobs;
use super::lease::OwnLease;
use super::ledger::{Ended, Launch, Ledger, Running};
use super::link::{Link, LinkEvent, Word};
use super::outputs::Removed;
use super::share::Share;
use crate::protocol::{AttemptEnd, Order, WorkerWord};

/// Longest wait for attempts to stop at the end of a life. Plugins are interrupted within milliseconds,
/// so only a disk that hangs takes longer; then the process has to end, so that no attempt outlives
/// its life.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for the coordinator to take a registration, and for the last words to arrive.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Attempts that are known to run or wait for a slot, beyond the slots: those that the coordinator
/// launched before it heard that there are fewer slots.
const WAITING_MAX: usize = 1024;
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
    Finished(Finished),
    Link(LinkEvent),
}

/// The state of one life.
pub(super) struct Life {
    house: Arc<House>,
    incarnation: Incarnation,
    dir: PathBuf,
    shop: Arc<Shop>,
    link: Link,
    peer: watch::Sender<Option<Peer>>,
    words: Option<mpsc::Sender<Word>>,
    /// When the registration was sent that waits for its welcome.
    registered: Option<Instant>,
    worker: Option<WorkerId>,
    lease: Option<OwnLease>,
    next_beat: Instant,
    ledger: Ledger,
    attempts: TaskTracker,
    finish: mpsc::Sender<Finished>,
    finished: mpsc::Receiver<Finished>,
    /// Jobs that have ended and of which attempts still run.
    forgotten: BTreeSet<JobId>,
    removals: TaskTracker,
    room: Room,
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
        let jobs =
            Jobs::new(dir.clone(), house.options.codec, house.memory.clone(), house.components.clone());
        let shop = Shop {
            asker: Asker::new(watched),
            jobs,
            outputs: house.outputs.clone(),
            fetcher: house.fetcher.clone(),
            slots: Semaphore::new(house.memory.slots),
            disk_reserve_bytes: house.options.disk_reserve_bytes,
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
                Some(finished) = self.finished.recv() => Step::Finished(finished),
                event = self.link.event() => Step::Link(event),
            };
            if self.lease.as_ref().is_some_and(|lease| lease.has_lapsed(Instant::now())) {
                tracing::warn!(
                    incarnation = self.incarnation.0,
                    "the lease lapsed: all attempts and data of this life are given up"
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
                    self.take(finished);
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

    fn say(&mut self, word: Word) {
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
            LinkEvent::Refused(error) => return Err(refused(error)),
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
        let Some(sent) = self.registered.take() else { return None };
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

    fn launch(&mut self, lease: Lease) {
        if !self.is_ours(&lease) {
            return tracing::debug!(?lease, "a launch for another life is ignored");
        }
        match self.ledger.launch(&lease) {
            Launch::Nothing => {}
            Launch::Repeat(ended) => self.say(Word::Ended(ended)),
            Launch::Begin if self.forgotten.contains(&lease.job) => self.cancel(&lease),
            Launch::Begin => match self.refusal() {
                Some(failure) => self.close(Finished {
                    lease,
                    end: AttemptEnd::Failed(failure),
                    log: Vec::new(),
                    output: None,
                }),
                None => self.start(lease),
            },
        }
    }

    fn start(&mut self, lease: Lease) {
        tracing::info!(job = %lease.job, attempt = %lease.attempt, "attempt started");
        let (cancel, share) = (Cancel::default(), Arc::<Share>::default());
        self.ledger.begun(&lease, Running { cancel: cancel.clone(), share: share.clone() });
        let (shop, finish) = (self.shop.clone(), self.finish.clone());
        self.attempts.spawn(async move {
            // At the end of a life nobody listens any more.
            let _ = finish.send(attend(shop, lease, cancel, share).await).await;
        });
    }

    /// Why nothing can begin now.
    fn refusal(&self) -> Option<Failure> {
        if !self.room.is_enough() {
            let reason = format!(
                "{} bytes are free, and {} stay free",
                self.room.free_bytes(),
                self.house.options.disk_reserve_bytes
            );
            return Some(Failure::Disk { path: self.dir.clone(), reason, full: true });
        }
        let waiting = self.attempts.len().saturating_sub(self.house.memory.slots);
        (waiting >= WAITING_MAX)
            .then(|| Failure::internal(format!("{waiting} attempts wait for a slot of this worker already")))
    }

    fn cancel(&mut self, lease: &Lease) {
        if self.is_ours(lease)
            && let Some(ended) = self.ledger.cancel(lease)
        {
            self.say(Word::Ended(ended));
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        self.ledger.is_ours(lease) && self.worker == Some(lease.worker)
    }

    /// Takes note of the end of an attempt that ran.
    fn take(&mut self, finished: Finished) {
        let job = finished.lease.job.clone();
        self.close(finished);
        if self.forgotten.contains(&job) && !self.ledger.is_running(&job) {
            self.remove_job(&job);
        }
    }

    fn close(&mut self, finished: Finished) {
        let Finished { lease, end, log, output } = finished;
        let end = if self.ledger.is_cancelled(&lease) { AttemptEnd::Cancelled } else { end };
        match &end {
            AttemptEnd::Failed(failure) => {
                tracing::warn!(job = %lease.job, attempt = %lease.attempt, %failure, "attempt failed");
            }
            AttemptEnd::Cancelled => {
                tracing::info!(job = %lease.job, attempt = %lease.attempt, "attempt cancelled")
            }
            AttemptEnd::Output { .. } | AttemptEnd::Part { .. } => {
                tracing::info!(job = %lease.job, attempt = %lease.attempt, "attempt done");
            }
        }
        if let (AttemptEnd::Output { .. }, Some(output)) = (&end, output) {
            self.house.outputs.put(lease.job.clone(), lease.attempt, output);
        }
        let ended = self.ledger.ended(Ended { lease, end, log });
        self.say(Word::Ended(ended));
    }

    /// Removes everything of a job, once its attempts have stopped.
    fn forget(&mut self, job: &JobId) {
        self.ledger.cancel_job(job);
        self.ledger.forget(job);
        self.shop.jobs.forget(job);
        if self.ledger.is_running(job) {
            self.forgotten.insert(job.clone());
        } else {
            self.remove_job(job);
        }
    }

    fn remove_job(&mut self, job: &JobId) {
        self.forgotten.remove(job);
        self.shop.jobs.forget(job);
        let removed = self.house.outputs.forget(job);
        self.removals.spawn(clean(removed, job_dir(&self.dir, job)));
        if self.shop.jobs.known().is_empty() {
            self.house.fetcher.rest();
        }
        tracing::debug!(%job, "job forgotten");
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

/// Removes outputs and a folder.
async fn clean(removed: Removed, dir: PathBuf) {
    let path = dir.clone();
    let cleaned = tokio::task::spawn_blocking(move || {
        drop(removed);
        remove(&path)
    });
    let reason = match cleaned.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(dir = %dir.display(), reason, "data cannot be removed; it is tried again at the next start");
}

fn refused(error: ConnectError) -> WorkerError {
    WorkerError::Refused(error)
}
