//! Looks for anything of the machine, and says what it found: files, environment, network, names, clocks,
//! random numbers.

use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use crate::bindings::mr::engine::logging::{Level, log};

/// Logs what is in sight, one line for each fact.
pub fn look_around() {
    let facts = [files(), surroundings(), network(), clocks(), random()].concat();
    facts.iter().for_each(|fact| log(Level::Info, &format!("seen: {fact}")));
}

fn files() -> Vec<String> {
    vec![
        format!("root {}", std::fs::read_dir("/").is_ok()),
        format!("here {}", std::fs::read_dir(".").is_ok()),
        format!("passwd {}", std::fs::read("/etc/passwd").is_ok()),
        format!("self {}", std::fs::read("/proc/self/environ").is_ok()),
        format!("devices {}", std::fs::read("/dev/urandom").is_ok()),
        format!("write {}", std::fs::write("/tmp/hostile", "x").is_ok()),
        format!("folder {}", std::fs::create_dir("hostile").is_ok()),
    ]
}

fn surroundings() -> Vec<String> {
    let mut input = String::new();
    let stdin = std::io::stdin().read_to_string(&mut input);
    vec![
        format!("args {:?}", std::env::args().collect::<Vec<_>>()),
        format!("env {:?}", std::env::vars().collect::<Vec<_>>()),
        format!("stdin {:?} {input:?}", stdin.ok()),
        format!("child {}", std::process::Command::new("/bin/true").spawn().is_ok()),
        format!("thread {}", std::thread::Builder::new().spawn(|| ()).is_ok()),
    ]
}

fn network() -> Vec<String> {
    vec![
        format!("connect {}", TcpStream::connect("127.0.0.1:22").is_ok()),
        format!("listen {}", TcpListener::bind("127.0.0.1:0").is_ok()),
        format!("datagrams {}", UdpSocket::bind("127.0.0.1:0").is_ok()),
        format!("names {}", ("localhost", 80).to_socket_addrs().is_ok()),
    ]
}

fn clocks() -> Vec<String> {
    let started = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let slept = started.elapsed();
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    vec![format!("clocks {slept:?} {wall:?}")]
}

fn random() -> Vec<String> {
    // The seeds of the standard library's hashes are random numbers of the host.
    vec![format!("random {:x} {:x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2))]
}
