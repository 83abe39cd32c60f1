//! What tells one state of an object from another: its tag, or when it was written and how long it is.

use object_store::ObjectMeta;

/// An object as a server told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub e_tag: Option<String>,
    /// When it was written, in the server's words or in seconds, always alike for one kind of server.
    pub modified: Option<String>,
    pub bytes: u64,
}

const TAG: &str = "etag:";
const MODIFIED: &str = "modified:";

impl Identity {
    /// As text that is compared as a whole.
    pub(crate) fn fingerprint(&self) -> String {
        match (&self.e_tag, &self.modified) {
            (Some(tag), _) => format!("{TAG}{tag}"),
            (None, Some(modified)) => format!("{MODIFIED}{modified}, {} bytes", self.bytes),
            (None, None) => format!("{} bytes", self.bytes),
        }
    }

    /// What differs from an object of this fingerprint and length, if anything does. What a server left out
    /// this time differs from nothing.
    pub(crate) fn change(&self, fingerprint: &str, bytes: u64) -> Option<String> {
        if self.bytes != bytes {
            return Some(format!("it has {} bytes and had {bytes}", self.bytes));
        }
        let known = match (fingerprint.strip_prefix(TAG), &self.e_tag, &self.modified) {
            (Some(tag), Some(now), _) => tag == now,
            (None, _, Some(_)) if fingerprint.starts_with(MODIFIED) => {
                Self { e_tag: None, ..self.clone() }.fingerprint() == fingerprint
            }
            _ => true,
        };
        (!known).then(|| "it was written again".into())
    }
}

impl From<&ObjectMeta> for Identity {
    fn from(meta: &ObjectMeta) -> Self {
        // Listings tell fractions of seconds that headers do not.
        let modified = Some(meta.last_modified.timestamp()).filter(|seconds| *seconds != 0);
        let modified = modified.map(|seconds| seconds.to_string());
        Self { e_tag: meta.e_tag.clone(), modified, bytes: meta.size }
    }
}

/// The tag to ask for, where the fingerprint has one that a condition can hold: weak tags never match.
pub(crate) fn tag(fingerprint: &str) -> Option<&str> {
    fingerprint.strip_prefix(TAG).filter(|tag| !tag.starts_with("W/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_the_best_that_both_sides_know() {
        let identity = |tag: Option<&str>, modified: Option<&str>, bytes| Identity {
            e_tag: tag.map(str::to_owned),
            modified: modified.map(str::to_owned),
            bytes,
        };
        let tagged = identity(Some("\"a\""), Some("1"), 5);
        let dated = identity(None, Some("1"), 5);
        for (now, then, changed) in [
            (tagged.clone(), tagged.fingerprint(), false),
            (identity(Some("\"b\""), Some("1"), 5), tagged.fingerprint(), true),
            (tagged.clone(), dated.fingerprint(), false),
            (identity(Some("\"a\""), Some("2"), 5), dated.fingerprint(), true),
            (dated.clone(), tagged.fingerprint(), false),
            (identity(Some("\"a\""), None, 6), tagged.fingerprint(), true),
            (identity(None, None, 5), identity(None, None, 5).fingerprint(), false),
        ] {
            assert_eq!(now.change(&then, 5).is_some(), changed, "{now:?} after {then}");
        }
        assert_eq!(tag("etag:\"a\""), Some("\"a\""));
        assert_eq!(tag("etag:W/\"a\""), None);
    }
}
