//! The cluster's authority: mints its own certificate once and one for each node. What
//! `mr-engine cluster init` calls.
//!
//! The cluster is named after the authority's key, so that two clusters never share a name. Keys are
//! ECDSA P-256, written with mode 0600 and never overwritten. Must not be needed by running nodes:
//! they carry `ca.pem`, and `ca.key` stays where it was made.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::identity::{
    AUTHORITY_FILE, Identity, IdentityError, file_error, file_stem, read_certificate, read_key,
};
use crate::node::{NodeId, NodeRole, authority_uri, cluster_of_authority};

/// Name of the file with the authority's key.
pub const AUTHORITY_KEY_FILE: &str = "ca.key";
/// How long an authority is valid: renewing it touches every machine of the cluster.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);
/// How long a node's certificate is valid, unless asked otherwise. A new one is taken up at restart.
pub const NODE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// How far back certificates begin, for machines whose clocks are behind.
pub const BACKDATE: Duration = Duration::from_secs(3600);
/// Hexadecimal digits of a cluster's name: 64 bits of a hash of the authority's public key.
const CLUSTER_DIGITS: usize = 16;

/// What a certificate is asked for.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    /// The node's role.
    pub role: NodeRole,
    /// The node's name.
    pub name: &'a str,
    /// Host names and IP addresses of the node, for programs that check them. Nodes of the cluster
    /// know each other by role and name, wherever they are.
    pub addresses: &'a [String],
    /// When it begins.
    pub from: SystemTime,
    /// How long it is valid.
    pub lifetime: Duration,
}

impl<'a> Certificate<'a> {
    /// One that is valid from now, a little backdated, for [`NODE_LIFETIME`].
    pub fn new(role: NodeRole, name: &'a str, addresses: &'a [String]) -> Self {
        let from = SystemTime::now() - BACKDATE;
        Self { role, name, addresses, from, lifetime: NODE_LIFETIME + BACKDATE }
    }
}

/// A cluster's authority and the folder that it writes to.
pub struct Authority {
    dir: PathBuf,
    cluster: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Mints an authority into a folder, which is made if it is not there. Fails if there is one.
    pub fn create(dir: &Path) -> Result<Self, IdentityError> {
        fs::create_dir_all(dir).map_err(|error| file_error(dir, &error))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(mint_error)?;
        let cluster = cluster_of_key(&key);
        let mut params = authority_params(&cluster);
        params.subject_alt_names = vec![uri_name(&authority_uri(&cluster))?];
        let from = SystemTime::now() - BACKDATE;
        set_validity(&mut params, from, AUTHORITY_LIFETIME + BACKDATE);
        let certificate = params.self_signed(&key).map_err(mint_error)?;
        write_pair(
            (&dir.join(AUTHORITY_FILE), &certificate.pem()),
            (&dir.join(AUTHORITY_KEY_FILE), &key.serialize_pem()),
        )?;
        let issuer = Issuer::new(authority_params(&cluster), key);
        Ok(Self { dir: dir.to_owned(), cluster, certificate: certificate.der().clone(), issuer })
    }

    /// Opens the authority of a folder, to issue further certificates.
    pub fn open(dir: &Path) -> Result<Self, IdentityError> {
        let (path, key_path) = (dir.join(AUTHORITY_FILE), dir.join(AUTHORITY_KEY_FILE));
        let certificate = read_certificate(&path)?;
        let key = KeyPair::try_from(&read_key(&key_path)?)
            .map_err(|_| IdentityError::Malformed { path: key_path.clone(), what: "private key" })?;
        let cluster = cluster_of_authority(&certificate)
            .ok_or_else(|| IdentityError::NotANode { path: path.clone() })?;
        if cluster != cluster_of_key(&key) {
            return Err(IdentityError::WrongKey { key: key_path, certificate: path });
        }
        let issuer = Issuer::new(authority_params(&cluster), key);
        Ok(Self { dir: dir.to_owned(), cluster, certificate, issuer })
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Mints a node's certificate and key into the folder. Fails if they are there already.
    pub fn issue(&self, wanted: &Certificate<'_>) -> Result<Identity, IdentityError> {
        let node = NodeId::new(&self.cluster, wanted.role, wanted.name)
            .map_err(|_| IdentityError::BadName { name: wanted.name.to_owned() })?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(mint_error)?;
        let params = node_params(&node, wanted)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(mint_error)?;
        let stem = file_stem(wanted.role, wanted.name);
        write_pair(
            (&self.dir.join(format!("{stem}.pem")), &certificate.pem()),
            (&self.dir.join(format!("{stem}.key")), &key.serialize_pem()),
        )?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Identity::new(node, self.certificate.clone(), certificate.der().clone(), key)
            .ok_or_else(|| IdentityError::Mint { reason: "the key is of no known kind".to_owned() })
    }
}

/// Shows no key.
impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("dir", &self.dir).field("cluster", &self.cluster).finish()
    }
}

fn cluster_of_key(key: &KeyPair) -> String {
    blake3::hash(key.public_key_raw()).to_hex()[..CLUSTER_DIGITS].to_owned()
}

/// What the authority's certificate and every one that it issues agree about.
fn authority_params(cluster: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("mr-engine cluster {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn node_params(node: &NodeId, wanted: &Certificate<'_>) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("mr-engine {node}"));
    params.subject_alt_names = vec![uri_name(&node.uri())?];
    for address in wanted.addresses {
        params.subject_alt_names.push(address_name(address)?);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if node.role() != NodeRole::Client {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, wanted.from, wanted.lifetime);
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn uri_name(uri: &str) -> Result<SanType, IdentityError> {
    Ok(SanType::URI(uri.try_into().map_err(mint_error)?))
}

fn address_name(address: &str) -> Result<SanType, IdentityError> {
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(ip));
    }
    let bad = || IdentityError::BadName { name: address.to_owned() };
    rustls::pki_types::DnsName::try_from(address).map_err(|_| bad())?;
    Ok(SanType::DnsName(address.try_into().map_err(|_| bad())?))
}

fn set_validity(params: &mut CertificateParams, from: SystemTime, lifetime: Duration) {
    let since_epoch = from.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch;
    params.not_after = params.not_before + lifetime;
}

fn mint_error(error: rcgen::Error) -> IdentityError {
    IdentityError::Mint { reason: error.to_string() }
}

/// Writes certificate and key as new files; the key first, and not without the certificate.
fn write_pair(certificate: (&Path, &str), key: (&Path, &str)) -> Result<(), IdentityError> {
    if certificate.0.exists() {
        return Err(IdentityError::Exists { path: certificate.0.to_owned() });
    }
    write_new(key.0, key.1, 0o600)?;
    write_new(certificate.0, certificate.1, 0o644).inspect_err(|_| {
        // A key without its certificate would only be in the way; the error says what happened.
        let _ = fs::remove_file(key.0);
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| file_error(path, &error))
}
