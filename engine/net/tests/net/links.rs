//! Bad links: what is lost, late, out of order or doubled on the way changes nothing.

use std::sync::atomic::Ordering;

use mr_net::{Channel, Limits, NodeRole, SegmentAnswer};

use crate::support::proxy::{Weather, link};
use crate::support::{Ask, Cluster, LONG, Service, Stored, noise, soon};

#[tokio::test]
async fn bad_links_deliver() {
    for seed in 1..=3 {
        let cluster = Cluster::new();
        let segment = noise(seed, 500_000);
        let service = Service::with_segments([(1, Stored::Bytes(segment.clone()))]);
        let running = cluster.serve(service, Limits::default());
        let weather = Weather { seed, lost: 20, delayed: 10, doubled: 10 };
        let (address, tally) = link(&running.address, weather).await;
        let dialer = cluster.dialer("w");
        let peer = soon("the dial", dialer.dial(&address, NodeRole::Coordinator)).await.unwrap();

        let SegmentAnswer::Found(reader) = peer.segment(&1u64, LONG).await.unwrap() else {
            panic!("seed {seed}: gone");
        };
        let mut arrived = Vec::new();
        soon("the segment", reader.copy_to(&mut arrived)).await.unwrap();
        assert!(arrived == segment, "seed {seed}");

        for number in 0..30 {
            let said = noise(number, 3000);
            let heard: Vec<u8> = peer.request(&Ask::Echo(said.clone()), LONG).await.unwrap();
            assert!(said == heard, "seed {seed}");
        }

        let mut channel: Channel<u64, u64> = peer.channel(&"echo", LONG).await.unwrap();
        for number in 0..30 {
            channel.sender.send(&number).await.unwrap();
            assert_eq!(channel.receiver.receive_within(LONG).await.unwrap(), Some(number + 1), "seed {seed}");
        }
        for (what, count) in [("lost", &tally.lost), ("delayed", &tally.delayed), ("doubled", &tally.doubled)]
        {
            assert!(count.load(Ordering::SeqCst) > 5, "seed {seed}: the link {what} next to nothing");
        }
    }
}
