//! Single promises of the scheduler, each in a short history. The simulation looks for what nobody
//! thought of; these say what was meant, and fail where the simulation would only run slower.

#![expect(clippy::unwrap_used, reason = "all of this crate is a test: whatever goes wrong must fail it")]

use std::collections::BTreeMap;

use mr_model::{AttemptId, Failure, Incarnation, JobId, PluginFault, Role, TaskId, WorkerId};
use mr_scheduler::{
    Action, AttemptReport, Config, Event, JobPlan, Lease, LossCause, Outcome, Progress, Refusal, Scheduler,
    Time,
};

/// A scheduler with a clock that the test sets, and what it has launched.
struct Bench {
    scheduler: Scheduler,
    now: u64,
    launched: Vec<Lease>,
}

impl Bench {
    fn new(workers: &[(u64, u32)]) -> Self {
        let mut bench = Self { scheduler: Scheduler::new(Config::default()), now: 0, launched: Vec::new() };
        for &(id, slots) in workers {
            bench.join(id, 1, slots);
        }
        bench
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.scheduler.handle(Time(self.now), event);
        for action in &actions {
            if let Action::Launch { lease } = action {
                self.launched.push(lease.clone());
            }
        }
        actions
    }

    fn join(&mut self, id: u64, incarnation: u64, slots: u32) -> Vec<Action> {
        self.tell(Event::WorkerJoined { worker: WorkerId(id), incarnation: Incarnation(incarnation), slots })
    }

    fn leave(&mut self, id: u64) -> Vec<Action> {
        let (worker, incarnation) = (WorkerId(id), Incarnation(1));
        self.tell(Event::WorkerLost { worker, incarnation, cause: LossCause::Left })
    }

    fn submit(&mut self, name: &str, plan: JobPlan) -> Vec<Action> {
        self.tell(Event::JobSubmitted { job: job(name), plan })
    }

    fn finish(&mut self, lease: &Lease) -> Vec<Action> {
        self.tell(Event::AttemptFinished { lease: lease.clone(), report: AttemptReport::default() })
    }

    fn fail(&mut self, lease: &Lease, failure: Failure) -> Vec<Action> {
        self.tell(Event::AttemptFailed { lease: lease.clone(), failure })
    }

    fn ask(&mut self, lease: &Lease) -> Vec<Action> {
        self.tell(Event::CommitRequested { lease: lease.clone() })
    }

    fn commit(&mut self, lease: &Lease) -> Vec<Action> {
        self.ask(lease);
        self.tell(Event::Committed { lease: lease.clone(), report: AttemptReport::default() })
    }

    /// Moves the clock and handles what has become due, with every worker alive.
    fn wait(&mut self, millis: u64, progress: &[(&Lease, u32)]) -> Vec<Action> {
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
    fn take(&mut self) -> Vec<Lease> {
        std::mem::take(&mut self.launched)
    }
}

fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

fn maps(count: usize, reducers: u32) -> JobPlan {
    JobPlan { speculation: false, ..JobPlan::new(vec![1; count], reducers) }
}

fn disk() -> Failure {
    Failure::Disk { path: "work".into(), reason: "broken".into(), full: false }
}

fn fatal() -> Failure {
    let fault = PluginFault::Fatal;
    Failure::Plugin { fault, role: Role::Mapper, message: "no".into(), place: None, log: Vec::new() }
}

fn outcome(actions: &[Action]) -> Option<&Outcome> {
    actions.iter().find_map(|action| match action {
        Action::JobFinished { outcome, .. } => Some(outcome),
        _ => None,
    })
}

fn by_job(leases: &[Lease]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for lease in leases {
        *counts.entry(lease.job.as_str()).or_default() += 1;
    }
    counts
}

#[test]
fn maps_start_in_split_order_and_reduces_after_all_of_them() {
    let mut bench = Bench::new(&[(0, 2)]);
    bench.submit("a", maps(3, 2));
    let first = bench.take();
    assert_eq!(first.iter().map(|lease| lease.attempt.task.index).collect::<Vec<_>>(), [0, 1]);
    bench.finish(&first[1]);
    let third = bench.take();
    assert_eq!(third[0].attempt.task, TaskId::map(2));
    bench.finish(&third[0]);
    assert!(bench.take().is_empty(), "a reduce started beside a map");
    bench.finish(&first[0]);
    let reduces = bench.take();
    assert_eq!(reduces.iter().map(|l| l.attempt.task).collect::<Vec<_>>(), [0, 1].map(TaskId::reduce));
    assert_eq!(outcome(&bench.commit(&reduces[0])), None);
    assert_eq!(outcome(&bench.commit(&reduces[1])), Some(&Outcome::Succeeded));
    assert!(bench.scheduler.jobs().next().is_none());
}

#[test]
fn empty_jobs_end_and_submission_is_idempotent() {
    let mut bench = Bench::new(&[(0, 1)]);
    assert_eq!(outcome(&bench.submit("empty", maps(0, 0))), Some(&Outcome::Succeeded));
    assert!(bench.submit("empty", maps(5, 0)).is_empty(), "a job that has ended ran again");
    bench.submit("reduce-only", maps(0, 1));
    let reduce = bench.take();
    assert_eq!(reduce[0].attempt.task, TaskId::reduce(0));
    assert!(bench.submit("reduce-only", maps(0, 9)).is_empty());
    assert_eq!(outcome(&bench.commit(&reduce[0])), Some(&Outcome::Succeeded));
    let reducers = mr_model::limit::REDUCERS_MAX + 1;
    let refused = Action::JobRefused { job: job("wide"), refusal: Refusal::Reducers { reducers } };
    assert_eq!(bench.submit("wide", maps(1, reducers)), [refused]);
}

#[test]
fn slots_are_shared_by_weight_priority_and_cap() {
    let mut bench = Bench::new(&[]);
    bench.submit("one", maps(100, 0));
    bench.submit("three", JobPlan { weight: 3, ..maps(100, 0) });
    bench.submit("two-at-most", JobPlan { slots_max: Some(2), weight: 100, ..maps(100, 0) });
    bench.join(0, 1, 10);
    let leases = bench.take();
    assert_eq!(by_job(&leases), BTreeMap::from([("one", 2), ("three", 6), ("two-at-most", 2)]));
    bench.submit("urgent", JobPlan { priority: 1, ..maps(3, 0) });
    for lease in &leases[..4] {
        bench.commit(lease);
    }
    let next = bench.take();
    assert!(next[..3].iter().all(|lease| lease.job == job("urgent")), "{next:?}");
    assert_ne!(next[3].job, job("urgent"));
}

#[test]
fn attempts_spread_over_workers() {
    let mut bench = Bench::new(&[(0, 4), (1, 4), (2, 1)]);
    bench.submit("a", maps(4, 0));
    let workers: Vec<u64> = bench.take().iter().map(|lease| lease.worker.0).collect();
    assert_eq!(workers, [0, 1, 0, 1]);
}

#[test]
fn a_failed_task_goes_to_another_worker_even_if_it_has_to_wait() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", maps(3, 0));
    let leases = bench.take();
    bench.fail(&leases[0], disk());
    let next = bench.take();
    assert_eq!((next[0].worker, next[0].attempt.task.index), (WorkerId(0), 2), "not back to worker 0");
    bench.commit(&leases[1]);
    let retry = bench.take();
    assert_eq!((retry[0].worker, retry[0].attempt), (WorkerId(1), attempt(0, 1)));
    // The only worker left has failed it too: better there than nowhere.
    bench.fail(&retry[0], disk());
    bench.leave(0);
    let last = bench.take();
    let again = last.iter().find(|lease| lease.attempt.task.index == 0).unwrap();
    assert_eq!((again.worker, again.attempt.attempt), (WorkerId(1), 2));
}

fn attempt(index: u32, attempt: u32) -> AttemptId {
    AttemptId { task: TaskId::map(index), attempt }
}

#[test]
fn the_budget_of_a_task_ends_the_job_with_its_last_failure() {
    let mut bench = Bench::new(&[(0, 1)]);
    bench.submit("a", JobPlan { attempts_max: 3, ..maps(2, 0) });
    for number in 0..3 {
        let lease = bench.take().pop().unwrap();
        assert_eq!(lease.attempt, attempt(0, number));
        let actions = bench.fail(&lease, disk());
        let failed = Outcome::Failed { attempt: lease.attempt, failure: disk() };
        assert_eq!(outcome(&actions), (number == 2).then_some(&failed));
    }
}

#[test]
fn a_fatal_failure_cancels_the_rest_and_slots_are_held_until_they_end() {
    let mut bench = Bench::new(&[(0, 2)]);
    bench.submit("a", maps(5, 0));
    let leases = bench.take();
    let actions = bench.fail(&leases[0], fatal());
    assert_eq!(outcome(&actions), Some(&Outcome::Failed { attempt: leases[0].attempt, failure: fatal() }));
    assert!(actions.contains(&Action::Cancel { lease: leases[1].clone() }));
    assert_eq!(bench.scheduler.slots_held(&job("a")), 1);
    bench.submit("b", maps(2, 0));
    assert_eq!(bench.take().len(), 1, "the cancelled attempt still has its slot");
    let cancelled = Event::AttemptCancelled { lease: leases[1].clone() };
    bench.tell(cancelled.clone());
    assert_eq!(bench.take().len(), 1);
    assert_eq!(bench.scheduler.slots_held(&job("a")), 0);
    assert!(bench.tell(cancelled).is_empty(), "the answer to a cancel is never answered");
}

#[test]
fn a_lost_worker_costs_its_map_outputs_but_no_attempt_budget() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", JobPlan { attempts_max: 1, ..maps(2, 2) });
    let leases = bench.take();
    bench.finish(&leases[0]);
    bench.finish(&leases[1]);
    let reduces = bench.take();
    assert_eq!(outcome(&bench.commit(&reduces[0])), None);
    let actions = bench.leave(0);
    let lost = Action::MapOutputsLost {
        job: job("a"),
        worker: WorkerId(0),
        incarnation: Incarnation(1),
        maps: vec![0],
    };
    assert!(actions.contains(&lost));
    // The other reduce goes on meanwhile, and the job needs nothing else when it commits.
    assert_eq!(bench.scheduler.map_output(&job("a"), 0), None);
    assert_eq!(outcome(&bench.commit(&reduces[1])), Some(&Outcome::Succeeded));
}

#[test]
fn complaints_about_one_output_are_charged_to_the_map_once() {
    let mut bench = Bench::new(&[(0, 4)]);
    bench.submit("a", JobPlan { attempts_max: 2, ..maps(1, 3) });
    let map = bench.take();
    bench.finish(&map[0]);
    let reduces = bench.take();
    let fetch = Failure::Fetch { map_task: TaskId::map(0), reason: "gone".into() };
    bench.fail(&reduces[0], fetch.clone());
    let rerun = bench.take();
    assert_eq!(rerun[0].attempt, attempt(0, 1));
    assert_eq!(outcome(&bench.fail(&reduces[1], fetch.clone())), None, "it runs again already");
    bench.finish(&rerun[0]);
    assert_eq!(outcome(&bench.fail(&reduces[2], fetch.clone())), None, "that was about the first output");
    let again = bench.take();
    assert_eq!(again.len(), 3, "{again:?}");
    let told = bench.fail(&again[0], fetch.clone());
    assert_eq!(outcome(&told), Some(&Outcome::Failed { attempt: again[0].attempt, failure: fetch }));
}

#[test]
fn the_grant_passes_on_when_its_holder_is_gone() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    let (straggler, backup) = straggle(&mut bench);
    assert_eq!(bench.ask(&backup), [Action::GrantCommit { lease: backup.clone() }]);
    assert_eq!(bench.ask(&backup), [Action::GrantCommit { lease: backup.clone() }], "asked again");
    assert!(bench.ask(&straggler).is_empty());
    let passed = Action::GrantCommit { lease: straggler.clone() };
    assert!(bench.leave(backup.worker.0).contains(&passed));
    let late = bench.tell(Event::Committed { lease: backup.clone(), report: AttemptReport::default() });
    assert_eq!(late, [Action::Cancel { lease: backup }]);
    assert_eq!(outcome(&bench.commit(&straggler)), Some(&Outcome::Succeeded));
}

/// Brings a map-only job to where its last task has a straggler and a backup.
fn straggle(bench: &mut Bench) -> (Lease, Lease) {
    bench.submit("a", JobPlan::new(vec![1; 4], 0));
    while bench.scheduler.job(&job("a")).unwrap().maps.done < 3 {
        let leases = bench.take();
        bench.now += 1_000;
        let (slow, quick): (Vec<_>, Vec<_>) = leases.into_iter().partition(|l| l.attempt.task.index == 0);
        quick.iter().for_each(|lease| drop(bench.commit(lease)));
        bench.launched.extend(slow);
    }
    let straggler = bench.take().remove(0);
    assert!(bench.wait(1_000, &[(&straggler, 10_000)]).is_empty(), "too young for a backup");
    bench.wait(5_000, &[(&straggler, 20_000)]);
    let backup = bench.take().remove(0);
    assert_eq!((backup.attempt.task, backup.attempt.attempt), (straggler.attempt.task, 1));
    assert_ne!(backup.worker, straggler.worker);
    (straggler, backup)
}

#[test]
fn the_loser_of_a_race_is_cancelled_and_has_no_second_backup() {
    let mut bench = Bench::new(&[(0, 1), (1, 1), (2, 1)]);
    let (straggler, backup) = straggle(&mut bench);
    bench.fail(&backup, disk());
    assert!(bench.wait(60_000, &[(&straggler, 30_000)]).is_empty(), "a second backup");
    let mut bench = Bench::new(&[(0, 1), (1, 1), (2, 1)]);
    let (straggler, backup) = straggle(&mut bench);
    let actions = bench.commit(&backup);
    assert!(actions.contains(&Action::Cancel { lease: straggler.clone() }));
    assert_eq!(outcome(&actions), Some(&Outcome::Succeeded));
    assert_eq!(bench.ask(&straggler), [Action::Cancel { lease: straggler.clone() }]);
}

#[test]
fn backups_go_to_the_slowest_and_to_few() {
    let mut bench = Bench::new(&[(0, 50), (1, 10)]);
    bench.submit("a", JobPlan::new(vec![1; 60], 0));
    let leases = bench.take();
    bench.now = 1_000;
    for lease in &leases[6..] {
        bench.commit(lease);
    }
    let progress: Vec<(&Lease, u32)> =
        leases[..6].iter().zip([500_000, 90_000, 20_000, 10_000, 30_000, 0]).collect();
    bench.wait(9_000, &progress);
    let tasks: Vec<u32> = bench.take().iter().map(|lease| lease.attempt.task.index).collect();
    assert_eq!(tasks, [3, 2, 4], "5 per cent of 60, the longest to go first");
    bench.wait(60_000, &progress);
    assert!(bench.take().is_empty());
}

#[test]
fn leases_lapse_and_fenced_lives_are_refused() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", maps(1, 0));
    let lease = bench.take().remove(0);
    bench.now = 20_000;
    let (worker, incarnation) = (WorkerId(1), Incarnation(1));
    bench.tell(Event::Heartbeat { worker, incarnation, progress: Vec::new() });
    assert!(bench.scheduler.due(Time(29_999)).is_empty());
    bench.now = 30_000;
    for event in bench.scheduler.due(Time(30_000)) {
        bench.tell(event);
    }
    let moved = bench.take().remove(0);
    assert_eq!((moved.worker, moved.attempt.attempt), (WorkerId(1), 1));
    assert_eq!(bench.ask(&lease), [Action::Cancel { lease: lease.clone() }]);
    let fence = [Action::Fence { worker: WorkerId(0), incarnation }];
    assert_eq!(
        bench.tell(Event::Heartbeat { worker: WorkerId(0), incarnation, progress: Vec::new() }),
        fence
    );
    assert_eq!(bench.join(0, 1, 1), fence);
    assert_eq!(bench.join(0, 2, 1), [Action::Renew { worker: WorkerId(0), incarnation: Incarnation(2) }]);
    bench.now = 3_000_000;
    bench.tell(Event::Resumed);
    assert!(bench.scheduler.due(Time(3_000_000)).is_empty(), "the driver was away, not the workers");
}

#[test]
fn heartbeats_bring_up_what_got_lost() {
    let mut bench = Bench::new(&[(0, 2)]);
    bench.submit("a", maps(2, 0));
    let leases = bench.take();
    bench.submit("b", maps(1, 0));
    bench.tell(Event::JobCancelled { job: job("a") });
    bench.tell(Event::AttemptCancelled { lease: leases[0].clone() });
    let launched = bench.take().remove(0);
    let (worker, incarnation) = (WorkerId(0), Incarnation(1));
    let unknown = attempt(7, 0);
    let progress = vec![Progress { job: job("a"), attempt: unknown, parts_per_million: 0 }];
    let actions = bench.tell(Event::Heartbeat { worker, incarnation, progress });
    let stray = Lease { job: job("a"), attempt: unknown, worker, incarnation };
    assert_eq!(
        actions,
        [
            Action::Renew { worker, incarnation },
            Action::Cancel { lease: stray },
            Action::Cancel { lease: leases[1].clone() },
            Action::Launch { lease: launched },
        ]
    );
}

#[test]
fn draining_workers_finish_and_jobs_without_workers_fail_in_time() {
    let mut bench = Bench::new(&[(0, 1)]);
    bench.submit("a", maps(2, 0));
    let lease = bench.take().remove(0);
    bench.tell(Event::WorkerDraining { worker: WorkerId(0), incarnation: Incarnation(1) });
    assert!(bench.wait(1_000_000, &[(&lease, 0)]).is_empty(), "what it runs may still end well");
    assert_eq!(outcome(&bench.commit(&lease)), None);
    assert!(bench.take().is_empty());
    let actions = bench.wait(1, &[]);
    let waited = Outcome::NoWorkers { waited_millis: 1_000_001 };
    assert_eq!(outcome(&actions), Some(&waited));
    bench.submit("b", maps(1, 0));
    assert!(bench.wait(299_999, &[]).is_empty(), "the wait of a job begins with the job");
    assert_eq!(outcome(&bench.wait(1, &[])), Some(&Outcome::NoWorkers { waited_millis: 300_000 }));
}

#[test]
fn broken_commit_words_are_failures() {
    let mut bench = Bench::new(&[(0, 1)]);
    bench.submit("a", JobPlan { attempts_max: 3, ..maps(1, 0) });
    let lease = bench.take().remove(0);
    assert_eq!(outcome(&bench.finish(&lease)), None, "finished without a commit");
    let lease = bench.take().remove(0);
    bench.tell(Event::Committed { lease, report: AttemptReport::default() });
    let lease = bench.take().remove(0);
    let told = bench.tell(Event::AttemptCancelled { lease });
    let spent = matches!(outcome(&told), Some(Outcome::Failed { failure: Failure::Cancelled, .. }));
    assert!(spent, "all three were charged: {told:?}");
}

#[test]
fn events_and_actions_survive_a_journal() {
    let mut bench = Bench::new(&[(0, 2)]);
    let lease =
        Lease { job: job("a"), attempt: attempt(0, 0), worker: WorkerId(0), incarnation: Incarnation(1) };
    let mut report = AttemptReport { records_in: 7, ..AttemptReport::default() };
    report.counters.add("words", 3).unwrap();
    let events = [
        Event::JobSubmitted { job: job("a"), plan: maps(2, 1) },
        Event::AttemptFinished { lease: lease.clone(), report },
        Event::AttemptFailed { lease, failure: fatal() },
        Event::JobAborted { job: job("a"), failure: disk() },
        Event::BackupDue { job: job("a"), task: TaskId::reduce(0) },
        Event::Resumed,
    ];
    for event in events {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        let actions = bench.tell(event);
        let text = serde_json::to_string(&actions).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Action>>(&text).unwrap(), actions);
    }
}

/// Not a measurement: with a scan over all tasks for each event this would not end.
#[test]
fn large_jobs_are_within_reach() {
    let workers: Vec<(u64, u32)> = (0..500).map(|id| (id, 8)).collect();
    let mut bench = Bench::new(&workers);
    bench.submit("big", maps(100_000, 2_000));
    let maps_done = |bench: &Bench| bench.scheduler.job(&job("big")).unwrap().maps.done;
    while maps_done(&bench) < 100_000 {
        let wave = bench.take();
        assert!(!wave.is_empty());
        for lease in &wave {
            bench.finish(lease);
        }
        if (50_000..70_000).contains(&maps_done(&bench)) {
            // With its map outputs and what it was just given.
            bench.leave(wave[0].worker.0);
        }
    }
    let reduces = bench.take();
    assert_eq!(reduces.len(), 2_000);
    let ends = reduces.iter().filter(|lease| outcome(&bench.commit(lease)).is_some()).count();
    assert_eq!(ends, 1);
}
