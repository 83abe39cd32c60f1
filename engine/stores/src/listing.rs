//! Which objects an address or a pattern means. A prefix is a folder, globs are those of local paths, and
//! names that begin with `.` or `_` do not count below either unless the pattern spells them, so that an
//! output can be the next input. Objects come in the order of the bytes of their keys.

use futures_util::TryStreamExt;
use globset::{GlobBuilder, GlobMatcher};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::error::{Problem, StoreError};
use crate::identity::Identity;
use crate::location::{Location, shown_url};
use crate::stores::{Stores, head, parse_key};
use crate::web;

/// Most objects that one listing looks at; about 200 bytes of memory each.
pub(crate) const OBJECTS_MAX: usize = 2_000_000;

/// An object to read, as it was when it was listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RemoteFile {
    /// Its address in full.
    pub url: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What tells this state of it from others; compared, never shown.
    pub fingerprint: String,
}

impl Stores {
    /// The objects that `pattern` means: an object by its name, else a folder and all below it, else, with
    /// `*`, `?`, `[` or `{` in it, those that match and those below folders that match. An address of a
    /// web server means that one object.
    ///
    /// # Errors
    /// Nothing is meant by it, the store refuses or cannot be reached, a key is none that the client could
    /// ask for, or there are more than two million objects.
    pub fn list(&self, pattern: &str) -> Result<Vec<RemoteFile>, StoreError> {
        self.run(async {
            match Location::parse(pattern)? {
                Location::Http { url } => {
                    let identity = web::probe(self.transport()?, &url).await?;
                    Ok(vec![RemoteFile { bytes: identity.bytes, fingerprint: identity.fingerprint(), url }])
                }
                Location::S3 { bucket, key } => {
                    let store = self.bucket(&bucket)?;
                    let mut files = match is_glob(&key) {
                        true => glob(&store, &bucket, &key).await?,
                        false => named(&store, &bucket, &key).await?,
                    };
                    files.sort_by(|a, b| a.url.as_bytes().cmp(b.url.as_bytes()));
                    Ok(files)
                }
            }
        })
    }
}

/// An object by its name, or what is below a folder.
async fn named(store: &AmazonS3, bucket: &str, key: &str) -> Result<Vec<RemoteFile>, StoreError> {
    let url = format!("s3://{bucket}/{key}");
    let path = parse_key(&url, key)?;
    if !key.is_empty()
        && !key.ends_with('/')
        && let Some(found) = head(store, &path, &url).await?
    {
        return Ok(vec![file(bucket, &found.meta)]);
    }
    let mut any = false;
    let files = walk(store, &url, &path, |below| {
        any = true;
        !below.split('/').any(is_hidden)
    });
    let files: Vec<RemoteFile> = files.await?.iter().map(|meta| file(bucket, meta)).collect();
    if any { Ok(files) } else { Err(StoreError::new(url, Problem::NoMatch)) }
}

/// What a pattern matches.
async fn glob(store: &AmazonS3, bucket: &str, pattern: &str) -> Result<Vec<RemoteFile>, StoreError> {
    let url = format!("s3://{bucket}/{pattern}");
    let meta = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
    let (base, rest) = pattern.split_at(pattern[..meta].rfind('/').map_or(0, |slash| slash + 1));
    let glob = Glob::parse(rest)
        .map_err(|error| StoreError::new(&url, Problem::BadPattern(error.kind().to_string())))?;
    let found = walk(store, &url, &parse_key(&url, base)?, |below| glob.takes(below)).await?;
    if found.is_empty() {
        return Err(StoreError::new(url, Problem::NoMatch));
    }
    Ok(found.iter().map(|meta| file(bucket, meta)).collect())
}

/// Objects below a folder whose keys, relative to it, `takes` takes.
async fn walk(
    store: &AmazonS3,
    url: &str,
    folder: &Path,
    mut takes: impl FnMut(&str) -> bool,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let mut listing = store.list(Some(folder));
    let (mut found, mut seen) = (Vec::new(), 0);
    let whole = folder.as_ref().len() + usize::from(!folder.as_ref().is_empty());
    while let Some(meta) = listing.try_next().await.map_err(|error| StoreError::from_client(url, &error))? {
        seen += 1;
        if seen > OBJECTS_MAX {
            return Err(StoreError::new(url, Problem::TooMany(OBJECTS_MAX)));
        }
        // The empty object that stands for a folder in some tools comes without its slash, thus too short.
        if let Some(below) = meta.location.as_ref().get(whole..).filter(|below| !below.is_empty())
            && takes(below)
        {
            found.push(meta);
        }
    }
    Ok(found)
}

fn file(bucket: &str, meta: &ObjectMeta) -> RemoteFile {
    let url = format!("s3://{bucket}/{}", meta.location);
    RemoteFile { url, bytes: meta.size, fingerprint: Identity::from(meta).fingerprint() }
}

fn is_glob(key: &str) -> bool {
    key.contains(['*', '?', '[', '{'])
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// A glob below its longest literal folder.
struct Glob {
    whole: GlobMatcher,
    /// Its components that spell a leading `.` or `_`, thus mean hidden names.
    hidden: Vec<GlobMatcher>,
}

impl Glob {
    fn parse(pattern: &str) -> Result<Self, globset::Error> {
        let names: Vec<&str> = components(pattern).filter(|name| !name.is_empty()).collect();
        let hidden = names.iter().filter(|name| spells_hidden(name)).map(|name| matcher(name));
        Ok(Self { whole: matcher(&names.join("/"))?, hidden: hidden.collect::<Result<_, _>>()? })
    }

    /// Whether it matches a key or a folder that the key is in.
    fn takes(&self, key: &str) -> bool {
        let mut ends = key.match_indices('/').map(|(at, _)| at).chain([key.len()]);
        let Some(matched) = ends.find(|end| self.whole.is_match(&key[..*end])) else { return false };
        let named = |name: &str| self.hidden.iter().any(|glob| glob.is_match(name));
        let mut within = key[..matched].split('/');
        let mut below = key[matched..].split('/');
        within.all(|name| !is_hidden(name) || named(name)) && !below.any(is_hidden)
    }
}

fn spells_hidden(name: &str) -> bool {
    let starts = |at: usize| at == 0 || matches!(name.as_bytes()[at - 1], b'{' | b',');
    name.bytes().enumerate().any(|(at, byte)| matches!(byte, b'.' | b'_') && starts(at))
}

fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher())
}

/// Splits at every `/` that is not within braces.
fn components(pattern: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    pattern.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == '/' && depth <= 0
    })
}

impl RemoteFile {
    /// The address as people see it, without what could be secret.
    pub fn shown(&self) -> String {
        shown_url(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_keys_and_folders_and_leave_hidden_names() {
        let takes = |pattern: &str, key: &str| Glob::parse(pattern).unwrap().takes(key);
        for (pattern, key, taken) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "b/a.csv", false),
            ("**/*.csv", "b/c/a.csv", true),
            ("20*", "2024/01/part", true),
            ("20*", "2024/_temporary/part", false),
            ("20*", "2024/.part", false),
            ("*", "_SUCCESS", false),
            ("_*", "_SUCCESS", true),
            ("{_a,b}/*", "_a/x", true),
            ("{_a,b}/*", "_a/_x", false),
            ("{a/b,c}", "a/b/part", true),
            ("?/[ab]", "x/b", true),
            ("?/[ab]", "x/c", false),
        ] {
            assert_eq!(takes(pattern, key), taken, "{pattern} {key}");
        }
    }
}
