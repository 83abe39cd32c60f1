//! The components of submitted jobs, one file each under its BLAKE3. Whole or not there. Those that no
//! submission in progress and no job names any more are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::protocol::{ComponentHash, SubmitHead};

/// Ending of files that are not complete.
const PARTIAL: &str = "partial";

/// The folder of components.
#[derive(Debug, Clone)]
pub struct Components {
    dir: PathBuf,
    claims: Arc<Mutex<Claims>>,
}

/// Who needs which component, as far as no job tells.
#[derive(Debug, Default)]
struct Claims {
    /// Submissions in progress that name a component.
    held: BTreeMap<ComponentHash, usize>,
    /// Components that may have lost the last one that named them.
    released: BTreeSet<ComponentHash>,
}

/// The components of a submission in progress, which stay while this lives.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Mutex<Claims>>,
    hashes: Vec<ComponentHash>,
}

impl Components {
    /// Opens the folder, made if it is missing, and removes whatever is not in `wanted`.
    pub fn open(dir: PathBuf, wanted: &BTreeSet<ComponentHash>) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let wanted: BTreeSet<String> = wanted.iter().map(file_name).collect();
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !wanted.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { dir, claims: Arc::default() })
    }

    /// Keeps the components of a submission while it is in progress.
    pub fn claim(&self, head: &SubmitHead) -> Claim {
        let hashes: Vec<_> = head.components.iter().map(|(hash, _)| *hash).collect();
        let mut claims = lock(&self.claims);
        for hash in &hashes {
            *claims.held.entry(*hash).or_default() += 1;
        }
        Claim { claims: self.claims.clone(), hashes }
    }

    /// Says that a job which named these components is no more.
    pub fn release(&self, hashes: impl IntoIterator<Item = ComponentHash>) {
        lock(&self.claims).released.extend(hashes);
    }

    /// Removes what was released and is needed neither by a submission in progress nor as `is_named`
    /// says. For the thread that alone decides what is named: a component is claimed from before it is
    /// looked for until after a job names it, so that it is never removed in between.
    pub fn collect(&self, is_named: impl Fn(&ComponentHash) -> bool) {
        let mut claims = lock(&self.claims);
        for hash in std::mem::take(&mut claims.released) {
            // One that is claimed is released again.
            if !claims.held.contains_key(&hash) && !is_named(&hash) {
                // What stays is removed at the next start.
                let _ = fs::remove_file(self.path(&hash));
            }
        }
    }

    /// Whether a component is there.
    pub fn has(&self, hash: &ComponentHash) -> bool {
        self.path(hash).is_file()
    }

    /// Where a component is, or would be.
    pub fn path(&self, hash: &ComponentHash) -> PathBuf {
        self.dir.join(file_name(hash))
    }

    /// Begins to take a component of `bytes` bytes. `number` tells those apart that come at once.
    pub fn receive(&self, hash: ComponentHash, bytes: u64, number: u64) -> io::Result<Receiving> {
        let partial = self.dir.join(format!("{}.{number}.{PARTIAL}", file_name(&hash)));
        let file = File::create(&partial)?;
        let hasher = blake3::Hasher::new();
        Ok(Receiving { file, partial: Partial(partial), path: self.path(&hash), hash, hasher, left: bytes })
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
                claims.released.insert(*hash);
            }
        }
    }
}

fn lock(claims: &Mutex<Claims>) -> MutexGuard<'_, Claims> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file_name(hash: &ComponentHash) -> String {
    format!("{}.wasm", blake3::Hash::from_bytes(*hash).to_hex())
}

/// A component on its way in.
pub struct Receiving {
    file: File,
    partial: Partial,
    path: PathBuf,
    hash: ComponentHash,
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

    /// Gives the complete component its name; false where it is not what was announced.
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
    use mr_model::JobId;

    use super::*;

    fn head(components: &[ComponentHash]) -> SubmitHead {
        let components = components.iter().map(|hash| (*hash, 1)).collect();
        SubmitHead { job: JobId::new("job").unwrap(), digest: [0; 32], components, plan_bytes: 0 }
    }

    fn store(components: &Components, content: &[u8]) -> ComponentHash {
        let hash = *blake3::hash(content).as_bytes();
        let mut receiving = components.receive(hash, content.len() as u64, 0).unwrap();
        assert!(receiving.take(content).unwrap() && receiving.finish().unwrap());
        hash
    }

    #[test]
    fn what_nobody_names_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let components = Components::open(dir.path().join("c"), &BTreeSet::new()).unwrap();
        let (a, b) = (store(&components, b"a"), store(&components, b"b"));
        let there = || (components.has(&a), components.has(&b));
        let (first, second) = (components.claim(&head(&[a, b])), components.claim(&head(&[b, b])));
        components.collect(|_| false);
        assert_eq!(there(), (true, true), "both are claimed");
        drop(first);
        components.collect(|hash| *hash == a);
        assert_eq!(there(), (true, true), "a job names the one, a submission the other");
        components.collect(|_| false);
        assert_eq!(there(), (true, true), "nothing was released since");
        components.release([a]);
        drop(second);
        components.collect(|_| false);
        assert_eq!(there(), (false, false));
    }
}
