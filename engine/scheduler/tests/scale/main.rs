//! The largest job and the longest queue that the scheduler is made for, run to the end: what they
//! take of memory is asserted, what they take of time is printed. With a scan over all tasks, workers
//! or jobs for each event this would not end.

#![expect(clippy::unwrap_used, reason = "all of this crate is a test: whatever goes wrong must fail it")]

mod memory;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mr_model::{Incarnation, JobId, Stage, WorkerId};
use mr_scheduler::{
    Action, AttemptReport, Config, Event, JobPlan, Lease, LossCause, Outcome, QueueConfig, Scheduler, Time,
};

use memory::Counting;

#[global_allocator]
static MEMORY: Counting = Counting::new();

const WORKERS: u64 = 1_000;
const SLOTS: u32 = 8;
/// Events between two losses of a worker.
const LOSS_EVERY: u64 = 5_000;

/// A scheduler with its driver: workers that do everything well, except that some get lost.
struct Run {
    scheduler: Scheduler,
    launched: VecDeque<Lease>,
    events: u64,
    launches: u64,
    succeeded: usize,
    spent: Duration,
    /// The longest event, what it was, and how many actions came of it.
    worst: (Duration, &'static str, usize),
}

impl Run {
    fn new(config: Config) -> Self {
        let mut run = Self {
            scheduler: Scheduler::new(config),
            launched: VecDeque::new(),
            events: 0,
            launches: 0,
            succeeded: 0,
            spent: Duration::ZERO,
            worst: (Duration::ZERO, "", 0),
        };
        for event in run.scheduler.due(Time(0)) {
            run.tell(event);
        }
        run
    }

    fn tell(&mut self, event: Event) {
        let kind = match &event {
            Event::JobSubmitted { .. } => "a job is submitted",
            Event::WorkerLost { .. } => "a worker is lost",
            Event::WorkerJoined { .. } => "a worker joins",
            _ => "an attempt ends",
        };
        let now = Time(self.events);
        let begun = Instant::now();
        let actions = self.scheduler.handle(now, event);
        let spent = begun.elapsed();
        self.spent += spent;
        self.events += 1;
        if spent > self.worst.0 {
            self.worst = (spent, kind, actions.len());
        }
        for action in actions {
            match action {
                Action::Launch { lease } => {
                    self.launches += 1;
                    self.launched.push_back(lease);
                }
                Action::JobFinished { outcome, .. } => {
                    assert_eq!(outcome, Outcome::Succeeded);
                    self.succeeded += 1;
                }
                _ => {}
            }
        }
    }

    fn join(&mut self, worker: u64, incarnation: u64) {
        let (worker, incarnation) = (WorkerId(worker), Incarnation(incarnation));
        let host = Some(format!("host-{}", worker.0 / 2));
        self.tell(Event::WorkerJoined { worker, incarnation, slots: SLOTS, host });
    }

    fn submit(&mut self, name: &str, plan: JobPlan) {
        self.tell(Event::JobSubmitted { job: JobId::new(name).unwrap(), plan });
    }

    /// Ends attempts in the order of their launch until nothing is left to do.
    fn finish(&mut self, reducers: u32, losses: bool) {
        while let Some(lease) = self.launched.pop_front() {
            let report = AttemptReport::default();
            if losses && self.events.is_multiple_of(LOSS_EVERY) {
                let (worker, incarnation, cause) = (lease.worker, lease.incarnation, LossCause::Left);
                self.tell(Event::WorkerLost { worker, incarnation, cause });
                self.join(worker.0, incarnation.0 + 1);
            } else if lease.attempt.task.stage == Stage::Map && reducers > 0 {
                self.tell(Event::AttemptFinished { lease, report });
            } else {
                self.tell(Event::CommitRequested { lease: lease.clone() });
                self.tell(Event::Committed { lease, report });
            }
        }
    }

    fn print(&self, what: &str) {
        let mean = self.spent.as_nanos() / u128::from(self.events);
        let each = self.spent.as_nanos() / u128::from(self.launches);
        eprintln!(
            "{what}: {} events, {mean} ns each; {} launches, {each} ns for each; worst {:?} ({}, {} actions)",
            self.events, self.launches, self.worst.0, self.worst.1, self.worst.2
        );
    }
}

/// Both in one test, so that nothing else runs beside what is measured.
#[test]
fn the_largest_jobs_run_to_their_end_in_bounded_memory() {
    let before = MEMORY.used();
    let mut run = Run::new(Config::default());
    (0..WORKERS).for_each(|worker| run.join(worker, 1));
    run.submit("large", located(200_000, 5_000));
    let frozen = postcard::to_allocvec(&run.scheduler).unwrap();
    eprintln!("snapshot of {} bytes", frozen.len());
    drop(frozen);
    run.finish(5_000, true);
    assert_eq!(run.succeeded, 1);
    let peak = MEMORY.peak() - before;
    run.print("one job of 200,000 maps and 5,000 reduces");
    eprintln!("at most {} MiB", peak >> 20);
    assert!(peak < 1 << 30, "{peak} bytes");
    drop(run);

    let queue =
        |number: u32| (format!("queue-{number}"), QueueConfig { weight: number + 1, slots_max: None });
    let mut run = Run::new(Config { queues: (0..20).map(queue).collect(), ..Config::default() });
    for number in 0..5_000_u32 {
        let queue = format!("queue-{}", number % 20);
        let plan = JobPlan { queue, weight: number % 7, ..JobPlan::new(vec![1; 40], 0) };
        run.submit(&format!("job-{number}"), plan);
    }
    (0..WORKERS).for_each(|worker| run.join(worker, 1));
    run.finish(0, false);
    assert_eq!(run.succeeded, 5_000);
    run.print("5,000 jobs of 40 maps in 20 queues");
}

/// A plan whose splits have three copies each.
fn located(maps: u32, reducers: u32) -> JobPlan {
    let host = |split: u32, copy: u32| format!("host-{}", (split * 7 + copy * 131) % 500);
    let split_hosts = (0..maps).map(|split| (0..3).map(|copy| host(split, copy)).collect()).collect();
    JobPlan { split_hosts, ..JobPlan::new(vec![64 << 20; maps as usize], reducers) }
}
