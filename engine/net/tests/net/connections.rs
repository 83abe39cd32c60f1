//! Who is let in: every fault of a certificate, a role, a name or a version is refused, with the same
//! reason on both sides.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mr_net::{
    CloseReason, ConnectError, Dialer, Expected, Identity, Limits, NodeId, NodeRole, PROTOCOL_VERSION,
    Refusal, Side,
};

use crate::support::bare::{self, Pair};
use crate::support::proxy::{Weather, link};
use crate::support::{Ask, Cluster, Event, LONG, Running, Service, soon};

/// The refusal of an error, and the side that refuses.
fn refusal(error: &ConnectError) -> (Side, Refusal) {
    match error {
        ConnectError::Refused { by, refusal, .. } => (*by, *refusal),
        other => panic!("a refusal was awaited, and {other:?} came"),
    }
}

/// Dials with an identity what listens with another, and compares what both sides say. `by` is the side
/// that refuses, seen from the dialling one.
async fn check(
    dialer: &Identity,
    listener: &Identity,
    roles: &[NodeRole],
    expected: impl Into<Expected>,
    by: Side,
    refused: Refusal,
) {
    let mut running = Running::start(listener, roles, Service::default(), Limits::default());
    let dialer = Dialer::new(dialer, Limits::default()).unwrap();
    let error = soon("the dial", dialer.dial(&running.address, expected)).await.unwrap_err();
    assert_eq!(refusal(&error), (by, refused), "{error}");
    let other = if by == Side::Us { Side::Peer } else { Side::Us };
    let error = running.refusal().await;
    assert_eq!(refusal(&error), (other, refused), "{error}");
    assert_eq!(running.handle.connections(), 0);
}

#[tokio::test]
async fn both_sides_know_each_other() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits::default());
    let expected = Expected::named(NodeRole::Coordinator, "coordinator");
    let peer = cluster.dialer("w").dial(&running.address, expected).await.unwrap();
    let node = |role, name| NodeId::new(cluster.authority.cluster(), role, name).unwrap();
    assert_eq!(peer.node(), &node(NodeRole::Coordinator, "coordinator"));
    assert_eq!(peer.address().to_string(), running.address);
    assert_eq!(running.event().await, Event::Connected(node(NodeRole::Worker, "w")));
    let echo: Vec<u8> = peer.request(&Ask::Echo(b"hello".to_vec()), LONG).await.unwrap();
    assert_eq!(echo, b"hello");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn wrong_nodes_are_refused_by_who_dials() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let worker = ours.identity(NodeRole::Worker, "w");
    let coordinator = NodeRole::Coordinator;
    let all = [NodeRole::Worker];
    let by = Side::Us;
    let foreign = theirs.identity(coordinator, "c");
    check(&worker, &foreign, &all, coordinator, by, Refusal::ForeignAuthority).await;
    let expired = ours.expired(coordinator, "old");
    check(&worker, &expired, &all, coordinator, by, Refusal::Expired).await;
    let client = ours.identity(NodeRole::Client, "c");
    check(&worker, &client, &all, coordinator, by, Refusal::WrongPurpose).await;
    let other = ours.identity(NodeRole::Worker, "x");
    let role = Refusal::WrongRole { role: NodeRole::Worker };
    check(&worker, &other, &all, coordinator, by, role).await;
    let named = Expected::named(NodeRole::Worker, "y");
    check(&worker, &other, &all, named, by, Refusal::WrongName).await;
}

#[tokio::test]
async fn wrong_nodes_are_refused_by_who_listens() {
    let cluster = Cluster::new();
    let coordinator = cluster.identity(NodeRole::Coordinator, "coordinator");
    let all = [NodeRole::Worker];
    let by = Side::Peer;
    let expired = cluster.expired(NodeRole::Worker, "old");
    check(&expired, &coordinator, &all, NodeRole::Coordinator, by, Refusal::Expired).await;
    let client = cluster.identity(NodeRole::Client, "c");
    let role = Refusal::WrongRole { role: NodeRole::Client };
    check(&client, &coordinator, &all, NodeRole::Coordinator, by, role).await;
}

/// What only a bare end shows: certificates that our own side would not present.
#[tokio::test]
async fn hostile_certificates_are_refused() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let mut running = ours.serve(Service::default(), Limits::default());
    let us = |refusal| (Side::Us, refusal);

    let none = bare::connect(&running.address, None, &bare::ours()).await.unwrap();
    assert_eq!(refusal(&running.refusal().await), us(Refusal::NoCertificate));
    assert_eq!(bare::alert_of_close(&none).await, 116);

    theirs.identity(NodeRole::Worker, "w");
    let pair = Pair::read(theirs.dir.path(), "worker-w");
    let foreign = bare::connect(&running.address, Some(&pair), &bare::ours()).await.unwrap();
    assert_eq!(refusal(&running.refusal().await), us(Refusal::ForeignAuthority));
    assert_eq!(bare::alert_of_close(&foreign).await, 48);

    for (stem, uri, refused) in [
        ("nobody", None, Refusal::BadCertificate),
        ("elsewhere", Some("mr-engine://elsewhere/worker/w"), Refusal::WrongCluster),
    ] {
        let pair = Pair::forge(&ours, stem, uri);
        let connection = bare::connect(&running.address, Some(&pair), &bare::ours()).await.unwrap();
        assert_eq!(refusal(&running.refusal().await), us(refused));
        let reason = bare::reason_of_close(&connection).await;
        assert_eq!(reason, CloseReason::Refused(refused));
    }
}

#[tokio::test]
async fn a_listener_of_another_cluster_is_refused() {
    let cluster = Cluster::new();
    for (stem, uri, refused) in [
        ("nobody", None, Refusal::BadCertificate),
        ("elsewhere", Some("mr-engine://elsewhere/coordinator/c"), Refusal::WrongCluster),
    ] {
        let endpoint = bare::listen(&Pair::forge(&cluster, stem, uri));
        let address = endpoint.local_addr().unwrap().to_string();
        let accepting = tokio::spawn(async move {
            let connection = endpoint.accept().await.unwrap().await.unwrap();
            connection.closed().await;
        });
        let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
        let dialer = Dialer::new(&cluster.identity(NodeRole::Worker, stem), limits).unwrap();
        let error = soon("the dial", dialer.dial(&address, NodeRole::Coordinator)).await.unwrap_err();
        assert_eq!(refusal(&error), (Side::Us, refused));
        dialer.close().await;
        soon("the close", accepting).await.unwrap();
    }
}

#[tokio::test]
async fn other_versions_are_refused_by_name() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits::default());
    cluster.identity(NodeRole::Worker, "w");
    let pair = Pair::read(cluster.dir.path(), "worker-w");

    let next = PROTOCOL_VERSION + 1;
    let name = format!("mr-engine/{next}");
    let newer = bare::connect(&running.address, Some(&pair), &name).await.unwrap();
    let mismatch = Refusal::Version { dialer: next, listener: PROTOCOL_VERSION };
    let error = running.refusal().await;
    assert_eq!(refusal(&error), (Side::Us, mismatch));
    assert!(error.to_string().contains(&name) && error.to_string().contains(&bare::ours()), "{error}");
    assert_eq!(bare::reason_of_close(&newer).await, CloseReason::Refused(mismatch));

    let error = bare::connect(&running.address, Some(&pair), "h3").await.unwrap_err();
    assert_eq!(bare::alert(error), 120);
    assert_eq!(refusal(&running.refusal().await), (Side::Us, Refusal::NoProtocol));
}

#[tokio::test]
async fn addresses_that_lead_nowhere_are_named() {
    let cluster = Cluster::new();
    let identity = cluster.identity(NodeRole::Worker, "w");
    let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
    let dialer = Dialer::new(&identity, limits).unwrap();
    let error = dialer.dial("nowhere", NodeRole::Coordinator).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Address { address, .. } if address == "nowhere"), "{error:?}");

    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let error = dialer.dial(&address, NodeRole::Coordinator).await.unwrap_err();
    let after = Duration::from_millis(200);
    assert_eq!(error, ConnectError::Unanswered { address, after });
}

#[tokio::test]
async fn connections_are_counted() {
    let cluster = Cluster::new();
    let limits = Limits { connections_max: 3, connections_per_peer_max: 2, ..Limits::default() };
    let mut running = cluster.serve(Service::default(), limits);
    let (greedy, modest) = (cluster.dialer("greedy"), cluster.dialer("modest"));
    let coordinator = NodeRole::Coordinator;
    let _first = greedy.dial(&running.address, coordinator).await.unwrap();
    let second = greedy.dial(&running.address, coordinator).await.unwrap();
    for _ in 0..2 {
        running.event().await;
    }
    let busy = (Side::Peer, Refusal::Busy);
    let error = greedy.dial(&running.address, coordinator).await.unwrap_err();
    assert_eq!(refusal(&error), busy);
    assert_eq!(refusal(&running.refusal().await), (Side::Us, Refusal::Busy));

    // There is room for one more, but not for two.
    let _third = modest.dial(&running.address, coordinator).await.unwrap();
    let error = modest.dial(&running.address, coordinator).await.unwrap_err();
    assert_eq!(refusal(&error), busy);

    second.close(CloseReason::Done);
    running.disconnection().await;
    soon("the room", async { while modest.dial(&running.address, coordinator).await.is_err() {} }).await;
}

#[tokio::test]
async fn newcomers_prove_their_address_when_it_is_crowded() {
    let cluster = Cluster::new();
    for (retry_from, retries) in [(0, 1), (1, 0)] {
        let limits = Limits { retry_from, ..Limits::default() };
        let identity = cluster.identity(NodeRole::Coordinator, &format!("c{retry_from}"));
        let running = Running::start(&identity, &[NodeRole::Worker], Service::default(), limits);
        let (address, tally) = link(&running.address, Weather::default()).await;
        let dialer = cluster.dialer(&format!("w{retry_from}"));
        dialer.dial(&address, NodeRole::Coordinator).await.unwrap();
        assert_eq!(tally.retries.load(Ordering::SeqCst), retries);
    }
}
