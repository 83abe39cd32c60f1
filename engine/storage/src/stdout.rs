//! Output to a stream instead of a folder: parts go out in part order, each as soon as all before it
//! are committed. Owns no folder: the attempts write where the caller says, and files that have been
//! sent are removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use mr_model::Failure;

use crate::part::Part;
use crate::parts::PendingParts;

/// Bytes copied at a time.
const COPY_BYTES: usize = 256 * 1024;
/// What failures name in place of a path.
const STREAM_NAME: &str = "the standard output";

/// What became of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Delivery {
    /// Everything sent so far was taken.
    Open,
    /// The reader went away, as `head` does: nothing more needs to be computed, and it is no error.
    Closed,
}

/// Sends parts to a stream in part order.
#[derive(Debug)]
pub struct StdoutParts<W> {
    stream: W,
    /// Number of the task whose parts go out next.
    next: u32,
    /// Committed parts that wait for those of a task before theirs.
    waiting: BTreeMap<u32, PendingParts>,
    delivery: Delivery,
    buffer: Vec<u8>,
}

impl<W: Write> StdoutParts<W> {
    /// Sends to `stream`, beginning with part 0.
    pub fn new(stream: W) -> Self {
        Self {
            stream,
            next: 0,
            waiting: BTreeMap::new(),
            delivery: Delivery::Open,
            buffer: vec![0; COPY_BYTES],
        }
    }

    /// Takes the parts of a task, and sends them and those that waited for them if it is the next one.
    ///
    /// # Errors
    /// [`Failure::Internal`] for parts committed twice, [`Failure::Disk`] if it cannot be read or the
    /// stream fails otherwise than by being closed.
    pub fn commit(&mut self, pending: PendingParts) -> Result<(Vec<Part>, Delivery), Failure> {
        let (task, parts) = (pending.attempt().task, pending.parts().to_vec());
        let index = task.index;
        if index < self.next || self.waiting.contains_key(&index) {
            return Err(Failure::internal(format!("the output of {task} was committed twice")));
        }
        self.waiting.insert(index, pending);
        while let Some(pending) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.send(&pending)?;
        }
        Ok((parts, self.delivery))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`Failure::Internal`] if a part is missing before one that was committed, [`Failure::Disk`] if
    /// the stream fails otherwise than by being closed.
    pub fn finish(mut self) -> Result<Delivery, Failure> {
        if !self.waiting.is_empty() {
            return Err(Failure::internal(format!("part {} was never committed", self.next)));
        }
        if self.delivery == Delivery::Open {
            let flushed = self.stream.flush();
            self.delivered(flushed)?;
        }
        Ok(self.delivery)
    }

    fn send(&mut self, pending: &PendingParts) -> Result<(), Failure> {
        (0..pending.parts().len()).try_for_each(|place| self.send_file(&pending.path(place)))
    }

    fn send_file(&mut self, path: &Path) -> Result<(), Failure> {
        if self.delivery == Delivery::Closed {
            return Ok(());
        }
        let unreadable = |error: io::Error| Failure::disk(path, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        loop {
            let bytes = match file.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(unreadable)?,
            };
            if bytes == 0 {
                return Ok(());
            }
            let written = self.stream.write_all(&self.buffer[..bytes]);
            self.delivered(written)?;
            if self.delivery == Delivery::Closed {
                return Ok(());
            }
        }
    }

    /// Tells a closed stream from a failed one.
    fn delivered(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.delivery = Delivery::Closed,
            result => result.map_err(|error| Failure::disk(STREAM_NAME, &error))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mr_model::{AttemptId, OutputFormat, OutputSpec, TaskId};

    use super::*;
    use crate::names::PartNames;
    use crate::parts::PartsWriter;

    fn pending(dir: &Path, index: u32) -> PendingParts {
        let attempt = AttemptId { task: TaskId::reduce(index), attempt: 0 };
        let names = PartNames::of(&OutputSpec::of(OutputFormat::Text));
        let mut parts = PartsWriter::new(dir, attempt, names);
        let mut part = parts.begin(0).unwrap();
        part.write(format!("part {index}\n").as_bytes(), 1).unwrap();
        parts.end(part).unwrap();
        parts.finish().unwrap()
    }

    #[test]
    fn parts_go_out_in_order_as_they_come() {
        let dir = tempfile::tempdir().unwrap();
        let mut sent = Vec::new();
        let mut parts = StdoutParts::new(&mut sent);
        for (index, expected) in [(1, ""), (3, ""), (0, "part 0\npart 1\n"), (2, "part 2\npart 3\n")] {
            let before = parts.stream.len();
            let (made, delivery) = parts.commit(pending(dir.path(), index)).unwrap();
            assert_eq!((&made[0].name, delivery), (&format!("part-r-0000{index}"), Delivery::Open));
            assert_eq!(String::from_utf8_lossy(&parts.stream[before..]), expected);
        }
        assert!(matches!(parts.commit(pending(dir.path(), 1)), Err(Failure::Internal { .. })));
        assert_eq!(parts.finish(), Ok(Delivery::Open));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "sent files are removed");
    }

    #[test]
    fn a_gap_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut parts = StdoutParts::new(Vec::new());
        assert_eq!(parts.commit(pending(dir.path(), 1)).unwrap().1, Delivery::Open);
        assert!(matches!(parts.finish(), Err(Failure::Internal { .. })));
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut parts = StdoutParts::new(writer);
        assert_eq!(parts.commit(pending(dir.path(), 0)).unwrap().1, Delivery::Closed);
        assert_eq!(parts.commit(pending(dir.path(), 1)).unwrap().1, Delivery::Closed);
        assert_eq!(parts.finish(), Ok(Delivery::Closed));

        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let failed = StdoutParts::new(full).commit(pending(dir.path(), 0));
        assert!(matches!(failed, Err(Failure::Disk { full: true, .. })));
    }
}
