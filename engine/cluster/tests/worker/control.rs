//! Words and orders: what is said again, what survives a broken connection, and how lives end.

use mr_cluster::protocol::{AttemptEnd, Order, WorkerWord};
use mr_cluster::worker::WorkerError;
use mr_model::{Failure, Incarnation};

use crate::support::job::{map, reduce};
use crate::support::{Cluster, SmallJob, Worker};

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_said_again_until_it_is_noted() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    let job = SmallJob::new(cluster.dir.path(), "again", 1_000);
    job.describe(&coordinator);
    let first = coordinator.joined("w1", &[&job]).await;
    let lease = first.launch(&job, map(0));
    let end = coordinator.ended(&first, &lease, false).await;
    assert!(matches!(end, AttemptEnd::Output { .. }), "{end:?}");

    first.cut();
    let second = coordinator.joined("w1", &[&job]).await;
    assert_eq!(second.registration, first.registration);
    let end = coordinator.ended(&second, &lease, true).await;
    assert!(matches!(end, AttemptEnd::Output { .. }), "{end:?}");
    // The worker has taken the note when it has done what came behind it.
    let next = second.launch(&job, map(1));
    coordinator.ended(&second, &next, true).await;
    let last = second.launch(&job, map(2));
    coordinator.ended(&second, &last, false).await;

    second.cut();
    let third = coordinator.joined("w1", &[&job]).await;
    let (said, heartbeat) = coordinator.words_until_heartbeat(&third).await;
    let ended: Vec<_> = said
        .iter()
        .filter_map(|word| match word {
            WorkerWord::Ended { lease, .. } => Some(lease.attempt),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [map(2)]);
    assert!(matches!(heartbeat, WorkerWord::Heartbeat { running, .. } if running.is_empty()));
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_go_on_while_the_coordinator_is_away() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    let job = SmallJob::new(cluster.dir.path(), "away", 1_000);
    job.describe(&coordinator);
    coordinator.hold_tasks();
    let first = coordinator.joined("w1", &[&job]).await;
    let lease = first.launch(&job, map(0));
    // One that is unknown is cancelled by the next order, in order: so the launch was heard.
    let unknown = first.lease(&job, map(9));
    first.order(Order::Cancel { lease: unknown.clone() });
    assert!(matches!(coordinator.ended(&first, &unknown, true).await, AttemptEnd::Cancelled));

    first.cut();
    let second = coordinator.joined("w1", &[&job]).await;
    assert_eq!(second.registration.incarnation, first.registration.incarnation);
    let (_, heartbeat) = coordinator.words_until_heartbeat(&second).await;
    let WorkerWord::Heartbeat { running, .. } = heartbeat else { unreachable!() };
    assert_eq!(running.iter().map(|progress| progress.attempt).collect::<Vec<_>>(), [map(0)]);
    second.launch(&job, map(0));
    for _ in 0..2 {
        coordinator.describe_one_task();
    }
    let end = coordinator.ended(&second, &lease, true).await;
    assert!(matches!(end, AttemptEnd::Output { .. }), "{end:?}");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_frees_its_slot_and_never_begins() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let options = mr_cluster::worker::WorkerOptions { slots: 1, ..cluster.options("w1", &coordinator) };
    let worker = Worker::start(options);
    let job = SmallJob::new(cluster.dir.path(), "cancel", 1_000);
    job.describe(&coordinator);
    coordinator.hold_tasks();
    let joined = coordinator.joined("w1", &[&job]).await;
    // Neither the one that holds the slot nor the one that waits for it gets any further.
    let leases = [0, 1].map(|index| joined.launch(&job, map(index)));
    for lease in &leases {
        joined.order(Order::Cancel { lease: lease.clone() });
        assert!(matches!(coordinator.ended(&joined, lease, true).await, AttemptEnd::Cancelled));
    }
    let never = joined.lease(&job, map(2));
    joined.order(Order::Cancel { lease: never.clone() });
    assert!(matches!(coordinator.ended(&joined, &never, true).await, AttemptEnd::Cancelled));
    joined.launch(&job, map(2));
    assert!(matches!(coordinator.ended(&joined, &never, true).await, AttemptEnd::Cancelled));

    let again = mr_model::AttemptId { attempt: 1, ..map(2) };
    job.order(&coordinator, again, &mr_cluster::protocol::TaskOrder::Map(job.splits[2].clone()));
    (0..3).for_each(|_| coordinator.describe_one_task());
    let lease = joined.launch(&job, again);
    let end = coordinator.ended(&joined, &lease, true).await;
    assert!(matches!(end, AttemptEnd::Output { .. }), "{end:?}");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_ends_the_life_it_names_and_all_its_data() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    let job = SmallJob::new(cluster.dir.path(), "fence", 1_000);
    job.describe(&coordinator);
    let first = coordinator.joined("w1", &[&job]).await;
    let life = first.registration.incarnation;
    first.order(Order::Fenced { incarnation: Incarnation(life.0 - 1), replaced: true });
    job.run_maps(&mut coordinator, &[&first, &first, &first]).await;
    assert_eq!(worker.lives(), [life.0.to_string()]);

    first.order(Order::Fenced { incarnation: life, replaced: false });
    let second = coordinator.joined("w1", &[&job]).await;
    assert!(second.registration.incarnation > life);
    assert_eq!(second.registration.instance, first.registration.instance);
    assert_eq!(worker.lives(), [second.registration.incarnation.0.to_string()]);
    job.describe_reduce(&coordinator, reduce(0, 0), &[&second, &second, &second]);
    let lease = second.launch(&job, reduce(0, 0));
    let end = coordinator.ended(&second, &lease, true).await;
    assert!(matches!(end, AttemptEnd::Failed(Failure::Fetch { .. })), "{end:?}");
    // A lease of the earlier life is nobody's.
    second.order(Order::Launch { lease: first.lease(&job, map(0)) });

    second.order(Order::Fenced { incarnation: second.registration.incarnation, replaced: true });
    let error = worker.ended().await.unwrap_err();
    assert!(matches!(error, WorkerError::Replaced { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_lapses_ends_the_life() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    let job = SmallJob::new(cluster.dir.path(), "lapse", 1_000);
    job.describe(&coordinator);
    coordinator.ignore_heartbeats();
    let first = coordinator.registered("w1").await;
    first.welcome(300, &[&job]);
    // It may try another connection first, which nobody welcomes.
    let second = loop {
        let joined = coordinator.registered("w1").await;
        if joined.registration.incarnation > first.registration.incarnation {
            break joined;
        }
    };
    assert_eq!(worker.lives(), [second.registration.incarnation.0.to_string()]);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_leaves_in_order() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let job = SmallJob::new(cluster.dir.path(), "leave", 1_000);
    job.describe(&coordinator);
    let drained = cluster.worker("w1", &coordinator);
    let joined = coordinator.joined("w1", &[&job]).await;
    job.run_maps(&mut coordinator, &[&joined]).await;
    joined.order(Order::Leave);
    while !matches!(coordinator.word(&joined).await, WorkerWord::Leaving) {}
    let data_dir = drained.data_dir.clone();
    drained.ended().await.unwrap();
    assert_eq!(crate::support::names(&data_dir.join("lives")), [] as [String; 0]);

    // Told to stop, with an attempt that gets no further.
    coordinator.hold_tasks();
    let stopped = cluster.worker("w2", &coordinator);
    let joined = coordinator.joined("w2", &[&job]).await;
    joined.launch(&job, map(1));
    let unknown = joined.lease(&job, map(9));
    joined.order(Order::Cancel { lease: unknown.clone() });
    coordinator.ended(&joined, &unknown, true).await;
    let lives = stopped.data_dir.join("lives");
    stopped.stop().await.unwrap();
    while !matches!(coordinator.word(&joined).await, WorkerWord::Leaving) {}
    assert_eq!(crate::support::names(&lives), [] as [String; 0]);
}
