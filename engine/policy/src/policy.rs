//! A policy and its verdicts. It is read once, when a process starts, and does not change while that
//! process lives; a job that was accepted is not judged again.

use std::path::Path;

use mr_model::Permissions;
use mr_model::quantity::size_text;

use crate::caps::Caps;
use crate::data::{self, Places};
use crate::file::{self, PolicyError};
use crate::key::PublicKey;
use crate::refusal::{Amount, ComponentRefusal, PathRefusal, PermissionRefusal};
use crate::signature::Signed;

/// What an operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: String,
    caps: Caps,
    plugins: Plugins,
    places: Places,
}

/// Whose plugins are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugins {
    /// Largest component, in bytes.
    pub bytes_max: u64,
    /// Whose signature is enough; none where none is asked for.
    pub signed_by: Option<Vec<Trusted>>,
    /// Which are taken without a signature; none where there is no list.
    pub allow: Option<Vec<blake3::Hash>>,
}

/// A key that counts, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trusted {
    pub name: String,
    pub key: PublicKey,
}

/// Why a policy takes a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// It takes every plugin.
    Anybody,
    /// It has the good signature of a key with this name.
    SignedBy(String),
    /// Its hash is listed.
    Listed,
}

impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Approval::Anybody => f.write_str("the policy takes plugins of anybody"),
            Approval::SignedBy(name) => write!(f, "signed by {name}"),
            Approval::Listed => f.write_str("its hash is listed"),
        }
    }
}

impl Policy {
    /// Reads a policy file, with the keys that it names.
    ///
    /// # Errors
    /// What is wrong with the file or a key, with the line.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let (caps, plugins, places) = file::read(path)?;
        Ok(Self { name: path.display().to_string(), caps, plugins, places })
    }

    /// Where it was read from, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most that jobs may use.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Gives a job what it did not ask for: see [`Caps::grant`]. Whoever accepts a job does this once,
    /// before [`Policy::check`].
    pub fn grant(&self, permissions: &mut Permissions, guest_memory_bytes: Option<u64>) {
        self.caps.grant(permissions, guest_memory_bytes);
    }

    /// Whether a job may use what it asks for.
    ///
    /// # Errors
    /// The first permission that is over its cap.
    pub fn check(&self, permissions: &Permissions) -> Result<(), PermissionRefusal> {
        self.excesses(permissions).into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that a job asks for and may not use.
    pub fn excesses(&self, permissions: &Permissions) -> Vec<PermissionRefusal> {
        self.caps.excesses(permissions, &self.name)
    }

    /// Whether the side inputs of a job may have so many bytes together.
    ///
    /// # Errors
    /// They are over the cap.
    pub fn check_sides(&self, bytes: u64) -> Result<(), PermissionRefusal> {
        match self.caps.sides_bytes {
            Some(cap) if bytes > cap => {
                Err(PermissionRefusal::Sides { bytes, cap: Amount::Bytes(cap), policy: self.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether a component of so many bytes may be looked at at all.
    ///
    /// # Errors
    /// [`ComponentRefusal::TooLarge`].
    pub fn check_size(&self, bytes: u64) -> Result<(), ComponentRefusal> {
        let (cap, policy) = (self.plugins.bytes_max, self.name.clone());
        if bytes > cap { Err(ComponentRefusal::TooLarge { bytes, cap, policy }) } else { Ok(()) }
    }

    /// Whether a component may run, and why. `hash` is the BLAKE3 of all its bytes. Without `signed-by` and
    /// `allow` every component may; with either, it has to be signed or listed.
    ///
    /// # Errors
    /// Why not.
    pub fn check_component(&self, bytes: &[u8], hash: &blake3::Hash) -> Result<Approval, ComponentRefusal> {
        self.check_size(bytes.len() as u64)?;
        let Plugins { signed_by, allow, .. } = &self.plugins;
        if allow.as_ref().is_some_and(|allow| allow.contains(hash)) {
            return Ok(Approval::Listed);
        }
        match (signed_by, allow) {
            (Some(trusted), _) => self.check_signed(bytes, trusted),
            (None, Some(_)) => {
                let hash = hash.to_hex().to_string();
                Err(ComponentRefusal::Unlisted { hash, policy: self.name.clone() })
            }
            (None, None) => Ok(Approval::Anybody),
        }
    }

    /// Whether jobs may read this file.
    ///
    /// # Errors
    /// It lies elsewhere than the policy opens, or leads elsewhere.
    pub fn check_input(&self, path: &Path) -> Result<(), PathRefusal> {
        data::check(self.places.inputs.as_deref(), path, "input", &self.name)
    }

    /// Whether jobs may write here.
    ///
    /// # Errors
    /// It lies elsewhere than the policy opens, or leads elsewhere.
    pub fn check_output(&self, path: &Path) -> Result<(), PathRefusal> {
        data::check(self.places.outputs.as_deref(), path, "output", &self.name)
    }

    /// What it asks of plugins, for people.
    pub fn plugin_rules(&self) -> String {
        let Plugins { bytes_max, signed_by, allow } = &self.plugins;
        let mut rules = Vec::new();
        if let Some(trusted) = signed_by {
            let names: Vec<&str> = trusted.iter().map(|trusted| trusted.name.as_str()).collect();
            rules.push(format!(
                "signed by {}",
                if names.is_empty() { "nobody".to_owned() } else { names.join(" or ") }
            ));
        }
        if let Some(allow) = allow {
            rules.push(format!("one of {} listed by hash", allow.len()));
        }
        let whose = if rules.is_empty() { "of anybody".to_owned() } else { rules.join(", or ") };
        format!("{whose}; at most {}", size_text(*bytes_max))
    }

    fn check_signed(&self, bytes: &[u8], trusted: &[Trusted]) -> Result<Approval, ComponentRefusal> {
        let policy = self.name.clone();
        let signers = match Signed::of(bytes) {
            Ok(signed) => signed.signers,
            Err(error) => return Err(ComponentRefusal::Signature { error, policy }),
        };
        if let Some(found) = trusted.iter().find(|trusted| signers.contains(&trusted.key)) {
            return Ok(Approval::SignedBy(found.name.clone()));
        }
        let trusted = trusted.iter().map(|trusted| trusted.name.clone()).collect();
        if signers.is_empty() {
            return Err(ComponentRefusal::Unsigned { trusted, policy });
        }
        Err(ComponentRefusal::Stranger { signers, trusted, policy })
    }
}
