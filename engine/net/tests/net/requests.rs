//! Requests and their answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mr_net::{CloseReason, Closed, ExchangeError, Limits, NodeRole, Pool};

use crate::support::proxy::{Weather, link};
use crate::support::{Ask, Cluster, Event, LONG, Random, Service, noise, soon};

#[tokio::test]
async fn many_requests_at_once_get_their_own_answers() {
    let cluster = Cluster::new();
    let running = cluster.serve(Service::default(), Limits { streams_max: 4, ..Limits::default() });
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    let mut random = Random(3);
    let asking: Vec<_> = (0..200)
        .map(|seed| {
            let (peer, bytes) = (peer.clone(), (random.next() % 20_000) as usize);
            tokio::spawn(async move {
                let said = noise(seed, bytes);
                let heard: Vec<u8> = peer.request(&Ask::Echo(said.clone()), LONG).await.unwrap();
                assert!(said == heard);
            })
        })
        .collect();
    for asked in asking {
        soon("an answer", asked).await.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_gives_up_and_the_handler_sees_it() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits::default());
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    running.event().await;
    let after = Duration::from_millis(200);
    let response = peer.request::<_, Vec<u8>>(&Ask::Wait, after).await;
    assert_eq!(response, Err(ExchangeError::Deadline { after }));
    assert_eq!(running.event().await, Event::Waiting);
    assert_eq!(running.event().await, Event::GivenUp);
    assert_eq!(peer.close_reason(), None);
}

#[tokio::test]
async fn a_request_that_is_not_answered_says_so() {
    let cluster = Cluster::new();
    let running = cluster.serve(Service::default(), Limits { answer_bytes_max: 1000, ..Limits::default() });
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    for ask in [Ask::Ignore, Ask::Produce(1000)] {
        let response = soon("the end", peer.request::<_, Vec<u8>>(&ask, LONG)).await;
        assert_eq!(response, Err(ExchangeError::Abandoned), "{ask:?}");
    }
    let response: Vec<u8> = peer.request(&Ask::Produce(998), LONG).await.unwrap();
    assert_eq!(response.len(), 998);
}

#[tokio::test]
async fn a_lost_peer_is_noticed() {
    let cluster = Cluster::new();
    let idle = Duration::from_millis(500);
    let running = cluster.serve(Service::default(), Limits { idle, ..Limits::default() });
    let (address, tally) = link(&running.address, Weather::default()).await;
    let peer = cluster.dialer("w").dial(&address, NodeRole::Coordinator).await.unwrap();
    tally.cut.store(true, Ordering::SeqCst);
    let response = soon("the loss", peer.request::<_, Vec<u8>>(&Ask::Wait, LONG)).await;
    assert_eq!(response, Err(ExchangeError::Closed(Closed::Idle)));
}

#[tokio::test]
async fn a_pool_uses_its_lanes_in_turn_and_dials_again() {
    let cluster = Cluster::new();
    let running = cluster.serve(Service::default(), Limits::default());
    let pool = Pool::new(cluster.dialer("w"), running.address.clone(), NodeRole::Coordinator, 3);
    let mut lanes = Vec::new();
    for _ in 0..3 {
        lanes.push(pool.peer().await.unwrap());
    }
    for (a, lane) in lanes.iter().enumerate() {
        assert!(lanes[..a].iter().all(|other| !other.is_same_connection(lane)));
        assert!(pool.peer().await.unwrap().is_same_connection(lane));
    }
    lanes[0].close(CloseReason::Done);
    let again = pool.peer().await.unwrap();
    assert!(!again.is_same_connection(&lanes[0]));
    let echo: Vec<u8> = again.request(&Ask::Echo(vec![1]), LONG).await.unwrap();
    assert_eq!(echo, [1]);
}
