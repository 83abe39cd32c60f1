//! Shows from the inside what a child may not do: gives up the rights that a child of an attempt gives up,
//! then tries things, and prints what came of each. For tests and for operators who want to see it; what
//! it tries does no harm where it works.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use libc::{c_long, c_ulong};

use super::rights::{self, Files};
use crate::message::Bounds;

/// Memory of the probe, in bytes.
const DATA_BYTES_MAX: u64 = 64 << 20;
/// More than that, in bytes.
const TOO_MANY_BYTES: usize = 128 << 20;

/// What the probe tries beside calls of the system.
#[derive(Debug, Default)]
pub struct Probe {
    /// Files that it is granted to read.
    pub read: Vec<PathBuf>,
    /// Folders that it is granted to write to.
    pub write: Vec<PathBuf>,
    /// Files that it is not granted, and tries to read; and folders, which it tries to write to.
    pub forbidden: Vec<PathBuf>,
}

/// Gives up all rights but what is granted, and prints a line for each thing that it tried: the thing, and
/// `done` or the system's number for why not.
///
/// # Errors
/// Rights that cannot be given up.
pub fn run(probe: Probe) -> io::Result<()> {
    let Probe { read, write, forbidden } = probe;
    rights::leave()?;
    let bounds = Bounds {
        data_bytes_max: DATA_BYTES_MAX,
        processor_seconds_max: None,
        file_bytes_max: None,
        required: false,
    };
    let granted = Files { read: read.clone(), write: write.clone() };
    let (folders, files): (Vec<_>, Vec<_>) = forbidden.into_iter().partition(|path| path.is_dir());
    let walls = rights::enter(&granted, &bounds)?;
    rights::seal(&walls, false)?;
    let mut out = io::stdout();
    for missing in walls.missing {
        writeln!(out, "missing {missing}")?;
    }
    let mut tell = |what: String, tried: Result<(), i32>| match tried {
        Ok(()) => writeln!(out, "{what} done"),
        Err(errno) => writeln!(out, "{what} {errno}"),
    };
    let number = |error: io::Error| error.raw_os_error().unwrap_or(-1);
    let kinds = [("granted", read, write), ("forbidden", files, folders)];
    for (kind, files, folders) in kinds {
        for path in files {
            tell(format!("{kind} read {}", path.display()), File::open(&path).map(drop).map_err(number))?;
        }
        for path in folders {
            let made = path.join("made-by-probe");
            let tried = OpenOptions::new().write(true).create_new(true).open(&made).map(drop);
            tell(format!("{kind} write {}", path.display()), tried.map_err(number))?;
        }
    }
    for (name, call, arguments) in calls() {
        tell(format!("call {name}"), system(call, arguments))?;
    }
    tell("memory".to_owned(), map(TOO_MANY_BYTES, libc::PROT_READ | libc::PROT_WRITE))?;
    tell("code".to_owned(), map(4096, libc::PROT_READ | libc::PROT_EXEC))?;
    tell("thread".to_owned(), std::thread::Builder::new().spawn(|| ()).map(drop).map_err(number))?;
    Ok(())
}

/// Calls of the system that a child has no business with. Each would do next to nothing if it worked; where
/// one begins a process, that ends at once.
fn calls() -> Vec<(&'static str, c_long, [c_ulong; 5])> {
    let parent = c_ulong::from(std::os::unix::process::parent_id());
    let flag = |flag: i32| c_ulong::from(flag.cast_unsigned());
    let path = c"/bin/true".as_ptr() as c_ulong;
    let here = flag(libc::AT_FDCWD);
    vec![
        ("socket-inet", libc::SYS_socket, [flag(libc::AF_INET), flag(libc::SOCK_STREAM), 0, 0, 0]),
        ("socket-unix", libc::SYS_socket, [flag(libc::AF_UNIX), flag(libc::SOCK_STREAM), 0, 0, 0]),
        ("socketpair", libc::SYS_socketpair, [flag(libc::AF_UNIX), flag(libc::SOCK_STREAM), 0, 0, 0]),
        ("connect", libc::SYS_connect, [0; 5]),
        ("bind", libc::SYS_bind, [0; 5]),
        ("listen", libc::SYS_listen, [0; 5]),
        ("sendmsg", libc::SYS_sendmsg, [0; 5]),
        ("fork", libc::SYS_clone, [flag(libc::SIGCHLD), 0, 0, 0, 0]),
        ("execve", libc::SYS_execve, [path, 0, 0, 0, 0]),
        ("execveat", libc::SYS_execveat, [here, path, 0, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [u64::from(libc::PTRACE_SEIZE), parent, 0, 0, 0]),
        // A signal that nobody acts on.
        ("kill", libc::SYS_kill, [parent, flag(libc::SIGURG), 0, 0, 0]),
        ("tgkill", libc::SYS_tgkill, [parent, parent, flag(libc::SIGURG), 0, 0]),
        ("pidfd_open", libc::SYS_pidfd_open, [parent, 0, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0]),
        ("process_vm_writev", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [0; 5]),
        ("prlimit", libc::SYS_prlimit64, [0, 0, 1, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5]),
        ("bpf", libc::SYS_bpf, [0; 5]),
        ("keyctl", libc::SYS_keyctl, [0; 5]),
        ("perf_event_open", libc::SYS_perf_event_open, [0; 5]),
        ("userfaultfd", libc::SYS_userfaultfd, [0; 5]),
        ("memfd_create", libc::SYS_memfd_create, [path, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [0; 5]),
        ("unshare", libc::SYS_unshare, [0; 5]),
        ("setns", libc::SYS_setns, [0; 5]),
        ("chroot", libc::SYS_chroot, [0; 5]),
        ("setuid", libc::SYS_setuid, [0; 5]),
        ("capset", libc::SYS_capset, [0; 5]),
        ("mkdirat", libc::SYS_mkdirat, [here, path, 0, 0, 0]),
        ("linkat", libc::SYS_linkat, [here, path, here, path, 0]),
        ("symlinkat", libc::SYS_symlinkat, [path, here, path, 0, 0]),
        ("renameat2", libc::SYS_renameat2, [here, path, here, path, 0]),
        ("fchmodat", libc::SYS_fchmodat, [here, path, 0o755, 0, 0]),
        ("ioctl", libc::SYS_ioctl, [0; 5]),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, [0; 5]),
        ("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, [0; 5]),
        ("seccomp", libc::SYS_seccomp, [flag(1), 0, 0, 0, 0]),
        ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0]),
    ]
}

fn system(call: c_long, arguments: [c_ulong; 5]) -> Result<(), i32> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: no argument leads to memory of this process that anything would be written to; what reads
    // some reads constant text that ends with a zero.
    let answer = unsafe { libc::syscall(call, a, b, c, d, e) };
    if call == libc::SYS_clone && answer == 0 {
        super::end(0);
    }
    result(answer != -1)
}

fn map(bytes: usize, protection: i32) -> Result<(), i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the system finds a place where nothing is; nothing looks there.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    result(memory != libc::MAP_FAILED)
}

fn result(worked: bool) -> Result<(), i32> {
    if worked { Ok(()) } else { Err(io::Error::last_os_error().raw_os_error().unwrap_or(-1)) }
}
