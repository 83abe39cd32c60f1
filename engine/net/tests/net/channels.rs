//! Channels: order, back-pressure, cancelled calls, and how they end.

use std::time::Duration;

use mr_net::{Channel, Dialer, ExchangeError, Limits, NodeRole};

use crate::support::{Cluster, Event, LONG, Service, soon};

#[tokio::test]
async fn messages_keep_their_order_and_none_is_lost() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits::default());
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    running.event().await;
    let channel: Channel<u64, u64> = peer.channel(&"echo", LONG).await.unwrap();
    let (mut sender, mut receiver) = channel.split();
    let sending = tokio::spawn(async move {
        for number in 0..20_000 {
            sender.send(&number).await.unwrap();
        }
        sender.finish().await.unwrap();
    });
    for number in 0..20_000 {
        assert_eq!(receiver.receive_within(LONG).await.unwrap(), Some(number + 1));
    }
    assert_eq!(receiver.receive_within(LONG).await.unwrap(), None);
    soon("the sender", sending).await.unwrap();
    assert_eq!(running.event().await, Event::ChannelEnd("finished".to_owned()));
}

/// Every call is cancelled at its first wait, and made again.
#[tokio::test]
async fn cancelled_calls_lose_and_double_nothing() {
    let cluster = Cluster::new();
    let limits = Limits { stream_window_bytes: 64, ..Limits::default() };
    let running = cluster.serve(Service::default(), limits);
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    let channel: Channel<u64, u64> = peer.channel(&"echo", LONG).await.unwrap();
    let (mut sender, mut receiver) = channel.split();
    let (mut sent, mut heard) = (Vec::new(), Vec::new());
    let mut number = 0;
    soon("the messages", async {
        while heard.len() < 1000 {
            tokio::select! {
                biased;
                message = receiver.receive() => heard.push(message.unwrap().unwrap()),
                outcome = sender.send(&number) => {
                    outcome.unwrap();
                    sent.push(number);
                }
                // Comes second in every round: cancels whatever waits.
                () = tokio::task::yield_now() => {}
            }
            number += 1;
        }
    })
    .await;
    // A cancelled message may have been sent, once; one whose call returned was.
    assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
    let last = *heard.last().unwrap() - 1;
    assert!(sent.iter().filter(|sent| **sent <= last).all(|sent| heard.contains(&(sent + 1))));
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_sender() {
    let cluster = Cluster::new();
    let window = 16 << 10;
    let limits = Limits { stream_window_bytes: window, ..Limits::default() };
    let mut running = cluster.serve(Service::default(), limits);
    let identity = cluster.identity(NodeRole::Worker, "w");
    let stall = Duration::from_millis(300);
    let limits = Limits { stall, send_window_bytes: window, ..Limits::default() };
    let dialer = Dialer::new(&identity, limits).unwrap();
    let peer = dialer.dial(&running.address, NodeRole::Coordinator).await.unwrap();
    running.event().await;
    let mut channel: Channel<Vec<u8>, u64> = peer.channel(&"deaf", LONG).await.unwrap();
    assert_eq!(running.event().await, Event::Waiting);
    let mut taken = 0;
    let stalled = loop {
        match channel.sender.send(&vec![0; 1000]).await {
            Ok(()) => taken += 1000,
            Err(error) => break error,
        }
    };
    assert_eq!(stalled, ExchangeError::Deadline { after: stall });
    // What is read into the receiver's window, and what waits in the sender's.
    assert!((window / 2..=2 * window).contains(&taken), "{taken} bytes were taken");
    running.gate.add_permits(1);
}

#[tokio::test]
async fn a_dropped_end_does_not_look_finished() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits::default());
    let peer = cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap();
    running.event().await;
    let mut channel: Channel<u64, u64> = peer.channel(&"echo", LONG).await.unwrap();
    channel.sender.send(&1).await.unwrap();
    assert_eq!(channel.receiver.receive_within(LONG).await.unwrap(), Some(2));
    drop(channel);
    let abandoned = ExchangeError::Abandoned.to_string();
    assert_eq!(running.event().await, Event::ChannelEnd(abandoned));
}
