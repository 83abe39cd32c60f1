//! Finds the lines that match a regular expression, as `grep` does; meant for jobs without
//! reducers (`--reducers 0`).
//!
//! A chunk is searched as a whole, and the bounds of a line are found only where it may match. With
//! `grep-regex`, a part of `ripgrep`, no match passes a line's end.

use grep_matcher::{LineMatchKind, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use guest_sdk::prelude::*;
use regex_syntax::hir::Look;

/// Memory of a compiled pattern, in bytes: ten times what any sensible one needs.
const PATTERN_BYTES_MAX: usize = 10 << 20;

/// Emits the lines that match `pattern`, or with `invert` those that do not.
pub struct Matches {
    matcher: RegexMatcher,
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
        let matcher = compile(&pattern, task.param("ignore-case")?);
        Ok(Self {
            matcher: matcher.map_err(|error| Error::fatal(error).context("parameter pattern"))?,
            invert: task.param("invert")?,
            matched: task.counter("lines matched"),
        })
    }

    fn map(&mut self, chunk: Chunk<'_>, out: &mut Self::Output) -> Result {
        let bytes = chunk.as_bytes();
        let mut start = 0;
        while start < bytes.len() {
            let (line, end) = self.next_match(bytes, start).unwrap_or((bytes.len(), bytes.len()));
            if self.invert {
                emit_lines(&bytes[start..line], out);
            } else if line < bytes.len() {
                out.emit((), &bytes[line..end]);
            }
            self.matched.add(i64::from(line < bytes.len()));
            start = end + 1;
        }
        Ok(())
    }
}

impl Matches {
    /// Bounds of the first line that matches, of those that begin at `start` or later.
    fn next_match(&self, bytes: &[u8], mut start: usize) -> Option<(usize, usize)> {
        while start < bytes.len() {
            let (place, sure) = match self.matcher.find_candidate_line(&bytes[start..]).ok()?? {
                LineMatchKind::Confirmed(at) => (start + at, true),
                LineMatchKind::Candidate(at) => (start + at, false),
            };
            let line = start + memchr::memrchr(b'\n', &bytes[start..place]).map_or(0, |newline| newline + 1);
            let end = memchr::memchr(b'\n', &bytes[place..]).map_or(bytes.len(), |len| place + len);
            if line < bytes.len() && (sure || self.matcher.is_match(&bytes[line..end]).ok()?) {
                return Some((line, end));
            }
            start = end + 1;
        }
        None
    }
}

fn compile(pattern: &str, ignore_case: bool) -> Result<RegexMatcher, Box<dyn std::error::Error>> {
    let mut parser = regex_syntax::ParserBuilder::new().multi_line(true).utf8(false).build();
    let bounds = parser.parse(pattern)?.properties().look_set();
    if bounds.contains(Look::Start) || bounds.contains(Look::End) {
        return Err("lines have no \\A or \\z: use ^ and $".into());
    }
    let mut builder = RegexMatcherBuilder::new();
    builder.multi_line(true).case_insensitive(ignore_case).size_limit(PATTERN_BYTES_MAX);
    Ok(builder.line_terminator(Some(b'\n')).build(pattern)?)
}

/// Emits whole lines; the last may lack its newline.
fn emit_lines(lines: &[u8], out: &mut Emitter<(), Text>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        out.emit((), line.strip_suffix(b"\n").unwrap_or(line));
    }
}

guest_sdk::export! { name: "grep", mapper: Matches }

#[cfg(test)]
mod tests;
