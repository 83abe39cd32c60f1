//! What submitted jobs bring along, stored by content: components, and side inputs. One file each under its
//! BLAKE3, whole or not there. What no submission in progress and no job names any more is idle: it is
//! removed, the one first that was named the longest time ago, until no more than a bound is left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::protocol::ContentHash;

/// Ending of files that are not complete.
const PARTIAL: &str = "partial";

/// A folder of contents of one kind.
#[derive(Debug, Clone)]
pub struct Contents {
    dir: PathBuf,
    /// Ending of the files.
    ending: &'static str,
    /// Bytes that stay although nobody names them, for jobs that come again.
    idle_bytes_max: u64,
    claims: Arc<Mutex<Claims>>,
}

/// Who needs what, as far as no job tells.
#[derive(Debug, Default)]
struct Claims {
    /// Submissions in progress that name a content.
    held: BTreeMap<ContentHash, usize>,
    /// Something may have lost the last one that named it.
    released: bool,
}

/// What a submission in progress names, which stays while this lives.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Mutex<Claims>>,
    hashes: Vec<ContentHash>,
}

impl Contents {
    /// Opens the folder, made if it is missing, and removes what is no whole content. What is idle goes with
    /// the first [`Contents::collect`].
    pub fn open(dir: PathBuf, ending: &'static str, idle_bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let claims = Arc::new(Mutex::new(Claims { released: true, ..Claims::default() }));
        let contents = Self { dir, ending, idle_bytes_max, claims };
        for entry in fs::read_dir(&contents.dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| contents.hash_of(name).is_none()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(contents)
    }

    /// Keeps what a submission names while it is in progress, and notes that it was named.
    pub fn claim(&self, hashes: impl IntoIterator<Item = ContentHash>) -> Claim {
        let hashes: Vec<_> = hashes.into_iter().collect();
        let mut claims = lock(&self.claims);
        for hash in &hashes {
            *claims.held.entry(*hash).or_default() += 1;
            // Where the time cannot be set, it only goes sooner.
            let _ = File::open(self.path(hash)).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Claim { claims: self.claims.clone(), hashes }
    }

    /// Says that a job which named something is no more.
    pub fn release(&self) {
        lock(&self.claims).released = true;
    }

    /// Removes what is idle and too much, if anything was released since the last time: what is needed
    /// neither by a submission in progress nor as `is_named` says. For the thread that alone decides what is
    /// named: a content is claimed from before it is looked for until after a job names it, so that it is
    /// never removed in between.
    pub fn collect(&self, is_named: impl Fn(&ContentHash) -> bool) {
        let mut claims = lock(&self.claims);
        if !std::mem::take(&mut claims.released) {
            return;
        }
        let idle = |hash: &ContentHash| !claims.held.contains_key(hash) && !is_named(hash);
        let mut idle: Vec<_> = self.stored().into_iter().filter(|stored| idle(&stored.2)).collect();
        idle.sort_unstable();
        let mut bytes = idle.iter().fold(0, |sum: u64, (_, bytes, _)| sum.saturating_add(*bytes));
        for (_, size, hash) in idle {
            if bytes <= self.idle_bytes_max {
                break;
            }
            // What stays is tried again.
            let _ = fs::remove_file(self.path(&hash));
            bytes -= size;
        }
    }

    /// Whether a content is there.
    pub fn has(&self, hash: &ContentHash) -> bool {
        self.path(hash).is_file()
    }

    /// Where a content is, or would be.
    pub fn path(&self, hash: &ContentHash) -> PathBuf {
        self.dir.join(self.file_name(hash))
    }

    /// Begins to take a content of `bytes` bytes. `number` tells those apart that come at once.
    pub fn receive(&self, hash: ContentHash, bytes: u64, number: u64) -> io::Result<Receiving> {
        let partial = self.dir.join(format!("{}.{number}.{PARTIAL}", self.file_name(&hash)));
        let file = File::create(&partial)?;
        let hasher = blake3::Hasher::new();
        Ok(Receiving { file, partial: Partial(partial), path: self.path(&hash), hash, hasher, left: bytes })
    }

    /// What is there: when it was named last, its length, its hash. What cannot be looked at is left out.
    fn stored(&self) -> Vec<(SystemTime, u64, ContentHash)> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let look = |entry: fs::DirEntry| {
            let hash = self.hash_of(entry.file_name().to_str()?)?;
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), hash))
        };
        entries.flatten().filter_map(look).collect()
    }

    fn file_name(&self, hash: &ContentHash) -> String {
        format!("{}.{}", blake3::Hash::from_bytes(*hash).to_hex(), self.ending)
    }

    fn hash_of(&self, name: &str) -> Option<ContentHash> {
        let hash = name.strip_suffix(self.ending)?.strip_suffix('.')?;
        blake3::Hash::from_hex(hash).ok().map(|hash| *hash.as_bytes())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = lock(&self.claims);
        for hash in &self.hashes {
            let left = claims.held.remove(hash).unwrap_or(1) - 1;
            if left > 0 {
                claims.held.insert(*hash, left);
            } else {
                claims.released = true;
            }
        }
    }
}

fn lock(claims: &Mutex<Claims>) -> MutexGuard<'_, Claims> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A content on its way in.
pub struct Receiving {
    file: File,
    partial: Partial,
    path: PathBuf,
    hash: ContentHash,
    hasher: blake3::Hasher,
    left: u64,
}

/// A file that is removed unless it gets its name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

impl Receiving {
    /// Bytes that are missing.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes the next bytes; false where they are more than were announced.
    pub fn take(&mut self, chunk: &[u8]) -> io::Result<bool> {
        let Some(left) = self.left.checked_sub(chunk.len() as u64) else { return Ok(false) };
        self.left = left;
        self.hasher.update(chunk);
        self.file.write_all(chunk)?;
        Ok(true)
    }

    /// Gives the complete content its name; false where it is not what was announced.
    pub fn finish(self) -> io::Result<bool> {
        if self.left > 0 || *self.hasher.finalize().as_bytes() != self.hash {
            return Ok(false);
        }
        self.file.sync_all()?;
        fs::rename(&self.partial.0, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn store(contents: &Contents, content: &[u8]) -> ContentHash {
        let hash = *blake3::hash(content).as_bytes();
        let mut receiving = contents.receive(hash, content.len() as u64, 0).unwrap();
        assert!(receiving.take(content).unwrap() && receiving.finish().unwrap());
        hash
    }

    #[test]
    fn what_nobody_names_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let contents = Contents::open(dir.path().join("c"), "wasm", 0).unwrap();
        contents.collect(|_| false);
        let (a, b) = (store(&contents, b"a"), store(&contents, b"b"));
        let there = || (contents.has(&a), contents.has(&b));
        let (first, second) = (contents.claim([a, b]), contents.claim([b, b]));
        contents.collect(|_| false);
        assert_eq!(there(), (true, true), "both are claimed");
        drop(first);
        contents.collect(|hash| *hash == a);
        assert_eq!(there(), (true, true), "a job names the one, a submission the other");
        contents.collect(|_| false);
        assert_eq!(there(), (true, true), "nothing was released since");
        contents.release();
        drop(second);
        contents.collect(|_| false);
        assert_eq!(there(), (false, false));
    }

    #[test]
    fn what_is_idle_stays_up_to_a_bound_also_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Contents::open(dir.path().to_owned(), "side", 5).unwrap();
        let contents = open();
        let [old, named, new] = [b"old", b"job", b"new"].map(|content| store(&contents, content));
        for (age, hash) in [(3, old), (2, named), (1, new)] {
            let then = SystemTime::now() - Duration::from_secs(60 * age);
            File::open(contents.path(&hash)).unwrap().set_modified(then).unwrap();
        }
        fs::write(dir.path().join("half.side.7.partial"), "ha").unwrap();
        let there = |contents: &Contents| [old, named, new].map(|hash| contents.has(&hash));
        let contents = open();
        assert!(!dir.path().join("half.side.7.partial").exists());
        // Whoever names it again keeps it.
        drop(contents.claim([old]));
        contents.collect(|hash| *hash == named);
        assert_eq!(there(&contents), [true, true, false]);
        contents.release();
        contents.collect(|_| false);
        assert_eq!(there(&contents), [true, false, false]);
    }

    #[test]
    fn what_is_not_what_its_hash_says_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let contents = Contents::open(dir.path().to_owned(), "side", 5).unwrap();
        let hash = *blake3::hash(b"right").as_bytes();
        let mut receiving = contents.receive(hash, 5, 0).unwrap();
        assert!(receiving.take(b"wrong").unwrap());
        assert!(!receiving.finish().unwrap() && !contents.has(&hash));
        let mut receiving = contents.receive(hash, 5, 0).unwrap();
        assert!(!receiving.take(b"right and more").unwrap());
        drop(receiving);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
