//! What this machine offers: cores, memory, folders.

use std::path::PathBuf;

/// Budget where the machine does not tell its memory, in bytes.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;
/// Smallest default budget, in bytes: what two workers need with room to sort.
const MEMORY_BYTES_MIN: u64 = 256 << 20;

/// Tasks that run at once where the job does not say.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Memory budget where the job does not say: a quarter of what this process may use.
pub fn memory_bytes() -> u64 {
    let total = [physical_bytes(), cgroup_bytes()].into_iter().flatten().min();
    (total.unwrap_or(MEMORY_BYTES_UNKNOWN * 4) / 4).max(MEMORY_BYTES_MIN)
}

/// Folder for run files: private to the user, in the system's folder for temporary files.
pub fn work_dir() -> PathBuf {
    std::env::temp_dir().join(format!("mr-engine-{}", rustix::process::getuid().as_raw()))
}

/// Folder for compiled plugins; none where the user has no home.
pub fn cache_dir() -> Option<PathBuf> {
    Some(users_folder("XDG_CACHE_HOME", ".cache")?.join("mr-engine"))
}

/// Where the user's configuration file is, if there is one; none where the user has no home.
pub fn config_file() -> Option<PathBuf> {
    Some(users_folder("XDG_CONFIG_HOME", ".config")?.join("mr-engine/config.toml"))
}

/// A folder as the XDG base directories name it, or else below the user's home.
fn users_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

fn physical_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn cgroup_bytes() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    files.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
}
