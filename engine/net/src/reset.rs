//! How a node that was restarted tells its former peers that their connections are gone.
//!
//! QUIC answers a packet of an unknown connection with a stateless reset, which the peer believes if it
//! carries a token that only the maker of the connection's id could know (RFC 9000, 10.3). The tokens
//! here follow from the node's private key, so that the next life of a node can make them, too: then
//! workers and clients notice a restart with their next packet, and not after the idle timeout.

use std::hash::{BuildHasher, RandomState};

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator};

/// What the secret is for; part of its derivation.
const CONTEXT: &str = "mr-engine 2026-11 QUIC stateless reset tokens";
/// Bytes of a connection id.
const ID_BYTES: usize = 8;

/// A secret that follows from a node's private key. Shown to nobody.
#[derive(Clone, Copy)]
pub(crate) struct ResetSecret([u8; blake3::KEY_LEN]);

impl ResetSecret {
    /// The secret of a node with this private key, in DER.
    pub(crate) fn of_private_key(der: &[u8]) -> Self {
        Self(blake3::derive_key(CONTEXT, der))
    }
}

impl HmacKey for ResetSecret {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        signature.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Comparing these takes the same time wherever they differ.
        if blake3::keyed_hash(&self.0, data) == *signature { Ok(()) } else { Err(CryptoError) }
    }
}

/// Makes ids of connections: random ones, none of which is refused before its token is looked at.
pub(crate) struct RandomIds {
    seed: RandomState,
    count: u64,
}

impl RandomIds {
    pub(crate) fn new() -> Self {
        Self { seed: RandomState::new(), count: 0 }
    }
}

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.count += 1;
        ConnectionId::new(&self.seed.hash_one(self.count).to_le_bytes())
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
