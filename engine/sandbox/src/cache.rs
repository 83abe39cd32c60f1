//! Compiled components on disk: `CACHE/<engine>/<component>.cwasm`, where both names are hashes, so
//! that an entry of another engine or another file is never found.
//!
//! Loading compiled code is running it. So nothing is read from a folder or file that somebody else
//! owns or can write to, the content is checked against its own hash before it is looked at, and
//! whatever does not fit is compiled anew. A cache that cannot be used costs time, never a job.

use std::ffi::CString;
use std::fs::{DirBuilder, File, TryLockError};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use blake3::Hash as Blake3;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timestamps};
use wasmtime::Engine;

/// Bytes that the cache may hold: some hundred plugins in interpreted languages, or ten thousand
/// compiled ones. The entries used least recently go first.
const CACHE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Largest entry, in bytes: code is some times larger than the component, and is read into memory.
const ENTRY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// First bytes of an entry, with the version of its layout.
const MAGIC: &[u8; 8] = b"mrcwasm1";
/// The magic, the component's hash, the code's hash.
const HEADER_BYTES: usize = 8 + 32 + 32;
/// Longest wait for another process that compiles the same component: far longer than compiling
/// takes, so the other one has stopped.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(120);
/// Time between two looks at a lock that another process holds.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// Others may neither write to nor replace what is in a folder with these bits clear.
const OTHERS_WRITE: u32 = 0o022;

const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Where compiled components are kept, for one kind of engine.
pub(crate) struct Cache {
    root: PathBuf,
    engine: String,
}

/// An open folder that only this user can change.
pub(crate) struct Folder {
    root: OwnedFd,
    entries: OwnedFd,
}

/// Compiled code, perhaps with an entry's header before it.
pub(crate) struct Entry {
    content: Vec<u8>,
    /// Where the code begins.
    code: usize,
}

impl Entry {
    /// The code.
    pub(crate) fn code(&self) -> &[u8] {
        self.content.get(self.code..).unwrap_or_default()
    }

    /// The code alone.
    pub(crate) fn into_code(mut self) -> Vec<u8> {
        self.content.drain(..self.code.min(self.content.len()));
        self.content
    }
}

impl From<Vec<u8>> for Entry {
    fn from(code: Vec<u8>) -> Self {
        Self { content: code, code: 0 }
    }
}

impl Cache {
    /// Only names the folders; nothing is touched.
    pub(crate) fn new(root: PathBuf, engine: &Engine) -> Self {
        let mut hasher = NameHasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self { root, engine: hasher.0.finalize().to_hex()[..32].to_owned() }
    }

    /// Opens the folder, making it where it is missing.
    pub(crate) fn folder(&self) -> io::Result<Folder> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE.as_raw_mode()).create(&self.root)?;
        let root = rustix::fs::open(&self.root, folder_flags(), Mode::empty())?;
        check_owner(&rustix::fs::fstat(&root)?)?;
        match rustix::fs::mkdirat(&root, &self.engine, FOLDER_MODE) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let entries =
            rustix::fs::openat(&root, &self.engine, folder_flags() | OFlags::NOFOLLOW, Mode::empty())?;
        check_owner(&rustix::fs::fstat(&entries)?)?;
        Ok(Folder { root, entries })
    }
}

impl Folder {
    /// The code of the component with this hash, if it is here and whole, and `accept` takes it.
    pub(crate) fn lookup(&self, component: &Blake3, accept: &mut dyn FnMut(&Entry) -> bool) -> Option<Entry> {
        let file = self.open(&entry_name(component), OFlags::RDONLY).ok()?;
        let content = read_entry(&file).ok()?;
        check_entry(&content, component)?;
        let entry = Entry { content, code: HEADER_BYTES };
        if !accept(&entry) {
            return None;
        }
        // Being used is what keeps an entry. Where the time cannot be set, it is only dropped sooner.
        let _ = rustix::fs::futimens(&file, &now());
        Some(entry)
    }

    /// Keeps the code of a component, and drops the oldest entries if there is too much.
    pub(crate) fn store(&self, component: &Blake3, code: &[u8]) -> io::Result<()> {
        if code.len() as u64 + HEADER_BYTES as u64 > ENTRY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let (name, temporary) =
            (entry_name(component), format!("{}.{}.tmp", component.to_hex(), std::process::id()));
        let written = self.write(&temporary, component, code);
        let kept =
            written.and_then(|()| Ok(rustix::fs::renameat(&self.entries, &temporary, &self.entries, &name)?));
        if kept.is_err() {
            // The first error is the one to report.
            let _ = rustix::fs::unlinkat(&self.entries, &temporary, AtFlags::empty());
        }
        kept?;
        self.sweep(CACHE_BYTES_MAX)
    }

    /// Waits until no other thread or process compiles this component, after telling `on_wait`; the
    /// lock ends with the file. Gives up after [`LOCK_WAIT_MAX`]: the lock is an economy only, entries
    /// are whole whoever writes them.
    pub(crate) fn lock(&self, component: &Blake3, on_wait: impl FnOnce()) -> io::Result<File> {
        let name = format!("{}.lock", component.to_hex());
        let file = self.open(&name, OFlags::RDWR | OFlags::CREATE)?;
        let mut on_wait = Some(on_wait);
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if started.elapsed() > LOCK_WAIT_MAX => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    fn open(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.entries, name, flags, FILE_MODE)?;
        let stat = rustix::fs::fstat(&file)?;
        check_owner(&stat)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(file.into())
    }

    fn write(&self, name: &str, component: &Blake3, code: &[u8]) -> io::Result<()> {
        // A left-over of a process that had the same number.
        let _ = rustix::fs::unlinkat(&self.entries, name, AtFlags::empty());
        let mut file = self.open(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        file.write_all(MAGIC)?;
        file.write_all(component.as_bytes())?;
        file.write_all(blake3::hash(code).as_bytes())?;
        file.write_all(code)
    }

    /// Removes what was used least recently, of any engine, until `bytes_max` are left.
    fn sweep(&self, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for folder in names(self.root.as_fd())? {
            let flags = folder_flags() | OFlags::NOFOLLOW;
            let Ok(folder) = rustix::fs::openat(&self.root, &folder, flags, Mode::empty()) else { continue };
            let folder = std::rc::Rc::new(folder);
            for name in names(folder.as_fd())? {
                let Ok(stat) = rustix::fs::statat(folder.as_fd(), &name, AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                let bytes = u64::try_from(stat.st_size).unwrap_or(0);
                files.push(((stat.st_mtime, stat.st_mtime_nsec), bytes, std::rc::Rc::clone(&folder), name));
            }
        }
        let mut total: u64 = files.iter().map(|(_, bytes, ..)| bytes).sum();
        files.sort_by_key(|(used, ..)| *used);
        for (_, bytes, folder, name) in files {
            if total <= bytes_max {
                break;
            }
            // Another process may have removed it just now.
            if rustix::fs::unlinkat(folder.as_fd(), &name, AtFlags::empty()).is_ok() {
                total = total.saturating_sub(bytes);
            }
        }
        Ok(())
    }
}

/// Names in a folder, without `.` and `..`.
fn names(folder: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn read_entry(file: &File) -> io::Result<Vec<u8>> {
    let bytes = file.metadata()?.size();
    if bytes > ENTRY_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    file.take(ENTRY_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// The code in an entry, if the entry is whole and of this component.
fn check_entry<'a>(content: &'a [u8], component: &Blake3) -> Option<&'a [u8]> {
    let rest = content.strip_prefix(MAGIC)?;
    let (of, rest) = rest.split_first_chunk::<32>()?;
    let (hash, code) = rest.split_first_chunk::<32>()?;
    (of == component.as_bytes() && blake3::hash(code) == Blake3::from_bytes(*hash)).then_some(code)
}

fn check_owner(stat: &Stat) -> io::Result<()> {
    let ours = stat.st_uid == rustix::process::geteuid().as_raw();
    if ours && stat.st_mode & OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "others own it or can write to it"))
}

fn entry_name(component: &Blake3) -> String {
    format!("{}.cwasm", component.to_hex())
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn now() -> Timestamps {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
}

/// Collects what a value hashes into a hash that is the same in every process.
struct NameHasher(blake3::Hasher);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finalize().as_bytes().first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_changed_entry_is_not_trusted() {
        let component = blake3::hash(b"component");
        let code = b"code";
        let mut entry = MAGIC.to_vec();
        entry.extend_from_slice(component.as_bytes());
        entry.extend_from_slice(blake3::hash(code).as_bytes());
        entry.extend_from_slice(code);
        assert_eq!(check_entry(&entry, &component), Some(code.as_slice()));
        assert_eq!(check_entry(&entry, &blake3::hash(b"other")), None);
        for cut in 0..entry.len() {
            assert_eq!(check_entry(&entry[..cut], &component), None, "cut at {cut}");
        }
        for at in 0..entry.len() {
            let mut bad = entry.clone();
            bad[at] ^= 1;
            assert_eq!(check_entry(&bad, &component), None, "changed at {at}");
        }
    }

    #[test]
    fn folders_that_others_can_change_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("cache"), &Engine::default());
        cache.folder().unwrap();
        let entries = dir.path().join("cache").join(&cache.engine);
        assert_eq!(entries.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        for folder in [entries, dir.path().join("cache")] {
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o770)).unwrap();
            assert_eq!(cache.folder().err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied));
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
        }
        cache.folder().unwrap();
    }

    #[test]
    fn a_lock_waits_for_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Cache::new(dir.path().to_owned(), &Engine::default()).folder().unwrap();
        let component = blake3::hash(b"component");
        let first = folder.lock(&component, || panic!("nobody holds it")).unwrap();
        let mut waited = false;
        let second = folder.lock(&component, || {
            waited = true;
            drop(first);
        });
        assert!(second.is_ok() && waited);
    }

    #[test]
    fn the_oldest_entries_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_owned(), &Engine::default());
        let folder = cache.folder().unwrap();
        let names: Vec<_> = [b"1", b"2", b"3"].into_iter().map(|name| blake3::hash(name)).collect();
        for (age, name) in (1u64..).zip(&names) {
            folder.store(name, &[0; 1000]).unwrap();
            let file = folder.open(&entry_name(name), OFlags::WRONLY).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(age)).unwrap();
        }
        folder.sweep(2 * (1000 + HEADER_BYTES as u64)).unwrap();
        let left: Vec<bool> =
            names.iter().map(|name| folder.open(&entry_name(name), OFlags::RDONLY).is_ok()).collect();
        assert_eq!(left, [false, true, true]);
    }
}
