//! Certificates and the files of identities: whatever is in them, they are refused or they name a legal
//! node.

use std::sync::OnceLock;

use mr_net::{Authority, Certificate, Identity, IdentityFiles, NodeId, NodeRole};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::file::MemoryFile;
use crate::take::Supply;

/// Target: first byte for what the rest is. The DER of a peer's certificate, a URI in one, or a PEM file in
/// the place of the authority, of the certificate or of the key of an identity that is good otherwise.
pub fn identity(data: &[u8]) {
    let mut supply = Supply(data);
    let kind = supply.below(5);
    let content = supply.rest();
    match kind {
        0 => {
            if let Some(node) = NodeId::of_certificate(&CertificateDer::from(content)) {
                check(&node);
            }
        }
        1 => {
            let node = std::str::from_utf8(content).ok().and_then(|uri| uri.parse::<NodeId>().ok());
            node.iter().for_each(check);
        }
        place => {
            let mut files = good().map(<[u8]>::to_vec);
            files[usize::from(place) - 2] = content.to_vec();
            let [authority, certificate, key] = files.map(|content| MemoryFile::new(&content));
            let files = IdentityFiles {
                authority: authority.path(),
                certificate: certificate.path(),
                key: key.path(),
            };
            if let Ok(identity) = Identity::load(&files) {
                check(identity.node());
            }
        }
    }
}

fn check(node: &NodeId) {
    assert_eq!(NodeId::new(node.cluster(), node.role(), node.name()).as_ref(), Ok(node));
    assert!(node.to_string().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
}

/// The files of an identity of a cluster that lives as long as the process.
fn good() -> [&'static [u8]; 3] {
    static GOOD: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    let good = GOOD.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path()).unwrap();
        authority.issue(&Certificate::new(NodeRole::Worker, "w", &[])).unwrap();
        let files = IdentityFiles::named(dir.path(), NodeRole::Worker, "w");
        [files.authority, files.certificate, files.key].map(|path| std::fs::read(path).unwrap())
    });
    [&good[0], &good[1], &good[2]]
}

/// A good certificate, URI and set of files. New ones in every process: keys are not kept.
pub fn seeds() -> Vec<Vec<u8>> {
    let [authority, certificate, key] = good();
    let der = CertificateDer::from_pem_slice(certificate).unwrap();
    let with = |kind: u8, content: &[u8]| [&[kind], content].concat();
    vec![
        with(0, &der),
        with(1, b"mr-engine://0123456789abcdef/worker/rack-2"),
        with(2, authority),
        with(3, certificate),
        with(4, key),
    ]
}
