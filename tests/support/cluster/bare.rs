//! Bare QUIC peers, which show any certificate or none and send any bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use mr_net::{CloseReason, IdentityFiles, NodeRole};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::net::UdpSocket;

/// The protocol that the cluster speaks.
pub fn protocol() -> String {
    format!("mr-engine/{}", mr_net::PROTOCOL_VERSION)
}

/// A certificate to show: its folder, and whose it is.
pub type Shown<'a> = (&'a Path, NodeRole, &'a str);

/// Connects to a node without looking at its certificate.
pub async fn connect(
    address: &str,
    shown: Option<Shown<'_>>,
    alpn: &str,
) -> Result<Connection, ConnectionError> {
    client(shown, alpn).connect(address.parse().unwrap(), "127.0.0.1").unwrap().await
}

/// A socket to dial from, which shows this certificate.
pub fn client(shown: Option<Shown<'_>>, alpn: &str) -> Endpoint {
    let tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut tls = match shown {
        Some((dir, role, name)) => {
            let files = IdentityFiles::named(dir, role, name);
            let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
            let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
            tls.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => tls.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.into()];
    let mut endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let config = QuicClientConfig::try_from(tls).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
    endpoint
}

/// The first datagrams of so many handshakes that nobody answers.
pub async fn first_datagrams(count: usize) -> Vec<Vec<u8>> {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut datagrams = Vec::new();
    for _ in 0..count {
        let endpoint = client(None, &protocol());
        let _connecting = endpoint.connect(address, "127.0.0.1").unwrap();
        let mut datagram = vec![0; 2048];
        // A late one of an earlier handshake does as well.
        let bytes = silent.recv(&mut datagram).await.unwrap();
        datagram.truncate(bytes);
        datagrams.push(datagram);
    }
    datagrams
}

/// Connects and gets through the greeting.
pub async fn greet(address: &str, shown: Shown<'_>) -> Connection {
    try_greet(address, shown).await.expect("it is let in")
}

/// Connects and tries to get through the greeting.
pub async fn try_greet(address: &str, shown: Shown<'_>) -> Option<Connection> {
    let connection = connect(address, Some(shown), &protocol()).await.ok()?;
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    // Kind 0, a frame of one byte: the verdict is ok.
    send.write_all(&[0, 1, 0, 0, 0, 0]).await.ok()?;
    send.finish().ok()?;
    let answer = receive.read_to_end(16).await.ok()?;
    assert_eq!(answer, [0, 0, 0, 0]);
    Some(connection)
}

/// Why the other side closes, in its own words or as an alert of TLS.
pub async fn reason_of_close(connection: Result<Connection, ConnectionError>) -> String {
    let error = match connection {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    match error {
        ConnectionError::ApplicationClosed(close) => {
            format!("{:?}", CloseReason::decode(close.error_code.into_inner(), &close.reason))
        }
        ConnectionError::ConnectionClosed(close) => format!("alert {}", u64::from(close.error_code) - 0x100),
        other => format!("{other}"),
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
