//! The core of a coordinator and workers that say anything: whatever they say, in whatever order, it
//! answers, shows what it has, and does nothing with an output that nobody asked for.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use mr_cluster::coordinator::core::{Core, CoreSettings, Effect, Input, OutputDone, OutputFault, OutputWork};
use mr_cluster::coordinator::journal::Journal;
use mr_cluster::coordinator::worker_id;
use mr_cluster::protocol::{AttemptEnd, Order, Registration, SubmitHead, SubmittedPlan, WorkerWord};
use mr_model::{AttemptId, Failure, Incarnation, JobId, Stage, TaskId, WorkerId};
use mr_runtime::{MapFacts, ReduceFacts, StageFacts};
use mr_scheduler::{AttemptReport, Config, Lease, Time};
use mr_storage::{Part, ReadyParts};
use redb::backends::InMemoryBackend;

use crate::journal::facts;
use crate::message::{failures, registration};
use crate::submission::plan;
use crate::take::Supply;

/// Rounds of one input: a journal takes long beside them.
const ROUNDS_MAX: usize = 256;
/// Jobs of one input.
const JOBS: u8 = 3;
/// Lease of a worker.
const LEASE: Duration = Duration::from_secs(5);

/// Target: steps, each a byte for what happens and what it takes.
pub fn coordinator(data: &[u8]) {
    let mut scene = Scene::new();
    let mut supply = Supply(data);
    for _ in 0..ROUNDS_MAX {
        if supply.is_empty() {
            break;
        }
        scene.step(&mut supply);
    }
    scene.check();
}

struct Scene {
    core: Core,
    now: u64,
    tickets: u64,
    /// Attempts that were launched, latest last.
    launched: Vec<Lease>,
    /// Work on outputs that is not answered.
    work: VecDeque<(JobId, OutputWork)>,
}

impl Scene {
    fn new() -> Self {
        // There is a file of this name, and it is not looked at.
        let journal = Journal::open_with(Path::new("/dev/null"), |_| Ok(InMemoryBackend::new())).unwrap();
        let scheduler = Config { worker_lease: Some(LEASE), ..Config::default() };
        let (core, _) = Core::open(journal, CoreSettings { scheduler, keep_jobs: 2 }, Time(1)).unwrap();
        Self { core, now: 1, tickets: 0, launched: Vec::new(), work: VecDeque::new() }
    }

    fn step(&mut self, supply: &mut Supply<'_>) {
        let worker = worker(supply);
        let input = match supply.below(12) {
            0 => Some(self.register(worker, supply)),
            1 => Some(Input::Disconnected { worker, instance: u64::from(supply.byte()) }),
            // Whatever a worker could say.
            2 | 3 => postcard::from_bytes(supply.string()).ok().map(|word| said(worker, supply, word)),
            4 => Some(self.heartbeat(worker, supply)),
            // Ends of attempts that were launched, told by whoever.
            5..=7 => self.ended(supply),
            8 => Some(self.submit(supply)),
            9 => Some(Input::Cancel { job: job(supply) }),
            10 => Some(Input::Drain { worker }),
            _ => self.worked(supply),
        };
        self.now += supply.number() % 20_000;
        let effects = self.core.handle(Time(self.now), input).unwrap();
        assert!(effects.len() < 4_096, "{} effects of one input", effects.len());
        effects.into_iter().for_each(|effect| self.note(effect));
    }

    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Order { order: Order::Launch { lease }, .. } => {
                assert!(self.core.task_order(lease.worker, &lease.job, lease.attempt).is_some());
                self.launched.push(lease);
            }
            Effect::Order { .. } | Effect::Submitted { .. } => {}
            Effect::Output { job, work } => {
                if let OutputWork::Commit { lease, parts } = &work {
                    assert!(self.launched.contains(lease), "{lease:?} was never launched and commits");
                    assert!(parts.attempt == lease.attempt && parts.is_harmless());
                }
                self.work.push_back((job, work));
            }
        }
    }

    fn register(&mut self, worker: WorkerId, supply: &mut Supply<'_>) -> Input {
        let slots = u32::try_from(supply.number()).unwrap_or(u32::MAX);
        let (incarnation, instance) = (Incarnation(supply.number()), u64::from(supply.byte()));
        let registration = Registration { incarnation, instance, slots, ..registration() };
        Input::Registered { worker, name: "w".to_owned(), registration }
    }

    fn heartbeat(&mut self, worker: WorkerId, supply: &mut Supply<'_>) -> Input {
        let running = self.launched.iter().rev().take(usize::from(supply.below(8)));
        let running = running.map(|lease| mr_scheduler::Progress {
            job: lease.job.clone(),
            attempt: lease.attempt,
            parts_per_million: u32::try_from(supply.number()).unwrap_or(u32::MAX),
        });
        let running = running.collect();
        let word = WorkerWord::Heartbeat { sequence: supply.number(), running, disk_free_bytes: u64::MAX };
        said(worker, supply, word)
    }

    fn ended(&mut self, supply: &mut Supply<'_>) -> Option<Input> {
        let last = self.launched.len().checked_sub(1)?;
        let mut lease = self.launched[last.saturating_sub(usize::from(supply.byte()) % (last + 1))].clone();
        if supply.below(8) == 7 {
            // An attempt that nobody launched.
            let task = if supply.below(2) == 0 { TaskId::map(1) } else { TaskId::reduce(0) };
            lease.attempt = AttemptId { task, attempt: u32::try_from(supply.number()).unwrap_or(u32::MAX) };
        }
        let report = AttemptReport {
            records_in: supply.number(),
            bytes_out: supply.number(),
            partition_bytes: (0..supply.below(4)).map(|_| supply.number()).collect(),
            ..AttemptReport::default()
        };
        let end = match supply.below(8) {
            0 => AttemptEnd::Failed(failures().remove(usize::from(supply.below(3)))),
            1 => AttemptEnd::Cancelled,
            2 => AttemptEnd::Failed(Failure::Fetch {
                map_task: TaskId::map(supply.word()),
                reason: "r".into(),
            }),
            _ => output(&lease, report, supply),
        };
        let (worker, incarnation) = (lease.worker, lease.incarnation);
        let word = WorkerWord::Ended { lease, end: Box::new(end), log: vec!["line".into()] };
        Some(Input::Word { worker, incarnation, word })
    }

    fn submit(&mut self, supply: &mut Supply<'_>) -> Input {
        self.tickets += 1;
        let job = job(supply);
        let (maps, reducers) = (u32::from(supply.below(4)), u32::from(supply.below(3)));
        let mut plan: SubmittedPlan = plan(job.clone(), maps, reducers);
        plan.share.weight = u32::from(supply.byte());
        plan.share.slots_max = Some(u32::from(supply.byte())).filter(|slots| *slots < 8);
        let digest = [supply.below(2); 32];
        let head = SubmitHead { job, digest, components: Vec::new(), sides: Vec::new(), plan_bytes: 0 };
        Input::Submit { ticket: self.tickets, head, plan: Box::new(plan) }
    }

    /// The oldest work on an output is done, or fails.
    fn worked(&mut self, supply: &mut Supply<'_>) -> Option<Input> {
        let (job, work) = self.work.pop_front()?;
        let fails = supply.below(5) == 4;
        let failure = || Failure::internal("the disk is gone");
        let done = match work {
            OutputWork::Create { .. } if fails => OutputDone::Created(Err("no".into())),
            OutputWork::Create { .. } => OutputDone::Created(Ok("/nowhere/out/_staging".into())),
            OutputWork::Resume { .. } => OutputDone::Resumed(Err(failure())),
            OutputWork::Commit { lease, .. } if fails => {
                OutputDone::Committed { lease, parts: Err(failure()) }
            }
            OutputWork::Commit { lease, parts } => OutputDone::Committed { lease, parts: Ok(parts.parts) },
            OutputWork::Publish { .. } if fails => OutputDone::Published(Err(OutputFault::Failed(failure()))),
            OutputWork::Publish { .. } => OutputDone::Published(Ok(())),
            OutputWork::Discard => OutputDone::Discarded,
        };
        Some(Input::Output { job, done })
    }

    /// Everything can be shown.
    fn check(&self) {
        let views = self.core.job_views(None, 100).unwrap();
        assert!(views.len() <= usize::from(JOBS) + 2);
        for view in views {
            assert!(view.maps_parts_per_million <= 1_000_000 && view.reduces_parts_per_million <= 1_000_000);
            assert!(self.core.view(&view.job).unwrap().is_some());
            assert!(self.core.attempts(&view.job, 0, 100).unwrap().is_some());
        }
        for view in self.core.worker_views() {
            assert!(view.slots <= mr_scheduler::config::SLOTS_MAX, "{view:?}");
        }
    }
}

fn worker(supply: &mut Supply<'_>) -> WorkerId {
    worker_id(["one", "two", "three"][usize::from(supply.below(3))])
}

fn job(supply: &mut Supply<'_>) -> JobId {
    JobId::new(format!("job-{}", supply.below(JOBS))).unwrap()
}

fn said(worker: WorkerId, supply: &mut Supply<'_>, word: WorkerWord) -> Input {
    Input::Word { worker, incarnation: Incarnation(supply.number()), word }
}

/// Output or a part, mostly as the attempt would tell it.
fn output(lease: &Lease, report: AttemptReport, supply: &mut Supply<'_>) -> AttemptEnd {
    let TaskId { stage, index } = lease.attempt.task;
    let (told, part) = match supply.below(8) {
        6 => (Stage::Map, true),
        7 => (Stage::Reduce, true),
        other => (stage, stage == Stage::Reduce || other == 5),
    };
    let counted = supply.number();
    let facts = facts(match told {
        Stage::Map => StageFacts::Map(MapFacts { shuffle_records: counted, ..MapFacts::default() }),
        Stage::Reduce => StageFacts::Reduce(ReduceFacts { records_in: counted, ..ReduceFacts::default() }),
    });
    if !part {
        return AttemptEnd::Output { report, facts };
    }
    let letter = if told == Stage::Map { 'm' } else { 'r' };
    let name = format!("part-{letter}-{index:05}");
    let part = Part { name, rows: supply.number(), bytes: counted, blake3: "ff".into() };
    let attempt = AttemptId { task: TaskId { stage: told, index }, attempt: lease.attempt.attempt };
    AttemptEnd::Parts { report, facts, parts: ReadyParts { attempt, parts: vec![part], uploads: Vec::new() } }
}

/// A worker joins, a job of two maps and one reducer is run to its end; another one is cancelled.
pub fn seeds() -> Vec<Vec<u8>> {
    let register = [0, 0, 2, 1, 5, 0].as_slice();
    let submit = [0, 8, 0, 2, 1, 1, 9, 0, 0].as_slice();
    let worked = [0, 11, 0, 0].as_slice();
    // Which one, launched, one record in, nothing out, no sizes, output, as it is, counted, time.
    let map = |back: u8| [0, 5, back, 0, 1, 0, 0, 3, 0, 1, 0];
    let reduce = [0, 5, 0, 0, 2, 0, 0, 3, 0, 2, 1, 0];
    let steps = [register, submit, worked, &map(1), &map(0), &reduce, worked, worked].concat();
    let cancelled = [register, submit, worked, &[0, 9, 0, 1], &[0, 1, 5, 0], worked].concat();
    let word = postcard::to_stdvec(&WorkerWord::Leaving).unwrap();
    let leaving =
        [register, submit, worked, &[0, 2, u8::try_from(word.len()).unwrap()], &word, &[1, 0]].concat();
    vec![steps, cancelled, leaving]
}
