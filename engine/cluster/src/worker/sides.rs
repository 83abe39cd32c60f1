//! Copies of side inputs on a worker: fetched once, however many attempts and jobs read them, and kept by
//! content in the data folder. Those that no job reads any more stay for jobs that come again, up to a bound
//! and as long as the disk has room; the one goes first that was used the longest time ago.
//!
//! Must not hand out what has other bytes than its name says, nor remove what a job reads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mr_model::{Failure, Side};
use tokio::sync::OnceCell;

use super::ask::Asker;
use super::data::UNFINISHED_SUFFIX;
use super::disk;
use super::tenants::Tenancy;
use crate::protocol::{ContentHash, CoordinatorKey, SIDE_PIECE_BYTES_MAX};

/// Bytes of side inputs that stay although no job reads them, on a disk that has room.
pub(super) const IDLE_BYTES_MAX: u64 = 16 << 30;
/// Ending of the files.
const ENDING: &str = "side";
/// Bytes that are hashed at once.
const PIECE_BYTES: usize = 1 << 20;

/// Set once the copy is there and was checked.
type Slot = Arc<OnceCell<()>>;

/// The copies in a folder. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Sides(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    /// A copy is in use where anybody else holds its slot.
    slots: Mutex<BTreeMap<ContentHash, Slot>>,
    /// Copies that were begun.
    begun: AtomicU64,
}

/// A copy that a job reads. It is there as long as this is.
#[derive(Debug, Clone)]
pub(super) struct HeldSide {
    path: PathBuf,
    _slot: Slot,
}

impl HeldSide {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Sides {
    /// Those in a folder.
    pub fn new(dir: PathBuf) -> Self {
        Self(Arc::new(Shared { dir, slots: Mutex::default(), begun: AtomicU64::new(0) }))
    }

    /// Copies of all side inputs of a job, in their order; what is not here is fetched, in room that the attempt of
    /// `tenancy` may take. A caller that is dropped while it waits leaves the work to the next one.
    pub async fn hold(
        &self,
        sides: &[Side],
        asker: &Asker,
        tenancy: &Tenancy,
    ) -> Result<Vec<HeldSide>, Failure> {
        Side::check_all(sides).map_err(Failure::internal)?;
        let mut held = Vec::new();
        for side in sides {
            held.push(self.hold_one(side, asker, tenancy).await?);
        }
        Ok(held)
    }

    async fn hold_one(&self, side: &Side, asker: &Asker, tenancy: &Tenancy) -> Result<HeldSide, Failure> {
        let hash =
            blake3::Hash::from_hex(&side.blake3).map_err(|error| Failure::internal(error.to_string()))?;
        let hash = *hash.as_bytes();
        let slot = self.slots().entry(hash).or_default().clone();
        slot.get_or_try_init(|| self.bring(hash, side, asker, tenancy)).await?;
        Ok(HeldSide { path: self.path(&hash), _slot: slot })
    }

    /// Sees to it that a copy is here and is what it has to be.
    async fn bring(
        &self,
        hash: ContentHash,
        side: &Side,
        asker: &Asker,
        tenancy: &Tenancy,
    ) -> Result<(), Failure> {
        let path = self.path(&hash);
        let (kept, bytes) = (path.clone(), side.bytes);
        if blocking(move || Ok(is_copy(&kept, hash, bytes))).await? {
            return Ok(());
        }
        self.fetch(hash, side, asker, tenancy).await.map_err(|failure| match failure {
            Failure::Disk { path, reason, full } => {
                Failure::Disk { path, reason: format!("side input {}: {reason}", side.name), full }
            }
            failure => failure,
        })?;
        tracing::info!(side = side.name, blake3 = side.blake3, bytes, "side input fetched");
        Ok(())
    }

    async fn fetch(
        &self,
        hash: ContentHash,
        side: &Side,
        asker: &Asker,
        tenancy: &Tenancy,
    ) -> Result<(), Failure> {
        let path = self.path(&hash);
        let what = format!("side input {}", side.name);
        self.make_room(side.bytes, tenancy).await?;
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        let mut copy = blocking(move || Copy::create(path, number)).await?;
        let mut start = 0;
        while start < side.bytes {
            let bytes = (side.bytes - start).min(SIDE_PIECE_BYTES_MAX);
            self.make_room(side.bytes - start, tenancy).await?;
            let piece = asker.description(&CoordinatorKey::Side { hash, start, bytes }, &what).await?;
            if piece.len() as u64 != bytes {
                return Err(Failure::internal(format!(
                    "the coordinator sent {} bytes of {what} from byte {start}, and {bytes} are there",
                    piece.len()
                )));
            }
            copy = blocking(move || copy.take(&piece)).await?;
            start += bytes;
        }
        blocking(move || copy.finish(hash, &what)).await
    }

    /// Waits until so many bytes fit beside the reserve; what nobody reads makes room first.
    async fn make_room(&self, bytes: u64, tenancy: &Tenancy) -> Result<(), Failure> {
        let (sides, reserve) = (self.clone(), tenancy.reserve_bytes());
        blocking(move || {
            sides.drop_idle(IDLE_BYTES_MAX.saturating_sub(bytes), bytes.saturating_add(reserve));
            Ok(())
        })
        .await?;
        tenancy.room(bytes).await
    }

    /// Removes copies that nobody reads until they are no more than `idle_max` bytes, and `free_wanted` bytes
    /// of the disk are free. Blocks.
    pub fn drop_idle(&self, idle_max: u64, free_wanted: u64) {
        let mut slots = self.slots();
        let mut idle = self.stored();
        idle.retain(|(_, _, hash)| slots.get(hash).is_none_or(|slot| Arc::strong_count(slot) == 1));
        idle.sort_unstable();
        let mut left = idle.iter().fold(0, |sum: u64, (_, bytes, _)| sum.saturating_add(*bytes));
        for (_, bytes, hash) in idle {
            // What cannot be told is enough: a copy that is gone has to be fetched again.
            let free = disk::free_bytes(&self.0.dir).unwrap_or(u64::MAX);
            if left <= idle_max && free >= free_wanted {
                break;
            }
            slots.remove(&hash);
            let path = self.path(&hash);
            match fs::remove_file(&path) {
                Ok(()) => tracing::debug!(path = %path.display(), bytes, "side input removed"),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a side input cannot be removed")
                }
            }
            left = left.saturating_sub(bytes);
        }
    }

    /// What is there: when it was used last, its length, its hash. What cannot be looked at is left out.
    fn stored(&self) -> Vec<(SystemTime, u64, ContentHash)> {
        let Ok(entries) = fs::read_dir(&self.0.dir) else { return Vec::new() };
        let look = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let hash = name.to_str()?.strip_suffix(ENDING)?.strip_suffix('.')?;
            let hash = *blake3::Hash::from_hex(hash).ok()?.as_bytes();
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), hash))
        };
        entries.flatten().filter_map(look).collect()
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.0.dir.join(format!("{}.{ENDING}", blake3::Hash::from_bytes(*hash).to_hex()))
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<ContentHash, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a file is a whole copy; if so, it counts as used now. One of an earlier process is not believed.
fn is_copy(path: &Path, hash: ContentHash, bytes: u64) -> bool {
    let look = || {
        let mut file = File::open(path)?;
        if file.metadata()?.len() != bytes {
            return Ok(false);
        }
        let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; PIECE_BYTES]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            };
        }
        let is_copy = *hasher.finalize().as_bytes() == hash;
        // Where the time cannot be set, it only goes sooner.
        let _ = file.set_modified(SystemTime::now());
        io::Result::Ok(is_copy)
    };
    look().unwrap_or(false)
}

/// A copy on its way here; what is not finished is removed.
#[derive(Debug)]
struct Copy {
    file: File,
    path: PathBuf,
    unfinished: Unfinished,
    hasher: blake3::Hasher,
}

#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

impl Copy {
    /// `number` tells it from one that was given up and is not gone yet.
    fn create(path: PathBuf, number: u64) -> Result<Self, Failure> {
        let mut name = path.clone().into_os_string();
        name.push(format!(".{number}{UNFINISHED_SUFFIX}"));
        let name = PathBuf::from(name);
        let file = File::create(&name).map_err(|error| Failure::disk(&name, &error))?;
        Ok(Self { file, path, unfinished: Unfinished(name), hasher: blake3::Hasher::new() })
    }

    fn take(mut self, piece: &[u8]) -> Result<Self, Failure> {
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(|error| Failure::disk(&self.unfinished.0, &error))?;
        Ok(self)
    }

    /// Gives it its name. `what` names it for people.
    fn finish(self, hash: ContentHash, what: &str) -> Result<(), Failure> {
        let found = self.hasher.finalize();
        if *found.as_bytes() != hash {
            let wanted = blake3::Hash::from_bytes(hash);
            let message =
                format!("{what} with blake3 {wanted} arrived with the bytes of {found}; it is refused");
            return Err(Failure::internal(message));
        }
        fs::rename(&self.unfinished.0, &self.path).map_err(|error| Failure::disk(&self.path, &error))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::internal(format!("storing a side input failed: {error}"))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn put(sides: &Sides, content: &[u8], age: u64) -> ContentHash {
        let hash = *blake3::hash(content).as_bytes();
        let copy = Copy::create(sides.path(&hash), 0).unwrap();
        copy.take(content).unwrap().finish(hash, "side input v").unwrap();
        let then = SystemTime::now() - Duration::from_secs(60 * age);
        File::open(sides.path(&hash)).unwrap().set_modified(then).unwrap();
        hash
    }

    #[test]
    fn other_bytes_than_the_hash_says_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sides = Sides::new(dir.path().to_owned());
        let hash = *blake3::hash(b"right").as_bytes();
        let copy = Copy::create(sides.path(&hash), 0).unwrap().take(b"wrong").unwrap();
        let refused = copy.finish(hash, "side input v").unwrap_err().to_string();
        assert!(
            refused.contains("side input v with blake3 ") && refused.ends_with("it is refused"),
            "{refused}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
        // Nor is a file believed that somebody left under its name.
        fs::write(sides.path(&hash), b"wrong").unwrap();
        assert!(!is_copy(&sides.path(&hash), hash, 5));
        fs::write(sides.path(&hash), b"right").unwrap();
        assert!(is_copy(&sides.path(&hash), hash, 5) && !is_copy(&sides.path(&hash), hash, 6));
    }

    #[test]
    fn what_no_job_reads_goes_by_its_last_use() {
        let dir = tempfile::tempdir().unwrap();
        let sides = Sides::new(dir.path().to_owned());
        let [old, held, new] =
            [(b"old", 3), (b"job", 2), (b"new", 1)].map(|(content, age)| put(&sides, content, age));
        let there = || [old, held, new].map(|hash| sides.path(&hash).exists());
        let slot = sides.slots().entry(held).or_default().clone();
        sides.drop_idle(6, 0);
        assert_eq!(there(), [true, true, true]);
        sides.drop_idle(5, 0);
        assert_eq!(there(), [false, true, true]);
        // A disk without room keeps only what is read.
        sides.drop_idle(u64::MAX, u64::MAX);
        assert_eq!(there(), [false, true, false]);
        drop(slot);
        sides.drop_idle(0, 0);
        assert_eq!(there(), [false, false, false]);
        assert!(sides.slots().is_empty());
    }
}
