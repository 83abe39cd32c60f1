//! Who a node is: cluster, role and name, as they stand in its certificate.
//!
//! The certificate carries them as one URI, `mr-engine://CLUSTER/ROLE/NAME`, signed by the cluster's
//! authority; nothing that a node says about itself elsewhere counts. All parts are plain lowercase
//! letters, digits and dashes, so that they can stand in file names and messages as they are.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

/// Longest name of a node or a cluster, in bytes: it becomes part of file names.
pub const NAME_BYTES_MAX: usize = 64;

const SCHEME: &str = "mr-engine://";

/// What a node may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Schedules jobs.
    Coordinator,
    /// Runs tasks and serves segments.
    Worker,
    /// Submits jobs and asks about them.
    Client,
}

impl NodeRole {
    /// The role as it stands in certificates and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeRole::Coordinator => "coordinator",
            NodeRole::Worker => "worker",
            NodeRole::Client => "client",
        }
    }
}

impl fmt::Display for NodeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NodeRole {
    type Err = BadNode;

    fn from_str(text: &str) -> Result<Self, BadNode> {
        [NodeRole::Coordinator, NodeRole::Worker, NodeRole::Client]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(BadNode)
    }
}

/// A name that is not 1 to [`NAME_BYTES_MAX`] of `a-z 0-9 -`, an unknown role, or another URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a node of mr-engine: names are 1 to 64 of a-z, 0-9 and -, roles are coordinator, worker and client"
)]
pub struct BadNode;

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    cluster: String,
    role: NodeRole,
    name: String,
}

impl NodeId {
    /// Checks the names and wraps them.
    pub fn new(cluster: &str, role: NodeRole, name: &str) -> Result<Self, BadNode> {
        if !is_legal(cluster) || !is_legal(name) {
            return Err(BadNode);
        }
        Ok(Self { cluster: cluster.to_owned(), role, name: name.to_owned() })
    }

    /// The cluster, named after its authority's key.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The role.
    pub fn role(&self) -> NodeRole {
        self.role
    }

    /// The name, unique in the cluster for its role.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URI that stands in the certificate.
    pub(crate) fn uri(&self) -> String {
        format!("{SCHEME}{}/{}/{}", self.cluster, self.role, self.name)
    }

    /// Reads the node out of a certificate. Exactly one URI has to name one.
    #[doc(hidden)]
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut uris = certificate.valid_uri_names();
        let (first, second) = (uris.next()?, uris.next());
        if second.is_some() {
            return None;
        }
        first.parse().ok()
    }
}

impl FromStr for NodeId {
    type Err = BadNode;

    fn from_str(uri: &str) -> Result<Self, BadNode> {
        let mut parts = uri.strip_prefix(SCHEME).ok_or(BadNode)?.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(cluster), Some(role), Some(name), None) => Self::new(cluster, role.parse()?, name),
            _ => Err(BadNode),
        }
    }
}

/// For people: `worker w1`. A node that is named after its role is just that: `coordinator`.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_str())?;
        if self.name == self.role.as_str() { Ok(()) } else { write!(f, " {}", self.name) }
    }
}

/// The URI that stands in an authority's certificate.
pub(crate) fn authority_uri(cluster: &str) -> String {
    format!("{SCHEME}{cluster}")
}

/// Reads the cluster out of an authority's certificate.
pub(crate) fn cluster_of_authority(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let cluster = certificate.valid_uri_names().next()?.strip_prefix(SCHEME)?;
    is_legal(cluster).then(|| cluster.to_owned())
}

fn is_legal(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_survives_its_uri() {
        let node = NodeId::new("0af3", NodeRole::Worker, "rack-2").unwrap();
        assert_eq!(node.uri(), "mr-engine://0af3/worker/rack-2");
        assert_eq!(node.uri().parse(), Ok(node));
    }

    #[test]
    fn other_uris_name_no_node() {
        let long = format!("mr-engine://c/worker/{}", "n".repeat(NAME_BYTES_MAX + 1));
        for uri in [
            "https://c/worker/w",
            "mr-engine://c/worker",
            "mr-engine://c/worker/w/x",
            "mr-engine://c/root/w",
            "mr-engine:///worker/w",
            "mr-engine://c/worker/..",
            "mr-engine://c/worker/\u{1b}[2J",
            &long,
        ] {
            assert_eq!(uri.parse::<NodeId>(), Err(BadNode), "{uri}");
        }
    }
}
