//! Addresses of objects: `s3://bucket/key`, `http://host/path`, `https://host/path`. A key is taken as it
//! is written, without escapes. Knows no server.

use std::fmt;

use object_store::path::Path;

use crate::error::{Problem, StoreError};

/// Longest address, in bytes: keys of S3 have 1024 at most.
const ADDRESS_BYTES_MAX: usize = 4096;

/// Where an object lies, or a folder of objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// In a bucket of an S3-compatible store.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key, or the prefix of a folder; empty for the whole bucket.
        key: String,
    },
    /// One object on a web server, to read only.
    Http {
        /// The whole address.
        url: String,
    },
}

/// True if `text` is the address of something on a store or a web server rather than a local path.
pub fn is_remote(text: &str) -> bool {
    ["s3://", "http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

impl Location {
    /// Reads an address.
    ///
    /// # Errors
    /// It has another scheme, no bucket or host, a name or a password in it, or a key that no
    /// store's client could ask for.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let bad = |reason: &str| StoreError::new(shown_url(text), Problem::BadAddress(reason.into()));
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(bad("it is longer than 4096 bytes"));
        }
        if !is_remote(text) {
            return Err(bad("it begins with none of s3://, http:// and https://"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("it has no ://"))?;
        if scheme.eq_ignore_ascii_case("s3") {
            return Self::parse_s3(rest, &bad);
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains('@') {
            return Err(bad("names and passwords do not belong in it"));
        }
        let parsed = reqwest::Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        // The parser would take the path's beginning for a host.
        if host.is_empty() || parsed.host_str().is_none_or(str::is_empty) {
            return Err(bad("it names no host"));
        }
        Ok(Location::Http { url: text.to_owned() })
    }

    fn parse_s3(rest: &str, bad: &dyn Fn(&str) -> StoreError) -> Result<Self, StoreError> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if bucket.is_empty() || !bucket.bytes().all(legal) {
            return Err(bad("s3:// is followed by the name of a bucket"));
        }
        let readable = !key.starts_with('/') && !key.ends_with("//") && Path::parse(key).is_ok();
        if !readable {
            return Err(bad("its key has an empty component, a . or .., or a control character"));
        }
        Ok(Location::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl fmt::Display for Location {
    /// The address in full, also what of it people should not see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Location::Http { url } => f.write_str(url),
        }
    }
}

/// An address as people see it: queries of web addresses may hold signatures, and userinfo passwords.
pub(crate) fn shown_url(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(ADDRESS_BYTES_MAX).collect();
    let Some((scheme, rest)) =
        clean.split_once("://").filter(|(scheme, _)| !scheme.eq_ignore_ascii_case("s3"))
    else {
        return clean;
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit('@').next().unwrap_or_default();
    match path {
        Some(path) => format!("{scheme}://{host}/{path}"),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_in_a_sentence() {
        let s3 = |bucket: &str, key: &str| Location::S3 { bucket: bucket.into(), key: key.into() };
        assert_eq!(Location::parse("s3://b/logs/a b%20.csv").unwrap(), s3("b", "logs/a b%20.csv"));
        assert_eq!(Location::parse("S3://b").unwrap(), s3("b", ""));
        assert_eq!(Location::parse("s3://b/logs/").unwrap(), s3("b", "logs/"));
        assert!(matches!(Location::parse("https://h/p?q=1"), Ok(Location::Http { .. })));
        for (text, words) in [
            ("s3:///key", "name of a bucket"),
            ("s3://b//key", "empty component"),
            ("s3://b/a/../c", "a . or .."),
            ("https:///p", "host"),
            ("ftp://h/p", "s3://, http:// and https://"),
            ("https://me:hidden@h/p?token=hidden", "do not belong in it"),
        ] {
            let said = Location::parse(text).unwrap_err().to_string();
            assert!(said.contains(words) && !said.contains("hidden"), "{said}");
        }
        assert!(is_remote("HTTP://h/") && !is_remote("/s3://b") && !is_remote("s3:/b"));
    }
}
