//! What one peer may take of a listener at once: requests, channels, memory for large frames. What is over
//! waits, and goes on when there is room.

use mr_net::{Channel, Limits, NodeRole, Peer};

use crate::support::{Ask, Cluster, Event, LONG, Running, Service, WAITED, bare, noise, soon};

/// A request is answered on another connection: whatever was under way has been looked at by then.
async fn look_away(bystander: &Peer) {
    let echo: Vec<u8> = bystander.request(&Ask::Echo(noise(1, 9)), LONG).await.unwrap();
    assert_eq!(echo, noise(1, 9));
}

async fn peers(cluster: &Cluster, running: &mut Running) -> [Peer; 2] {
    let mut peers = Vec::new();
    for name in ["greedy", "bystander"] {
        peers.push(cluster.dialer(name).dial(&running.address, NodeRole::Coordinator).await.unwrap());
        assert!(matches!(running.event().await, Event::Connected(_)));
    }
    peers.try_into().unwrap()
}

#[tokio::test]
async fn requests_take_turns() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits { requests_max: 2, ..Limits::default() });
    let [greedy, bystander] = peers(&cluster, &mut running).await;
    let ask = || {
        let greedy = greedy.clone();
        tokio::spawn(async move { greedy.request::<_, Vec<u8>>(&Ask::Wait, LONG).await.unwrap() })
    };
    let asked = [ask(), ask(), ask()];
    assert_eq!(running.event().await, Event::Waiting);
    assert_eq!(running.event().await, Event::Waiting);
    look_away(&bystander).await;
    assert_eq!(running.next_event(), None, "the third one waits for its turn");
    running.gate.add_permits(1);
    assert_eq!(running.event().await, Event::Waiting);
    running.gate.add_permits(2);
    for answer in asked {
        assert!(soon("an answer", answer).await.unwrap() == WAITED);
    }
}

#[tokio::test]
async fn channels_take_turns() {
    let cluster = Cluster::new();
    let mut running = cluster.serve(Service::default(), Limits { channels_max: 1, ..Limits::default() });
    let [greedy, bystander] = peers(&cluster, &mut running).await;
    let _deaf: Channel<u64, u64> = greedy.channel(&"deaf", LONG).await.unwrap();
    assert_eq!(running.event().await, Event::Waiting);
    let mut echo: Channel<u64, u64> = greedy.channel(&"echo", LONG).await.unwrap();
    echo.sender.send(&7).await.unwrap();
    look_away(&bystander).await;
    assert_eq!(running.next_event(), None);
    running.gate.add_permits(1);
    assert_eq!(echo.receiver.receive_within(LONG).await, Ok(Some(8)), "once the first one is over");
}

/// A frame that is announced and does not come holds up other large ones of its connection, and nothing
/// else; when it is there, all go on.
#[tokio::test]
async fn large_frames_take_turns() {
    let cluster = Cluster::new();
    let limits = Limits { frames_bytes_max: 1 << 20, ..Limits::default() };
    let running = cluster.serve(Service::default(), limits);
    let connection = bare::connect_as_worker(&cluster, &running.address, "w").await;
    // An echo of so many bytes: variant 0, a length of three bytes.
    let large = |bytes: usize| {
        let echo = noise(2, bytes);
        let length = u32::try_from(bytes).unwrap();
        let varint = [0, length.to_le_bytes()[0] | 0x80, (length >> 7).to_le_bytes()[0] | 0x80];
        let varint = [varint.as_slice(), &[(length >> 14).to_le_bytes()[0]]].concat();
        let frame = u32::try_from(varint.len() + bytes).unwrap().to_le_bytes();
        [[1].as_slice(), &frame, &varint, &echo].concat()
    };
    let frame = large(700_000);
    let (mut slow, mut slow_answer) = connection.open_bi().await.unwrap();
    slow.write_all(&frame[..100_000]).await.unwrap();
    let (mut next, mut next_answer) = connection.open_bi().await.unwrap();
    let rest = tokio::spawn({
        let frame = frame.clone();
        async move {
            next.write_all(&frame).await.unwrap();
            next.finish().unwrap();
            next
        }
    });
    // A small one gets through.
    let (mut small, mut small_answer) = connection.open_bi().await.unwrap();
    small.write_all(&[1, 3, 0, 0, 0, 0, 1, 0x61]).await.unwrap();
    assert_eq!(soon("the small answer", small_answer.read_to_end(16)).await.unwrap(), [2, 0, 0, 0, 1, 0x61]);
    slow.write_all(&frame[100_000..]).await.unwrap();
    for answer in [&mut slow_answer, &mut next_answer] {
        let answer = soon("the answer", answer.read_to_end(1 << 20)).await.unwrap();
        // The answer has no variant.
        assert!(answer[4..] == frame[6..]);
    }
    drop(rest.await.unwrap());
}
