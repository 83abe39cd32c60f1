//! Records that plugins gave up on. An attempt that rejected some writes them to a file of its own
//! beside its part; those of the winners end up in one file of the output, in task order. Must not
//! decide who won.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use mr_model::{AttemptId, Failure, Place, limit};
use serde::Serialize;

use crate::file;
use crate::names::attempt_file;
use crate::step::step;

/// File name of the rejects in an output.
pub const REJECTS_NAME: &str = "_rejects.jsonl";
/// Ends the names of files with the rejects of one attempt.
const ATTEMPT_SUFFIX: &str = ".rejects";
/// Where the rejects of an output are put together; removed with the files of attempts.
const COLLECTING_NAME: &str = "_attempt-rejects";
/// Bytes copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// A record that a plugin gave up on.
#[derive(Debug, Clone, Copy)]
pub struct Reject<'a> {
    /// Where it came from, if known.
    pub place: Option<&'a Place>,
    /// What the plugin said.
    pub reason: &'a str,
    /// The record, or its beginning; what is over [`limit::RECORD_SAMPLE_BYTES_MAX`] is cut.
    pub sample: &'a [u8],
}

/// Writes the rejects of an attempt into the staging folder `dir`, one JSON object with `path`,
/// `offset`, `reason` and the escaped `sample` on each line. Answers how many there were; without any
/// there is no file.
///
/// # Errors
/// [`Failure::Disk`] if it cannot be written, also if the attempt has written some already.
pub fn write_rejects<'a>(
    dir: &Path,
    attempt: AttemptId,
    rejects: impl IntoIterator<Item = Reject<'a>>,
) -> Result<u64, Failure> {
    let mut rejects = rejects.into_iter().peekable();
    let mut count = 0;
    if rejects.peek().is_none() {
        return Ok(count);
    }
    let path = dir.join(file_name(attempt));
    let write = || {
        let mut out = BufWriter::new(File::create_new(&path)?);
        for reject in rejects {
            count += 1;
            write_line(&mut out, &reject)?;
        }
        out.flush()
    };
    write().map_err(|error| Failure::disk(&path, &error))?;
    Ok(count)
}

/// Puts the rejects of `winners` (attempts that rejected some, and how many) together in the staging
/// folder `dir`, in their order. Done before already, it does nothing.
pub(crate) fn collect(dir: &Path, winners: &[(AttemptId, u64)]) -> Result<(), Failure> {
    let total: u64 = winners.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count));
    let named = dir.join(REJECTS_NAME);
    if total == 0 {
        return Ok(());
    }
    if let Ok(whole) = File::open(&named) {
        // Put there in one rename, so it is complete; the files of attempts may be gone since.
        return check_count(&named, total, copy(whole, &mut io::sink()));
    }
    let collecting = dir.join(COLLECTING_NAME);
    let disk = |error: io::Error| Failure::disk(&collecting, &error);
    let mut out = step!("create the rejects", BufWriter::new(File::create(&collecting).map_err(disk)?));
    for (attempt, count) in winners {
        let path = dir.join(file_name(*attempt));
        check_count(&path, *count, open(&path).and_then(|from| copy(from, &mut out)))?;
    }
    out.flush().map_err(disk)?;
    step!("rename the rejects", fs::rename(&collecting, &named).map_err(disk))
}

pub(crate) fn file_name(attempt: AttemptId) -> String {
    attempt_file(attempt) + ATTEMPT_SUFFIX
}

fn open(path: &Path) -> io::Result<File> {
    let (file, metadata) = file::open(path)?;
    if metadata.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Copies to the end; answers the number of lines.
fn copy(from: impl Read, to: &mut impl Write) -> io::Result<u64> {
    let mut from = BufReader::with_capacity(COPY_BYTES, from);
    let mut lines = 0;
    loop {
        let bytes = io::BufRead::fill_buf(&mut from)?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        to.write_all(bytes)?;
        let length = bytes.len();
        io::BufRead::consume(&mut from, length);
    }
}

fn check_count(path: &Path, expected: u64, lines: io::Result<u64>) -> Result<(), Failure> {
    let lines = lines.map_err(|error| Failure::disk(path, &error))?;
    if lines == expected {
        return Ok(());
    }
    Err(Failure::Corrupt {
        path: path.to_owned(),
        reason: format!("it has {lines} rejects where {expected} were told"),
        map_task: None,
    })
}

fn write_line(out: &mut impl Write, reject: &Reject<'_>) -> io::Result<()> {
    let sample = &reject.sample[..reject.sample.len().min(limit::RECORD_SAMPLE_BYTES_MAX)];
    let line = RejectLine {
        path: reject.place.map(|place| place.path.to_string_lossy().into_owned()),
        offset: reject.place.map(|place| place.offset),
        reason: reject.reason,
        sample: sample.escape_ascii().to_string(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct RejectLine<'a> {
    path: Option<String>,
    offset: Option<u64>,
    reason: &'a str,
    sample: String,
}

#[cfg(test)]
mod tests {
    use mr_model::TaskId;

    use super::*;

    fn attempt(task: TaskId, attempt: u32) -> AttemptId {
        AttemptId { task, attempt }
    }

    #[test]
    fn rejects_are_lines_of_json() {
        let dir = tempfile::tempdir().unwrap();
        let attempt = attempt(TaskId::reduce(7), 2);
        assert_eq!(write_rejects(dir.path(), attempt, []), Ok(0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let place = Place { path: "in".into(), offset: 7 };
        let rejects = [
            Reject { place: Some(&place), reason: "no \"number\"", sample: b"a\xff\n" },
            Reject { place: None, reason: "group", sample: &[b'x'; 1000] },
        ];
        assert_eq!(write_rejects(dir.path(), attempt, rejects), Ok(2));
        let text = fs::read_to_string(dir.path().join("_attempt-r-00007-2.rejects")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"path":"in","offset":7,"reason":"no \"number\"","sample":"a\\xff\\n"}"#);
        let cut = "x".repeat(limit::RECORD_SAMPLE_BYTES_MAX);
        assert_eq!(lines[1], format!(r#"{{"path":null,"offset":null,"reason":"group","sample":"{cut}"}}"#));
    }

    #[test]
    fn rejects_of_winners_are_collected_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let reject = |reason| Reject { place: None, reason, sample: b"" };
        let winners = [(attempt(TaskId::map(0), 1), 2), (attempt(TaskId::reduce(0), 0), 1)];
        write_rejects(dir.path(), winners[1].0, [reject("c")]).unwrap();
        write_rejects(dir.path(), winners[0].0, [reject("a"), reject("b")]).unwrap();
        write_rejects(dir.path(), attempt(TaskId::map(0), 0), [reject("lost")]).unwrap();
        let lost = [(winners[0].0, 3)];
        assert!(matches!(collect(dir.path(), &lost), Err(Failure::Corrupt { .. })));
        assert!(!dir.path().join(REJECTS_NAME).exists());
        assert_eq!(collect(dir.path(), &winners), Ok(()));
        let text = fs::read_to_string(dir.path().join(REJECTS_NAME)).unwrap();
        let reasons: Vec<_> = text.lines().map(|line| line.split('"').nth(7).unwrap()).collect();
        assert_eq!(reasons, ["a", "b", "c"]);
        fs::remove_file(dir.path().join("_attempt-m-00000-1.rejects")).unwrap();
        assert_eq!(collect(dir.path(), &winners), Ok(()), "what is collected needs no files of attempts");
        assert!(collect(dir.path(), &lost[..1]).is_ok(), "as many as there are");
        assert!(matches!(collect(dir.path(), &winners[..1]), Err(Failure::Corrupt { .. })));
        assert_eq!(collect(dir.path(), &[]), Ok(()));
    }
}
