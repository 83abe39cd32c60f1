//! A small cluster around a real core with a real journal and a real output folder: workers that are
//! plain code, and a client that submits again whenever it got no answer. Everything that a worker
//! knows is on disk before anybody hears of it, so that it outlives the coordinator.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use mr_cluster::coordinator::core::{Core, CoreSettings, Effect, Input};
use mr_cluster::coordinator::journal::Journal;
use mr_cluster::coordinator::{Outputs, worker_id};
use mr_cluster::protocol::{
    AttemptEnd, JobEnd, JobState, Order, OutputRequest, Registration, Share, SubmitHead, SubmitReply,
    SubmittedPlan, TaskOrder, WorkerWord,
};
use mr_model::{Incarnation, JobId, Stage, TaskId, WorkerId};
use mr_runtime::{Facts, MapFacts, ReduceFacts, StageFacts};
use mr_scheduler::{AttemptReport, Config, Lease, Progress, Time};
use mr_storage::{PartNames, PartsWriter, ReadyParts};
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Unsynced};
use crate::plan::{MAPS, REDUCERS, submitted_plan};

/// Rounds after which a job that has not ended never will.
const ROUNDS_MAX: u64 = 2_000;
/// Time between two rounds, in milliseconds.
const ROUND_MILLIS: u64 = 200;
const LEASE_MILLIS: u64 = 5_000;
const WORKERS: [&str; 2] = ["one", "two"];

/// What a worker knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct WorkerState {
    incarnation: u64,
    /// Attempts that it ran in any life, in order.
    executed: Vec<(Stage, u32, u32)>,
    /// Ends that were not noted.
    unnoted: Vec<(Lease, AttemptEnd)>,
}

/// What outlives the coordinator beside its own files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct World {
    millis: u64,
    workers: BTreeMap<String, WorkerState>,
}

/// How often each task was executed.
pub type Executions = BTreeMap<(Stage, u32), usize>;

/// The cluster of one process life.
pub struct Scene {
    dir: PathBuf,
    world: World,
    core: Core,
    outputs: Outputs,
    inputs: VecDeque<Input>,
    accepted: bool,
    /// Mappers emit something else in each life of their worker.
    pub capricious: bool,
    /// Reducers say what is not so of all attempts but the last.
    pub lying: bool,
}

pub fn job() -> JobId {
    JobId::new("crash").unwrap()
}

pub fn output(dir: &Path) -> PathBuf {
    dir.join("out")
}

impl Scene {
    /// Begins a life: workers come back as they were, or with a new life of their own.
    pub fn open(dir: &Path, unsynced: Unsynced, workers_survive: bool) -> Self {
        let stored = fs::read(dir.join("world")).ok();
        let mut world: World = stored.map(|bytes| postcard::from_bytes(&bytes).unwrap()).unwrap_or_default();
        for name in WORKERS {
            let state = world.workers.entry(name.to_owned()).or_default();
            if !workers_survive || state.incarnation == 0 {
                state.incarnation += 1;
                state.unnoted.clear();
            }
        }
        world.millis += 1_000;
        let journal = Journal::open_with(&dir.join("journal"), |path| Backend::open(path, unsynced)).unwrap();
        let scheduler = Config {
            worker_lease: Some(std::time::Duration::from_millis(LEASE_MILLIS)),
            ..Config::default()
        };
        let settings = CoreSettings { scheduler, keep_jobs: 10 };
        let (core, effects) = Core::open(journal, settings, Time(world.millis)).unwrap();
        let mut scene = Self {
            dir: dir.to_owned(),
            world,
            core,
            outputs: Outputs::default(),
            inputs: VecDeque::new(),
            accepted: false,
            capricious: false,
            lying: false,
        };
        scene.save();
        scene.carry_out(effects);
        scene.connect();
        scene
    }

    /// Runs until the job has ended.
    pub fn run(&mut self) -> JobEnd {
        self.run_until(|_| false).unwrap()
    }

    /// Runs until every map task is done; ends in the middle of the job.
    pub fn run_maps(&mut self) {
        let ended = self
            .run_until(|scene| scene.core.view(&job()).unwrap().is_some_and(|view| view.maps.done == MAPS));
        assert!(ended.is_none(), "the job ended");
    }

    /// Runs until the job has ended, or until it is `enough`.
    fn run_until(&mut self, enough: impl Fn(&Self) -> bool) -> Option<JobEnd> {
        for _ in 0..ROUNDS_MAX {
            if !self.accepted {
                let (head, plan) = submission(&self.dir);
                self.inputs.push_back(Input::Submit { ticket: 1, head, plan: Box::new(plan) });
            }
            self.beat();
            let inputs: Vec<Input> = self.inputs.drain(..).collect();
            self.world.millis += ROUND_MILLIS;
            let effects = self.core.handle(Time(self.world.millis), inputs).unwrap();
            self.carry_out(effects);
            let view = self.core.view(&job()).unwrap();
            if let Some(view) = view.filter(|view| view.state == JobState::Ended) {
                assert!(self.core.worker_views().iter().all(|worker| worker.running == 0), "slots are held");
                return view.end;
            }
            if enough(self) {
                return None;
            }
        }
        panic!("the job did not end");
    }

    /// How often each task was executed, in all lives.
    pub fn executions(dir: &Path) -> Executions {
        let world: World = postcard::from_bytes(&fs::read(dir.join("world")).unwrap()).unwrap();
        let mut executions = Executions::new();
        for (stage, index, _) in world.workers.values().flat_map(|worker| &worker.executed) {
            *executions.entry((*stage, *index)).or_default() += 1;
        }
        executions
    }

    fn save(&self) {
        let (path, partial) = (self.dir.join("world"), self.dir.join("world.partial"));
        fs::write(&partial, postcard::to_stdvec(&self.world).unwrap()).unwrap();
        fs::rename(partial, path).unwrap();
    }

    /// All workers register and say again what was not noted.
    fn connect(&mut self) {
        for (name, state) in &self.world.workers {
            let registration = Registration {
                incarnation: Incarnation(state.incarnation),
                instance: state.incarnation,
                slots: 2,
                address: "127.0.0.1:1".to_owned(),
                host: String::new(),
            };
            let worker = worker_id(name);
            self.inputs.push_back(Input::Registered { worker, name: name.clone(), registration });
            for (lease, end) in &state.unnoted {
                let word = ended(lease, end);
                let incarnation = Incarnation(state.incarnation);
                self.inputs.push_back(Input::Word { worker, incarnation, word });
            }
        }
    }

    fn beat(&mut self) {
        for (name, state) in &self.world.workers {
            let word = WorkerWord::Heartbeat {
                sequence: self.world.millis,
                running: Vec::<Progress>::new(),
                disk_free_bytes: 0,
            };
            let (worker, incarnation) = (worker_id(name), Incarnation(state.incarnation));
            self.inputs.push_back(Input::Word { worker, incarnation, word });
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut tasks = VecDeque::new();
        for effect in effects {
            match effect {
                Effect::Order { worker, order } => self.obey(worker, order),
                Effect::Output { job, work } => tasks.extend(self.outputs.add(job, work)),
                Effect::Submitted { reply, .. } => match reply {
                    SubmitReply::Accepted { .. } => self.accepted = true,
                    reply => panic!("{reply:?}"),
                },
            }
        }
        while let Some(task) = tasks.pop_front() {
            let (job, done) = task.run();
            tasks.extend(self.outputs.done(&job));
            self.inputs.push_back(Input::Output { job, done });
        }
    }

    fn obey(&mut self, worker: WorkerId, order: Order) {
        let name = WORKERS.into_iter().find(|name| worker_id(name) == worker).unwrap();
        match order {
            Order::Launch { lease } => self.launch(name, lease),
            Order::Cancel { lease } => {
                self.state(name).unnoted.retain(|(known, _)| *known != lease);
                self.save();
                self.say(name, &lease, &AttemptEnd::Cancelled);
            }
            Order::Noted { lease } => {
                self.state(name).unnoted.retain(|(known, _)| *known != lease);
                self.save();
            }
            Order::Welcome { .. } | Order::Heard { .. } | Order::Forget { .. } | Order::Lost { .. } => {}
            order => panic!("{name} was told {order:?}"),
        }
    }

    fn state(&mut self, name: &str) -> &mut WorkerState {
        self.world.workers.get_mut(name).unwrap()
    }

    fn say(&mut self, name: &str, lease: &Lease, end: &AttemptEnd) {
        let incarnation = Incarnation(self.world.workers[name].incarnation);
        let word = ended(lease, end);
        self.inputs.push_back(Input::Word { worker: worker_id(name), incarnation, word });
    }

    /// Runs an attempt, or says again how it ended.
    fn launch(&mut self, name: &str, lease: Lease) {
        assert_eq!(lease.incarnation.0, self.world.workers[name].incarnation, "launched in another life");
        let known = self.world.workers[name].unnoted.iter().find(|(known, _)| *known == lease).cloned();
        if let Some((lease, end)) = known {
            return self.say(name, &lease, &end);
        }
        let Some(order) = self.core.task_order(lease.worker, &lease.job, lease.attempt) else { return };
        let TaskId { stage, index } = lease.attempt.task;
        let end = match order {
            TaskOrder::Map(split) => {
                assert_eq!(split.index, index);
                let report = AttemptReport { records_in: 1, records_out: 1, ..AttemptReport::default() };
                AttemptEnd::Output { report, facts: map_facts(self.emitted(name)) }
            }
            TaskOrder::Reduce { outputs, .. } => {
                assert_eq!(outputs.len(), MAPS as usize);
                self.reduce(&lease)
            }
        };
        let state = self.state(name);
        state.executed.push((stage, index, lease.attempt.attempt));
        state.unnoted.push((lease.clone(), end.clone()));
        self.save();
        self.say(name, &lease, &end);
    }

    /// Hash of what mappers emit.
    fn emitted(&self, name: &str) -> u128 {
        if self.capricious { u128::from(self.world.workers[name].incarnation) } else { 7 }
    }

    fn reduce(&self, lease: &Lease) -> AttemptEnd {
        let description = self.core.description(&lease.job).unwrap();
        let description: mr_runtime::JobDescription = postcard::from_bytes(&description).unwrap();
        let (task, attempt) = (lease.attempt.task, lease.attempt.attempt);
        let path = description.part_dir;
        for place in ["", ".1", ".2"] {
            let _ = fs::remove_file(path.join(format!("_attempt-r-{:05}-{attempt}{place}", task.index)));
        }
        let names = PartNames::of(&description.spec.output);
        let mut parts = PartsWriter::new(&path, lease.attempt, names);
        for (port, (_, content)) in [0, 1, 0].into_iter().zip(files(task.index)) {
            let mut part = parts.begin(port).unwrap();
            part.write(content.as_bytes(), 1).unwrap();
            parts.end(part).unwrap();
        }
        let mut parts = parts.finish().unwrap().hand_over();
        if self.lying
            && let Some(lie) = LIES.get(attempt as usize)
        {
            lie(&mut parts);
        }
        let report = AttemptReport { records_in: 1, records_out: 1, ..AttemptReport::default() };
        AttemptEnd::Parts { report, facts: reduce_facts(), parts }
    }
}

fn facts(stage: StageFacts) -> Facts {
    Facts {
        stage,
        spilled: Default::default(),
        rejects: 0,
        last_reject: None,
        large_groups: Vec::new(),
        counters: Default::default(),
        guest_memory_bytes_peak: 0,
        cpu_millis: 0,
    }
}

/// A map task gives one record to each reducer.
fn map_facts(emitted: u128) -> Facts {
    let records = u64::from(REDUCERS);
    facts(StageFacts::Map(MapFacts {
        shuffle_records: records,
        shuffle_bytes: records,
        emitted: Some(emitted),
        ..MapFacts::default()
    }))
}

fn reduce_facts() -> Facts {
    let records = u64::from(MAPS);
    let counted =
        ReduceFacts { records_in: records, bytes_in: records, records_out: 3, ..ReduceFacts::default() };
    facts(StageFacts::Reduce(counted))
}

/// Names and content of the files of reduce task `index`, in the order in which it begins them.
pub fn files(index: u32) -> [(String, String); 3] {
    [("", 0), ("errors/", 0), ("", 1)].map(|(folder, number)| {
        (
            format!("{folder}part-r-{index:05}-{number:04}"),
            format!("{folder}{number} of {index} of {REDUCERS}\n"),
        )
    })
}

/// What a worker may say of the parts of its attempt that is not so: nothing of it is committed.
const LIES: [fn(&mut ReadyParts); 3] = [
    |parts| parts.parts[1].name = "errors/../../part-r-00000".into(),
    |parts| parts.parts[1].name = parts.parts[1].name.replace("errors", "others"),
    |parts| parts.parts.truncate(0),
];

fn ended(lease: &Lease, end: &AttemptEnd) -> WorkerWord {
    WorkerWord::Ended { lease: lease.clone(), end: Box::new(end.clone()), log: Vec::new() }
}

fn submission(dir: &Path) -> (SubmitHead, SubmittedPlan) {
    let output = OutputRequest { path: output(dir), overwrite: true, sync: true };
    let share =
        Share { queue: "default".to_owned(), priority: 0, weight: 1, slots_max: None, speculation: false };
    let plan = submitted_plan(dir, output, share);
    let head =
        SubmitHead { job: job(), digest: [7; 32], components: Vec::new(), sides: Vec::new(), plan_bytes: 1 };
    (head, plan)
}
