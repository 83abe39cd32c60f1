//! The child's side: waits for its order, gives up its rights, does the one thing that it was ordered to
//! do, says how that ended, and ends.
//!
//! While it waits it has one thread, so that rights are given up by all threads there will ever be. From
//! then on a second one gives signs of life, and ends the process when its parent is gone. Nothing that a
//! stranger made is looked at before all walls stand.
//!
//! In reading order: `rights` (what is given up, when), `files` and `calls` (walls of the kernel), `voice`
//! (what is said), `work` (what is done), [`probe`] (shows what is refused).

mod calls;
mod files;
pub mod probe;
mod rights;
mod voice;
mod work;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::frame::receive_order;
use crate::message::Word;
use mr_sandbox::Sandbox;

use voice::Voice;

/// Where a child finds its socket.
const SOCKET: RawFd = 0;
/// Exit code of a child that cannot work.
const FAILED: i32 = 1;

/// Is a child, to its end: what the program does where it was started as one. Its standard input is the
/// socket to its parent.
pub fn run() -> ! {
    let code = match serve() {
        Ok(()) => 0,
        Err(error) => {
            // The parent reads it where nothing else was said.
            eprintln!("{error}");
            FAILED
        }
    };
    end(code)
}

/// Ends this process at once: nothing is cleaned up, because files that were made are the parent's now.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: it takes a number and does not return; other threads end wherever they are.
    unsafe { libc::_exit(code) }
}

fn serve() -> io::Result<()> {
    rights::leave()?;
    // SAFETY: the parent opened it for this process, and nothing else here reads its standard input.
    let socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(SOCKET) });
    // What takes longest is done before there is an order.
    let prepared = Sandbox::prepare().map_err(io::Error::other)?;
    let voice = Voice::new(socket);
    voice.say(&Word::Ready)?;
    match receive_order(voice.socket())? {
        Some((order, files)) => work::obey(order, files, prepared, &voice),
        None => Ok(()),
    }
}
