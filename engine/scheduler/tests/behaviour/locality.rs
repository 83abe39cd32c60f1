//! Tasks run near their input where that costs nothing.

use mr_model::{Incarnation, WorkerId};
use mr_scheduler::{AttemptReport, Event, JobPlan, Lease};

use crate::bench::{Bench, maps};

fn join(bench: &mut Bench, id: u64, slots: u32, host: &str) {
    let (worker, incarnation, host) = (WorkerId(id), Incarnation(1), Some(host.to_owned()));
    bench.tell(Event::WorkerJoined { worker, incarnation, slots, host });
}

fn finish(bench: &mut Bench, lease: &Lease, partition_bytes: &[u64]) {
    let report = AttemptReport { partition_bytes: partition_bytes.to_vec(), ..AttemptReport::default() };
    bench.tell(Event::AttemptFinished { lease: lease.clone(), report });
}

fn places(leases: &[Lease]) -> Vec<(u32, u64)> {
    leases.iter().map(|lease| (lease.attempt.task.index, lease.worker.0)).collect()
}

#[test]
fn maps_go_to_hosts_of_their_split_and_no_slot_waits_for_that() {
    let mut bench = Bench::new(&[]);
    let mut hosts = vec![vec!["far".to_owned()]; 20];
    hosts[2] = vec!["away".into(), "b".into()];
    hosts[3] = vec!["a".into()];
    hosts[19] = vec!["a".into()];
    bench.submit("a", JobPlan { split_hosts: hosts, ..maps(20, 0) });
    join(&mut bench, 0, 2, "a");
    assert_eq!(places(&bench.take()), [(3, 0), (0, 0)], "split 19 is too far down the queue");
    join(&mut bench, 1, 2, "b");
    assert_eq!(places(&bench.take()), [(2, 1), (1, 1)]);
}

#[test]
fn reduces_go_where_most_of_their_bytes_are() {
    let mut bench = Bench::new(&[(0, 2), (1, 2), (2, 2)]);
    bench.submit("a", maps(6, 6));
    let leases = bench.take();
    assert_eq!(places(&leases), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2)]);
    // Bytes of the six partitions on workers 0 and 2; worker 1 has some of all.
    for lease in &leases {
        let bytes = match lease.worker.0 {
            0 => [0, 0, 80, 9, 0, 15],
            1 => [10, 40, 10, 9, 0, 1],
            _ => [50, 60, 10, 82, 0, 1],
        };
        finish(&mut bench, lease, &bytes);
    }
    // Partition 3: worker 2 is full by then, and no other has a fifth of the bytes. Partition 4 is
    // empty. Partition 5: worker 0 is full, too.
    assert_eq!(places(&bench.take()), [(0, 2), (1, 2), (2, 0), (3, 1), (4, 0), (5, 1)]);
}

#[test]
fn bytes_of_lost_outputs_attract_nobody() {
    let mut bench = Bench::new(&[(0, 1), (1, 1)]);
    bench.submit("a", maps(2, 1));
    let leases = bench.take();
    finish(&mut bench, &leases[0], &[100]);
    bench.leave(0);
    bench.join(0, 2, 1);
    let again = bench.take().remove(0);
    finish(&mut bench, &leases[1], &[10]);
    finish(&mut bench, &again, &[0]);
    assert_eq!(bench.take()[0].worker, WorkerId(1));
}

#[test]
fn sizes_that_cannot_be_are_left_out() {
    let mut bench = Bench::new(&[(0, 1), (1, 2)]);
    bench.submit("a", maps(3, 2));
    for (lease, bytes) in bench.take().iter().zip([vec![u64::MAX; 2], vec![u64::MAX; 9], vec![1, 1]]) {
        finish(&mut bench, lease, &bytes);
    }
    assert_eq!(bench.take().len(), 2);
}
