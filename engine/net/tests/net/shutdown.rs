//! The end of a server: what is in flight gets done, nothing new is taken up, everybody is told.

use std::time::Duration;

use mr_net::{
    CloseReason, Closed, ConnectError, ExchangeError, Expected, Limits, NodeRole, Refusal, SegmentAnswer,
    ServerError, Side,
};

use crate::support::{Ask, Cluster, Event, LONG, Running, Service, Stored, WAITED, soon};

const SHUTDOWN: Closed = Closed::By { side: Side::Peer, reason: CloseReason::Shutdown };

#[tokio::test]
async fn what_is_in_flight_ends_and_nothing_begins() {
    let cluster = Cluster::new();
    let bytes = 40 << 20;
    let service = Service::with_segments([(1, Stored::Counted(bytes))]);
    let mut running = cluster.serve(service, Limits::default());
    let dialer = cluster.dialer("busy");
    let busy = dialer.dial(&running.address, NodeRole::Coordinator).await.unwrap();
    let idle = cluster.dialer("idle").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(running.event().await, Event::Connected(_)));
    }
    let waiting = tokio::spawn({
        let busy = busy.clone();
        async move { busy.request::<_, Vec<u8>>(&Ask::Wait, LONG).await }
    });
    assert_eq!(running.event().await, Event::Waiting);
    let SegmentAnswer::Found(mut reader) = busy.segment(&1u64, LONG).await.unwrap() else {
        panic!("gone");
    };
    let mut read = reader.next().await.unwrap().unwrap().len();

    running.shutdown.cancel();
    // Who has nothing in flight is told at once.
    assert_eq!(soon("the goodbye", idle.closed()).await, SHUTDOWN);
    let refused = dialer.dial(&running.address, NodeRole::Coordinator).await.unwrap_err();
    let busy_refusal = Refusal::Busy;
    assert!(
        matches!(&refused, ConnectError::Refused { by: Side::Peer, refusal, .. } if *refusal == busy_refusal),
        "{refused:?}"
    );

    while let Some(piece) = soon("a piece", reader.next()).await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read as u64, bytes);
    assert_eq!(busy.close_reason(), None);
    running.gate.add_permits(1);
    assert!(soon("the answer", waiting).await.unwrap().unwrap() == WAITED);
    assert_eq!(soon("the goodbye", busy.closed()).await, SHUTDOWN);
    running.ended().await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let cluster = Cluster::new();
    let limits = Limits { drain: Duration::from_millis(200), ..Limits::default() };
    let mut running = cluster.serve(Service::default(), limits);
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    running.event().await;
    let waiting = tokio::spawn({
        let peer = peer.clone();
        async move { peer.request::<_, Vec<u8>>(&Ask::Wait, LONG).await }
    });
    assert_eq!(running.event().await, Event::Waiting);
    assert_eq!(running.stop().await, Err(ServerError::DrainTimedOut { connections: 1 }));
    let response = soon("the cut", waiting).await.unwrap();
    assert!(
        matches!(response, Err(ExchangeError::Abandoned) | Err(ExchangeError::Closed(SHUTDOWN))),
        "{response:?}"
    );
    assert_eq!(soon("the goodbye", peer.closed()).await, SHUTDOWN);
}

#[tokio::test]
async fn a_dialler_that_hangs_up_is_seen_to() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits::default());
    let dialer = cluster.dialer("w");
    let peer = dialer.dial(&running.address, NodeRole::Coordinator).await.unwrap();
    running.event().await;
    dialer.close().await;
    let done = Closed::By { side: Side::Peer, reason: CloseReason::Done };
    assert_eq!(running.disconnection().await, done);
    assert!(peer.close_reason().is_some());
    running.stop().await.unwrap();
}

/// A node that dies without a word and comes back with the same key is noticed with the next packet,
/// long before the idle timeout.
#[test]
fn a_restarted_node_is_noticed_at_once() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let cluster = Cluster::new();
    let identity = cluster.identity(NodeRole::Coordinator, "coordinator");
    let (first, second, ours) = (runtime(), runtime(), runtime());
    let start = |address| {
        Running::start_at(address, &identity, &[NodeRole::Worker], Service::default(), Limits::default())
    };
    let running = first.block_on(async { start("127.0.0.1:0".parse().unwrap()) });
    let address = running.address.clone();
    let peer = ours.block_on(async {
        let expected = Expected::named(NodeRole::Coordinator, "coordinator");
        cluster.dialer("w").dial(&address, expected).await.unwrap()
    });
    // Its tasks are dropped where they are, so that nobody says goodbye.
    std::mem::forget(running);
    first.shutdown_timeout(LONG);
    let _running = second.block_on(async { start(address.parse().unwrap()) });
    let error = ours.block_on(async {
        let question = Ask::Echo(b"hello".to_vec());
        let asked = peer.request::<_, Vec<u8>>(&question, LONG);
        soon("the answer", asked).await.unwrap_err()
    });
    assert!(matches!(error, ExchangeError::Closed(Closed::Reset)), "{error:?}");
}
