//! What fuzz targets see of this crate: a child that sends any bytes, and what its parent makes of them.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use mr_model::{AttemptId, Failure};
use mr_runtime::{JobDescription, MemoryPlan, TaskInput};
use mr_shuffle::Codec;

use crate::claims;
use crate::hear::{Ear, Heard};
use crate::message::{AttemptWork, Word};

/// Bytes of a child that fit into a socket at once, whatever system this is.
pub const BYTES_MAX: usize = 64 << 10;

/// What was made of what a child sent.
#[derive(Debug, Default)]
pub struct Trial {
    /// Words that were heard.
    pub words: usize,
    /// Failures that it told, as they are passed on.
    pub failures: Vec<Failure>,
    /// Ends of its attempt that were believed.
    pub believed: usize,
}

/// Hears at most [`BYTES_MAX`] bytes of a child that works on `input` in the folder `run_dir`.
pub fn hear(
    bytes: &[u8],
    description: JobDescription,
    memory: MemoryPlan,
    attempt: AttemptId,
    input: TaskInput,
    run_dir: PathBuf,
) -> std::io::Result<Trial> {
    let (mut child, parent) = UnixStream::pair()?;
    child.write_all(&bytes[..bytes.len().min(BYTES_MAX)])?;
    drop(child);
    let (codec, room_patience, unwritten_bytes_max) = (Codec::None, Duration::ZERO, 0);
    let plugins = Vec::new();
    let work = AttemptWork {
        description,
        attempt,
        input,
        memory,
        codec,
        room_patience,
        unwritten_bytes_max,
        run_dir,
        sides: Vec::new(),
        plugins,
    };
    let mut ear = Ear::new(parent);
    let mut trial = Trial::default();
    while let Heard::Word(word) = ear.hear(Instant::now()) {
        trial.words += 1;
        match word {
            Word::Failed(failure) => trial.failures.push(claims::failure(*failure, &work)),
            Word::Done(done) => match claims::check(*done, &work, None) {
                Ok(_) => trial.believed += 1,
                Err(failure) => trial.failures.push(failure),
            },
            _ => {}
        }
    }
    Ok(trial)
}
