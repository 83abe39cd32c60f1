//! Questions: through absences of the coordinator, up to the time that is given, and wrong answers.

use std::sync::Arc;
use std::time::Duration;

use mr_cluster::client::{Client, ClientError, Contact};
use mr_cluster::protocol::{Answer, JobState, Refused, Request, WAIT_MILLIS_MAX};
use mr_net::{ConnectError, Limits, Refusal, Side};

use crate::coordinator::{Cluster, Said, begin, soon};
use crate::job::{job, view};

/// Waits for the job, and tells the revisions that were seen.
async fn wait(client: Arc<Client>) -> Result<Vec<u64>, ClientError> {
    let mut seen = Vec::new();
    client.wait(&job(), |view| seen.push(view.revision)).await?;
    Ok(seen)
}

fn is_job_request(request: &Request, known: u64) -> bool {
    matches!(request, Request::Job { job: asked, seen, wait_millis: WAIT_MILLIS_MAX }
        if *asked == job() && *seen == known)
}

#[tokio::test]
async fn waiting_outlives_the_coordinator() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = Arc::new(cluster.connect(&coordinator).await);
    let mut contact = client.contact();
    let waiting = begin(wait(client.clone()));
    let asked = coordinator.answer(Answer::Job(Box::new(view(3, JobState::Running)))).await;
    assert!(is_job_request(&asked, 0), "{asked:?}");
    let (asked, responder) = coordinator.request().await;
    assert!(is_job_request(&asked, 3), "{asked:?}");
    drop(responder);
    let address = coordinator.stop().await;
    soon("the loss", contact.wait_for(|contact| *contact != Contact::Held)).await.unwrap();

    let mut coordinator = cluster.start_again(address);
    let asked = coordinator.answer(Answer::Job(Box::new(view(9, JobState::Ended)))).await;
    assert!(is_job_request(&asked, 3), "the question is asked again: {asked:?}");
    assert_eq!(soon("the end", waiting).await.unwrap(), Ok(vec![3, 9]));
    assert_eq!(*contact.borrow_and_update(), Contact::Held);
}

#[tokio::test]
async fn a_coordinator_that_goes_down_is_asked_again() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = cluster.connect(&coordinator).await;
    let cancelling = begin(async move { client.cancel(&job()).await });
    for answer in [Answer::Refused(Refused::ShuttingDown), Answer::Done] {
        let asked = coordinator.answer(answer).await;
        assert!(matches!(asked, Request::Cancel { job: asked } if asked == job()));
    }
    assert_eq!(soon("the answer", cancelling).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn refusals_are_told_as_they_are() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let client = cluster.connect(&coordinator).await;
    let draining = begin(async move { client.drain("w9").await });
    let refused = Refused::NoWorker { worker: "w9".to_owned() };
    let asked = coordinator.answer(Answer::Refused(refused.clone())).await;
    assert!(matches!(asked, Request::Drain { worker } if worker == "w9"));
    assert_eq!(soon("the answer", draining).await.unwrap(), Err(ClientError::Refused(refused)));
}

#[tokio::test]
async fn an_absence_ends_the_wait_when_the_time_is_up() {
    let cluster = Cluster::new();
    let coordinator = cluster.start();
    let mut options = cluster.options(coordinator.address);
    options.away_max = Duration::ZERO;
    let client = soon("connecting", Client::connect(options)).await.unwrap();
    let address = coordinator.stop().await;
    match soon("the error", client.workers()).await {
        Err(ClientError::Away { coordinator, .. }) => assert_eq!(coordinator, address.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_contact_is_tried_once() {
    let cluster = Cluster::new();
    let address = cluster.start().stop().await;
    let mut options = cluster.options(address);
    let after = Duration::from_millis(100);
    options.limits = Limits { handshake: after, ..Limits::default() };
    let error = soon("the error", Client::connect(options)).await.unwrap_err();
    let unanswered = ConnectError::Unanswered { address: address.to_string(), after };
    assert_eq!(error, ClientError::Connect(unanswered));
}

/// Whoever comes back at the address of the coordinator may be somebody else.
#[tokio::test]
async fn a_stranger_in_its_place_is_not_asked() {
    let (cluster, strangers) = (Cluster::new(), Cluster::new());
    let coordinator = cluster.start();
    let client = cluster.connect(&coordinator).await;
    let address = coordinator.stop().await;
    let _stranger = strangers.start_again(address);
    match soon("the error", client.workers()).await {
        Err(ClientError::Connect(ConnectError::Refused {
            refusal: Refusal::ForeignAuthority, by, ..
        })) => {
            assert_eq!(by, Side::Us);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_faults() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start();
    let other_job = {
        let mut view = view(1, JobState::Running);
        view.job = mr_model::JobId::new("another").unwrap();
        view
    };
    for (said, sentence) in [
        (Said::Answer(Answer::Workers(Vec::new())), "it answered workers when asked for a job"),
        (Said::Answer(Answer::Job(Box::new(other_job))), "it told of job another when asked for job-1"),
        (Said::Garbage, "the peer broke the protocol"),
    ] {
        let client = cluster.connect(&coordinator).await;
        let asking = begin(async move { client.job(&job(), 0, Duration::ZERO).await });
        let (_, responder) = coordinator.request().await;
        // Garbage ends the connection before its arrival is confirmed.
        let _ = responder.answer(&said).await;
        match soon("the error", asking).await.unwrap() {
            Err(ClientError::Protocol { reason, .. }) => assert!(reason.contains(sentence), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
