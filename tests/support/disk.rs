//! Small file systems, for disks that are full.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

/// A small file system, as long as it is held.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a disk of `bytes` bytes at `path`; none where the system does not let us.
    pub fn mount(path: &Path, bytes: usize) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let options = std::ffi::CString::new(format!("size={bytes},mode=700")).unwrap();
        match rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            Ok(()) => Some(Self(path.to_owned())),
            Err(error) => {
                eprintln!("skipped: a small disk cannot be mounted: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a test that failed may have left a process there.
        let unmounted = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
        assert!(unmounted.is_ok() || std::thread::panicking(), "the disk is mounted");
    }
}
