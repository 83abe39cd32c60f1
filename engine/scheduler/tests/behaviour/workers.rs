//! Workers that come, go, fall silent and drain.

use mr_model::{Incarnation, WorkerId};
use mr_scheduler::{Action, Event, JobPlan, Lease, Outcome, Progress, Time};

use crate::bench::{Bench, attempt, job, maps, outcome};

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
    bench.now += 200_000;
    bench.tell(Event::Resumed);
    assert!(bench.wait(299_999, &[]).is_empty(), "the wait begins with the job, and anew after a restart");
    assert_eq!(outcome(&bench.wait(1, &[])), Some(&Outcome::NoWorkers { waited_millis: 300_000 }));
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
