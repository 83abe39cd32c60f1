//! Workers in trouble: full disks, too many failures, fewer slots.

use mr_model::{Failure, Incarnation, TaskId, WorkerId};
use mr_scheduler::{Event, JobPlan, Outcome};

use crate::bench::{Bench, disk, fatal, job, maps, outcome};

fn full() -> Failure {
    Failure::Disk { path: "work".into(), reason: "full".into(), full: true }
}

fn resize(bench: &mut Bench, worker: u64, slots: u32) {
    let (worker, incarnation) = (WorkerId(worker), Incarnation(1));
    bench.tell(Event::WorkerResized { worker, incarnation, slots });
}

fn is_aside(bench: &Bench, worker: u64) -> bool {
    bench.scheduler.workers().any(|(id, status)| id == WorkerId(worker) && status.set_aside)
}

/// Fails what runs on a worker so many times; all else goes well.
fn fail_on(bench: &mut Bench, worker: u64, times: usize, failure: &Failure) {
    let mut failed = 0;
    while failed < times {
        let leases = bench.take();
        assert!(!leases.is_empty(), "nothing runs");
        for lease in leases {
            if lease.worker == WorkerId(worker) && failed < times {
                failed += 1;
                bench.fail(&lease, failure.clone());
            } else {
                bench.commit(&lease);
            }
        }
    }
}

#[test]
fn a_worker_without_slots_keeps_what_it_has_and_may_grow_again() {
    let mut bench = Bench::new(&[(0, 2)]);
    bench.submit("a", maps(4, 1));
    let leases = bench.take();
    bench.finish(&leases[0]);
    assert_eq!(bench.take().len(), 1);
    resize(&mut bench, 0, 0);
    bench.finish(&leases[1]);
    assert!(bench.take().is_empty());
    let status = bench.scheduler.workers().next().unwrap().1;
    assert_eq!((status.slots, status.running, status.outputs), (0, 1, 2));
    resize(&mut bench, 0, 3);
    assert_eq!(bench.take().len(), 1, "one runs still, and one map is left");
    bench.submit("b", JobPlan { priority: 1, ..maps(9, 0) });
    assert_eq!(bench.take().len(), 1);
    resize(&mut bench, 0, 0);
    bench.tell(Event::JobCancelled { job: job("a") });
    let running = bench.scheduler.leases(&job("b"));
    bench.commit(&running[0]);
    let told = bench.wait(300_000, &[]);
    assert_eq!(outcome(&told), Some(&Outcome::NoWorkers { waited_millis: 300_000 }), "as good as no worker");
    assert_eq!(bench.scheduler.workers().next().unwrap().1.outputs, 0);
}

#[test]
fn full_disks_cost_no_attempt_as_long_as_another_worker_may_have_room() {
    let mut bench = Bench::new(&[(0, 1), (1, 1), (2, 1)]);
    bench.submit("a", JobPlan { attempts_max: 1, ..maps(1, 0) });
    for _ in 0..2 {
        let lease = bench.take().remove(0);
        assert_eq!(outcome(&bench.fail(&lease, full())), None);
    }
    let last = bench.take().remove(0);
    let failed = Outcome::Failed { attempt: last.attempt, failure: full() };
    assert_eq!(outcome(&bench.fail(&last, full())), Some(&failed), "all disks are full");
}

#[test]
fn workers_that_fail_too_often_are_set_aside_for_longer_and_longer() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", JobPlan { attempts_max: 1_000, ..maps(100_000, 0) });
    for aside_millis in [60_000, 120_000, 240_000, 480_000, 600_000, 600_000] {
        fail_on(&mut bench, 0, 4, &disk());
        assert!(!is_aside(&bench, 0));
        fail_on(&mut bench, 0, 1, &Failure::internal("lemon"));
        assert!(is_aside(&bench, 0));
        assert!(bench.take().iter().all(|lease| lease.worker == WorkerId(1)));
        bench.wait(aside_millis - 1, &[]);
        assert!(is_aside(&bench, 0), "{aside_millis}");
        bench.wait(1, &[]);
        assert!(!is_aside(&bench, 0), "{aside_millis}");
        let back = bench.scheduler.leases(&job("a"));
        bench.launched = back;
    }
    bench.wait(600_000, &[]);
    fail_on(&mut bench, 0, 5, &disk());
    bench.wait(60_000, &[]);
    assert!(!is_aside(&bench, 0), "it has behaved for a while");
}

#[test]
fn failures_count_against_whom_they_belong_to_and_for_a_while() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", JobPlan { attempts_max: 1_000, ..maps(100_000, 0) });
    fail_on(&mut bench, 0, 4, &disk());
    bench.wait(600_000, &[]);
    fail_on(&mut bench, 0, 4, &disk());
    assert!(!is_aside(&bench, 0), "the first four are forgotten");
    let transient = match fatal() {
        Failure::Plugin { role, message, place, words, .. } => {
            Failure::Plugin { fault: mr_model::PluginFault::Transient, role, message, place, words }
        }
        other => other,
    };
    fail_on(&mut bench, 0, 50, &transient);
    assert!(!is_aside(&bench, 0), "a plugin's trouble is not the worker's");
    fail_on(&mut bench, 0, 1, &disk());
    assert!(is_aside(&bench, 0));
    // Worker 1 is the last one, however bad it is; and when it goes, the other comes back at once.
    fail_on(&mut bench, 1, 9, &disk());
    assert!(!is_aside(&bench, 1));
    bench.take();
    bench.leave(1);
    assert!(!is_aside(&bench, 0));
    assert_eq!(bench.take()[0].worker, WorkerId(0));
}

#[test]
fn a_worker_that_comes_back_begins_with_a_clean_slate() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", JobPlan { attempts_max: 1_000, ..maps(100_000, 0) });
    fail_on(&mut bench, 0, 5, &disk());
    bench.leave(0);
    bench.take();
    bench.join(0, 2, 1);
    assert!(!is_aside(&bench, 0));
    assert_eq!(bench.take()[0].worker, WorkerId(0));
    assert!(bench.wait(60_000, &[]).is_empty());
    let told = |(_, event, _): &_| matches!(event, Event::WorkerReinstated { .. });
    assert!(!bench.history.iter().any(told), "nobody is aside");
}

#[test]
fn complaints_count_against_the_worker_that_has_the_output() {
    let mut bench = Bench::new(&[(0, 5), (1, 0)]);
    bench.submit("a", maps(5, 5));
    for lease in bench.take() {
        resize(&mut bench, 0, 0);
        resize(&mut bench, 1, 5);
        bench.finish(&lease);
    }
    let reduces = bench.take();
    assert_eq!(reduces.len(), 5);
    resize(&mut bench, 0, 5);
    for (index, reduce) in (0..).zip(&reduces) {
        assert!(reduce.worker == WorkerId(1) && !is_aside(&bench, 0));
        bench.fail(reduce, Failure::Fetch { map_task: TaskId::map(index), reason: "gone".into() });
    }
    assert_eq!([0, 1].map(|worker| is_aside(&bench, worker)), [true, false]);
}
