//! What a child says, word by word, each by a deadline. Whatever it sends is a word within its limits,
//! or the end of it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::frame::{LENGTH_BYTES, decode, length};
use crate::message::{WORD_BYTES_MAX, Word};

/// Shortest wait that the system is asked for: none at all would mean for ever.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Listens to a child.
#[derive(Debug)]
pub(crate) struct Ear {
    socket: UnixStream,
    /// Bytes of a frame that has not come whole.
    begun: Vec<u8>,
}

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A word.
    Word(Word),
    /// Nothing until the deadline.
    Nothing,
    /// It closed its side.
    End,
    /// No word: this is wrong with it.
    Garbage(String),
}

impl Ear {
    /// Listens at this socket.
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, begun: Vec::new() }
    }

    /// The socket.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Waits for the next word. What has come is heard even where the deadline is over: this process
    /// may have been stopped meanwhile, and not the child.
    pub fn hear(&mut self, deadline: Instant) -> Heard {
        match self.frame(deadline) {
            Ok(Some(body)) => match decode(&body) {
                Ok(word) => Heard::Word(word),
                Err(error) => Heard::Garbage(error.to_string()),
            },
            Ok(None) => Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Heard::Garbage(error.to_string()),
            Err(_) => Heard::End,
        }
    }

    fn frame(&mut self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        if !self.fill(LENGTH_BYTES, deadline)? {
            return Ok(None);
        }
        let head = *self.begun.first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = length(head, WORD_BYTES_MAX)?;
        if !self.fill(LENGTH_BYTES + bytes, deadline)? {
            return Ok(None);
        }
        let body = self.begun.split_off(LENGTH_BYTES);
        self.begun.clear();
        Ok(Some(body))
    }

    /// Reads until a frame has begun with so many bytes; false if the deadline is first.
    fn fill(&mut self, bytes: usize, deadline: Instant) -> io::Result<bool> {
        let mut piece = [0; 4096];
        while self.begun.len() < bytes {
            let wait = deadline.saturating_duration_since(Instant::now()).max(WAIT_MIN);
            self.socket.set_read_timeout(Some(wait))?;
            let wanted = (bytes - self.begun.len()).min(piece.len());
            match self.socket.read(&mut piece[..wanted]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.begun.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::frame::encode;

    fn ear() -> (UnixStream, Ear) {
        let (child, parent) = UnixStream::pair().unwrap();
        (child, Ear::new(parent))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn words_come_in_pieces_and_late() {
        let (mut child, mut ear) = ear();
        let frame = encode(&Word::Refused("no".into()), WORD_BYTES_MAX).unwrap();
        for cut in 0..frame.len() {
            child.write_all(&frame[..cut]).unwrap();
            assert!(matches!(ear.hear(soon()), Heard::Nothing));
            child.write_all(&frame[cut..]).unwrap();
            assert!(matches!(ear.hear(Instant::now()), Heard::Word(Word::Refused(_))));
        }
        drop(child);
        assert!(matches!(ear.hear(soon()), Heard::End));
    }

    #[test]
    fn garbage_is_told_as_such() {
        for garbage in [&[0xff; 64][..], &[1, 0, 0, 0, 0x77], &[3, 0, 0, 0, 0, 0, 0]] {
            let (mut child, mut ear) = ear();
            child.write_all(garbage).unwrap();
            assert!(matches!(ear.hear(soon()), Heard::Garbage(_)), "{garbage:?}");
        }
    }
}
