//! Backup attempts and races for the commit.

use mr_scheduler::{Action, AttemptReport, Event, JobPlan, Lease, Outcome};

use crate::bench::{Bench, disk, job, outcome};

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

#[test]
fn the_loser_of_a_race_is_cancelled() {
    let mut bench = Bench::new(&[(0, 1), (1, 1), (2, 1)]);
    let (straggler, backup) = straggle(&mut bench);
    let actions = bench.commit(&backup);
    assert!(actions.contains(&Action::Cancel { lease: straggler.clone() }));
    assert_eq!(outcome(&actions), Some(&Outcome::Succeeded));
    assert_eq!(bench.ask(&straggler), [Action::Cancel { lease: straggler.clone() }]);
}

#[test]
fn a_task_never_gets_a_second_backup() {
    let mut bench = Bench::new(&[(0, 100), (1, 10), (2, 10)]);
    bench.submit("a", JobPlan::new(vec![1; 100], 0));
    let leases = bench.take();
    bench.now = 1_000;
    for lease in &leases[1..] {
        bench.commit(lease);
    }
    bench.wait(9_000, &[(&leases[0], 10_000)]);
    let backup = bench.take().remove(0);
    bench.fail(&backup, disk());
    assert!(bench.wait(9_000, &[(&leases[0], 11_000)]).is_empty());
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
