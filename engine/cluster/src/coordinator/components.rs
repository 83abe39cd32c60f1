//! The components of submitted jobs, one file each under its BLAKE3. Whole or not there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mr_net::SegmentInfo;

use crate::protocol::ComponentHash;

/// Ending of files that are not complete.
const PARTIAL: &str = "partial";

/// The folder of components.
#[derive(Debug, Clone)]
pub struct Components {
    dir: PathBuf,
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
        Ok(Self { dir })
    }

    /// Whether a component is there.
    pub fn has(&self, hash: &ComponentHash) -> bool {
        self.path(hash).is_file()
    }

    /// Where a component is, or would be.
    pub fn path(&self, hash: &ComponentHash) -> PathBuf {
        self.dir.join(file_name(hash))
    }

    /// Forgets a component that no job may have. What cannot be removed now is at the next start.
    pub fn forget(&self, hash: &ComponentHash) {
        let _ = fs::remove_file(self.path(hash));
    }

    /// Begins to take a component of `bytes` bytes. `number` tells those apart that come at once.
    pub fn receive(&self, hash: ComponentHash, bytes: u64, number: u64) -> io::Result<Receiving> {
        let partial = self.dir.join(format!("{}.{number}.{PARTIAL}", file_name(&hash)));
        let file = File::create(&partial)?;
        let hasher = blake3::Hasher::new();
        Ok(Receiving { file, partial: Partial(partial), path: self.path(&hash), hash, hasher, left: bytes })
    }
}

fn file_name(hash: &ComponentHash) -> String {
    format!("{}.wasm", blake3::Hash::from_bytes(*hash).to_hex())
}

/// Length and hash of a file, as a segment of the network has them.
pub fn segment_info(path: &Path) -> io::Result<(Vec<u8>, SegmentInfo)> {
    let bytes = fs::read(path)?;
    let info = SegmentInfo::of(&bytes);
    Ok((bytes, info))
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
