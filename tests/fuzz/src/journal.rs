//! Records of the journal, as a damaged disk may hand them back: refused or read, and events that are read
//! are replayed whatever they say.

use mr_cluster::coordinator::record::{JobRecord, JobStage, TaskRecord, WorkerRecord};
use mr_cluster::protocol::{AttemptRecord, JobEnd, OutputRequest};
use mr_model::{Counters, Incarnation, JobId, WorkerId};
use mr_runtime::{Facts, MapFacts, StageFacts};
use mr_scheduler::{AttemptReport, Config, Event, JobPlan, LossCause, Outcome, Progress, Scheduler, Time};
use mr_shuffle::SpillStats;
use mr_storage::{Part, Upload};

use crate::message::{attempt_record, failures, lease};
use crate::settles;

/// Jobs that are replayed in one input: each takes memory for its tasks.
const JOBS_MAX: usize = 8;

/// Target: first byte for the kind of record, the rest is one, or many events.
pub fn journal(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 6 {
        0 => drop(settles::<JobRecord>(data)),
        1 => drop(settles::<TaskRecord>(data)),
        2 => drop(settles::<WorkerRecord>(data)),
        3 => drop(settles::<AttemptRecord>(data)),
        4 => drop(settles::<Scheduler>(data)),
        _ => replay(data),
    }
}

fn replay(mut data: &[u8]) {
    let mut scheduler = Scheduler::new(Config::default());
    let first = scheduler.due(Time(0));
    first.into_iter().for_each(|event| drop(scheduler.handle(Time(0), event)));
    let mut jobs = 0;
    let mut now = Time(0);
    while let Ok(((at, event), rest)) = postcard::take_from_bytes::<(Time, Event)>(data) {
        data = rest;
        jobs += usize::from(matches!(event, Event::JobSubmitted { .. }));
        if jobs > JOBS_MAX {
            return;
        }
        now = now.max(at);
        scheduler.handle(at, event);
        for event in scheduler.due(now) {
            scheduler.handle(now, event);
        }
    }
    let _ = (scheduler.jobs().count(), scheduler.workers().count());
    let snapshot = postcard::to_stdvec(&scheduler).unwrap();
    assert_eq!(settles::<Scheduler>(&snapshot), Some(scheduler));
}

/// What an attempt told.
pub fn facts(stage: StageFacts) -> Facts {
    Facts {
        stage,
        spilled: SpillStats::default(),
        rejects: 0,
        last_reject: None,
        large_groups: Vec::new(),
        counters: Counters::default(),
        guest_memory_bytes_peak: 1 << 20,
        cpu_millis: 12,
    }
}

/// A record of each kind, and the events of a job from its submission to its end.
pub fn seeds() -> Vec<Vec<u8>> {
    let with = |kind: u8, encoded: Vec<u8>| [vec![kind], encoded].concat();
    let stages = [
        JobStage::Running,
        JobStage::Closing(Outcome::Cancelled),
        JobStage::Ended { unix_millis: 9, end: JobEnd::Output("why".into()) },
    ];
    let mut seeds: Vec<Vec<u8>> =
        stages.into_iter().map(|stage| with(0, postcard::to_stdvec(&job_record(stage)).unwrap())).collect();
    let part = Part { name: "part-m-00003".into(), rows: 1, bytes: 2, blake3: "ff".into() };
    let task = TaskRecord {
        attempt: 1,
        report: AttemptReport { partition_bytes: vec![1, 2], ..AttemptReport::default() },
        facts: facts(StageFacts::Map(MapFacts::default())),
        parts: vec![part],
        uploads: vec![Upload { id: "upload".into(), tags: vec!["tag".into()] }],
    };
    seeds.push(with(1, postcard::to_stdvec(&task).unwrap()));
    let (name, address) = ("w".to_owned(), "127.0.0.1:1".to_owned());
    let worker = WorkerRecord { name, incarnation: Incarnation(2), instance: 5, address };
    seeds.push(with(2, postcard::to_stdvec(&worker).unwrap()));
    seeds.push(with(3, postcard::to_stdvec(&attempt_record()).unwrap()));
    let mut scheduler = Scheduler::new(Config::default());
    let mut replayed = vec![5];
    for (at, event) in events() {
        replayed.extend(postcard::to_stdvec(&(at, &event)).unwrap());
        scheduler.handle(at, event);
    }
    seeds.push(replayed);
    seeds.push(with(4, postcard::to_stdvec(&scheduler).unwrap()));
    seeds
}

fn job_record(stage: JobStage) -> JobRecord {
    JobRecord {
        job: JobId::new("job-1").unwrap(),
        number: 1,
        digest: [7; 32],
        components: vec![[1; 32]],
        submitted_unix_millis: 1,
        output: OutputRequest { path: "/out".into(), overwrite: true, sync: false },
        input_bytes: 10,
        maps: 2,
        reducers: 1,
        attempts_failed: 0,
        maps_rerun: 0,
        stage,
    }
}

fn events() -> Vec<(Time, Event)> {
    let lease = lease();
    let (worker, incarnation) = (lease.worker, lease.incarnation);
    let job = lease.job.clone();
    let progress = vec![Progress { job: job.clone(), attempt: lease.attempt, parts_per_million: 5 }];
    let map = |index: u32| mr_model::AttemptId { task: mr_model::TaskId::map(index), attempt: 0 };
    let leased = |index| mr_scheduler::Lease { attempt: map(index), ..lease.clone() };
    let report = AttemptReport { partition_bytes: vec![3], ..AttemptReport::default() };
    let queues = Config::default().queues;
    let events = vec![
        Event::QueuesChanged { queues },
        Event::WorkerJoined { worker, incarnation, slots: 2, host: Some("host".into()) },
        Event::JobSubmitted { job: job.clone(), plan: JobPlan::new(vec![10, 20], 1) },
        Event::Heartbeat { worker, incarnation, progress },
        Event::AttemptFinished { lease: leased(0), report },
        Event::AttemptFailed { lease: leased(1), failure: failures().remove(2) },
        Event::WorkerJoined { worker: WorkerId(2), incarnation, slots: 1, host: None },
        Event::WorkerLost { worker, incarnation, cause: LossCause::Left },
        Event::Resumed,
        Event::JobCancelled { job },
    ];
    (1u64..).map(|millis| Time(millis * 1_000)).zip(events).collect()
}
