//! What a writer does when the disk is full: it fails, or where somebody makes room it waits a while.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pause between two tries to write.
const TRY_PERIOD: Duration = Duration::from_millis(20);

/// How long a writer waits for room, and what ends its waiting. The usual one does not wait.
#[derive(Clone, Default)]
pub struct FullDisk {
    patience: Duration,
    cancelled: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl FullDisk {
    /// Waits for room, each time up to `patience`, unless it is `cancelled`. With no patience it fails at
    /// once.
    pub fn wait(patience: Duration, cancelled: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { patience, cancelled: Some(Arc::new(cancelled)) }
    }

    /// Writes all of it to the end of a file.
    ///
    /// # Errors
    /// Those of the system; that the disk is full only after it was waited for room.
    pub fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.write_with(bytes, |left| file.write(left))
    }

    /// Writes all of it with `write`, which is given what is left and answers how much of it was taken.
    ///
    /// # Errors
    /// Those of `write`; that the disk is full only after it was waited for room.
    pub fn write_with(
        &self,
        mut bytes: &[u8],
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let mut full_since = None;
        while !bytes.is_empty() {
            match write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    bytes = bytes.get(taken..).unwrap_or_default();
                    full_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => {
                    let since = *full_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.patience || self.is_cancelled() {
                        return Err(error);
                    }
                    std::thread::sleep(TRY_PERIOD);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.as_ref().is_some_and(|cancelled| cancelled())
    }
}

impl fmt::Debug for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullDisk").field("patience", &self.patience).finish_non_exhaustive()
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for one byte at a time after each time that it was full.
    fn narrow(written: &mut Vec<u8>) -> impl FnMut(&[u8]) -> io::Result<usize> {
        let mut full = false;
        move |bytes| {
            full = !full;
            if full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            written.push(bytes[0]);
            Ok(1)
        }
    }

    #[test]
    fn what_did_not_fit_is_written_when_there_is_room_and_nothing_twice() {
        let mut written = Vec::new();
        let patient = FullDisk::wait(Duration::from_secs(3600), || false);
        patient.write_with(b"abc", narrow(&mut written)).unwrap();
        assert_eq!(written, b"abc");
    }

    #[test]
    fn without_patience_or_after_a_cancel_a_full_disk_is_an_error() {
        let hurried = FullDisk::default();
        let cancelled = FullDisk::wait(Duration::from_secs(3600), || true);
        for full in [hurried, cancelled] {
            let mut written = Vec::new();
            let error = full.write_with(b"abc", narrow(&mut written)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(written.is_empty());
        }
    }
}
