//! Those who must not get in, or not do what they ask for, and those who break the protocol: each is told
//! why, and nobody else notices.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use mr_cluster::protocol::{
    Answer, Down, Opening, Refused, Registration, Request, SubmitHead, SubmitReply, Up,
};
use mr_model::{Incarnation, JobId};
use mr_net::{Authority, Certificate, Channel, Dialer, Identity, IdentityFiles, Limits, NodeRole, Peer};

use crate::support::cluster::{Cluster, Work, bare, eventually};

/// Deadline of exchanges that must succeed.
const LONG: Duration = Duration::from_secs(60);
/// Connections that one identity may have, as the network layer has it.
const CONNECTIONS_MAX: usize = mr_net::limits::CONNECTIONS_PER_PEER_MAX;
/// Most memory that a coordinator may have taken after all that is done to it here, in KiB.
const MEMORY_KIB_MAX: u64 = 400 << 10;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(2 * LONG, future).await.expect("it takes for ever") })
}

async fn dial(
    ids: &Path,
    role: NodeRole,
    name: &str,
    address: &str,
    expected: NodeRole,
) -> Result<Peer, String> {
    let identity = Identity::load(&IdentityFiles::named(ids, role, name)).unwrap();
    let dialer = Dialer::new(&identity, Limits::default()).unwrap();
    dialer.dial(address, expected).await.map_err(|error| error.to_string())
}

/// Mints a client's certificate that has expired, into a folder of its own.
fn mint_expired(ids: &Path, dir: &Path) {
    fs::create_dir(dir).unwrap();
    for name in ["ca.pem", "ca.key"] {
        fs::copy(ids.join(name), dir.join(name)).unwrap();
    }
    let hour = Duration::from_secs(3600);
    let from = SystemTime::now() - 3 * hour;
    let wanted =
        Certificate { from, lifetime: 2 * hour, ..Certificate::new(NodeRole::Client, "client", &[]) };
    Authority::open(dir).unwrap().issue(&wanted).unwrap();
}

#[test]
fn certificates_are_needed_and_must_be_good() {
    let cluster = Cluster::steady(0);
    let (ids, other) = (cluster.path("ids"), cluster.path("other"));
    Authority::create(&other).unwrap().issue(&Certificate::new(NodeRole::Client, "client", &[])).unwrap();
    let late = cluster.path("late");
    mint_expired(&ids, &late);
    let address = cluster.address.clone();
    block_on(async {
        for (shown, alpn, reason) in [
            // Alerts of TLS: certificate required, expired, unknown authority, no protocol in common.
            (None, bare::protocol(), "alert 116".to_owned()),
            (Some((late.as_path(), NodeRole::Client, "client")), bare::protocol(), "alert 45".to_owned()),
            (Some((other.as_path(), NodeRole::Client, "client")), bare::protocol(), "alert 48".to_owned()),
            (Some((ids.as_path(), NodeRole::Client, "client")), "h3".to_owned(), "alert 120".to_owned()),
            (
                Some((ids.as_path(), NodeRole::Client, "client")),
                "mr-engine/42".to_owned(),
                format!("Refused(Version {{ dialer: 42, listener: {} }})", mr_net::PROTOCOL_VERSION),
            ),
        ] {
            let closed = bare::reason_of_close(bare::connect(&address, shown, &alpn).await).await;
            assert_eq!(closed, reason, "{shown:?} {alpn}");
        }
    });
    let says = |identity: &str, code: i32, words: &str| {
        let ended = crate::support::process::run({
            let mut command = crate::support::process::command(&cluster.path(""));
            command.args(["jobs", "--cluster", &address, "--identity", identity]);
            command
        });
        assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words:?} is not in {:?}", ended.stderr);
    };
    says("other", 9, "authority");
    says("late", 2, "has expired");
    says("nowhere", 2, "nowhere");
    assert!(cluster.json(&["jobs"]).is_empty());
}

#[test]
fn roles_are_kept() {
    let mut cluster = Cluster::steady(1);
    let (ids, address) = (cluster.path("ids"), cluster.address.clone());
    let worker = cluster.workers[0].ready();
    block_on(async {
        // A worker neither asks nor submits.
        let peer = dial(&ids, NodeRole::Worker, "worker-2", &address, NodeRole::Coordinator).await.unwrap();
        let answer: Answer = peer.request(&Request::Workers, LONG).await.unwrap();
        assert!(matches!(answer, Answer::Refused(Refused::Role { role }) if role == "worker"));
        let head = SubmitHead {
            job: JobId::new("job").unwrap(),
            digest: [0; 32],
            components: Vec::new(),
            sides: Vec::new(),
            plan_bytes: 9,
        };
        assert_refused(&peer, &Opening::Submit(head), "worker").await;
        // A client does not work.
        let peer = dial(&ids, NodeRole::Client, "client", &address, NodeRole::Coordinator).await.unwrap();
        let registration = Registration {
            incarnation: Incarnation(u64::MAX),
            instance: 1,
            slots: 1_000,
            address: "127.0.0.1:9".to_owned(),
            host: "host".to_owned(),
        };
        assert_refused(&peer, &Opening::Register(registration), "client").await;
        // Workers are for workers, and are not coordinators.
        let refused = dial(&ids, NodeRole::Client, "client", &worker, NodeRole::Worker).await.unwrap_err();
        assert!(refused.contains("certificate is for the role client"), "{refused}");
        let refused =
            dial(&ids, NodeRole::Worker, "worker-2", &worker, NodeRole::Coordinator).await.unwrap_err();
        assert!(refused.contains("certificate is for the role worker"), "{refused}");
    });
    assert_eq!(cluster.json(&["workers"]).len(), 1);
    cluster.check(&Work::toil(0, 0), "job");
    cluster.assert_idle(&["job"]);
}

async fn assert_refused(peer: &Peer, opening: &Opening, role: &str) {
    let mut channel: Channel<Up, Down> = peer.channel(opening, LONG).await.unwrap();
    let said = channel.receiver.receive_within(LONG).await.unwrap();
    let expected = Refused::Role { role: role.to_owned() };
    let is_expected =
        matches!(&said, Some(Down::Submit(SubmitReply::Refused(refused))) if *refused == expected);
    assert!(is_expected, "{said:?}");
}

#[test]
fn nonsense_harms_nobody() {
    let mut cluster = Cluster::steady(1);
    let (ids, address) = (cluster.path("ids"), cluster.address.clone());
    let job = cluster.submit(&Work::toil(100, 100), "job");
    job.maps(1);
    let worker = cluster.workers[0].ready();
    let huge = u32::MAX.to_le_bytes();
    let frame = |kind: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&[kind], length.as_slice(), payload].concat()
    };
    // Kinds 1 to 3: a request, a channel, a segment.
    let nonsense = [
        ([&[1], huge.as_slice()].concat(), "Oversized"),
        ([&[2], huge.as_slice()].concat(), "Oversized"),
        ([&[3], huge.as_slice()].concat(), "Oversized"),
        (vec![1, 3, 0], "Truncated"),
        (frame(1, &[0xff; 40]), "Garbage"),
        (frame(2, &[0xff; 40]), "Garbage"),
        (frame(3, &[0xff; 40]), "Garbage"),
        (frame(77, b"hello"), "UnknownStream"),
    ];
    block_on(async {
        let (client, other) = ((NodeRole::Client, "client"), (NodeRole::Worker, "worker-2"));
        for (address, (role, name)) in [(&address, client), (&address, other), (&worker, other)] {
            for (bytes, fault) in &nonsense {
                let connection = bare::greet(address, (&ids, role, name)).await;
                let (mut send, _receive) = connection.open_bi().await.unwrap();
                send.write_all(bytes).await.unwrap();
                send.finish().unwrap();
                let reason = bare::reason_of_close(Ok(connection)).await;
                assert!(reason.starts_with(&format!("Fault({fault}")), "{name} {bytes:?}: {reason}");
            }
        }
    });
    job.done();
    cluster.assert_idle(&["job"]);
}

#[test]
fn silence_harms_nobody() {
    let mut cluster = Cluster::steady(1);
    let (ids, address) = (cluster.path("ids"), cluster.address.clone());
    let job = cluster.submit(&Work::toil(100, 100), "job");
    job.maps(1);
    block_on(async {
        let mut held = Vec::new();
        // All connections that one may have, and streams that begin and do not go on.
        for _ in 0..CONNECTIONS_MAX {
            let connection = bare::greet(&address, (&ids, NodeRole::Worker, "worker-3")).await;
            for _ in 0..8 {
                let (mut send, receive) = connection.open_bi().await.unwrap();
                send.write_all(&[2, 0, 0, 16, 0]).await.unwrap();
                held.push((send, receive));
            }
            held.push(connection.open_bi().await.unwrap());
        }
        // And those that do not even greet.
        let mut mute = Vec::new();
        for _ in 0..40 {
            mute.push(
                bare::connect(&address, Some((&ids, NodeRole::Worker, "worker-2")), &bare::protocol()).await,
            );
        }
        job.done();
    });
    assert!(cluster.coordinator.is_running());
    let peak = cluster.coordinator.memory_kib_peak();
    assert!(peak < MEMORY_KIB_MAX, "the coordinator took {peak} KiB");
    cluster.assert_idle(&["job"]);
}

/// A client that uploads a component and never names a job for it, or names one that is refused.
#[test]
fn uploads_that_no_job_names_are_removed() {
    let mut cluster = Cluster::steady(1);
    let (ids, address) = (cluster.path("ids"), cluster.address.clone());
    let folder = cluster.path("coordinator/components");
    let component = b"not even WebAssembly".to_vec();
    let hash = blake3::hash(&component);
    let stored = folder.join(format!("{}.wasm", hash.to_hex()));
    for plan in [None, Some(vec![0xff; 9])] {
        block_on(async {
            let peer = dial(&ids, NodeRole::Client, "client", &address, NodeRole::Coordinator).await.unwrap();
            let head = SubmitHead {
                job: JobId::new("job").unwrap(),
                digest: [0; 32],
                components: vec![(*hash.as_bytes(), component.len() as u64)],
                sides: Vec::new(),
                plan_bytes: 9,
            };
            let mut channel: Channel<Up, Down> = peer.channel(&Opening::Submit(head), LONG).await.unwrap();
            let said = channel.receiver.receive_within(LONG).await.unwrap();
            assert!(matches!(said, Some(Down::Submit(SubmitReply::Wants { .. }))), "{said:?}");
            channel.sender.send(&Up::Chunk(component.clone())).await.unwrap();
            while !stored.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if let Some(plan) = plan {
                channel.sender.send(&Up::Chunk(plan)).await.unwrap();
                let said = channel.receiver.receive_within(LONG).await.unwrap();
                let is_refused =
                    matches!(said, Some(Down::Submit(SubmitReply::Refused(Refused::Malformed { .. }))));
                assert!(is_refused, "{said:?}");
            }
        });
        eventually("the component to go", || (!stored.exists()).then_some(()));
    }
    // That of a job stays for the next one.
    cluster.check(&Work::toil(0, 0), "job");
    assert_eq!(crate::support::job::names(&folder).len(), 1);
    cluster.assert_idle(&["job"]);
}

#[test]
fn of_two_workers_with_one_name_one_stays() {
    let mut cluster = Cluster::steady(2);
    let job = cluster.submit(&Work::toil(150, 150), "job");
    job.maps(3);
    // The same name with another data folder: the coordinator cannot tell it from a restart.
    let twin = cluster.worker_command(0, &["--data-dir", "twin"]);
    let mut node = crate::support::cluster::node::Node::new("twin", &cluster.path("logs"));
    node.start(twin);
    node.ready();
    job.done();
    eventually("one of the two to end", || {
        let running = [cluster.workers[0].is_running(), node.is_running()];
        running.contains(&false).then_some(())
    });
    let ended = if node.is_running() { &cluster.workers[0] } else { &node };
    assert!(ended.said().contains("mr-engine: "), "{}", ended.said());
    cluster.wait_until_live(2);
    cluster.check(&Work::toil(0, 0), "next");
    cluster.assert_idle(&["job", "next"]);
}
