//! Where rows begin behind a place in the middle of a file of quoted values: a newline there may end a row or
//! be part of a value, and only what is ahead of it tells.
//!
//! No pass over all of the input is made for that. All states that a parser can be in at the place are followed
//! from there on (Ge et al., *Speculative Distributed CSV Data Parsing for Big Data Analytics*, SIGMOD 2019). Two
//! that come to be the same stay so; one that comes to a row longer than a record may be, or to the end of the file
//! within quotes, is wrong, as reading such a file fails anyway. When one is left, rows begin where it says. So
//! the answer depends on the bytes of the file behind the place alone: the reader of the range behind the place
//! begins there and that of the range ahead ends there, and both look only as far as it takes: some rows where
//! there are quotes, the length of the longest record where there are none.
//!
//! The answer is checked: the reader of the range ahead comes to it in the true state, and fails unless a row
//! begins there. By induction from the beginning of the file, what is read is right.
//!
//! Files can be made in which two states never meet (`"\n"\n"\n`...): the search then goes on to the end of the file,
//! where one of them is within quotes.

use crate::error::FormatError;
use crate::source::Source;

use super::rows::{Dialect, is_newline};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Bytes read at a time to pass over empty lines.
const NEAR_BYTES: usize = 256;

/// What a parser has seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// What is ahead of a value.
    Start,
    /// Something of an unquoted value.
    Field,
    /// Something within quotes.
    Quoted,
    /// A quote within quotes, which closes them or is the first of two.
    Closing,
}

/// States of the beginning that have met.
#[derive(Debug, Clone, Copy)]
struct Group {
    state: State,
    /// The first row that began in all of them.
    first: Option<u64>,
    /// Where the row that they are in began, or the place where all began.
    row: u64,
}

/// A row that every parser of the file finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it begins; the end of the file if there is none.
    pub(super) row: u64,
    /// The end of what was looked at.
    pub(super) looked: u64,
}

/// The first row that begins behind the byte at `place`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn first_row(
    source: &dyn Source,
    place: u64,
    dialect: Dialect,
    record_bytes_max: u64,
) -> Result<Found, FormatError> {
    let mut search = Search::new(place, dialect, record_bytes_max);
    let mut buffer = vec![0; READ_BYTES];
    let mut at = place;
    let row = loop {
        if at >= source.bytes() {
            break search.finish();
        }
        let read = read(source, at, &mut buffer)?;
        let row = search.feed(&buffer[..read], at);
        at += read as u64;
        if row.is_some() {
            break row;
        }
    };
    let Some(row) = row else { return Ok(Found { row: source.bytes(), looked: source.bytes() }) };
    let found = skip_newlines(source, row, &mut buffer)?;
    Ok(Found { looked: at.max(found.looked), ..found })
}

fn read(source: &dyn Source, at: u64, buffer: &mut [u8]) -> Result<usize, FormatError> {
    match source.read_at(at, buffer)? {
        0 => Err(FormatError::Shrunk { offset: at }),
        read => Ok(read),
    }
}

/// Empty lines are no rows.
fn skip_newlines(source: &dyn Source, row: u64, buffer: &mut [u8]) -> Result<Found, FormatError> {
    let mut at = row;
    while at < source.bytes() {
        let near = NEAR_BYTES.min(buffer.len());
        let read = read(source, at, &mut buffer[..near])?;
        let looked = at + read as u64;
        if let Some(front) = buffer[..read].iter().position(|byte| !is_newline(*byte)) {
            return Ok(Found { row: at + front as u64, looked });
        }
        at = looked;
    }
    Ok(Found { row: at, looked: at })
}

struct Search {
    dialect: Dialect,
    record_bytes_max: u64,
    groups: Vec<Group>,
    /// The last byte since a quote or newline, if there was one.
    run: Option<u8>,
}

impl Search {
    fn new(place: u64, dialect: Dialect, record_bytes_max: u64) -> Self {
        use State::{Closing, Field, Quoted, Start};
        let states: &[State] =
            if dialect.quote.is_some() { &[Start, Field, Quoted, Closing] } else { &[Field] };
        let groups = states.iter().map(|state| Group { state: *state, first: None, row: place }).collect();
        Self { dialect, record_bytes_max, groups, run: None }
    }

    /// Follows all states through `bytes`, which lie at `base`; the answer as soon as there is one.
    fn feed(&mut self, bytes: &[u8], base: u64) -> Option<u64> {
        let quote = self.dialect.quote.unwrap_or(b'\n');
        let mut behind = 0;
        for at in memchr::memchr3_iter(quote, b'\n', b'\r', bytes) {
            if at > behind {
                self.run = Some(bytes[at - 1]);
            }
            self.step(bytes[at], base + at as u64);
            self.run = None;
            behind = at + 1;
            if let Some(row) = self.answer() {
                return Some(row);
            }
        }
        if behind < bytes.len() {
            self.run = bytes.last().copied();
        }
        self.drop_wrong(base + bytes.len() as u64);
        self.answer()
    }

    /// The answer at the end of the file, where no quotes are open.
    fn finish(&mut self) -> Option<u64> {
        self.groups.retain(|group| group.state != State::Quoted);
        self.answer()
    }

    fn answer(&self) -> Option<u64> {
        match self.groups.as_slice() {
            [one] => one.first,
            _ => None,
        }
    }

    /// Forgets states that are in too long a row at `at`.
    fn drop_wrong(&mut self, at: u64) {
        let max = self.record_bytes_max;
        self.groups.retain(|group| at - group.row <= max);
    }

    /// Follows all states through the quote or newline `byte` at `at`.
    fn step(&mut self, byte: u8, at: u64) {
        use State::{Closing, Field, Quoted, Start};
        self.drop_wrong(at);
        let newline = is_newline(byte);
        for group in &mut self.groups {
            if let (Some(last), Start | Field | Closing) = (self.run, group.state) {
                group.state = if last == self.dialect.delimiter { Start } else { Field };
            }
            group.state = match group.state {
                Quoted if newline => Quoted,
                _ if newline => {
                    group.row = at + 1;
                    group.first = group.first.or(Some(at + 1));
                    Start
                }
                Start | Closing => Quoted,
                Field => Field,
                Quoted => Closing,
            };
        }
        self.merge(newline.then_some(at + 1));
    }

    /// Makes one of states that have met; `row` began right now in those that are not in quotes.
    fn merge(&mut self, row: Option<u64>) {
        let mut index = 1;
        while let Some(group) = self.groups.get(index).copied() {
            let (ahead, _) = self.groups.split_at_mut(index);
            match ahead.iter_mut().find(|other| other.state == group.state) {
                Some(other) => {
                    if other.first != group.first {
                        other.first = row.filter(|_| group.state == State::Start);
                    }
                    other.row = other.row.max(group.row);
                    self.groups.remove(index);
                }
                None => index += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mr_model::Delimited;

    use super::*;

    fn sync(text: &str, place: u64, max: u64) -> u64 {
        let source = text.as_bytes().to_vec();
        first_row(&source, place, Dialect::new(Delimited::CSV), max).unwrap().row
    }

    #[test]
    fn a_newline_in_quotes_begins_no_row() {
        let text = "a,b\n1,\"x\ny\"\n2,z\n3,w\n";
        for place in 0..20 {
            let row = sync(text, place, 1000);
            assert!([4, 12, 16, 20].contains(&row) && row > place, "{place}: {row}");
        }
        assert_eq!(sync(text, 5, 1000), 12);
    }

    #[test]
    fn without_quotes_every_line_is_a_row() {
        let text = "a,b\n1,2\n\r\n3,4\n5,6\n";
        for (place, row) in [(0, 4), (3, 4), (4, 10), (9, 10), (10, 14), (17, 18)] {
            assert_eq!(sync(text, place, 1000), row, "{place}");
        }
    }

    #[test]
    fn a_row_over_the_limit_was_no_row() {
        let text = format!("\"a\nb\"\n{}\"\n", "1,2\n".repeat(20));
        assert_eq!(sync(&text, 8, 16), 10);
    }

    #[test]
    fn states_that_never_meet_are_told_apart_at_the_end() {
        let text = "\"\n\"\n".repeat(100);
        assert_eq!([sync(&text, 9, 1000), sync(&text, 10, 1000), sync(&text, 398, 1000)], [12, 12, 400]);
    }
}
