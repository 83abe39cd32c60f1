//! Workers, the leases on their slots, and which of them can take an attempt. Free slots follow
//! from the leases that are held; nothing counts them down. A lease is held from the launch until
//! the worker says that the attempt ended, or is lost: a cancelled attempt still has its slot.

use std::collections::{BTreeMap, BTreeSet};

use mr_model::{AttemptId, Incarnation, JobId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::conduct::Conduct;
use crate::config::{HOST_BYTES_MAX, SLOTS_MAX, WORKERS_MAX};
use crate::event::Lease;
use crate::free::FreeSlots;
use crate::time::Time;

/// What a lease stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// The attempt counts.
    Running,
    /// The attempt was cancelled and only holds its slot.
    Cancelled,
}

/// What came of a worker that wants to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joining {
    /// It is in, or was already.
    Accepted,
    /// It is in, once the caller has taken away everything of its earlier life.
    Replaces(Incarnation),
    /// That life of it is over, or there is no room.
    Refused,
}

/// One worker, live or lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub incarnation: Incarnation,
    pub live: bool,
    pub draining: bool,
    pub slots: u32,
    host: Option<String>,
    conduct: Conduct,
    /// When its lease lapses, if it has one.
    pub expires: Option<Time>,
    /// When it was lost; of a live one, when it joined.
    since: Time,
    pub leases: BTreeMap<(JobId, AttemptId), Standing>,
}

impl Worker {
    /// Whether it takes attempts, free slots or not.
    fn is_open(&self) -> bool {
        self.live && !self.draining && self.slots > 0 && !self.is_aside()
    }

    /// Whether it gets no new attempts for a while because too much failed on it.
    pub fn is_aside(&self) -> bool {
        self.live && self.conduct.aside_until().is_some()
    }

    fn free(&self) -> u32 {
        if !self.is_open() {
            return 0;
        }
        self.slots.saturating_sub(u32::try_from(self.leases.len()).unwrap_or(u32::MAX))
    }
}

/// All workers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Workers {
    known: BTreeMap<WorkerId, Worker>,
    slots: FreeSlots,
    /// Live workers that are set aside.
    aside: BTreeSet<WorkerId>,
    /// Since when no worker takes attempts.
    closed_since: Option<Time>,
}

impl Workers {
    pub fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.known.iter().map(|(&id, worker)| (id, worker))
    }

    /// The worker, if it is live in this very incarnation.
    pub fn live(&self, id: WorkerId, incarnation: Incarnation) -> Option<&Worker> {
        self.known.get(&id).filter(|worker| worker.live && worker.incarnation == incarnation)
    }

    /// The life of a worker that takes attempts.
    pub fn incarnation(&self, id: WorkerId) -> Option<Incarnation> {
        self.known.get(&id).filter(|worker| worker.is_open()).map(|worker| worker.incarnation)
    }

    /// What the lease stands for; none where it is over or never was.
    pub fn standing(&self, lease: &Lease) -> Option<Standing> {
        let worker = self.live(lease.worker, lease.incarnation)?;
        worker.leases.get(&(lease.job.clone(), lease.attempt)).copied()
    }

    /// Looks at a worker that wants to join; after `Accepted`, or once the earlier life is taken
    /// away, [`Workers::join`] lets it in.
    pub fn joining(&self, id: WorkerId, incarnation: Incarnation) -> Joining {
        match self.known.get(&id) {
            None if self.has_room() => Joining::Accepted,
            None => Joining::Refused,
            Some(worker) if worker.live && worker.incarnation == incarnation => Joining::Accepted,
            Some(worker) if worker.incarnation >= incarnation => Joining::Refused,
            Some(worker) if worker.live => Joining::Replaces(worker.incarnation),
            Some(_) => Joining::Accepted,
        }
    }

    /// Lets a worker in, or renews the lease of one that is in already.
    pub fn join(
        &mut self,
        id: WorkerId,
        incarnation: Incarnation,
        slots: u32,
        host: Option<String>,
        now: Time,
        expires: Option<Time>,
    ) {
        if self.live(id, incarnation).is_some() {
            return self.renew(id, expires);
        }
        if !self.known.contains_key(&id) && self.known.len() >= WORKERS_MAX {
            self.forget_lost();
        }
        let worker = Worker {
            incarnation,
            live: true,
            draining: false,
            slots: slots.min(SLOTS_MAX),
            host: host.filter(|host| host.len() <= HOST_BYTES_MAX),
            conduct: Conduct::default(),
            expires,
            since: now,
            leases: BTreeMap::new(),
        };
        self.known.insert(id, worker);
        self.reindex(id, 0);
    }

    /// Takes a live worker out, with its leases; those that were running are returned.
    pub fn lose(&mut self, id: WorkerId, now: Time) -> Vec<(JobId, AttemptId)> {
        self.aside.remove(&id);
        let leases = self.change(id, |worker| {
            worker.live = false;
            worker.since = now;
            std::mem::take(&mut worker.leases)
        });
        let running = |(lease, standing)| (standing == Standing::Running).then_some(lease);
        leases.into_iter().flatten().filter_map(running).collect()
    }

    pub fn drain(&mut self, id: WorkerId) {
        self.change(id, |worker| worker.draining = true);
    }

    pub fn resize(&mut self, id: WorkerId, slots: u32) {
        self.change(id, |worker| worker.slots = slots.min(SLOTS_MAX));
    }

    pub fn renew(&mut self, id: WorkerId, expires: Option<Time>) {
        if let Some(worker) = self.known.get_mut(&id) {
            // A late heartbeat must not shorten what an earlier answer promised.
            worker.expires = worker.expires.max(expires);
        }
    }

    /// Gives every live worker a fresh term, and the wait for workers a fresh start.
    pub fn renew_all(&mut self, now: Time, expires: Option<Time>) {
        for worker in self.known.values_mut().filter(|worker| worker.live) {
            worker.expires = worker.expires.max(expires);
        }
        self.closed_since = self.closed_since.map(|_| now);
    }

    pub fn hold(&mut self, lease: &Lease) {
        let key = (lease.job.clone(), lease.attempt);
        self.change(lease.worker, |worker| worker.leases.insert(key, Standing::Running));
    }

    /// Marks the attempt as cancelled; it keeps its slot.
    pub fn cancel(&mut self, lease: &Lease) {
        let key = (lease.job.clone(), lease.attempt);
        if let Some(standing) =
            self.known.get_mut(&lease.worker).and_then(|worker| worker.leases.get_mut(&key))
        {
            *standing = Standing::Cancelled;
        }
    }

    /// Ends the lease, if it is in force, and tells what it stood for.
    pub fn release(&mut self, lease: &Lease) -> Option<Standing> {
        let standing = self.standing(lease)?;
        let key = (lease.job.clone(), lease.attempt);
        self.change(lease.worker, |worker| worker.leases.remove(&key));
        Some(standing)
    }

    /// Whether the worker is a machine of its own. Those without a lease are threads of the driver,
    /// which share its disk and its troubles.
    pub fn is_machine(&self, id: WorkerId) -> bool {
        self.known.get(&id).is_some_and(|worker| worker.expires.is_some())
    }

    /// The indexes in which placement looks.
    pub fn slots(&self) -> &FreeSlots {
        &self.slots
    }

    /// Notes a failure that is the worker's own, and sets the worker aside when it is one too many
    /// and another takes attempts.
    pub fn blame(&mut self, id: WorkerId, incarnation: Incarnation, now: Time) {
        let others = self.slots.has_open_beside(id);
        if !self.is_machine(id) || self.live(id, incarnation).is_none_or(Worker::is_aside) {
            return;
        }
        self.change(id, |worker| {
            if worker.conduct.note_failure(now) && others {
                worker.conduct.set_aside(now);
            }
        });
        if self.known.get(&id).is_some_and(Worker::is_aside) {
            self.aside.insert(id);
        }
    }

    /// Lets a worker take attempts again.
    pub fn reinstate(&mut self, id: WorkerId, now: Time) {
        if self.aside.remove(&id) {
            self.change(id, |worker| worker.conduct.reinstate(now));
        }
    }

    /// Lets all take attempts again that were set aside, where nobody else does: a bad worker is
    /// better than none.
    pub fn reinstate_if_last(&mut self, now: Time) {
        if self.slots.has_open() || self.aside.is_empty() {
            return;
        }
        for id in self.aside.clone() {
            self.reinstate(id, now);
        }
    }

    /// Live workers that were set aside until `now` at the latest, with their lives.
    pub fn reinstated_by(&self, now: Time) -> impl Iterator<Item = (WorkerId, Incarnation)> {
        self.aside.iter().filter_map(move |&id| {
            let worker = self.known.get(&id)?;
            let over = worker.conduct.aside_until().is_none_or(|until| until <= now);
            over.then_some((id, worker.incarnation))
        })
    }

    /// Keeps note of since when no worker takes attempts.
    pub fn note_closed(&mut self, now: Time) {
        self.closed_since = (!self.slots.has_open()).then(|| self.closed_since.unwrap_or(now));
    }

    /// Since when no worker takes attempts; none while one does.
    pub fn closed_since(&self) -> Option<Time> {
        self.closed_since
    }

    /// Whether one more worker can be known, if need be in place of a lost one.
    fn has_room(&self) -> bool {
        self.known.len() < WORKERS_MAX || self.known.values().any(|worker| !worker.live)
    }

    /// Forgets the worker lost longest ago. Its late words stay harmless: they need a lease in force.
    fn forget_lost(&mut self) {
        let lost = self.known.iter().filter(|(_, worker)| !worker.live);
        let oldest = lost.min_by_key(|(id, worker)| (worker.since, **id)).map(|(&id, _)| id);
        if let Some(id) = oldest {
            self.known.remove(&id);
        }
    }

    /// Changes a worker and brings the indexes up to date.
    fn change<R>(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker) -> R) -> Option<R> {
        let worker = self.known.get_mut(&id)?;
        let free_before = worker.free();
        let result = change(worker);
        self.reindex(id, free_before);
        Some(result)
    }

    /// Brings the indexes up to date after a change of the worker.
    fn reindex(&mut self, id: WorkerId, free_before: u32) {
        let Some(worker) = self.known.get(&id) else { return };
        self.slots.update(id, worker.host.as_deref(), worker.is_open(), free_before, worker.free());
    }
}
