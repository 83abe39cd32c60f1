//! A network that misbehaves: datagrams pass through it, and are lost, doubled, late and out of order
//! as its seed says, or do not pass at all, in one direction or in both.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::super::random::Random;

/// Longest that a late datagram is held, in milliseconds.
const LATE_MILLIS_MAX: u64 = 30;
/// Largest datagram, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// How a link is, in thousandths of all datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
}

/// A link to one node. It ends when it is dropped.
pub struct Link {
    /// What is dialled instead of the node.
    pub address: String,
    state: Arc<State>,
    _stop: oneshot::Sender<()>,
}

struct State {
    target: Mutex<Option<SocketAddr>>,
    weather: Mutex<Weather>,
    random: Mutex<Random>,
    cut_there: AtomicBool,
    cut_back: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Link {
    /// A link without faults that leads nowhere yet.
    pub fn new(seed: u64) -> Self {
        let near = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        near.set_nonblocking(true).unwrap();
        let address = near.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            target: Mutex::default(),
            weather: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
            cut_there: AtomicBool::new(false),
            cut_back: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let carrier = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let near = UdpSocket::from_std(near).unwrap();
                tokio::select! {
                    () = carry(Arc::new(near), carrier) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, _stop: stop }
    }

    /// Has it lead to an address.
    pub fn lead_to(&self, address: &str) {
        *self.state.target.lock().unwrap() = Some(address.parse().unwrap());
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        *self.state.weather.lock().unwrap() = weather;
    }

    /// Cuts the way to the node, and the way back from it; false mends it.
    pub fn cut(&self, there: bool, back: bool) {
        self.state.cut_there.store(there, Ordering::SeqCst);
        self.state.cut_back.store(back, Ordering::SeqCst);
    }

    /// Datagrams that passed, and that were lost in bad weather.
    pub fn tally(&self) -> (u64, u64) {
        (self.state.passed.load(Ordering::SeqCst), self.state.lost.load(Ordering::SeqCst))
    }
}

/// Carries datagrams there, and gives each dialler a socket of its own for the way back.
async fn carry(near: Arc<UdpSocket>, state: Arc<State>) {
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error is that of a former send: its taker is gone.
        let Ok((bytes, from)) = near.recv_from(&mut datagram).await else { continue };
        let Some(target) = *state.target.lock().unwrap() else { continue };
        let far = match ways.get(&from) {
            Some(far) => Arc::clone(far),
            None => {
                let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
                far.writable().await.unwrap();
                tokio::spawn(carry_back(Arc::clone(&far), Arc::clone(&near), from, Arc::clone(&state)));
                ways.insert(from, Arc::clone(&far));
                far
            }
        };
        pass(&state, &state.cut_there, &far, target, &datagram[..bytes]);
    }
}

async fn carry_back(far: Arc<UdpSocket>, near: Arc<UdpSocket>, to: SocketAddr, state: Arc<State>) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Ok((bytes, _)) = far.recv_from(&mut datagram).await {
            pass(&state, &state.cut_back, &near, to, &datagram[..bytes]);
        }
    }
}

fn pass(state: &State, cut: &AtomicBool, socket: &Arc<UdpSocket>, to: SocketAddr, datagram: &[u8]) {
    if cut.load(Ordering::SeqCst) {
        return;
    }
    let weather = *state.weather.lock().unwrap();
    let mut random = state.random.lock().unwrap();
    let meets = |random: &mut Random, in_thousand: u64| random.below(1_000) < in_thousand;
    if meets(&mut random, weather.lost) {
        state.lost.fetch_add(1, Ordering::SeqCst);
        return;
    }
    let copies = if meets(&mut random, weather.doubled) { 2 } else { 1 };
    for _ in 0..copies {
        let late = if meets(&mut random, weather.late) { 1 + random.below(LATE_MILLIS_MAX) } else { 0 };
        state.passed.fetch_add(1, Ordering::SeqCst);
        if late == 0 {
            // A full socket loses the datagram, as links do.
            let _ = socket.try_send_to(datagram, to);
            continue;
        }
        let (socket, datagram) = (Arc::clone(socket), datagram.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(late)).await;
            let _ = socket.try_send_to(&datagram, to);
        });
    }
}
