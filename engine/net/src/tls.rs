//! TLS and QUIC settings: 1.3 only, both sides show a certificate of the cluster, no resumption, no
//! 0-RTT; and the protocol's version as ALPN.
//!
//! What TLS checks is the chain to the cluster's authority and the dates. Cluster, role and name are
//! checked by the greeting, where they can be refused with a reason.

use std::sync::Arc;

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, PeerIncompatible, RootCertStore, SignatureScheme};

use crate::error::BindError;
use crate::identity::Identity;
use crate::limits::{INCOMING_BYTES_MAX, INCOMING_MAX, INITIAL_WINDOW_BYTES, Limits};
use crate::node::NodeId;
use crate::reset::RandomIds;

/// Version of the protocol that this release speaks. Raised with every change to what crosses the
/// network, in this crate or in the messages of its users.
pub const PROTOCOL_VERSION: u16 = 2;
/// Versions that a listener recognises, only to refuse them by name.
const VERSIONS_RECOGNISED: u16 = 64;
const ALPN_PREFIX: &str = "mr-engine/";

/// Settings of the listening side.
pub(crate) fn server_config(identity: &Identity, limits: &Limits) -> Result<quinn::ServerConfig, BindError> {
    let unusable = |reason: String| BindError::Identity { node: identity.node().clone(), reason };
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity)?, provider.clone())
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver(identity));
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls.alpn_protocols = (1..=VERSIONS_RECOGNISED.max(PROTOCOL_VERSION)).map(alpn).collect();
    let tls = QuicServerConfig::try_from(tls).map_err(|error| unusable(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport(limits, limits.streams_max)?));
    config.max_incoming(INCOMING_MAX);
    config.incoming_buffer_size(INCOMING_BYTES_MAX);
    config.incoming_buffer_size_total(INCOMING_BYTES_MAX * INCOMING_MAX as u64);
    Ok(config)
}

/// Settings of the dialling side, which speaks `version`.
pub(crate) fn client_config(
    identity: &Identity,
    limits: &Limits,
    version: u16,
) -> Result<quinn::ClientConfig, BindError> {
    let unusable = |reason: String| BindError::Identity { node: identity.node().clone(), reason };
    let provider = provider();
    let verifier = ChainVerifier { roots: roots(identity)?, provider: provider.clone() };
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(resolver(identity));
    tls.resumption = Resumption::disabled();
    tls.alpn_protocols = vec![alpn(version)];
    let tls = QuicClientConfig::try_from(tls).map_err(|error| unusable(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    // Only the dialling side opens streams.
    config.transport_config(Arc::new(transport(limits, 0)?));
    Ok(config)
}

/// Settings of a socket.
pub(crate) fn endpoint_config(identity: &Identity, limits: &Limits) -> Result<EndpointConfig, BindError> {
    let mut config = EndpointConfig::new(Arc::new(identity.reset_secret()));
    config
        .cid_generator(|| Box::new(RandomIds::new()))
        .max_udp_payload_size(limits.udp_payload_bytes_max)
        .map_err(|_| BindError::Limit { limit: "udp_payload_bytes_max" })?;
    Ok(config)
}

/// The version that was agreed on, and the peer's node, once the handshake is done.
pub(crate) fn agreed(connection: &quinn::Connection) -> (Option<u16>, Option<NodeId>) {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let version = handshake.and_then(|data| data.protocol).and_then(|alpn| version_of(&alpn));
    let chain = connection.peer_identity();
    let chain = chain.and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    let node = chain.and_then(|chain| chain.first().and_then(NodeId::of_certificate));
    (version, node)
}

fn alpn(version: u16) -> Vec<u8> {
    format!("{ALPN_PREFIX}{version}").into_bytes()
}

fn version_of(alpn: &[u8]) -> Option<u16> {
    std::str::from_utf8(alpn).ok()?.strip_prefix(ALPN_PREFIX)?.parse().ok()
}

/// AES-128 first: as safe as needed for what lives a day, and a fifth cheaper than AES-256, which
/// matters because packets are encrypted on one core for each connection.
fn provider() -> Arc<CryptoProvider> {
    use ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
    let cipher_suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() })
}

fn roots(identity: &Identity) -> Result<Arc<RootCertStore>, BindError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(identity.authority().clone())
        .map_err(|error| BindError::Identity { node: identity.node().clone(), reason: error.to_string() })?;
    Ok(Arc::new(roots))
}

fn resolver(identity: &Identity) -> Arc<SingleCertAndKey> {
    let key: &CertifiedKey = identity.certified_key();
    Arc::new(SingleCertAndKey::from(key.clone()))
}

fn transport(limits: &Limits, streams_max: u32) -> Result<TransportConfig, BindError> {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(limits.idle).map_err(|_| BindError::Limit { limit: "idle" })?;
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits.keep_alive))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams_max))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(limits.stream_window_bytes))
        .receive_window(VarInt::from_u32(limits.connection_window_bytes))
        .send_window(u64::from(limits.send_window_bytes))
        .enable_segmentation_offload(limits.segmentation_offload);
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    transport.congestion_controller_factory(Arc::new(congestion));
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(limits.udp_payload_bytes_max);
    transport.mtu_discovery_config(Some(discovery));
    Ok(transport)
}

/// Checks that the listening side's certificate comes from the cluster's authority, is in date and
/// may listen. Its name is not a host's, so the greeting compares it.
#[derive(Debug)]
struct ChainVerifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
