//! Bare QUIC ends, which show any certificate and send any bytes.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use mr_net::{CloseReason, PROTOCOL_VERSION};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, Endpoint};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::Cluster;

/// A certificate and its key.
pub struct Pair(pub CertificateDer<'static>, pub PrivateKeyDer<'static>);

impl Pair {
    /// Reads a pair that an authority wrote.
    pub fn read(dir: &Path, stem: &str) -> Self {
        let certificate = CertificateDer::from_pem_file(dir.join(format!("{stem}.pem"))).unwrap();
        Self(certificate, PrivateKeyDer::from_pem_file(dir.join(format!("{stem}.key"))).unwrap())
    }

    /// Forges a pair with a cluster's own key, which the authority itself would never issue, and
    /// writes it beside the others.
    pub fn forge(cluster: &Cluster, stem: &str, uri: Option<&str>) -> Self {
        let dir = cluster.dir.path();
        let key_pem = std::fs::read_to_string(dir.join("ca.key")).unwrap();
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = DistinguishedName::new();
        let name = format!("mr-engine cluster {}", cluster.authority.cluster());
        issuer.distinguished_name.push(DnType::CommonName, name);
        let issuer = Issuer::new(issuer, KeyPair::from_pem(&key_pem).unwrap());
        let mut params = CertificateParams::default();
        params.subject_alt_names = uri.map(|uri| SanType::URI(uri.try_into().unwrap())).into_iter().collect();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let key_path = dir.join(format!("{stem}.key"));
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key_path, Permissions::from_mode(0o600)).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join(format!("{stem}.pem")), certificate.pem()).unwrap();
        Self::read(dir, stem)
    }
}

/// Connects to a server without looking at its certificate.
pub async fn connect(
    address: &str,
    pair: Option<&Pair>,
    alpn: &str,
) -> Result<quinn::Connection, ConnectionError> {
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut tls = match pair {
        Some(Pair(certificate, key)) => {
            tls.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
        }
        None => tls.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.into()];
    let mut endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(
        QuicClientConfig::try_from(tls).unwrap(),
    )));
    endpoint.connect(address.parse().unwrap(), "127.0.0.1").unwrap().await
}

/// What this side's protocol is called in a handshake.
pub fn ours() -> String {
    format!("mr-engine/{PROTOCOL_VERSION}")
}

/// Connects as a worker of the cluster and gets through the greeting.
pub async fn connect_as_worker(cluster: &Cluster, address: &str, name: &str) -> quinn::Connection {
    cluster.identity(mr_net::NodeRole::Worker, name);
    let pair = Pair::read(cluster.dir.path(), &format!("worker-{name}"));
    let connection = connect(address, Some(&pair), &ours()).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    // Kind 0, a frame of one byte: the verdict is ok.
    send.write_all(&[0, 1, 0, 0, 0, 0]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(16).await.unwrap(), [0, 0, 0, 0]);
    connection
}

/// A socket that lets everyone in.
pub fn listen(pair: &Pair) -> Endpoint {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.0.clone()], pair.1.clone_key())
        .unwrap();
    tls.alpn_protocols = vec![ours().into()];
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    Endpoint::server(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
}

/// The reason that the other side gave for closing.
pub async fn reason_of_close(connection: &quinn::Connection) -> CloseReason {
    match super::soon("the close", connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => {
            CloseReason::decode(close.error_code.into_inner(), &close.reason)
        }
        other => panic!("closed with a reason was awaited, and {other:?} came"),
    }
}

/// The TLS alert that the other side gave for closing.
pub async fn alert_of_close(connection: &quinn::Connection) -> u64 {
    alert(super::soon("the close", connection.closed()).await)
}

/// The TLS alert that an error is about.
pub fn alert(error: ConnectionError) -> u64 {
    match error {
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code) - 0x100,
        other => panic!("closed with an alert was awaited, and {other:?} came"),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Believes every certificate.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
