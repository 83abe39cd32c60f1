//! Handing a job in: exactly what is wanted, again after an absence, and refusals at any time.

use std::path::Path;
use std::sync::Arc;

use mr_cluster::client::{Accepted, Client, ClientError, Submission, Upload};
use mr_cluster::protocol::{CHUNK_BYTES, Down, Order, Refused, SubmitReply, SubmittedPlan};
use mr_model::JobId;
use tokio::task::JoinHandle;

use crate::coordinator::{Cluster, begin, soon};
use crate::job::{COMPONENT_BYTES, SPLIT_BYTES, component_bytes, components, inputs, job, plan, submission};

type Outcome = Result<(Accepted, Vec<Upload>), ClientError>;

/// Submits, and tells what was said of the upload.
fn submit(client: &Arc<Client>, submission: &Submission) -> JoinHandle<Outcome> {
    let (client, submission) = (client.clone(), submission.clone());
    begin(async move {
        let mut uploads = Vec::new();
        let accepted = client.submit(&submission, |upload| uploads.push(upload)).await?;
        Ok((accepted, uploads))
    })
}

fn wants(components: &[u32]) -> SubmitReply {
    SubmitReply::Wants { components: components.to_vec(), sides: Vec::new() }
}

fn plan_bytes(dir: &Path) -> Vec<u8> {
    postcard::to_stdvec(&plan(dir)).unwrap()
}

#[tokio::test]
async fn what_is_wanted_is_sent_byte_for_byte() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let (dir, submission) = (cluster.dir.path(), submission(cluster.dir.path()));
    let submitting = submit(&client, &submission);
    let mut taking = coordinator.submission().await;
    assert_eq!((&taking.head, &taking.head.job), (submission.head(), &job()));
    let lengths: Vec<u64> = taking.head.components.iter().map(|(_, bytes)| *bytes).collect();
    assert_eq!(lengths, COMPONENT_BYTES.map(|bytes| bytes as u64));
    let plan = plan_bytes(dir);
    assert_eq!(taking.head.plan_bytes, plan.len() as u64);

    taking.reply(wants(&[2, 1])).await;
    for expected in [component_bytes(2), component_bytes(1), plan] {
        let chunks = taking.chunks(expected.len()).await;
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_BYTES));
        assert_eq!(chunks.len(), expected.len().div_ceil(CHUNK_BYTES));
        assert!(chunks.concat() == expected);
        if expected == plan_bytes(dir) {
            let decoded: SubmittedPlan = postcard::from_bytes(&expected).unwrap();
            assert_eq!(decoded.splits.len(), 3);
        }
    }
    taking.reply(SubmitReply::Accepted { known: false }).await;
    let (accepted, uploads) = soon("the end", submitting).await.unwrap().unwrap();
    assert_eq!(accepted, Accepted { known: false });
    let total = (COMPONENT_BYTES[1] + COMPONENT_BYTES[2] + plan_bytes(dir).len()) as u64;
    assert_eq!(uploads.last(), Some(&Upload { bytes: total, bytes_total: total }));
}

#[tokio::test]
async fn a_known_job_is_not_sent() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let submitting = submit(&client, &submission(cluster.dir.path()));
    let mut taking = coordinator.submission().await;
    taking.reply(SubmitReply::Accepted { known: true }).await;
    assert_eq!(soon("the end", submitting).await.unwrap(), Ok((Accepted { known: true }, Vec::new())));
}

#[tokio::test]
async fn refusals_are_heard_at_any_time() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let submission = submission(cluster.dir.path());
    let refused = Refused::Output { sentence: "output /out exists already".to_owned() };
    for chunks_read in [None, Some(0), Some(1)] {
        let submitting = submit(&client, &submission);
        let mut taking = coordinator.submission().await;
        if let Some(chunks) = chunks_read {
            taking.reply(wants(&[0, 1, 2])).await;
            for _ in 0..chunks {
                taking.chunk().await;
            }
        }
        // Reads no further, although more is on its way.
        taking.reply(SubmitReply::Refused(refused.clone())).await;
        taking.finish().await;
        let ended = soon("the end", submitting).await.unwrap();
        assert_eq!(ended, Err(ClientError::Refused(refused.clone())), "{chunks_read:?}");
    }
}

#[tokio::test]
async fn a_job_is_handed_in_again_after_an_absence() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let submission = submission(cluster.dir.path());
    let submitting = submit(&client, &submission);
    // In the middle of chunks.
    let mut taking = coordinator.submission().await;
    taking.reply(wants(&[1])).await;
    taking.chunk().await;
    drop(taking);
    let address = coordinator.stop().await;
    // With all of it, before a word about it.
    let mut coordinator = cluster.start_again(address);
    let mut taking = coordinator.submission().await;
    assert_eq!(&taking.head, submission.head());
    taking.reply(wants(&[])).await;
    let plan = plan_bytes(cluster.dir.path());
    assert!(taking.chunks(plan.len()).await.concat() == plan);
    drop(taking);
    let address = coordinator.stop().await;
    // It was in the journal by then.
    let mut coordinator = cluster.start_again(address);
    let mut taking = coordinator.submission().await;
    assert_eq!(&taking.head, submission.head());
    taking.reply(SubmitReply::Accepted { known: true }).await;
    let (accepted, _) = soon("the end", submitting).await.unwrap().unwrap();
    assert_eq!(accepted, Accepted { known: false }, "it was this client that made it known");
}

#[tokio::test]
async fn replies_that_make_no_sense_are_faults() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let submission = submission(cluster.dir.path());
    let order = Down::Worker(Order::Forget { job: job() });
    let strange = [
        (Down::Submit(wants(&[3])), "components or side inputs that the job does not have"),
        (Down::Submit(wants(&[0, 0, 0, 0])), "components or side inputs that the job does not have"),
        (order, "an order for a worker"),
    ];
    for (down, sentence) in strange {
        let submitting = submit(&client, &submission);
        let mut taking = coordinator.submission().await;
        taking.say(down).await;
        match soon("the end", submitting).await.unwrap() {
            Err(ClientError::Protocol { reason, .. }) => assert!(reason.contains(sentence), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    let submitting = submit(&client, &submission);
    let mut taking = coordinator.submission().await;
    taking.reply(wants(&[])).await;
    taking.reply(wants(&[])).await;
    assert!(matches!(soon("the end", submitting).await.unwrap(), Err(ClientError::Protocol { .. })));
}

#[tokio::test]
async fn a_component_that_changed_is_not_sent() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let submission = submission(cluster.dir.path());
    let path = cluster.dir.path().join("0.wasm");
    std::fs::write(&path, "something else").unwrap();
    let submitting = submit(&client, &submission);
    let mut taking = coordinator.submission().await;
    taking.reply(wants(&[0])).await;
    match soon("the end", submitting).await.unwrap() {
        Err(ClientError::Io { path: named, reason }) => {
            assert_eq!(named, path);
            assert!(reason.contains("changed"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_digest_tells_jobs_apart_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let digest = |plan: &SubmittedPlan, inputs: &[String], split_bytes: u64| {
        Submission::new(plan, inputs, split_bytes, &components(dir)).unwrap().head().digest
    };
    let (same, patterns) = (plan(dir), inputs(dir));
    let reference = digest(&same, &patterns, SPLIT_BYTES);
    let mut alike = same.clone();
    alike.splits.iter_mut().flat_map(|split| &mut split.pieces).for_each(|piece| piece.modified_ns += 1);
    alike.record.input_bytes += 1;
    alike.description.spec.permissions.guest_memory_bytes_max += 1;
    assert_eq!(digest(&alike, &patterns, SPLIT_BYTES), reference);

    type Change = fn(&mut SubmittedPlan);
    let changes: [(&str, Change); 9] = [
        ("name", |plan| plan.description.spec.id = JobId::new("other").unwrap()),
        ("component", |plan| plan.description.roles.clear()),
        ("parameters", |plan| plan.description.spec.params.push(("a".to_owned(), "b".to_owned()))),
        ("reducers", |plan| plan.description.spec.reducers += 1),
        ("limits", |plan| plan.description.spec.permissions.rejects_max += 1),
        ("guest memory", |plan| plan.description.guest_memory_bytes = Some(1)),
        ("output", |plan| plan.output.path.push("x")),
        ("overwrite", |plan| plan.output.overwrite = true),
        ("share", |plan| plan.share.priority += 1),
    ];
    for (what, change) in changes {
        let mut other = same.clone();
        change(&mut other);
        assert_ne!(digest(&other, &patterns, SPLIT_BYTES), reference, "{what}");
    }
    assert_ne!(digest(&same, &[patterns.as_slice(), &["/x".to_owned()]].concat(), SPLIT_BYTES), reference);
    assert_ne!(digest(&same, &patterns, SPLIT_BYTES + 1), reference);
}
