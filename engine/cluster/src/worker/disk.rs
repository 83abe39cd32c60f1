//! Whether the data folder has room. Below the reserve a worker takes nothing new, and only some way
//! above it again, so that it does not go to and fro.

use std::io;
use std::path::{Path, PathBuf};

use mr_model::Failure;

/// What has to be free beyond the reserve before attempts are taken again, as a share of it: one in
/// so many.
const HYSTERESIS_SHARE: u64 = 4;

/// The room of a folder, as last seen.
#[derive(Debug)]
pub(super) struct Room {
    reserve_bytes: u64,
    free_bytes: u64,
    enough: bool,
}

impl Room {
    /// A folder that has `free_bytes` now.
    pub fn new(reserve_bytes: u64, free_bytes: u64) -> Self {
        Self { reserve_bytes, free_bytes, enough: free_bytes >= reserve_bytes }
    }

    /// Takes a new measurement.
    pub fn measured(&mut self, free_bytes: u64) {
        self.free_bytes = free_bytes;
        let wanted = if self.enough { self.reserve_bytes } else { enough_again(self.reserve_bytes) };
        self.enough = free_bytes >= wanted;
    }

    /// Free space, in bytes.
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    /// Whether attempts are taken.
    pub fn is_enough(&self) -> bool {
        self.enough
    }
}

/// What has to be free before attempts are taken again, in bytes.
pub(super) fn enough_again(reserve_bytes: u64) -> u64 {
    reserve_bytes.saturating_add(reserve_bytes / HYSTERESIS_SHARE)
}

/// Space of a folder that this user may still fill, in bytes. Blocks.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The same without blocking; nothing is free where it cannot be told.
pub(super) async fn measure(path: PathBuf) -> u64 {
    let measured = tokio::task::spawn_blocking(move || {
        free_bytes(&path).inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "the free space of the data folder cannot be told");
        })
    });
    measured.await.ok().and_then(Result::ok).unwrap_or(0)
}

/// Refuses `bytes` more where that would use up the reserve.
pub(super) async fn check(path: &Path, bytes: u64, reserve_bytes: u64) -> Result<(), Failure> {
    let free = measure(path.to_owned()).await;
    if free.saturating_sub(bytes) >= reserve_bytes {
        return Ok(());
    }
    let reason = format!("{bytes} bytes are needed and {free} are free, of which {reserve_bytes} stay free");
    Err(Failure::Disk { path: path.to_owned(), reason, full: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_to_get_well_above_the_reserve() {
        let mut room = Room::new(1000, 1000);
        assert!(room.is_enough());
        room.measured(999);
        assert!(!room.is_enough());
        room.measured(1249);
        assert!(!room.is_enough());
        room.measured(1250);
        assert!(room.is_enough());
        room.measured(1000);
        assert!(room.is_enough());
    }

    #[tokio::test]
    async fn a_check_keeps_the_reserve() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(dir.path(), 1, 1).await, Ok(()));
        let refused = check(dir.path(), 1, u64::MAX).await.unwrap_err();
        assert!(matches!(refused, Failure::Disk { full: true, .. }), "{refused}");
        assert_eq!(measure(dir.path().join("missing")).await, 0);
    }
}
