//! What a child gives up. At its start: what it never needs. With its order: files, memory and time
//! beyond what the order grants, and calls of the system. Once its code is loaded: new code and new
//! threads.

use std::io;
use std::path::PathBuf;

use rustix::process::{DumpableBehavior, Resource, Rlimit, nice, set_dumpable_behavior, setrlimit, setsid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use super::{calls, files};
use crate::message::{Bounds, Walls};

/// How much nicer a child is than its parent, which answers others meanwhile.
const NICER: i32 = 1;
/// Descriptors that a child may have at once: twice as many files as a merge reads, and some.
const DESCRIPTORS_MAX: u64 = 1024;
/// Seconds beyond its processor time until a child is killed that does not end when it is told to.
const PROCESSOR_GRACE_SECONDS: u64 = 5;

/// What a child may do with files.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files that it may read.
    pub read: Vec<PathBuf>,
    /// Folders in which it may make, read and remove files.
    pub write: Vec<PathBuf>,
}

/// Gives up what no child needs. There must be one thread.
pub(super) fn leave() -> io::Result<()> {
    crate::allocator::end_without_memory();
    close_descriptors();
    // A library asks the system for this once, in a way that is not allowed later.
    rustix::param::page_size();
    // A leader of a group cannot begin a session; it is in nobody's way then, either.
    let _ = setsid();
    let _ = nice(NICER);
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, DESCRIPTORS_MAX)?;
    set_no_new_privs(true)?;
    drop_capabilities()
}

/// Gives up everything beyond these files and bounds. There must be one thread.
///
/// # Errors
/// A wall that is offered and cannot be had; one that is not offered, where it is required.
pub(super) fn enter(granted: &Files, bounds: &Bounds) -> io::Result<Walls> {
    limit(Resource::Data, bounds.data_bytes_max)?;
    if let Some(bytes) = bounds.file_bytes_max {
        limit(Resource::Fsize, bytes)?;
    }
    if let Some(seconds) = bounds.processor_seconds_max {
        let (current, maximum) = (Some(seconds), Some(seconds.saturating_add(PROCESSOR_GRACE_SECONDS)));
        setrlimit(Resource::Cpu, Rlimit { current, maximum })?;
    }
    let mut missing = Vec::new();
    let landlock = files::wall(granted, &mut missing)?;
    let seccomp = calls::wall(&mut missing)?;
    let walls = Walls { missing, landlock, seccomp };
    if bounds.required && !(landlock && seccomp) {
        return Err(io::Error::other(format!("the machine lacks {}", walls.missing.join("; "))));
    }
    Ok(walls)
}

/// Lets no thread make code executable any more, nor, unless `threads`, begin another thread.
pub(super) fn seal(walls: &Walls, threads: bool) -> io::Result<()> {
    if walls.seccomp { calls::seal(threads) } else { Ok(()) }
}

/// Nobody hands a child anything but its socket and its standard streams, and if somebody does, it is not
/// kept.
fn close_descriptors() {
    // SAFETY: nothing in this process knows of any descriptor but the standard ones yet.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// A user who may do anything keeps nothing of that but reading: which files, is said elsewhere.
fn drop_capabilities() -> io::Result<()> {
    let kept = capabilities(None)?.permitted & CapabilitySet::DAC_READ_SEARCH;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

/// A limit that cannot be raised again; a lower one stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let known = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let most = Some(most.min(known));
    Ok(setrlimit(resource, Rlimit { current: most, maximum: most })?)
}
