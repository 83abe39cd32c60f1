//! Peers that break the protocol are cut off with the fault that they committed, and nobody else notices.

use std::time::Duration;

use mr_net::{CloseReason, Closed, Dialer, ExchangeError, Fault, Limits, NodeRole, Side};

use crate::support::bare::{self, Pair};
use crate::support::{Ask, Cluster, LONG, Service, noise, soon};

/// Limits under which silence is noticed soon.
fn hasty() -> Limits {
    let moment = Duration::from_millis(300);
    Limits { first_frame: moment, frame: 2 * moment, ..Limits::default() }
}

/// A stream of a kind with one frame that claims `length` bytes and has `payload`.
fn frame(kind: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    [&[kind], length.to_le_bytes().as_slice(), payload].concat()
}

#[tokio::test]
async fn faults_end_the_connection_of_who_commits_them() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), hasty());
    let bystander = cluster.dialer("bystander").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    let cap = 1 << 20;
    // An echo of one byte, 0x61: variant 0, length 1.
    let echo = [0, 1, 0x61];
    for (name, bytes, ends, fault) in [
        ("oversized", frame(1, cap + 1, b""), false, Fault::Oversized { bytes: cap + 1, bytes_max: cap }),
        ("huge", frame(2, u32::MAX, b""), false, Fault::Oversized { bytes: u32::MAX, bytes_max: cap }),
        ("huge-key", frame(3, 1 << 17, b""), false, Fault::Oversized { bytes: 1 << 17, bytes_max: 1 << 16 }),
        ("empty", vec![], true, Fault::Truncated),
        ("no-frame", vec![1], true, Fault::Truncated),
        ("half-length", vec![1, 3, 0], true, Fault::Truncated),
        ("half-frame", frame(1, 3, &echo[..2]), true, Fault::Truncated),
        ("garbage", frame(1, 3, &[0xff; 3]), true, Fault::Garbage),
        ("short-message", frame(1, 2, &echo[..2]), true, Fault::Garbage),
        ("left-over", frame(1, 4, &[0, 1, 0x61, 0]), true, Fault::Garbage),
        ("unknown-kind", frame(9, 3, &echo), true, Fault::UnknownStream { kind: 9 }),
        ("second-greeting", frame(0, 1, &[0]), true, Fault::UnknownStream { kind: 0 }),
        ("silent", vec![1], false, Fault::Silent),
        ("slow-frame", frame(1, 3, &echo[..2]), false, Fault::Silent),
        ("slow-message", [frame(2, 5, b"\x04echo"), vec![9, 0]].concat(), false, Fault::Slow),
    ] {
        let connection = bare::connect_as_worker(&cluster, &running.address, name).await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        if ends {
            send.finish().unwrap();
        }
        let reason = CloseReason::Fault(fault);
        assert_eq!(bare::reason_of_close(&connection).await, reason, "{name}");
        assert_eq!(running.disconnection().await, Closed::By { side: Side::Us, reason }, "{name}");
        let echo: Vec<u8> = bystander.request(&Ask::Echo(noise(1, 99)), LONG).await.unwrap();
        assert_eq!(echo, noise(1, 99), "{name}");
    }
}

/// The largest request that is allowed goes through; one byte more is refused before it is sent.
#[tokio::test]
async fn caps_are_exact() {
    let cluster = Cluster::new();
    let running = cluster.serve(Service::default(), Limits::default());
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    // One byte for the variant, three for the length.
    let largest = (1 << 20) - 4;
    let echo: Vec<u8> = peer.request(&Ask::Echo(noise(2, largest)), LONG).await.unwrap();
    assert!(echo == noise(2, largest));
    let larger = peer.request::<_, Vec<u8>>(&Ask::Echo(noise(2, largest + 1)), LONG).await;
    assert_eq!(larger, Err(ExchangeError::TooLarge { bytes_max: 1 << 20 }));
    assert_eq!(peer.close_reason(), None);
}

#[tokio::test]
async fn a_stream_given_up_is_no_fault() {
    let cluster = Cluster::new();
    let running = cluster.serve(Service::default(), hasty());
    let connection = bare::connect_as_worker(&cluster, &running.address, "w").await;
    for bytes in [vec![], vec![1], frame(1, 9, b"a")] {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.reset(1u32.into()).unwrap();
        let read = soon("the end", receive.read_to_end(16)).await;
        assert!(matches!(read, Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(_)))), "{read:?}");
    }
    assert!(connection.close_reason().is_none());
}

/// A peer may hold so many streams and no more, and holding them in silence costs it the connection.
#[tokio::test]
async fn floods_of_streams_are_bounded() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits { streams_max: 8, ..hasty() });
    let connection = bare::connect_as_worker(&cluster, &running.address, "flood").await;
    let mut held = Vec::new();
    let reason = CloseReason::Fault(Fault::Silent);
    soon("the end of the flood", async {
        while let Ok((mut send, receive)) = connection.open_bi().await {
            // Enough for the server to see the stream.
            let _ = send.write_all(&[1]).await;
            held.push((send, receive));
        }
    })
    .await;
    // The greeting was a stream, too; the credit for it may come late.
    assert!((7..=8).contains(&held.len()), "{} streams were held", held.len());
    assert_eq!(running.disconnection().await, Closed::By { side: Side::Us, reason });

    let connection = bare::connect_as_worker(&cluster, &running.address, "uni").await;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let opening = std::pin::pin!(connection.open_uni());
    assert!(opening.poll(&mut context).is_pending(), "streams of one direction are not allowed");
}

/// A listener that answers nonsense is left.
#[tokio::test]
async fn answers_are_checked_too() {
    let cluster = Cluster::new();
    let uri = format!("mr-engine://{}/coordinator/c", cluster.authority.cluster());
    let endpoint = bare::listen(&Pair::forge(&cluster, "bare", Some(&uri)));
    let address = endpoint.local_addr().unwrap().to_string();
    let cap = 4 << 20;
    let cases = [
        (vec![0xff, 0xff, 0xff, 0xff], Fault::Oversized { bytes: u32::MAX, bytes_max: cap }),
        (vec![2, 0, 0, 0, 7], Fault::Truncated),
        (vec![], Fault::Truncated),
        (vec![1, 0, 0, 0, 9], Fault::Garbage),
    ];
    let answers: Vec<_> = cases.iter().map(|(answer, _)| answer.clone()).collect();
    let serving = tokio::spawn(async move {
        let mut reasons = Vec::new();
        for answer in answers {
            let connection = endpoint.accept().await.unwrap().await.unwrap();
            let (mut send, _receive) = connection.accept_bi().await.unwrap();
            send.write_all(&[0; 4]).await.unwrap();
            let (mut send, _receive) = connection.accept_bi().await.unwrap();
            send.write_all(&answer).await.unwrap();
            send.finish().unwrap();
            reasons.push(bare::reason_of_close(&connection).await);
        }
        reasons
    });
    let dialer = Dialer::new(&cluster.identity(NodeRole::Worker, "w"), Limits::default()).unwrap();
    for (answer, fault) in &cases {
        let peer = soon("the dial", dialer.dial(&address, NodeRole::Coordinator)).await.unwrap();
        let response = soon("the answer", peer.request::<_, Vec<u8>>(&Ask::Wait, LONG)).await;
        assert_eq!(response, Err(ExchangeError::Fault(*fault)), "{answer:?}");
        drop(peer);
    }
    let expected: Vec<_> = cases.iter().map(|(_, fault)| CloseReason::Fault(*fault)).collect();
    assert_eq!(soon("the server", serving).await.unwrap(), expected);
}
