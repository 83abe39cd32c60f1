//! Runs a command and writes its peak of resident memory, in KiB, to a file: `measure FILE COMMAND...`.
//!
//! The system counts the memory of whoever starts a process as the process's own until it is
//! replaced, so a test that holds its data in memory cannot measure; this program is small enough.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(file), Some(program)) = (args.next(), args.next()) else {
        eprintln!("usage: measure FILE COMMAND...");
        return ExitCode::from(2);
    };
    let measured = Command::new(&program)
        .args(args)
        .spawn()
        .and_then(|child| wait(child.id()))
        .and_then(|(status, kib)| std::fs::write(&file, kib.to_string()).map(|()| status));
    match measured {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255)),
        Err(error) => {
            eprintln!("measure: {}: {error}", program.display());
            ExitCode::from(255)
        }
    }
}

/// Waits for a child: its status and its peak of resident memory in KiB.
fn wait(child: u32) -> std::io::Result<(ExitStatus, i64)> {
    let child = libc::pid_t::try_from(child).map_err(std::io::Error::other)?;
    let mut status = 0;
    // SAFETY: a `rusage` of zeros is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to local variables that outlive the call.
    match unsafe { libc::wait4(child, &raw mut status, 0, &raw mut usage) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok((ExitStatus::from_raw(status), usage.ru_maxrss)),
    }
}
