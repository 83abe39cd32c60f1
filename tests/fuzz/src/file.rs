//! Files that are in memory and have a path, so that a target that reads files leaves nothing behind.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

/// A file that is there as long as this value.
#[derive(Debug)]
pub struct MemoryFile {
    file: File,
}

impl MemoryFile {
    /// A file with this content that only its owner may read.
    pub fn new(content: &[u8]) -> Self {
        let mut file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(content).unwrap();
        file.set_permissions(Permissions::from_mode(0o600)).unwrap();
        Self { file }
    }

    /// Where it can be opened, by this process.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}
