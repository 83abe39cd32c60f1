//! Addresses of what is no file of a machine: objects of stores, and what web servers have. They are kept where
//! paths are. Must not know which there are.

use std::path::Path;

/// Whether a path is an address, `scheme://...`, and no path of a file system.
pub fn is_address(path: &Path) -> bool {
    path.to_str().and_then(|path| path.split_once("://")).is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_no_paths() {
        for address in ["s3://bucket/out", "http://host/", "gs://b"] {
            assert!(is_address(Path::new(address)), "{address}");
        }
        for path in ["/s3://bucket", "out", "://x", "a/b://c", "s3:/bucket"] {
            assert!(!is_address(Path::new(path)), "{path}");
        }
    }
}
