//! Segments: whole and unchanged, or an error; in bounded memory whoever is slow.

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use mr_net::{
    CloseReason, Dialer, ExchangeError, Fault, Limits, NodeRole, Peer, Pool, SegmentAnswer, SegmentError,
    SegmentHasher, SegmentInfo, SegmentReader,
};
use tokio::io::AsyncWrite;

use crate::support::{Cluster, LONG, Running, Service, Stored, noise, soon};

async fn dialled(cluster: &Cluster, running: &Running) -> Peer {
    cluster.dialer("w").dial(&running.address, NodeRole::Coordinator).await.unwrap()
}

async fn found(peer: &Peer, key: u64) -> SegmentReader {
    match peer.segment(&key, LONG).await.unwrap() {
        SegmentAnswer::Found(reader) => reader,
        SegmentAnswer::Gone => panic!("segment {key} is gone"),
    }
}

async fn fetch(peer: &Peer, key: u64) -> Result<Vec<u8>, SegmentError> {
    let mut bytes = Vec::new();
    let info = soon("the segment", found(peer, key).await.copy_to(&mut bytes)).await?;
    assert_eq!(info, SegmentInfo::of(&bytes));
    Ok(bytes)
}

#[test]
fn a_hash_does_not_depend_on_the_pieces() {
    let bytes = noise(5, 100_000);
    let mut hasher = SegmentHasher::default();
    bytes.chunks(777).for_each(|piece| hasher.update(piece));
    assert_eq!(hasher.info(), SegmentInfo::of(&bytes));
    // Segments on disk carry it: it never changes.
    assert_eq!(SegmentInfo::of(b"mr-engine").hash, 0x537fec51d9f4129820ea24cec0dcf251);
}

#[tokio::test]
async fn segments_of_all_lengths_arrive_unchanged() {
    let cluster = Cluster::new();
    let lengths = [0, 1, 1199, 256 << 10, (256 << 10) + 1, 9_000_001];
    let stored = lengths.map(|bytes| (bytes as u64, Stored::Bytes(noise(bytes as u64, bytes))));
    let running = cluster.serve(Service::with_segments(stored), Limits::default());
    let pool = Pool::new(cluster.dialer("w"), running.address.clone(), NodeRole::Coordinator, 2);
    let fetching = lengths.map(|bytes| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let fetched = fetch(&pool.peer().await.unwrap(), bytes as u64).await.unwrap();
            assert!(fetched == noise(bytes as u64, bytes), "{bytes} bytes");
        })
    });
    for fetched in fetching {
        soon("a segment", fetched).await.unwrap();
    }
}

#[tokio::test]
async fn gone_is_not_empty() {
    let cluster = Cluster::new();
    let running = cluster.serve(Service::with_segments([(1, Stored::Bytes(Vec::new()))]), Limits::default());
    let peer = dialled(&cluster, &running).await;
    assert_eq!(fetch(&peer, 1).await.unwrap(), b"");
    assert!(matches!(peer.segment(&2u64, LONG).await.unwrap(), SegmentAnswer::Gone));
}

#[tokio::test]
async fn what_is_not_as_announced_is_refused() {
    let cluster = Cluster::new();
    let stored = [
        (1, Stored::Corrupt(noise(1, 100_000))),
        (2, Stored::Mismatched(100_000, 99_999)),
        (3, Stored::Mismatched(100_000, 100_001)),
        (4, Stored::Mismatched(1, 0)),
    ];
    let running = cluster.serve(Service::with_segments(stored), Limits::default());
    let peer = dialled(&cluster, &running).await;
    let corrupt = fetch(&peer, 1).await.unwrap_err();
    assert!(matches!(corrupt, SegmentError::Corrupt { bytes: 100_000 }), "{corrupt}");
    for key in [2u64, 3, 4] {
        // The end of the stream may overtake its header.
        let outcome = match soon("the answer", peer.segment(&key, LONG)).await {
            Ok(SegmentAnswer::Found(reader)) => soon("the cut", reader.copy_to(&mut Vec::new())).await,
            Ok(SegmentAnswer::Gone) => panic!("segment {key} is gone"),
            Err(error) => Err(error.into()),
        };
        let abandoned = matches!(outcome, Err(SegmentError::Exchange(ExchangeError::Abandoned)));
        assert!(abandoned, "{key}: {outcome:?}");
    }
    assert_eq!(peer.close_reason(), None);
}

/// What our own writer never does: ends early in order, or goes on after the end.
#[tokio::test]
async fn lengths_are_checked_by_the_receiver() {
    use crate::support::bare::{self, Pair};
    let cluster = Cluster::new();
    let uri = format!("mr-engine://{}/coordinator/c", cluster.authority.cluster());
    let endpoint = bare::listen(&Pair::forge(&cluster, "bare", Some(&uri)));
    let address = endpoint.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (mut send, _receive) = connection.accept_bi().await.unwrap();
        send.write_all(&[0; 4]).await.unwrap();
        for body in [b"ab".as_slice(), b"abcd"] {
            let (mut send, _receive) = connection.accept_bi().await.unwrap();
            // Found, 3 bytes, hash 0.
            send.write_all(&[3, 0, 0, 0, 0, 3, 0]).await.unwrap();
            send.write_all(body).await.unwrap();
            send.finish().unwrap();
        }
        bare::reason_of_close(&connection).await
    });
    let peer = cluster.dialer("w").dial(&address, NodeRole::Coordinator).await.unwrap();
    let short = fetch(&peer, 0).await.unwrap_err();
    assert!(matches!(short, SegmentError::Short { received: 2, bytes: 3 }), "{short}");
    let long = fetch(&peer, 0).await.unwrap_err();
    let fault = Fault::SegmentTooLong;
    assert!(matches!(&long, SegmentError::Exchange(ExchangeError::Fault(f)) if *f == fault), "{long}");
    assert_eq!(soon("the close", serving).await.unwrap(), CloseReason::Fault(fault));
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer_back() {
    let cluster = Cluster::new();
    let total = 24 << 20;
    let window = 1 << 20;
    let limits = Limits { send_window_bytes: window, ..Limits::default() };
    let running = cluster.serve(Service::with_segments([(1, Stored::Counted(total))]), limits);
    let identity = cluster.identity(NodeRole::Worker, "slow");
    let limits = Limits { stream_window_bytes: window, ..Limits::default() };
    let dialer = Dialer::new(&identity, limits).unwrap();
    let peer = dialer.dial(&running.address, NodeRole::Coordinator).await.unwrap();
    let mut reader = found(&peer, 1).await;
    let (mut read, mut ahead_max) = (0, 0);
    while let Some(piece) = soon("a piece", reader.next()).await.unwrap() {
        // The writer gets every chance to run ahead before the piece counts as read.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        ahead_max = ahead_max.max(running.written.load(Ordering::SeqCst) - read);
        read += piece.len() as u64;
    }
    assert_eq!(read, total);
    // The receiver's window, the sender's, and what the reader has in hand.
    let bound = u64::from(2 * window) + (256 << 10);
    assert!(ahead_max <= bound, "the writer was {ahead_max} bytes ahead");
    assert!(ahead_max >= u64::from(window), "the writer never ran ahead, so nothing was shown");
}

/// A disk that fills up.
struct Full;

impl AsyncWrite for Full {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(ErrorKind::StorageFull.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_sink_that_fails_costs_this_segment_only() {
    let cluster = Cluster::new();
    let running =
        cluster.serve(Service::with_segments([(1, Stored::Bytes(noise(1, 10_000_000)))]), Limits::default());
    let peer = dialled(&cluster, &running).await;
    let failed = found(&peer, 1).await.copy_to(&mut Full).await.unwrap_err();
    assert!(matches!(&failed, SegmentError::Local(e) if e.kind() == ErrorKind::StorageFull), "{failed}");
    assert!(fetch(&peer, 1).await.unwrap() == noise(1, 10_000_000));
}
