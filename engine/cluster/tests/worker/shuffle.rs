//! Map output from worker to worker: all of it, or a failure that names the map task.

use std::os::unix::fs::MetadataExt;

use mr_cluster::protocol::{AttemptEnd, LOST_OUTPUT, Order, Source, TaskOrder};
use mr_cluster::worker::WorkerOptions;
use mr_model::{Failure, Incarnation, TaskId, WorkerId};
use mr_net::NodeRole;

use crate::support::job::{MAPS, map, reduce};
use crate::support::silent::{Seen, Silent};
use crate::support::{Cluster, Coordinator, Joined, SmallJob, Worker, names, soon, until};

struct Pair {
    cluster: Cluster,
    coordinator: Coordinator,
    workers: [Worker; 2],
    joined: [Joined; 2],
    job: SmallJob,
}

impl Pair {
    /// Two workers, with maps 0 and 2 done on the first and 1 on the second.
    async fn with_maps(lines: usize) -> Self {
        Self::reading(false, lines).await
    }

    /// The same, where workers may read each other's files where they lie.
    async fn reading(read_near: bool, lines: usize) -> Self {
        let cluster = Cluster::new();
        let mut coordinator = cluster.coordinator();
        let workers = ["w1", "w2"]
            .map(|name| Worker::start(WorkerOptions { read_near, ..cluster.options(name, &coordinator) }));
        let job = SmallJob::new(cluster.dir.path(), "sort", lines);
        job.describe(&coordinator);
        let joined = [coordinator.joined("w1", &[&job]).await, coordinator.joined("w2", &[&job]).await];
        job.run_maps(&mut coordinator, &[&joined[0], &joined[1], &joined[0]]).await;
        Self { cluster, coordinator, workers, joined, job }
    }

    fn holders(&self) -> [&Joined; MAPS as usize] {
        [&self.joined[0], &self.joined[1], &self.joined[0]]
    }

    /// Runs a reduce attempt with an order of its own.
    async fn reduce(
        &mut self,
        on: usize,
        partition: u32,
        attempt: u32,
        order: Option<TaskOrder>,
    ) -> AttemptEnd {
        let id = reduce(partition, attempt);
        match order {
            Some(order) => self.job.order(&self.coordinator, id, &order),
            None => self.job.describe_reduce(&self.coordinator, id, &self.holders()),
        }
        let on = self.joined[on].clone();
        let lease = on.launch(&self.job, id);
        self.coordinator.ended(&on, &lease, true).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reduces_read_across_workers_and_give_the_naive_answer() {
    let mut pair = Pair::with_maps(300_000).await;
    for partition in 0..2 {
        let end = pair.reduce(partition as usize, partition, 0, None).await;
        pair.job.check_part(&end, partition);
    }
    let dir = pair.workers[0].job_dir(&pair.joined[0], &pair.job);
    assert!(!names(&dir).iter().any(|name| name.starts_with("spool")), "{:?}", names(&dir));
    assert_eq!(names(&dir).len(), 2, "one run file for each map");

    // The second worker knows the job no more; the first one still has it.
    pair.joined[1].order(Order::Forget { job: pair.job.id.clone() });
    let forgotten = pair.workers[1].job_dir(&pair.joined[1], &pair.job);
    until("the removal", || !forgotten.exists()).await;
    let end = pair.reduce(0, 0, 1, None).await;
    let AttemptEnd::Failed(Failure::Fetch { map_task, reason }) = end else { panic!("{end:?}") };
    assert_eq!(map_task, TaskId::map(1));
    assert!(reason.starts_with("worker w2 at 127.0.0.1:") && reason.ends_with("it is gone"), "{reason}");
    assert!(dir.exists());
    drop(pair.cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_one_machine_read_files_where_they_lie() {
    let mut pair = Pair::reading(true, 50_000).await;
    for (partition, attempt) in [(0, 0), (1, 0), (0, 1)] {
        let end = pair.reduce(0, partition, attempt, None).await;
        pair.job.check_part(&end, partition);
    }
    let dirs = [0, 1].map(|number| pair.workers[number].job_dir(&pair.joined[number], &pair.job));
    let linked: Vec<_> = names(&dirs[0]).into_iter().filter(|name| name.starts_with("near")).collect();
    assert_eq!(linked, ["near-000001-0-00000"], "one link for a run, whoever reads it");
    let inode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().ino();
    let run = names(&dirs[1]).into_iter().find(|name| name.starts_with("run-map-000001")).unwrap();
    assert_eq!(inode(dirs[0].join(&linked[0])), inode(dirs[1].join(run)));

    // Damage is found here, too, and names the map task.
    let path = dirs[0].join(&linked[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let end = pair.reduce(0, 0, 2, None).await;
    let AttemptEnd::Failed(Failure::Corrupt { map_task, .. }) = end else { panic!("{end:?}") };
    assert_eq!(map_task, Some(TaskId::map(1)));

    pair.joined[0].order(Order::Forget { job: pair.job.id.clone() });
    until("the removal", || !dirs[0].exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_wherever_it_is_read() {
    let mut pair = Pair::with_maps(20_000).await;
    let dir = pair.workers[0].job_dir(&pair.joined[0], &pair.job);
    let path = dir.join(names(&dir).into_iter().find(|name| name.starts_with("run-map-000002")).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let fetched = pair.reduce(1, 0, 0, None).await;
    let AttemptEnd::Failed(Failure::Fetch { map_task, reason }) = fetched else { panic!("{fetched:?}") };
    assert_eq!(map_task, TaskId::map(2));
    assert!(reason.contains("another hash"), "{reason}");
    let in_place = pair.reduce(0, 0, 1, None).await;
    let AttemptEnd::Failed(Failure::Corrupt { map_task, .. }) = in_place else { panic!("{in_place:?}") };
    assert_eq!(map_task, Some(TaskId::map(2)));
    let other = pair.reduce(1, 1, 0, None).await;
    pair.job.check_part(&other, 1);

    // A file that is shorter than it was: the transfer is cut short.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(100).unwrap();
    let cut = pair.reduce(1, 0, 2, None).await;
    let AttemptEnd::Failed(Failure::Fetch { map_task, .. }) = cut else { panic!("{cut:?}") };
    assert_eq!(map_task, TaskId::map(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_cannot_be_had_name_the_map_task() {
    let mut pair = Pair::with_maps(1_000).await;
    let holder = pair.joined[0].clone();
    let source = |name: &str, incarnation| Source {
        worker: holder.id,
        name: name.to_owned(),
        incarnation,
        address: holder.registration.address.clone(),
    };
    let (life, earlier) =
        (holder.registration.incarnation, Incarnation(holder.registration.incarnation.0 - 1));
    let outputs = vec![(0, 0); MAPS as usize];
    let cases = [
        // Gone is not empty, whoever is asked and whatever for.
        (source("w1", earlier), outputs.clone(), 0, "it is gone"),
        (source("w1", life), vec![(0, 0), (0, 7), (0, 0)], 1, "it is gone"),
        (source("w2", life), outputs.clone(), 0, "another node than the one that was dialled"),
        (source("w1", life), vec![(0, 0), (0, 0), LOST_OUTPUT], 2, "it was lost"),
    ];
    for (attempt, (source, outputs, map_task, reason)) in (0..).zip(cases) {
        let order = TaskOrder::Reduce { sources: vec![source], outputs };
        let end = pair.reduce(1, 0, attempt, Some(order)).await;
        let AttemptEnd::Failed(Failure::Fetch { map_task: named, reason: told }) = end else {
            panic!("{end:?}")
        };
        assert_eq!(named, TaskId::map(map_task), "{told}");
        assert!(told.contains(reason), "{told}");
    }
    // Its own outputs of an earlier life are gone, too.
    let order = TaskOrder::Reduce { sources: vec![source("w1", earlier)], outputs };
    let end = pair.reduce(0, 0, 9, Some(order)).await;
    assert!(matches!(end, AttemptEnd::Failed(Failure::Fetch { .. })), "{end:?}");
    let end = pair.reduce(0, 0, 10, None).await;
    pair.job.check_part(&end, 0);
    let again = pair.joined[0].launch(&pair.job, map(0));
    let end = pair.coordinator.ended(&pair.joined[0].clone(), &again, true).await;
    assert!(matches!(end, AttemptEnd::Output { .. }), "an attempt that ended says so again: {end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_stops_at_once_when_it_is_cancelled() {
    let mut pair = Pair::with_maps(1_000).await;
    let mut silent = Silent::start(&pair.cluster.identity(NodeRole::Worker, "silent"));
    let source = Source {
        worker: WorkerId(9),
        name: "silent".to_owned(),
        incarnation: Incarnation(1),
        address: silent.address.clone(),
    };
    let order = TaskOrder::Reduce { sources: vec![source], outputs: vec![(0, 0); MAPS as usize] };
    pair.job.order(&pair.coordinator, reduce(0, 0), &order);
    let on = pair.joined[0].clone();
    let lease = on.launch(&pair.job, reduce(0, 0));
    for _ in 0..MAPS {
        assert_eq!(soon("a segment to be asked for", silent.seen.recv()).await, Some(Seen::Asked));
    }
    let dir = pair.workers[0].job_dir(&on, &pair.job);
    assert!(dir.join("spool-reduce-000000-0").exists());
    on.order(Order::Cancel { lease: lease.clone() });
    let end = pair.coordinator.ended(&on, &lease, true).await;
    assert!(matches!(end, AttemptEnd::Cancelled), "{end:?}");
    for _ in 0..MAPS {
        assert_eq!(soon("a segment to be given up", silent.seen.recv()).await, Some(Seen::GivenUp));
    }
    until("the removal of what was fetched", || !dir.join("spool-reduce-000000-0").exists()).await;
    let end = pair.reduce(0, 0, 1, None).await;
    pair.job.check_part(&end, 0);
}
