//! From a path to an identity: a folder that has one of the role, or the certificate's file itself.

use std::path::Path;

use mr_net::identity::AUTHORITY_FILE;
use mr_net::{Identity, IdentityError, IdentityFiles, NodeRole};

/// Reads the identity that `path` means: the only one of the role in a folder, that of `name` in it, or
/// a certificate with its key and `ca.pem` beside it.
///
/// # Errors
/// Files that are missing, exposed, out of date, or of another cluster; several where none is named.
pub fn load(path: &Path, role: NodeRole, name: Option<&str>) -> Result<Identity, IdentityError> {
    let files = match name {
        _ if path.is_file() => IdentityFiles {
            authority: path.with_file_name(AUTHORITY_FILE),
            certificate: path.to_owned(),
            key: path.with_extension("key"),
        },
        Some(name) => IdentityFiles::named(path, role, name),
        None => IdentityFiles::only(path, role)?,
    };
    Identity::load(&files)
}
