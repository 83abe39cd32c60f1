//! Measures segment transfer on loopback against a bare quinn stream, and what packet size and
//! segmentation offload give. Run by hand:
//! `cargo run --release -p mr-net --example segment_rate -- [MIB] [ROUNDS]`.
//!
//! Every variant moves the same bytes in each round, in turn, so that a busy machine slows all of them
//! alike; medians are printed. Sender and receiver share one process and two threads.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mr_net::{
    Authority, Certificate, Channel, Dialer, Handler, Limits, Listener, Never, NodeRole, Pool, Remote,
    Responder, SegmentAnswer, SegmentHasher, SegmentInfo, SegmentResponder, Server,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Endpoint, EndpointConfig, MtuDiscoveryConfig, TokioRuntime, TransportConfig, VarInt};
use rustls::crypto::{CryptoProvider, ring};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes of one write.
const PIECE_BYTES: usize = 256 << 10;

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mib: u64 = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let bytes = mib << 20;
    let jumbo = Limits::default();
    let ethernet = Limits { udp_payload_bytes_max: 1452, ..Limits::default() };
    let piecewise = Limits { segmentation_offload: false, ..Limits::default() };
    let piecewise_ethernet = Limits { segmentation_offload: false, ..ethernet.clone() };
    let mut variants = vec![
        Variant::bare("bare quinn, its defaults", None)?,
        Variant::bare("bare quinn, our settings", Some(&jumbo))?,
        Variant::bare("bare quinn, our settings, packets of 1452", Some(&ethernet))?,
        Variant::segment("segment", &jumbo, 1, bytes)?,
        Variant::segment("segments on 2 connections", &jumbo, 2, bytes)?,
        Variant::segment("segment, packets of 1452", &ethernet, 1, bytes)?,
        Variant::segment("segment, no offload", &piecewise, 1, bytes)?,
        Variant::segment("segment, packets of 1452, no offload", &piecewise_ethernet, 1, bytes)?,
    ];
    for _ in 0..rounds {
        for variant in &mut variants {
            let taken = variant.run(bytes).await?;
            variant.taken.push(taken);
        }
    }
    for variant in &mut variants {
        variant.taken.sort();
        let median = variant.taken[variant.taken.len() / 2];
        println!("{:>7.0} MiB/s  {}", bytes as f64 / median.as_secs_f64() / 1048576.0, variant.name);
    }
    Ok(())
}

struct Variant {
    name: &'static str,
    transfer: Transfer,
    taken: Vec<Duration>,
}

enum Transfer {
    Bare { connecting: Endpoint, address: SocketAddr, connection: Option<quinn::Connection> },
    Segment { pool: Pool, lanes: u64 },
}

impl Variant {
    fn bare(name: &'static str, limits: Option<&Limits>) -> Outcome<Self> {
        let (connecting, address) = bare_ends(limits)?;
        Ok(Self {
            name,
            transfer: Transfer::Bare { connecting, address, connection: None },
            taken: Vec::new(),
        })
    }

    fn segment(name: &'static str, limits: &Limits, lanes: u64, bytes: u64) -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let authority = Authority::create(dir.path())?;
        let worker = authority.issue(&Certificate::new(NodeRole::Worker, "sender", &[]))?;
        let receiver = authority.issue(&Certificate::new(NodeRole::Worker, "receiver", &[]))?;
        let listener = Listener::bind(loopback(), &worker, &[NodeRole::Worker], limits.clone())?;
        let address = listener.address().to_string();
        let server = Server::new(listener, Arc::new(Sender::new(bytes / lanes)));
        tokio::spawn(server.run(CancellationToken::new()));
        let dialer = Dialer::new(&receiver, limits.clone())?;
        let pool = Pool::new(dialer, address, NodeRole::Worker, usize::try_from(lanes)?);
        Ok(Self { name, transfer: Transfer::Segment { pool, lanes }, taken: Vec::new() })
    }

    async fn run(&mut self, bytes: u64) -> Outcome<Duration> {
        match &mut self.transfer {
            Transfer::Bare { connecting, address, connection } => {
                if connection.is_none() {
                    *connection = Some(connecting.connect(*address, "localhost")?.await?);
                }
                let Some(connection) = connection else { return Err("not connected".into()) };
                let begun = Instant::now();
                receive_bare(connection, bytes).await?;
                Ok(begun.elapsed())
            }
            Transfer::Segment { pool, lanes } => {
                let mut peers = Vec::new();
                for _ in 0..*lanes {
                    peers.push(pool.peer().await?);
                }
                let begun = Instant::now();
                let fetching: Vec<_> = peers.into_iter().map(|peer| tokio::spawn(fetch(peer))).collect();
                for fetched in fetching {
                    fetched.await??;
                }
                Ok(begun.elapsed())
            }
        }
    }
}

async fn fetch(peer: mr_net::Peer) -> Outcome<()> {
    let answer = peer.segment(&(), Duration::from_secs(10)).await?;
    let SegmentAnswer::Found(reader) = answer else { return Err("gone".into()) };
    reader.copy_to(&mut tokio::io::sink()).await?;
    Ok(())
}

/// Serves one segment of zeros, as often as it is asked for.
struct Sender {
    info: SegmentInfo,
}

impl Sender {
    fn new(bytes: u64) -> Self {
        let mut hasher = SegmentHasher::default();
        pieces(bytes).for_each(|piece| hasher.update(&piece));
        Self { info: hasher.info() }
    }
}

impl Handler for Sender {
    type Request = Never;
    type Response = ();
    type Opening = Never;
    type Up = Never;
    type Down = ();
    type Key = ();

    async fn request(&self, _: &Remote, _: Never, _: Responder<()>) {}

    async fn channel(&self, _: &Remote, _: Never, _: Channel<(), Never>) {}

    async fn segment(&self, _: &Remote, (): (), responder: SegmentResponder) {
        let sent = async {
            let mut writer = responder.found(self.info).await?;
            for piece in pieces(self.info.bytes) {
                writer.write(piece).await?;
            }
            writer.finish().await
        };
        if let Err(error) = sent.await {
            eprintln!("a segment was not sent: {error}");
        }
    }
}

fn pieces(bytes: u64) -> impl Iterator<Item = Bytes> {
    let piece = Bytes::from(vec![0; PIECE_BYTES]);
    (0..bytes / PIECE_BYTES as u64).map(move |_| piece.clone())
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Both ends are set up by hand where they are to be like ours: the cipher matters, too.
fn provider(limits: Option<&Limits>) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    if limits.is_some() {
        provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    }
    Arc::new(provider)
}

/// A bare server that sends as many bytes as it is asked for, and an end to ask from.
fn bare_ends(limits: Option<&Limits>) -> Outcome<(Endpoint, SocketAddr)> {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = key.cert.der().clone();
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder_with_provider(provider(limits))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate)?;
    let tls = rustls::ClientConfig::builder_with_provider(provider(limits))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut config = EndpointConfig::default();
    if let Some(limits) = limits {
        let transport = Arc::new(transport(limits));
        server.transport_config(transport.clone());
        client.transport_config(transport);
        config.max_udp_payload_size(limits.udp_payload_bytes_max)?;
    }
    let socket = std::net::UdpSocket::bind(loopback())?;
    let listening = Endpoint::new(config.clone(), Some(server), socket, Arc::new(TokioRuntime))?;
    let address = listening.local_addr()?;
    tokio::spawn(serve_bare(listening));
    let socket = std::net::UdpSocket::bind(loopback())?;
    let mut connecting = Endpoint::new(config, None, socket, Arc::new(TokioRuntime))?;
    connecting.set_default_client_config(client);
    Ok((connecting, address))
}

fn transport(limits: &Limits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(limits.udp_payload_bytes_max);
    transport
        .stream_receive_window(VarInt::from_u32(limits.stream_window_bytes))
        .receive_window(VarInt::from_u32(limits.connection_window_bytes))
        .send_window(u64::from(limits.send_window_bytes))
        .mtu_discovery_config(Some(discovery));
    transport
}

async fn serve_bare(endpoint: Endpoint) -> Outcome<()> {
    while let Some(incoming) = endpoint.accept().await {
        let connection = incoming.await?;
        tokio::spawn(async move {
            while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                let mut bytes = [0; 8];
                receive.read_exact(&mut bytes).await?;
                for piece in pieces(u64::from_le_bytes(bytes)) {
                    send.write_chunk(piece).await?;
                }
                send.finish()?;
            }
            Outcome::Ok(())
        });
    }
    Ok(())
}

async fn receive_bare(connection: &quinn::Connection, bytes: u64) -> Outcome<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&bytes.to_le_bytes()).await?;
    send.finish()?;
    let mut received = 0;
    let mut chunks = vec![Bytes::new(); 32];
    while let Some(filled) = receive.read_chunks(&mut chunks).await? {
        received += chunks[..filled].iter().map(|chunk| chunk.len() as u64).sum::<u64>();
    }
    if received == bytes { Ok(()) } else { Err("bytes are missing".into()) }
}
