//! A node's identity: its certificate and key and the authority that it trusts, read from PEM files
//! and checked before anything is dialled or bound.
//!
//! Everything that can be wrong with the files is an [`IdentityError`] that names the file. Must not
//! write files (that is [`crate::authority`]) nor speak to anyone.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;

use crate::node::{NodeId, NodeRole, cluster_of_authority};
use crate::reset::ResetSecret;

/// Name of the file with the authority's certificate, in a folder of identities.
pub const AUTHORITY_FILE: &str = "ca.pem";
/// Largest PEM file that is read, in bytes: a certificate and a key have one or two KiB.
const PEM_BYTES_MAX: u64 = 64 << 10;

/// What is wrong with the files of an identity or an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A file is not there.
    #[error("{} does not exist; copy it from where `mr-engine cluster init` was run", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A folder has no identity of a role.
    #[error("{} has no {role} certificate; copy {role}*.pem and its .key there", dir.display())]
    NoneOfRole {
        /// The folder.
        dir: PathBuf,
        /// The role.
        role: NodeRole,
    },
    /// A folder has more than one identity of a role.
    #[error("{} has several {role} certificates ({names}); say which one is meant", dir.display())]
    SeveralOfRole {
        /// The folder.
        dir: PathBuf,
        /// The role.
        role: NodeRole,
        /// The names of their files.
        names: String,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A file is there that would be overwritten.
    #[error("{} exists and is not overwritten; choose another folder or name, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner can read a key.
    #[error("{} can be read by others (mode {mode:03o}); run `chmod 600` on it", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is not PEM of the right kind.
    #[error("{} holds no {what} in PEM", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Key and certificate do not belong together.
    #[error("{} is not the key of {}; copy both from the same place", key.display(), certificate.display())]
    WrongKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The certificate is past its last day, or before its first.
    #[error("{} has expired or is not valid yet; issue a new one, or set this machine's clock", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
    },
    /// The certificate was not issued by the authority beside it.
    #[error("{} was not issued by the authority in {}; both must be of one cluster", path.display(), authority.display())]
    ForeignAuthority {
        /// The file.
        path: PathBuf,
        /// The authority's file.
        authority: PathBuf,
    },
    /// The certificate names another cluster than its authority.
    #[error("{} is for cluster {cluster}, and its authority for cluster {expected}", path.display())]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// The cluster that it names.
        cluster: String,
        /// The cluster of the authority.
        expected: String,
    },
    /// The certificate names no node, or the authority's no cluster.
    #[error("{} was not issued for mr-engine; issue one with `mr-engine cluster init`", path.display())]
    NotANode {
        /// The file.
        path: PathBuf,
    },
    /// A name that is asked for is not legal.
    #[error("{name:?} cannot be a node's name or address: names are 1 to 64 of a-z, 0-9 and -")]
    BadName {
        /// The name.
        name: String,
    },
    /// A key or certificate could not be made.
    #[error("no certificate could be made: {reason}")]
    Mint {
        /// The reason.
        reason: String,
    },
}

/// The three files of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The node's certificate.
    pub certificate: PathBuf,
    /// The node's key, readable by its owner only.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// The files of a node in a folder that [`crate::Authority`] wrote.
    pub fn named(dir: &Path, role: NodeRole, name: &str) -> Self {
        Self::with_stem(dir, &file_stem(role, name))
    }

    /// The files of the only node of a role in a folder.
    pub fn only(dir: &Path, role: NodeRole) -> Result<Self, IdentityError> {
        let unusable = |error: std::io::Error| file_error(dir, &error);
        let mut stems = Vec::new();
        for entry in fs::read_dir(dir).map_err(unusable)? {
            let name = entry.map_err(unusable)?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".pem"));
            stems.extend(stem.filter(|stem| is_stem_of(stem, role)).map(str::to_owned));
        }
        stems.sort();
        match stems.as_slice() {
            [] => Err(IdentityError::NoneOfRole { dir: dir.to_owned(), role }),
            [stem] => Ok(Self::with_stem(dir, stem)),
            several => {
                Err(IdentityError::SeveralOfRole { dir: dir.to_owned(), role, names: several.join(", ") })
            }
        }
    }

    fn with_stem(dir: &Path, stem: &str) -> Self {
        Self {
            authority: dir.join(AUTHORITY_FILE),
            certificate: dir.join(format!("{stem}.pem")),
            key: dir.join(format!("{stem}.key")),
        }
    }
}

/// A node's certificate and key, and the authority of its cluster. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    node: NodeId,
    authority: CertificateDer<'static>,
    key: Arc<CertifiedKey>,
    reset: ResetSecret,
}

impl Identity {
    /// Reads and checks an identity: complete, guarded, of one cluster, in date.
    pub fn load(files: &IdentityFiles) -> Result<Self, IdentityError> {
        let authority = read_certificate(&files.authority)?;
        let certificate = read_certificate(&files.certificate)?;
        let key = read_key(&files.key)?;
        let expected = cluster_of_authority(&authority)
            .ok_or_else(|| IdentityError::NotANode { path: files.authority.clone() })?;
        let node = NodeId::of_certificate(&certificate)
            .ok_or_else(|| IdentityError::NotANode { path: files.certificate.clone() })?;
        if node.cluster() != expected {
            let (path, cluster) = (files.certificate.clone(), node.cluster().to_owned());
            return Err(IdentityError::OtherCluster { path, cluster, expected });
        }
        verify(&certificate, &authority, files)?;
        let identity = Self::new(node, authority, certificate, key)
            .ok_or_else(|| IdentityError::Malformed { path: files.key.clone(), what: "private key" })?;
        identity.key.keys_match().map_err(|_| IdentityError::WrongKey {
            key: files.key.clone(),
            certificate: files.certificate.clone(),
        })?;
        Ok(identity)
    }

    /// Who this is.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Puts together what was checked or minted; none if the key is of a kind that TLS cannot use.
    pub(crate) fn new(
        node: NodeId,
        authority: CertificateDer<'static>,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Option<Self> {
        let reset = ResetSecret::of_private_key(key.secret_der());
        let key = ring::sign::any_supported_type(&key).ok()?;
        Some(Self { node, authority, key: Arc::new(CertifiedKey::new(vec![certificate], key)), reset })
    }

    /// The certificate of the cluster's authority.
    pub(crate) fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// The secret behind its stateless resets.
    pub(crate) fn reset_secret(&self) -> ResetSecret {
        self.reset
    }

    /// Certificate and key.
    pub(crate) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

/// Shows no key.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The file name of a node without its ending: `coordinator`, `worker-NAME`.
pub(crate) fn file_stem(role: NodeRole, name: &str) -> String {
    if name == role.as_str() { name.to_owned() } else { format!("{role}-{name}") }
}

fn is_stem_of(stem: &str, role: NodeRole) -> bool {
    stem.strip_prefix(role.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Reads the first certificate of a PEM file.
pub(crate) fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(&read_file(path)?)
        .map_err(|_| IdentityError::Malformed { path: path.to_owned(), what: "certificate" })
}

/// Reads a private key that nobody but its owner may read.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let pem = read_file(path)?;
    let mode = fs::metadata(path).map_err(|error| file_error(path, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::KeyExposed { path: path.to_owned(), mode });
    }
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| IdentityError::Malformed { path: path.to_owned(), what: "private key" })
}

/// An I/O error at `path`, with a missing file told apart.
pub(crate) fn file_error(path: &Path, error: &std::io::Error) -> IdentityError {
    let path = path.to_owned();
    match error.kind() {
        std::io::ErrorKind::NotFound => IdentityError::Missing { path },
        std::io::ErrorKind::AlreadyExists => IdentityError::Exists { path },
        _ => IdentityError::File { path, reason: error.to_string() },
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| file_error(path, &error))?;
    Ok(bytes)
}

fn verify(
    certificate: &CertificateDer<'_>,
    authority: &CertificateDer<'_>,
    files: &IdentityFiles,
) -> Result<(), IdentityError> {
    let not_a_node = |path: &Path| IdentityError::NotANode { path: path.to_owned() };
    let anchor = webpki::anchor_from_trusted_cert(authority).map_err(|_| not_a_node(&files.authority))?;
    let leaf = webpki::EndEntityCert::try_from(certificate).map_err(|_| not_a_node(&files.certificate))?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let (anchors, usage) = ([anchor], webpki::KeyUsage::client_auth());
    let verified = leaf.verify_for_usage(algorithms, &anchors, &[], UnixTime::now(), usage, None, None);
    let path = files.certificate.clone();
    match verified {
        Ok(_) => Ok(()),
        Err(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => {
            Err(IdentityError::Expired { path })
        }
        Err(webpki::Error::RequiredEkuNotFoundContext(_)) => Err(IdentityError::NotANode { path }),
        Err(_) => Err(IdentityError::ForeignAuthority { path, authority: files.authority.clone() }),
    }
}
