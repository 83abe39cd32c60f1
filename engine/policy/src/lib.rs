//! What an operator allows: caps on what jobs may use, and whose plugins are taken.
//!
//! Owns: the policy file and its verdicts, the signatures that a component carries in itself, and the
//! keys that make and check them. A coordinator, a worker and a command line ask the same questions
//! here, [`Policy::check`] of a job and [`Policy::check_component`] of a plugin, and get the same
//! sentences. Must not run, compile or understand a plugin: to this crate a component is sections of
//! bytes. Must not know of clusters, plans or options beyond their names.
//!
//! In reading order: [`key`], [`section`](mod@section) and [`signature`] (a component's signatures),
//! [`caps`], `data` and [`file`](mod@file) (what a policy says), [`policy`] (its verdicts), [`refusal`] (what is
//! said of them).

pub mod caps;
mod data;
pub mod file;
pub mod key;
pub mod policy;
pub mod refusal;
pub mod section;
pub mod signature;

pub use caps::Caps;
pub use file::PolicyError;
pub use key::{KeyError, PublicKey, SigningKey};
pub use policy::{Approval, Policy};
pub use refusal::{ComponentRefusal, PathRefusal, PermissionRefusal};
pub use signature::{SignatureError, Signed, sign};
