//! Joins lines with a table that fits in memory, without a shuffle: every task has the whole table as a side
//! input; meant for jobs without reducers (`--reducers 0`).
//!
//! A line is `key TAB rest`, of the input as of the table; one without a tab is a key alone. For every line of the
//! input and every line of the table with its key, `key TAB rest of the line TAB rest of the table` comes out, in the
//! order of the input, then of the table.
//!
//! ```sh
//! mr-engine submit map-join.wasm --input visits.tsv --side table=countries.tsv --reducers 0
//! ```

use std::collections::HashMap;
use std::ops::Range;

use guest_sdk::prelude::*;

/// Joins each line with what the table has for its key.
pub struct Join {
    table: Table,
    /// Lines without a partner are kept.
    outer: bool,
    joined: Counter,
    alone: Counter,
}

/// The lines of the side input by key. Their bytes lie once in memory, as they were read.
struct Table {
    bytes: Vec<u8>,
    /// For each key where the rest of each of its lines is.
    lines: HashMap<Vec<u8>, Vec<Range<usize>>>,
}

impl Mapper for Join {
    type Input = Lines;
    type Output = Emitter<Text, (Text, Text)>;

    const PARAMS: &'static [Param] = &[
        Param::text("table", "name of the side input that is the table").default("table"),
        Param::u64(
            "table-max",
            "most bytes of the table; it has to fit in --guest-memory several times over",
        )
        .default("134217728"),
        Param::flag("outer", "keep lines that the table has no key for, with nothing behind them"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        let name: String = task.param("table")?;
        let bytes = task.side_input(&name)?.read_all(task.param("table-max")?)?;
        Ok(Self {
            table: Table::of(bytes),
            outer: task.param("outer")?,
            joined: task.counter("lines joined"),
            alone: task.counter("lines without a partner"),
        })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let (key, rest) = split(&line);
        let mut partners = self.table.partners(key).peekable();
        let met = partners.peek().is_some();
        for partner in partners {
            out.emit(key, (rest, partner));
        }
        if met {
            self.joined.add(1);
        } else {
            self.alone.add(1);
            if self.outer {
                out.emit(key, (rest, ""));
            }
        }
        Ok(())
    }
}

impl Table {
    fn of(bytes: Vec<u8>) -> Self {
        let mut lines: HashMap<Vec<u8>, Vec<Range<usize>>> = HashMap::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let (key, rest) = split(text);
            let end = start + text.len();
            let place = end - rest.len()..end;
            match lines.get_mut(key) {
                Some(places) => places.push(place),
                None => _ = lines.insert(key.to_vec(), vec![place]),
            }
            start += line.len();
        }
        Self { bytes, lines }
    }

    /// The rest of each line with this key, in the order of the table.
    fn partners(&self, key: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.lines.get(key).into_iter().flatten().filter_map(|place| self.bytes.get(place.clone()))
    }
}

/// What is before the first tab, and what is behind it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b'\t') {
        Some(tab) => (&line[..tab], &line[tab + 1..]),
        None => (line, b""),
    }
}

guest_sdk::export! { name: "map-join", mapper: Join }

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    const TABLE: &str = "de\tGermany\nfr\tFrance\nfr\tla France\nalone\n";
    const LINES: &str = "fr\t3\nit\t4\nalone\nde\t2\tand more\nfr\t2\n";

    #[test]
    fn every_line_meets_every_partner() {
        let run = Test::new().side_input("table", TABLE).map::<Join>(LINES).unwrap();
        assert_eq!(
            run.text(),
            "fr\t3\tFrance\nfr\t3\tla France\nalone\t\t\nde\t2\tand more\tGermany\nfr\t2\tFrance\nfr\t2\tla France\n"
        );
        assert_eq!([run.counters["lines joined"], run.counters["lines without a partner"]], [4, 1]);
    }

    #[test]
    fn lines_without_a_partner_are_kept_where_that_is_asked_for() {
        let test =
            Test::new().side_input("names", "de\tGermany\n").param("table", "names").param("outer", "true");
        assert_eq!(test.map::<Join>("it\t4\nde\t1\n").unwrap().text(), "it\t4\t\nde\t1\tGermany\n");
    }

    #[test]
    fn a_table_that_is_missing_or_too_large_is_told() {
        let missing = Test::new().map::<Join>(LINES).unwrap_err();
        assert_eq!(missing.message(), "the job has no side input \"table\"");
        let large =
            Test::new().side_input("table", TABLE).param("table-max", "7").map::<Join>(LINES).unwrap_err();
        assert_eq!(large.message(), "side input table has 40 bytes, and 7 are allowed");
    }
}
