//! Finds the lines that match a regular expression, as `grep` does; meant for jobs without
//! reducers (`--reducers 0`).
//!
//! The whole chunk is searched at once, and only where there is a match are the bounds of its line
//! found. So a match must never pass the end of a line: see [`line`].

mod line;

use guest_sdk::prelude::*;
use regex_automata::{Input, meta::Regex};

/// Emits the lines that match `pattern`, or with `invert` those that do not.
pub struct Matches {
    regex: Regex,
    invert: bool,
    matched: Counter,
}

impl Mapper for Matches {
    type Input = Chunks;
    type Output = Emitter<(), Text>;

    const PARAMS: &'static [Param] = &[
        Param::text("pattern", "regular expression, in the syntax of Rust's regex crate").required(),
        Param::flag("ignore-case", "letters match in either case"),
        Param::flag("invert", "emit the lines that do not match"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        let pattern: String = task.param("pattern")?;
        Ok(Self {
            regex: line::regex(&pattern, task.param("ignore-case")?)
                .map_err(|error| Error::fatal(error).context("parameter pattern"))?,
            invert: task.param("invert")?,
            matched: task.counter("lines matched"),
        })
    }

    fn map(&mut self, chunk: Chunk<'_>, out: &mut Self::Output) -> Result {
        let bytes = chunk.as_bytes();
        let mut matched = 0;
        let mut start = 0;
        while start < bytes.len() {
            let (line, end) = self.next_match(bytes, start).unwrap_or((bytes.len(), bytes.len()));
            if self.invert {
                emit_lines(&bytes[start..line], out);
            } else if line < bytes.len() {
                out.emit((), &bytes[line..end]);
            }
            matched += i64::from(line < bytes.len());
            start = end + 1;
        }
        self.matched.add(matched);
        Ok(())
    }
}

impl Matches {
    /// Bounds of the first line that matches, of those that begin at `start` or later.
    fn next_match(&self, bytes: &[u8], start: usize) -> Option<(usize, usize)> {
        let input = Input::new(bytes).range(start..).earliest(true);
        let place = self.regex.search_half(&input)?.offset();
        let line = start + memchr::memrchr(b'\n', &bytes[start..place]).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &bytes[place..]).map_or(bytes.len(), |len| place + len);
        // An empty match behind the last newline is on no line.
        (line < bytes.len()).then_some((line, end))
    }
}

/// Emits whole lines; the last may lack its newline.
fn emit_lines(lines: &[u8], out: &mut Emitter<(), Text>) {
    if !lines.is_empty() {
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        lines.split(|byte| *byte == b'\n').for_each(|line| out.emit((), line));
    }
}

guest_sdk::export! {
    name: "grep",
    mapper: Matches,
}

#[cfg(test)]
mod tests;
