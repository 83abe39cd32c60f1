//! Every limit of the network: a named constant with its unit and its reason, and [`Limits`], which
//! carries them to endpoints so that tests and operators can tighten or widen them.

use std::time::Duration;

/// KiB, in bytes.
const KIB: usize = 1 << 10;
/// MiB, in bytes.
const MIB: usize = 1 << 20;

/// Silence after which a connection is lost: long enough for a stopped virtual machine or a
/// re-routed link to come back, short enough that a dead machine is noticed within one lease.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval of keep-alives: two may be lost before the idle timeout strikes.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Time for the handshake and the greeting after it; several retransmissions on a bad link.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time from the opening of a stream until its first frame is complete. Only a peer that holds
/// streams to hold resources needs longer.
pub const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a frame from its first byte to its last; the largest one takes that long at 70 KB/s. Only a
/// peer that holds frames to hold memory needs longer.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// Time without progress after which a transfer or a message in flight is given up: the other side
/// may write what it gets to a slow disk, but not stop.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Deadline of a request unless the caller knows better: what is asked for is in memory.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Time for streams in flight to end at shutdown; transfers that take longer are cut off.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for the last words to reach the peers at shutdown, once everything has ended.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// Streams that a peer may have open at once on one connection. Each costs a task and a small frame of
/// memory ([`FRAMES_BYTES_MAX`] bounds the large ones).
pub const STREAMS_MAX: u32 = 64;
/// Bytes of large frames that are being put together on all streams of a connection; further ones wait.
/// Two of the largest.
pub const FRAMES_BYTES_MAX: usize = 8 * MIB;
/// Channels of a connection that are open at once; further ones wait. A peer needs one.
pub const CHANNELS_MAX: usize = 4;
/// Requests of a connection that are worked on at once; further ones wait. Each may cost the largest
/// answer, and whoever asks takes one after the other.
pub const REQUESTS_MAX: usize = 4;
/// Bytes that a peer may have in flight on one stream: 10 Gbit/s over 3 ms, and what a slow reader
/// can make this side hold for one stream.
pub const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Bytes that a peer may have in flight on all streams of a connection: what it can make this side
/// hold in receive buffers.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Bytes that are kept for retransmission on a connection: what a peer that acknowledges nothing
/// can make this side hold.
pub const SEND_WINDOW_BYTES: u32 = 16 << 20;

/// Largest request or message of a channel, in bytes: control data, never records.
pub const CONTROL_BYTES_MAX: usize = MIB;
/// Largest answer to a request, in bytes: a page of history or of logs.
pub const ANSWER_BYTES_MAX: usize = 4 * MIB;
/// Largest header of a segment stream, in bytes: names and numbers.
pub const HEADER_BYTES_MAX: usize = 64 * KIB;
/// Largest greeting, in bytes: it comes from a peer that is not let in yet.
pub const GREETING_BYTES_MAX: usize = KIB;
/// Bytes that a segment is read and written by: big enough to hide the cost of a call.
pub const SEGMENT_CHUNK_BYTES: usize = 256 * KIB;

/// Connections of a listener: 1,000 workers with some lanes each.
pub const CONNECTIONS_MAX: usize = 4096;
/// Connections of one identity: a worker's lanes, or the commands that people run at once with one
/// client's certificate, and those that were lost but not noticed yet.
pub const CONNECTIONS_PER_PEER_MAX: usize = 64;
/// Handshakes in progress at once; each costs a signature and its buffers.
pub const HANDSHAKES_MAX: usize = 256;
/// Handshakes in progress from which on a newcomer has to prove its address first (Retry), so that
/// forged addresses cost no signature.
pub const RETRY_FROM: usize = 32;
/// Handshakes that wait to be looked at; more are refused.
pub const INCOMING_MAX: usize = 256;
/// Bytes buffered for a handshake that waits to be looked at: some packets.
pub const INCOMING_BYTES_MAX: u64 = 16 << 10;

/// Largest UDP payload tried, in bytes. Discovery probes upwards from 1,200, so that a network that
/// carries less costs a few probes only. Not Ethernet's full 9,000: the socket hands ten packets at
/// once to the system, which takes 65,507 bytes and silently loses what is more.
pub const UDP_PAYLOAD_BYTES_MAX: u16 = 6500;
/// Bytes that may be in flight before a path is known. Ten of the largest packets: the networks of a
/// cluster take them, and the probes that find out the packet size must not use up the window.
pub const INITIAL_WINDOW_BYTES: u64 = 10 * UDP_PAYLOAD_BYTES_MAX as u64;

/// The limits of an endpoint and its connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`IDLE_TIMEOUT`].
    pub idle: Duration,
    /// See [`KEEP_ALIVE`].
    pub keep_alive: Duration,
    /// See [`HANDSHAKE_TIMEOUT`].
    pub handshake: Duration,
    /// See [`FIRST_FRAME_TIMEOUT`].
    pub first_frame: Duration,
    /// See [`FRAME_TIMEOUT`].
    pub frame: Duration,
    /// See [`STALL_TIMEOUT`].
    pub stall: Duration,
    /// See [`DRAIN_TIMEOUT`].
    pub drain: Duration,
    /// See [`STREAMS_MAX`].
    pub streams_max: u32,
    /// See [`FRAMES_BYTES_MAX`].
    pub frames_bytes_max: usize,
    /// See [`CHANNELS_MAX`].
    pub channels_max: usize,
    /// See [`REQUESTS_MAX`].
    pub requests_max: usize,
    /// See [`STREAM_WINDOW_BYTES`].
    pub stream_window_bytes: u32,
    /// See [`CONNECTION_WINDOW_BYTES`].
    pub connection_window_bytes: u32,
    /// See [`SEND_WINDOW_BYTES`].
    pub send_window_bytes: u32,
    /// See [`CONTROL_BYTES_MAX`].
    pub control_bytes_max: usize,
    /// See [`ANSWER_BYTES_MAX`].
    pub answer_bytes_max: usize,
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`CONNECTIONS_PER_PEER_MAX`].
    pub connections_per_peer_max: usize,
    /// See [`HANDSHAKES_MAX`].
    pub handshakes_max: usize,
    /// See [`RETRY_FROM`].
    pub retry_from: usize,
    /// See [`UDP_PAYLOAD_BYTES_MAX`].
    pub udp_payload_bytes_max: u16,
    /// Lets the system cut big sends into packets (UDP segmentation offload). Off only to measure
    /// what it gives, or around a broken driver.
    pub segmentation_offload: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: IDLE_TIMEOUT,
            keep_alive: KEEP_ALIVE,
            handshake: HANDSHAKE_TIMEOUT,
            first_frame: FIRST_FRAME_TIMEOUT,
            frame: FRAME_TIMEOUT,
            stall: STALL_TIMEOUT,
            drain: DRAIN_TIMEOUT,
            streams_max: STREAMS_MAX,
            frames_bytes_max: FRAMES_BYTES_MAX,
            channels_max: CHANNELS_MAX,
            requests_max: REQUESTS_MAX,
            stream_window_bytes: STREAM_WINDOW_BYTES,
            connection_window_bytes: CONNECTION_WINDOW_BYTES,
            send_window_bytes: SEND_WINDOW_BYTES,
            control_bytes_max: CONTROL_BYTES_MAX,
            answer_bytes_max: ANSWER_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            connections_per_peer_max: CONNECTIONS_PER_PEER_MAX,
            handshakes_max: HANDSHAKES_MAX,
            retry_from: RETRY_FROM,
            udp_payload_bytes_max: UDP_PAYLOAD_BYTES_MAX,
            segmentation_offload: true,
        }
    }
}
