//! The state machine: what an event about a worker or a whole job changes. Words of attempts are
//! in `word`, placement in `placement`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mr_model::{Incarnation, JobId, TaskId, WorkerId, limit};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Outcome, Refusal};
use crate::config::{Config, JOBS_ENDED_KEPT, JOBS_MAX, MAPS_MAX, PARTITION_BYTES_KEPT_MAX};
use crate::event::{Event, JobPlan, Lease, LossCause, Progress};
use crate::job::Job;
use crate::queue::Queues;
use crate::speculation;
use crate::time::Time;
use crate::worker::{Joining, Standing, Workers};

/// Schedules the tasks of many jobs on many workers.
///
/// Serialised it is a snapshot: with the durable events after it, it stands for the journal from the
/// beginning. Meant for a compact format such as postcard (its maps have keys that are not text), and
/// for this version of the crate alone; what is read back is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    config: Config,
    pub(crate) now: Time,
    /// Number of durable events so far: orders launches and wins.
    pub(crate) stamp: u64,
    pub(crate) workers: Workers,
    /// Jobs that have not ended.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) queues: Queues,
    ended: EndedJobs,
    submissions: u64,
    /// Sizes of partitions that jobs have set aside room for.
    partition_bytes_kept: usize,
}

impl Scheduler {
    /// A scheduler with no workers and no jobs.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Time::default(),
            stamp: 0,
            workers: Workers::default(),
            jobs: BTreeMap::new(),
            queues: Queues::default(),
            ended: EndedJobs::default(),
            submissions: 0,
            partition_bytes_kept: 0,
        }
    }

    /// Takes other settings, for a scheduler that was read from a snapshot. They take effect through
    /// what [`Scheduler::due`] tells.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
    }

    /// Takes an event and tells what is to be done, in order.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        self.stamp += u64::from(event.is_durable());
        let mut actions = Vec::new();
        self.apply(event, &mut actions);
        self.workers.reinstate_if_last(self.now);
        self.fill_slots(&mut actions);
        self.workers.note_closed(self.now);
        actions
    }

    /// What time and the settings alone have decided by `now`: other queues, workers whose lease
    /// lapsed or who have been set aside long enough, jobs that waited too long for one, stragglers
    /// that should get a backup. The driver hands these events to [`Scheduler::handle`] with the same
    /// `now` before any other event. It asks once before the first event of all, so that the queues
    /// of its settings are there, and once after [`Event::Resumed`].
    pub fn due(&self, now: Time) -> Vec<Event> {
        let mut events = Vec::new();
        if self.config.queues != *self.queues.config() {
            events.push(Event::QueuesChanged { queues: self.config.queues.clone() });
        }
        let lapsed = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.live && worker.expires.is_some_and(|expires| expires <= now));
        events.extend(lapsed.map(|(id, worker)| Event::WorkerLost {
            worker: id,
            incarnation: worker.incarnation,
            cause: LossCause::Expired,
        }));
        let over = self.workers.reinstated_by(now);
        events.extend(over.map(|(worker, incarnation)| Event::WorkerReinstated { worker, incarnation }));
        if let Some(closed) = self.workers.closed_since() {
            // What runs on draining workers may still end well.
            for job in self.jobs.values().filter(|job| job.live.is_empty()) {
                let since = closed.max(job.submitted);
                if since.after(self.config.no_worker_timeout) <= now {
                    let waited_millis = now.millis_since(since);
                    events.push(Event::JobStarved { job: job.id.clone(), waited_millis });
                }
            }
        }
        let jobs = self.jobs.values().filter(|job| self.queues.has_room(&job.queue));
        events.extend(speculation::backups_due(jobs, &self.workers, now));
        events
    }

    fn apply(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::WorkerJoined { worker, incarnation, slots, host } => {
                self.worker_joined(worker, incarnation, slots, host, actions);
            }
            Event::WorkerResized { worker, incarnation, slots } => {
                match self.workers.live(worker, incarnation) {
                    Some(_) => self.workers.resize(worker, slots),
                    None => actions.push(Action::Fence { worker, incarnation }),
                }
            }
            Event::WorkerReinstated { worker, incarnation } => {
                if self.workers.live(worker, incarnation).is_some() {
                    self.workers.reinstate(worker, self.now);
                }
            }
            Event::QueuesChanged { queues } => self.queues.set_config(queues),
            Event::WorkerLost { worker, incarnation, cause: _ } => {
                self.worker_lost(worker, incarnation, actions);
            }
            Event::WorkerDraining { worker, incarnation } => match self.workers.live(worker, incarnation) {
                Some(_) => self.workers.drain(worker),
                None => actions.push(Action::Fence { worker, incarnation }),
            },
            Event::Heartbeat { worker, incarnation, progress } => {
                self.heartbeat(worker, incarnation, &progress, actions);
            }
            Event::Resumed => self.workers.renew_all(self.now, self.lease_end()),
            Event::JobSubmitted { job, plan } => self.job_submitted(job, plan, actions),
            Event::JobCancelled { job } => self.end_job(&job, Outcome::Cancelled, actions),
            Event::JobAborted { job, failure } => self.end_job(&job, Outcome::Aborted { failure }, actions),
            Event::JobStarved { job, waited_millis } => {
                self.end_job(&job, Outcome::NoWorkers { waited_millis }, actions);
            }
            Event::BackupDue { job, task } => self.back_up(&job, task, actions),
            Event::AttemptFinished { lease, report } => self.attempt_finished(&lease, &report, actions),
            Event::AttemptFailed { lease, failure } => self.attempt_failed(&lease, failure, actions),
            Event::AttemptCancelled { lease } => self.attempt_cancelled(&lease, actions),
            Event::CommitRequested { lease } => self.commit_requested(lease, actions),
            Event::Committed { lease, report } => self.committed(&lease, &report, actions),
        }
    }

    fn worker_joined(
        &mut self,
        worker: WorkerId,
        incarnation: Incarnation,
        slots: u32,
        host: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        match self.workers.joining(worker, incarnation) {
            Joining::Refused => return actions.push(Action::Fence { worker, incarnation }),
            Joining::Replaces(earlier) => self.worker_lost(worker, earlier, actions),
            Joining::Accepted => {}
        }
        self.workers.join(worker, incarnation, slots, host, self.now, self.lease_end());
        actions.push(Action::Renew { worker, incarnation });
    }

    /// Takes away what the worker ran and held. Nothing of that counts as a failure.
    fn worker_lost(&mut self, worker: WorkerId, incarnation: Incarnation, actions: &mut Vec<Action>) {
        if self.workers.live(worker, incarnation).is_none() {
            return;
        }
        let lost = self.workers.lose(worker, self.now);
        for (id, attempt) in &lost {
            if let Some(job) = self.jobs.get_mut(id) {
                job.live.remove(attempt);
            }
        }
        for (id, attempt) in lost {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            actions.extend(job.drop_attempt(attempt).map(|lease| Action::GrantCommit { lease }));
            self.reindex(&id);
        }
        let mut changed = Vec::new();
        for (id, job) in &mut self.jobs {
            let maps = job.lose_outputs(worker);
            if !maps.is_empty() {
                changed.push(id.clone());
                actions.push(Action::MapOutputsLost { job: id.clone(), worker, incarnation, maps });
            }
        }
        for id in &changed {
            self.reindex(id);
        }
    }

    /// Renews the lease, and sends again what the worker's list shows to have been lost. Changes
    /// nothing that a journal would have to hold.
    fn heartbeat(
        &mut self,
        worker: WorkerId,
        incarnation: Incarnation,
        progress: &[Progress],
        actions: &mut Vec<Action>,
    ) {
        let expires = self.lease_end();
        let Some(held) = self.workers.live(worker, incarnation).map(|worker| &worker.leases) else {
            return actions.push(Action::Fence { worker, incarnation });
        };
        actions.push(Action::Renew { worker, incarnation });
        let lease = |job: &JobId, attempt| Lease { job: job.clone(), attempt, worker, incarnation };
        let mut listed = BTreeSet::new();
        for Progress { job, attempt, parts_per_million } in progress {
            listed.insert((job, *attempt));
            let running = self.jobs.get_mut(job).and_then(|job| job.live.get_mut(attempt));
            match running.filter(|attempt| attempt.worker == worker && attempt.incarnation == incarnation) {
                Some(running) => {
                    let latest = (*parts_per_million).min(speculation::PARTS_PER_MILLION);
                    running.parts_per_million = running.parts_per_million.max(latest);
                }
                None => actions.push(Action::Cancel { lease: lease(job, *attempt) }),
            }
        }
        for ((job, attempt), standing) in held {
            if listed.contains(&(job, *attempt)) {
                continue;
            }
            let lease = lease(job, *attempt);
            actions.push(match standing {
                Standing::Running => Action::Launch { lease },
                Standing::Cancelled => Action::Cancel { lease },
            });
        }
        self.workers.renew(worker, expires);
    }

    fn job_submitted(&mut self, id: JobId, plan: JobPlan, actions: &mut Vec<Action>) {
        if self.jobs.contains_key(&id) || self.ended.contains(&id) {
            return;
        }
        if let Err(refusal) = self.admit(&plan) {
            return actions.push(Action::JobRefused { job: id, refusal });
        }
        let sizes_max = PARTITION_BYTES_KEPT_MAX.saturating_sub(self.partition_bytes_kept);
        let job = Job::new(id.clone(), self.submissions, self.now, plan, sizes_max);
        self.partition_bytes_kept += job.partition_bytes.room();
        self.submissions += 1;
        self.queues.join(&job.queue);
        let complete = job.is_complete();
        self.jobs.insert(id.clone(), job);
        if complete {
            return self.end_job(&id, Outcome::Succeeded, actions);
        }
        self.reindex(&id);
    }

    /// Whether a job may be submitted.
    ///
    /// # Errors
    /// What is wrong with it. A driver that asks before it journals [`Event::JobSubmitted`] tells the
    /// client so at once.
    pub fn admit(&self, plan: &JobPlan) -> Result<(), Refusal> {
        if self.jobs.len() >= JOBS_MAX {
            return Err(Refusal::Jobs);
        }
        if plan.split_bytes.len() > MAPS_MAX {
            return Err(Refusal::Maps { maps: plan.split_bytes.len() });
        }
        if plan.reducers > limit::REDUCERS_MAX {
            return Err(Refusal::Reducers { reducers: plan.reducers });
        }
        if plan.reducers == 0 && plan.split_bytes.len() > limit::REDUCERS_MAX as usize {
            return Err(Refusal::Parts { parts: plan.split_bytes.len() });
        }
        if !self.queues.is_known(&plan.queue) {
            return Err(Refusal::Queue { queue: plan.queue.clone(), known: self.queues.known() });
        }
        Ok(())
    }

    /// Ends a job that has not ended: its attempts stop counting and are told to stop.
    pub(crate) fn end_job(&mut self, id: &JobId, outcome: Outcome, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.remove(id) else { return };
        self.queues.leave(&job.queue, id, job.seat);
        self.partition_bytes_kept -= job.partition_bytes.room();
        for (attempt, running) in &job.live {
            let lease = job.lease(*attempt, running);
            self.workers.cancel(&lease);
            actions.push(Action::Cancel { lease });
        }
        self.ended.insert(id.clone());
        actions.push(Action::JobFinished { job: id.clone(), outcome, totals: Box::new(job.totals) });
    }

    fn back_up(&mut self, id: &JobId, task: TaskId, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        if !self.queues.has_room(&job.queue) {
            return;
        }
        let Some(worker) = speculation::place_backup(job, task, &self.workers) else { return };
        let tasks = job.stage_mut(task.stage);
        if let Some(task) = tasks.task_mut(task.index) {
            task.backed_up = true;
        }
        tasks.backups += 1;
        self.launch(id, task, worker, actions);
    }

    /// When a lease that is renewed now lapses.
    fn lease_end(&self) -> Option<Time> {
        self.config.worker_lease.map(|lease| self.now.after(lease))
    }
}

/// Names of jobs that have ended, the latest `JOBS_ENDED_KEPT` of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct EndedJobs {
    names: BTreeSet<JobId>,
    oldest_first: VecDeque<JobId>,
}

impl EndedJobs {
    fn contains(&self, id: &JobId) -> bool {
        self.names.contains(id)
    }

    fn insert(&mut self, id: JobId) {
        if self.oldest_first.len() >= JOBS_ENDED_KEPT
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.names.remove(&oldest);
        }
        self.oldest_first.push_back(id.clone());
        self.names.insert(id);
    }
}
