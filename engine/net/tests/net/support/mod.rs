//! What the tests share: a cluster's identities, a server with a handler that reports what happens, and
//! bare QUIC ends that break rules.

pub mod bare;
pub mod proxy;
pub mod service;

use std::time::{Duration, SystemTime};

use mr_net::{Authority, Certificate, Dialer, Identity, Limits, NodeRole};
use tempfile::TempDir;

pub use service::{Ask, Event, Running, Service, Stored, WAITED};

/// Bounds every wait. Far beyond what anything takes, so that a loaded machine fails no test.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), future).await;
    waited.unwrap_or_else(|_| panic!("{what} takes for ever"))
}

/// Deadline of exchanges that are to succeed.
pub const LONG: Duration = Duration::from_secs(60);

/// A cluster's authority in a folder of its own.
pub struct Cluster {
    pub dir: TempDir,
    pub authority: Authority,
}

impl Cluster {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path()).unwrap();
        Self { dir, authority }
    }

    pub fn identity(&self, role: NodeRole, name: &str) -> Identity {
        self.authority.issue(&Certificate::new(role, name, &[])).unwrap()
    }

    /// An identity whose certificate ended an hour ago.
    pub fn expired(&self, role: NodeRole, name: &str) -> Identity {
        let hour = Duration::from_secs(3600);
        let from = SystemTime::now() - 3 * hour;
        let wanted = Certificate { from, lifetime: 2 * hour, ..Certificate::new(role, name, &[]) };
        self.authority.issue(&wanted).unwrap()
    }

    /// A worker's dialer.
    pub fn dialer(&self, name: &str) -> Dialer {
        Dialer::new(&self.identity(NodeRole::Worker, name), Limits::default()).unwrap()
    }

    /// A coordinator that lets workers and clients in.
    pub fn serve(&self, service: Service, limits: Limits) -> Running {
        let identity = self.identity(NodeRole::Coordinator, "coordinator");
        Running::start(&identity, &[NodeRole::Worker, NodeRole::Client], service, limits)
    }
}

/// Bytes without pattern, the same for the same seed (splitmix64).
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let words = std::iter::repeat_with(|| random.next().to_le_bytes());
    words.take(bytes.div_ceil(8)).flatten().take(bytes).collect()
}

/// A seeded source of numbers.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}
