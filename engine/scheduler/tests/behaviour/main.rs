//! Single promises of the scheduler, each in a short history. The simulation looks for what nobody
//! thought of; these say what was meant, and fail where the simulation would only run slower.

#![expect(clippy::unwrap_used, reason = "all of this crate is a test: whatever goes wrong must fail it")]

mod backups;
mod bench;
mod locality;
mod queues;
mod trouble;
mod workers;

use std::collections::BTreeMap;

use mr_model::{Failure, Incarnation, TaskId, WorkerId};
use mr_scheduler::{Action, AttemptReport, Event, JobPlan, Lease, Outcome, Refusal};

use bench::{Bench, attempt, by_job, disk, fatal, job, maps, outcome};

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
