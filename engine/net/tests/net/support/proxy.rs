//! A link between one dialler and a server that loses, delays, reorders and duplicates packets as its seed says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::Random;

/// One packet in so many meets each fate; 0 for never.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub seed: u64,
    pub lost: u64,
    pub delayed: u64,
    pub doubled: u64,
}

/// What a link has seen.
#[derive(Default)]
pub struct Tally {
    pub lost: AtomicU64,
    pub delayed: AtomicU64,
    pub doubled: AtomicU64,
    /// Packets from the server that are Retries (RFC 9000, 17.2.5).
    pub retries: AtomicU64,
    /// Set to lose everything from now on.
    pub cut: AtomicBool,
}

/// Starts a link to `server`; returns the address to dial.
pub async fn link(server: &str, weather: Weather) -> (String, Arc<Tally>) {
    let server: SocketAddr = server.parse().unwrap();
    let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    let address = near.local_addr().unwrap().to_string();
    let tally = Arc::new(Tally::default());
    tokio::spawn(carry(near, far, server, weather, tally.clone()));
    (address, tally)
}

async fn carry(
    near: Arc<UdpSocket>,
    far: Arc<UdpSocket>,
    server: SocketAddr,
    weather: Weather,
    tally: Arc<Tally>,
) {
    let mut random = Random(weather.seed);
    let mut dialler = None;
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            received = near.recv_from(&mut up) => {
                let (bytes, from) = received.unwrap();
                dialler = Some(from);
                pass(&far, server, &up[..bytes], weather, &mut random, &tally);
            }
            received = far.recv_from(&mut down) => {
                let (bytes, _) = received.unwrap();
                // Long header, type 3.
                let retry = down[0] & 0xb0 == 0xb0;
                tally.retries.fetch_add(u64::from(retry), Ordering::SeqCst);
                let Some(dialler) = dialler else { continue };
                pass(&near, dialler, &down[..bytes], weather, &mut random, &tally);
            }
        }
    }
}

fn pass(
    socket: &Arc<UdpSocket>,
    to: SocketAddr,
    packet: &[u8],
    weather: Weather,
    random: &mut Random,
    tally: &Tally,
) {
    let mut meets = |one_in, count: &AtomicU64| {
        let met = one_in > 0 && random.one_in(one_in);
        count.fetch_add(u64::from(met), Ordering::SeqCst);
        met
    };
    if tally.cut.load(Ordering::SeqCst) || meets(weather.lost, &tally.lost) {
        return;
    }
    let copies = if meets(weather.doubled, &tally.doubled) { 2 } else { 1 };
    let delayed = meets(weather.delayed, &tally.delayed);
    for copy in 0..copies {
        let packet = packet.to_vec();
        let delay = Duration::from_millis(if delayed { 1 + random.next() % 20 } else { 5 * copy });
        if delay.is_zero() {
            // A full socket loses the packet, as links do.
            let _ = socket.try_send_to(&packet, to);
        } else {
            let socket = socket.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = socket.try_send_to(&packet, to);
            });
        }
    }
}
