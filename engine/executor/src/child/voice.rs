//! What a child says, from any of its threads, and the thread that gives signs of life. When the parent
//! is gone, however that came, so is the child.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mr_runtime::Progress;
use mr_sandbox::LogForward;

use crate::frame::encode;
use crate::message::{Pulse, WORD_BYTES_MAX, Word, level_number};

/// Time between two signs of life: often enough for heartbeats that tell how far an attempt is.
const PULSE_PERIOD: Duration = Duration::from_millis(250);

/// Says words. Clones say them to the same parent.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    socket: Arc<UnixStream>,
    /// Held while a word is said, so that words do not mix.
    speaking: Arc<Mutex<()>>,
}

impl Voice {
    /// Speaks at this socket.
    pub fn new(socket: UnixStream) -> Self {
        Self { socket: Arc::new(socket), speaking: Arc::default() }
    }

    /// The socket.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Says a word.
    pub fn say(&self, word: &Word) -> io::Result<()> {
        let frame = encode(word, WORD_BYTES_MAX)?;
        let _turn = self.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        (&*self.socket).write_all(&frame)
    }

    /// Says a plugin's lines. Where nobody hears them any more, the process is about to end.
    pub fn log(&self) -> LogForward {
        let voice = self.clone();
        Arc::new(move |role, level, text| {
            let _ = voice.say(&Word::Log { role, level: level_number(level), text: text.to_owned() });
        })
    }

    /// Sets how often the parent is looked for; the call of the system for it is not allowed later.
    pub fn set_period(&self) -> io::Result<()> {
        self.socket.set_read_timeout(Some(PULSE_PERIOD))
    }

    /// Begins to give signs of life, of this progress if there is any, in a thread that ends the process
    /// with its parent.
    pub fn live(&self, progress: Option<Arc<Progress>>) -> io::Result<()> {
        let voice = self.clone();
        let body = move || {
            while voice.has_parent() {
                let Some(progress) = &progress else { continue };
                if voice.say(&Word::Pulse(Pulse::of(progress))).is_err() {
                    break;
                }
            }
            super::end(0)
        };
        std::thread::Builder::new().name("parent".into()).spawn(body).map(drop)
    }

    /// Waits for a period; false if the parent has ended. It says nothing after its order.
    fn has_parent(&self) -> bool {
        match (&*self.socket).read_exact(&mut [0]) {
            Ok(()) => false,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }
}
