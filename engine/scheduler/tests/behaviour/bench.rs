//! A scheduler on a bench: a clock that the test sets, short ways to tell events, what was launched.

use std::collections::BTreeMap;

use mr_model::{AttemptId, Failure, Incarnation, JobId, PluginFault, Role, TaskId, WorkerId};
use mr_scheduler::{
    Action, AttemptReport, Config, Event, JobPlan, Lease, LossCause, Outcome, Progress, Scheduler, Time,
};

/// A scheduler with a clock that the test sets, and what it has launched.
pub struct Bench {
    pub scheduler: Scheduler,
    pub now: u64,
    pub launched: Vec<Lease>,
    /// Durable events so far.
    pub history: Vec<(u64, Event, Vec<Action>)>,
}

impl Bench {
    pub fn new(workers: &[(u64, u32)]) -> Self {
        let mut bench = Self::with(Config::default());
        for &(id, slots) in workers {
            bench.join(id, 1, slots);
        }
        bench
    }

    pub fn with(config: Config) -> Self {
        let scheduler = Scheduler::new(config);
        let mut bench = Self { scheduler, now: 0, launched: Vec::new(), history: Vec::new() };
        for event in bench.scheduler.due(Time(0)) {
            bench.tell(event);
        }
        bench
    }

    pub fn tell(&mut self, event: Event) -> Vec<Action> {
        let durable = event.is_durable().then(|| event.clone());
        let actions = self.scheduler.handle(Time(self.now), event);
        if let Some(event) = durable {
            self.history.push((self.now, event, actions.clone()));
        }
        for action in &actions {
            if let Action::Launch { lease } = action {
                self.launched.push(lease.clone());
            }
        }
        actions
    }

    pub fn join(&mut self, id: u64, incarnation: u64, slots: u32) -> Vec<Action> {
        self.tell(Event::WorkerJoined {
            worker: WorkerId(id),
            incarnation: Incarnation(incarnation),
            slots,
            host: None,
        })
    }

    pub fn leave(&mut self, id: u64) -> Vec<Action> {
        let (worker, incarnation) = (WorkerId(id), Incarnation(1));
        self.tell(Event::WorkerLost { worker, incarnation, cause: LossCause::Left })
    }

    pub fn submit(&mut self, name: &str, plan: JobPlan) -> Vec<Action> {
        self.tell(Event::JobSubmitted { job: job(name), plan })
    }

    pub fn finish(&mut self, lease: &Lease) -> Vec<Action> {
        self.tell(Event::AttemptFinished { lease: lease.clone(), report: AttemptReport::default() })
    }

    pub fn fail(&mut self, lease: &Lease, failure: Failure) -> Vec<Action> {
        self.tell(Event::AttemptFailed { lease: lease.clone(), failure })
    }

    pub fn ask(&mut self, lease: &Lease) -> Vec<Action> {
        self.tell(Event::CommitRequested { lease: lease.clone() })
    }

    pub fn commit(&mut self, lease: &Lease) -> Vec<Action> {
        self.ask(lease);
        self.tell(Event::Committed { lease: lease.clone(), report: AttemptReport::default() })
    }

    /// Moves the clock and handles what has become due, with every worker alive.
    pub fn wait(&mut self, millis: u64, progress: &[(&Lease, u32)]) -> Vec<Action> {
        self.now += millis;
        let live: Vec<_> = self.scheduler.workers().filter(|(_, status)| status.live).collect();
        for (worker, status) in live {
            let of_worker = progress.iter().filter(|(lease, _)| lease.worker == worker);
            let progress = of_worker
                .map(|(lease, parts_per_million)| Progress {
                    job: lease.job.clone(),
                    attempt: lease.attempt,
                    parts_per_million: *parts_per_million,
                })
                .collect();
            let incarnation = status.incarnation;
            self.scheduler.handle(Time(self.now), Event::Heartbeat { worker, incarnation, progress });
        }
        let due = self.scheduler.due(Time(self.now));
        due.into_iter().flat_map(|event| self.tell(event)).collect()
    }

    /// Leases launched since the last call.
    pub fn take(&mut self) -> Vec<Lease> {
        std::mem::take(&mut self.launched)
    }
}

pub fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

pub fn maps(count: usize, reducers: u32) -> JobPlan {
    JobPlan { speculation: false, ..JobPlan::new(vec![1; count], reducers) }
}

pub fn disk() -> Failure {
    Failure::Disk { path: "work".into(), reason: "broken".into(), full: false }
}

pub fn fatal() -> Failure {
    let fault = PluginFault::Fatal;
    Failure::Plugin {
        fault,
        role: Role::Mapper,
        message: "no".into(),
        place: None,
        words: mr_model::LastWords::default(),
    }
}

pub fn outcome(actions: &[Action]) -> Option<&Outcome> {
    actions.iter().find_map(|action| match action {
        Action::JobFinished { outcome, .. } => Some(outcome),
        _ => None,
    })
}

pub fn by_job(leases: &[Lease]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for lease in leases {
        *counts.entry(lease.job.as_str()).or_default() += 1;
    }
    counts
}

/// An attempt at a map task.
pub fn attempt(index: u32, attempt: u32) -> AttemptId {
    AttemptId { task: TaskId::map(index), attempt }
}
