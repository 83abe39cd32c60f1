//! Object stores and web servers: inputs copied from them into local files, outputs committed on them.
//!
//! Owns: addresses, credentials and endpoints, listing with globs and fingerprints, copies of byte ranges,
//! uploads that another process completes, and a committed output folder on a store without rename.
//! Everything blocks and is bounded; what is tried again follows from what a server answers. Must not know
//! of plugins, splits, schedulers or the format of anything. Runs in processes that may have credentials,
//! never where a plugin runs. No text from here holds a credential.
//!
//! In reading order: [`location`], [`settings`] (with `profile`), [`stores`] (the door), [`listing`],
//! [`fetch`], [`inputs`], [`upload`], [`output`] (with `claim` and `folder`), [`outputs`], [`error`]; below them
//! `transport`, `web`, `identity`.

mod claim;
pub mod error;
pub mod fetch;
mod folder;
mod identity;
pub mod inputs;
pub mod listing;
pub mod location;
pub mod output;
pub mod outputs;
mod profile;
pub mod settings;
pub mod stores;
mod transport;
pub mod upload;
mod web;

pub use error::{Problem, StoreError};
pub use inputs::StoreInputs;
pub use listing::RemoteFile;
pub use location::{Location, is_remote};
pub use output::{OutputError, OutputStore, Resumed};
pub use outputs::StoreOutputs;
pub use settings::Settings;
pub use stores::{Cancelled, Options, Stores};
pub use transport::Patience;
pub use upload::{PendingObject, UploadTarget};
