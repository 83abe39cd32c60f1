//! Queues, their weights and caps, and what becomes of them over restarts.

use std::collections::BTreeMap;

use mr_scheduler::{Action, Config, Event, JobPlan, QueueConfig, Refusal, Scheduler, Time};

use crate::bench::{Bench, by_job, job, maps};

fn queues(queues: &[(&str, u32, Option<u32>)]) -> Config {
    let queue = |&(name, weight, slots_max): &(&str, u32, Option<u32>)| {
        (name.to_owned(), QueueConfig { weight, slots_max })
    };
    Config { queues: queues.iter().map(queue).collect(), ..Config::default() }
}

fn in_queue(queue: &str, count: usize) -> JobPlan {
    JobPlan { queue: queue.to_owned(), ..maps(count, 0) }
}

#[test]
fn queues_share_by_weight_whatever_jobs_they_have_and_keep_their_caps() {
    let mut bench = Bench::with(queues(&[("a", 1, None), ("b", 3, None), ("c", 100, Some(2))]));
    for name in ["a-1", "a-2", "a-3", "b-1", "c-1", "c-2"] {
        bench.submit(name, in_queue(&name[..1], 100));
    }
    bench.join(0, 1, 14);
    let expected = [("a-1", 1), ("a-2", 1), ("a-3", 1), ("b-1", 9), ("c-1", 1), ("c-2", 1)];
    let leases = bench.take();
    assert_eq!(by_job(&leases), BTreeMap::from(expected));
    bench.submit("d", JobPlan { priority: 1, ..in_queue("c", 100) });
    for lease in leases.iter().filter(|lease| lease.job == job("b-1")) {
        bench.commit(lease);
    }
    assert_eq!(by_job(&bench.take())["b-1"], 9, "the cap of the queue holds for urgent jobs, too");
}

#[test]
fn unknown_queues_are_refused_with_the_names_of_the_known() {
    let mut bench = Bench::with(queues(&[("a", 1, None), ("z", 1, None)]));
    let refusal = Refusal::Queue {
        queue: "nightly".to_owned(),
        known: ["a", "default", "z"].map(str::to_owned).to_vec(),
    };
    assert_eq!(refusal.to_string(), "there is no queue \"nightly\": choose one of a, default, z");
    assert_eq!(bench.scheduler.admit(&in_queue("nightly", 1)), Err(refusal.clone()));
    let refused = Action::JobRefused { job: job("j"), refusal };
    assert_eq!(bench.submit("j", in_queue("nightly", 1)), [refused]);
    assert_eq!(bench.scheduler.admit(&in_queue("default", 1)), Ok(()));
}

#[test]
fn a_restart_with_other_queues_replays_as_it_was_and_shares_anew() {
    let mut bench = Bench::with(queues(&[("a", 3, Some(3))]));
    bench.submit("a", in_queue("a", 100));
    bench.submit("default", in_queue("default", 100));
    bench.join(0, 1, 6);
    assert_eq!(by_job(&bench.take()), BTreeMap::from([("a", 3), ("default", 3)]));

    let mut again = Scheduler::new(queues(&[("b", 1, None)]));
    for (now, event, actions) in &bench.history {
        assert_eq!(&again.handle(Time(*now), event.clone()), actions);
    }
    again.handle(Time(bench.now), Event::Resumed);
    let due = again.due(Time(bench.now));
    assert_eq!(due.len(), 1, "{due:?}");
    for event in due {
        assert!(again.handle(Time(bench.now), event).is_empty());
    }
    let (name, status) = again.queues().next().unwrap();
    assert_eq!((name, status.jobs, status.attempts), ("a", 1, 3), "a job in a queue that is gone goes on");
    assert_eq!(status.config, QueueConfig::default());
    assert!(again.due(Time(bench.now)).is_empty());
    assert!(again.admit(&in_queue("b", 1)).is_ok() && again.admit(&in_queue("a", 1)).is_err());
}
