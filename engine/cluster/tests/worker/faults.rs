//! What the coordinator, the disk and the data folder can do wrong costs an attempt, never the worker.

use mr_cluster::protocol::{AttemptEnd, CoordinatorKey, WorkerWord};
use mr_cluster::worker::{WorkerError, WorkerOptions};
use mr_model::{Failure, Role};

use crate::support::job::map;
use crate::support::{Cluster, Coordinator, Joined, SmallJob, Worker, names};

async fn failure(coordinator: &mut Coordinator, on: &Joined, job: &SmallJob, index: u32) -> Failure {
    let lease = on.launch(job, map(index));
    match coordinator.ended(on, &lease, true).await {
        AttemptEnd::Failed(failure) => failure,
        end => panic!("{end:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_costs_the_attempt_only() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    let job = SmallJob::new(cluster.dir.path(), "garbage", 1_000);
    let joined = coordinator.joined("w1", &[&job]).await;
    let mut told = Vec::new();

    told.push(failure(&mut coordinator, &joined, &job, 0).await);
    job.describe(&coordinator);
    let key = CoordinatorKey::Job(job.id.clone());
    for garbage in [vec![0xff; 100], [postcard::to_stdvec(&job.description).unwrap(), vec![0]].concat()] {
        coordinator.put(&key, garbage);
        let index = 100 + u32::try_from(told.len()).unwrap();
        told.push(failure(&mut coordinator, &joined, &job, index).await);
    }
    let other = SmallJob::new(cluster.dir.path(), "other", 1_000);
    coordinator.put(&key, postcard::to_stdvec(&other.description).unwrap());
    told.push(failure(&mut coordinator, &joined, &job, 200).await);
    job.describe(&coordinator);
    told.push(failure(&mut coordinator, &joined, &job, 201).await);
    coordinator.put(&CoordinatorKey::Task { job: job.id.clone(), attempt: map(202) }, vec![7; 3]);
    told.push(failure(&mut coordinator, &joined, &job, 202).await);
    job.order(&coordinator, map(203), &mr_cluster::protocol::TaskOrder::Map(job.splits[0].clone()));
    told.push(failure(&mut coordinator, &joined, &job, 203).await);
    let expected = [
        "the coordinator does not have the description of job garbage",
        "cannot be understood",
        "bytes too many",
        "is that of job other",
        "the coordinator does not have the order for map task 201 attempt 0 of job garbage",
        "cannot be understood",
        "is for another task",
    ];
    for (failure, expected) in told.iter().zip(expected) {
        let text = failure.to_string();
        assert!(matches!(failure, Failure::Internal { .. }) && text.contains(expected), "{text}");
    }
    // The attempt at map 0 that failed is not run again; others are.
    for index in 1..3 {
        let lease = joined.launch(&job, map(index));
        let end = coordinator.ended(&joined, &lease, true).await;
        assert!(matches!(end, AttemptEnd::Output { .. }), "{end:?}");
    }
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_other_bytes_is_refused() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    let mut job = SmallJob::new(cluster.dir.path(), "swapped", 1_000);
    let hash = blake3::hash(b"what was submitted");
    job.description.roles = vec![(Role::Mapper, hash.to_hex().to_string())];
    job.describe(&coordinator);
    let joined = coordinator.joined("w1", &[&job]).await;
    let key = CoordinatorKey::Component(hash.into());
    coordinator.put(&key, b"something else".to_vec());
    let refused = failure(&mut coordinator, &joined, &job, 0).await.to_string();
    assert!(refused.contains(&format!("component {hash} arrived with the bytes of")), "{refused}");
    assert_eq!(names(&worker.data_dir.join("components")), [] as [String; 0]);

    coordinator.put(&key, b"what was submitted".to_vec());
    let refused = failure(&mut coordinator, &joined, &job, 1).await.to_string();
    assert!(refused.contains(&format!("component {hash} does not load on this worker")), "{refused}");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_nothing() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let options = WorkerOptions { disk_reserve_bytes: u64::MAX, ..cluster.options("w1", &coordinator) };
    let worker = Worker::start(options);
    let job = SmallJob::new(cluster.dir.path(), "full", 1_000);
    job.describe(&coordinator);
    let joined = coordinator.joined("w1", &[&job]).await;
    assert_eq!(joined.registration.slots, 0);
    let (said, _) = coordinator.words_until_heartbeat(&joined).await;
    assert!(matches!(said[..], [WorkerWord::Resized { slots: 0 }]), "{said:?}");
    let full = failure(&mut coordinator, &joined, &job, 0).await;
    assert!(matches!(full, Failure::Disk { full: true, .. }), "{full}");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_at_once() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.coordinator();
    let worker = cluster.worker("w1", &coordinator);
    coordinator.joined("w1", &[]).await;
    let options = cluster.options("w2", &coordinator);
    let shared = WorkerOptions { data_dir: worker.data_dir.clone(), ..options.clone() };
    let poor = WorkerOptions { memory_bytes: 1 << 20, ..options.clone() };
    let nowhere = WorkerOptions { coordinator: "coordinator".to_owned(), ..options.clone() };
    let client =
        WorkerOptions { identity: cluster.identity(mr_net::NodeRole::Client, "c"), ..options.clone() };
    let foreign = Cluster::new();
    let stranger = WorkerOptions { identity: foreign.identity(mr_net::NodeRole::Worker, "w3"), ..options };
    let mut refused = Vec::new();
    for options in [shared, poor, nowhere, client, stranger] {
        refused.push(Worker::start(options).ended().await.unwrap_err());
    }
    assert!(matches!(refused[0], WorkerError::DataInUse { .. }), "{}", refused[0]);
    assert!(matches!(refused[1], WorkerError::Memory { .. }), "{}", refused[1]);
    assert!(matches!(refused[2], WorkerError::Coordinator { .. }), "{}", refused[2]);
    assert!(matches!(refused[3], WorkerError::Role { .. }), "{}", refused[3]);
    assert!(matches!(refused[4], WorkerError::Refused(_)), "{}", refused[4]);
    let sentence = refused[1].to_string();
    assert!(sentence.contains("--memory 1 MiB is too small for 2 slots"), "{sentence}");
    worker.stop().await.unwrap();
}
