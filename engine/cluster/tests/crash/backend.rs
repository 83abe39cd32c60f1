//! Storage of a journal that counts its steps, and that can lose whatever was not forced to disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::StorageBackend;

use crate::steps;

/// What a crash leaves of writes that were not forced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// All of them: the process dies, the machine does not.
    Kept,
    /// None of them: the machine dies.
    Lost,
}

/// The journal's file.
#[derive(Debug)]
pub struct Backend {
    file: File,
    unsynced: Unsynced,
    /// The content as the database sees it, where it is ahead of the file.
    ahead: Mutex<Option<Vec<u8>>>,
}

impl Backend {
    /// Opens or makes the file.
    pub fn open(path: &Path, unsynced: Unsynced) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let backend = Self { file, unsynced, ahead: Mutex::default() };
        if unsynced == Unsynced::Lost {
            let mut content = vec![0; usize::try_from(backend.file.metadata()?.len()).unwrap()];
            backend.file.read_exact_at(&mut content, 0)?;
            *backend.ahead() = Some(content);
        }
        Ok(backend)
    }

    fn ahead(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        match self.ahead().as_ref() {
            Some(content) => Ok(content.len() as u64),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.ahead().as_ref() {
            Some(content) => {
                let start = usize::try_from(offset).unwrap();
                out.copy_from_slice(&content[start..start + out.len()]);
                Ok(())
            }
            None => self.file.read_exact_at(out, offset),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        steps::reached("journal: set length");
        match self.ahead().as_mut() {
            Some(content) => content.resize(usize::try_from(len).unwrap(), 0),
            None => self.file.set_len(len)?,
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        steps::reached("journal: before sync");
        if self.unsynced == Unsynced::Lost
            && let Some(content) = self.ahead().as_ref()
        {
            self.file.write_all_at(content, 0)?;
            self.file.set_len(content.len() as u64)?;
        }
        steps::reached("journal: after sync");
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        steps::reached("journal: write");
        match self.ahead().as_mut() {
            Some(content) => {
                let start = usize::try_from(offset).unwrap();
                content[start..start + data.len()].copy_from_slice(data);
            }
            None => self.file.write_all_at(data, offset)?,
        }
        Ok(())
    }
}
