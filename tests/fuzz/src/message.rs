//! What peers say to each other: any bytes are refused or they are a message, and a message that is said
//! again is the same. What is decoded can also be shown to people.

use mr_cluster::protocol::{
    Answer, AttemptEnd, AttemptRecord, CoordinatorKey, Down, Opening, Order, OutputsAnswer, OutputsRequest,
    Refused, Registration, Request, SegmentKey, SegmentMeta, Source, SubmitHead, SubmitReply, TaskOrder, Up,
    WorkerView, WorkerWord,
};
use mr_model::{
    AttemptId, Failure, Incarnation, JobId, LastWords, Place, PluginFault, Role, Side, TaskId, WorkerId,
};
use mr_runtime::JobDescription;
use mr_scheduler::{AttemptReport, Lease, Progress};
use mr_shuffle::{Codec, IndexEntry};
use serde::Serialize;

use crate::settles;
use crate::submission::{description, split};

/// Target: first byte for the type of the message, the rest is one.
pub fn message(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 12 {
        0 => drop(settles::<Request>(data)),
        1 => answered(settles(data)),
        2 => drop(settles::<Opening>(data)),
        3 => said(settles(data)),
        4 => drop(settles::<Down>(data).map(|down| format!("{down:?}"))),
        5 => drop(settles::<CoordinatorKey>(data)),
        6 => drop(settles::<TaskOrder>(data)),
        7 => drop(settles::<OutputsRequest>(data)),
        8 => drop(settles::<OutputsAnswer>(data)),
        9 => drop(settles::<SegmentKey>(data)),
        10 => drop(settles::<JobDescription>(data)),
        _ => failed(settles(data)),
    }
}

fn answered(answer: Option<Answer>) {
    match answer {
        Some(Answer::Attempts(attempts)) => attempts.into_iter().for_each(|attempt| failed(attempt.failure)),
        Some(Answer::Refused(refused)) => drop(refused.to_string()),
        Some(Answer::Job(view)) => drop(format!("{view:?}")),
        _ => {}
    }
}

fn said(word: Option<Up>) {
    if let Some(Up::Worker(WorkerWord::Ended { end, .. })) = word {
        match *end {
            AttemptEnd::Parts { parts, .. } => {
                // A name that no part of the attempt's task would have is refused: no path gets through.
                let leads_out = |name: &str| {
                    name.starts_with('/') || name.contains("..") || name.matches('/').count() > 1
                };
                assert!(!parts.is_harmless() || !parts.parts.iter().any(|part| leads_out(&part.name)));
            }
            AttemptEnd::Failed(failure) => failed(Some(failure)),
            AttemptEnd::Output { .. } | AttemptEnd::Cancelled => {}
        }
    }
}

fn failed(failure: Option<Failure>) {
    if let Some(failure) = failure {
        assert!(!failure.to_string().is_empty());
        let _ = (failure.retry(), failure.words());
        let json = serde_json::to_string(&failure).unwrap();
        assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), failure);
    }
}

/// A lease for messages.
pub fn lease() -> Lease {
    let attempt = AttemptId { task: TaskId::map(3), attempt: 1 };
    Lease { job: JobId::new("job-1").unwrap(), attempt, worker: WorkerId(9), incarnation: Incarnation(2) }
}

/// What a worker says of itself.
pub fn registration() -> Registration {
    let (address, host) = ("127.0.0.1:7070".to_owned(), "host".to_owned());
    Registration { incarnation: Incarnation(2), instance: 5, slots: 4, address, host }
}

/// Failures of plugins, with everything that they leave.
pub fn failures() -> Vec<Failure> {
    let words =
        LastWords { log: vec!["line".into()], stack: vec!["main".into()], record: Some("record".into()) };
    let place = Some(Place { path: "/in".into(), offset: 7 });
    let message = "unreachable".to_owned();
    let (limit, value, cap) = ("output".to_owned(), "2 GiB".to_owned(), "1 GiB".to_owned());
    vec![
        Failure::Plugin {
            fault: PluginFault::Trap,
            role: Role::Mapper,
            message,
            place,
            words: words.clone(),
        },
        Failure::Limit {
            role: Role::Reducer,
            limit,
            value,
            cap,
            option: "--max-output".into(),
            words,
            place: None,
        },
        Failure::Fetch { map_task: TaskId::map(1), reason: "gone".into() },
    ]
}

/// One message of each type, and more of those with many variants.
pub fn seeds() -> Vec<Vec<u8>> {
    let Lease { job, attempt, worker, incarnation } = lease();
    let mut seeds = Vec::new();
    let mut add = |kind: u8, encoded: Vec<u8>| seeds.push([vec![kind], encoded].concat());
    add(0, encoded(&Request::Jobs { before: Some(9), limit: 100 }));
    add(0, encoded(&Request::Job { job: job.clone(), seen: 1, wait_millis: 5_000 }));
    add(1, encoded(&Answer::Workers(vec![worker_view()])));
    add(1, encoded(&Answer::Attempts(vec![attempt_record()])));
    add(1, encoded(&Answer::Refused(Refused::NoWorker { worker: "w".into() })));
    let side = Side { name: "v".into(), bytes: 7, blake3: "0a".repeat(32) };
    let head = SubmitHead {
        job: job.clone(),
        digest: [7; 32],
        components: vec![([1; 32], 99)],
        sides: vec![side],
        plan_bytes: 12,
    };
    add(2, encoded(&Opening::Submit(head)));
    add(2, encoded(&Opening::Register(registration())));
    let running = vec![Progress { job: job.clone(), attempt, parts_per_million: 10 }];
    let heartbeat = WorkerWord::Heartbeat { sequence: 4, running, disk_free_bytes: 1 << 40 };
    add(3, encoded(&Up::Worker(heartbeat)));
    for failure in failures() {
        let end = Box::new(AttemptEnd::Failed(failure));
        add(3, encoded(&Up::Worker(WorkerWord::Ended { lease: lease(), end, log: vec!["l".into()] })));
    }
    add(4, encoded(&Down::Worker(Order::Welcome { worker, lease_millis: 30_000, jobs: vec![job.clone()] })));
    add(4, encoded(&Down::Submit(SubmitReply::Wants { components: vec![0, 2], sides: vec![0] })));
    add(5, encoded(&CoordinatorKey::Side { hash: [3; 32], start: 1 << 22, bytes: 7 }));
    add(5, encoded(&CoordinatorKey::Task { job: job.clone(), attempt }));
    add(6, encoded(&TaskOrder::Map(split(1, 10))));
    let source = Source { worker, name: "w".into(), incarnation, address: "127.0.0.1:1".into() };
    add(
        6,
        encoded(&TaskOrder::Reduce { sources: vec![source], outputs: vec![(0, 1), (u32::MAX, u32::MAX)] }),
    );
    let machine = Some("m".to_owned());
    let (attempts, partition) = (vec![attempt], 3);
    add(7, encoded(&OutputsRequest::Outputs { job: job.clone(), incarnation, partition, attempts, machine }));
    add(8, outputs_answer());
    add(9, encoded(&SegmentKey { job, incarnation, attempt, sequence: 0, partition: 3 }));
    add(10, encoded(&description()));
    failures().iter().for_each(|failure| add(11, encoded(failure)));
    seeds
}

fn encoded<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).unwrap()
}

fn outputs_answer() -> Vec<u8> {
    let entry = IndexEntry {
        partition: 3,
        offset: 50,
        length: 100,
        records: 2,
        bytes: 30,
        cursor_bytes: 76,
        hash: u128::MAX,
    };
    let meta = SegmentMeta { sequence: 0, codec: Codec::Lz4, entry, near: None };
    let answer: OutputsAnswer = vec![None, Some(vec![meta])];
    encoded(&answer)
}

fn worker_view() -> WorkerView {
    WorkerView {
        name: "w".into(),
        incarnation: Incarnation(2),
        address: "127.0.0.1:1".into(),
        live: true,
        connected: true,
        draining: false,
        set_aside: false,
        slots: 4,
        running: 1,
        outputs: 2,
        disk_free_bytes: 1 << 40,
    }
}

/// An ended attempt.
pub fn attempt_record() -> AttemptRecord {
    AttemptRecord {
        attempt: lease().attempt,
        worker: "w".into(),
        started_unix_millis: 1,
        ended_unix_millis: 2,
        failure: failures().pop(),
        report: Some(AttemptReport::default()),
        log: vec!["line".into()],
    }
}
