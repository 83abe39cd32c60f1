//! Natural join of two inputs on the side of the reducers: every line of the left input with every line of
//! the right one that has the same key columns. What SQL calls `SELECT * FROM left JOIN right USING (key)`.
//!
//! Source: J. Leskovec, A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 2.3.7; J. Lin and C. Dyer,
//! *Data-Intensive Text Processing with MapReduce*, 3.5.1.
//!
//! The values of a key come in the order of the inputs, so those of the left side are there before the first
//! one of the right side: the left ones are held in memory, the right ones pass by. Memory is bounded by
//! `left-bytes`, however many lines of a key are on the right: let `left` be the side that has few of each.
//!
//! | | |
//! |---|---|
//! | inputs | `left`, then `right`: lines of columns, tabs between them; columns count from 1 |
//! | map | key `text`: the key columns; value `tuple<bool,text>`: whether it is of the right, other columns |
//! | reduce | `text`: key columns, other columns of the left line, those of the right line |
//! | `left-key`, `right-key` | key columns, as in `1,3`; 1 where it is not set |
//! | `left-bytes` | most bytes that the left lines of one key may take; 16 MiB where it is not set |
//!
//! A line without one of its key columns is rejected. Where a key has more on the left than allowed, the job
//! fails and says so.
//!
//! ```sh
//! mr-engine submit join.wasm -i left=packages.tsv -i right=depends.tsv -p right-key=2 -o joined
//! ```

use guest_sdk::prelude::*;

/// Emits every line by its key, with its side and its other columns.
pub struct Tag {
    right: bool,
    keys: Vec<usize>,
    key: Vec<u8>,
    rest: Vec<u8>,
}

/// Whether it is of the right side, and columns, each behind a tab.
type Tagged = (bool, Text);

impl Mapper for Tag {
    type Input = Lines;
    type Output = Emitter<Text, Tagged>;

    const PARAMS: &'static [Param] = &[
        Param::text("left-key", "key columns of the left input, from 1, as in 1,3").default("1"),
        Param::text("right-key", "key columns of the right input").default("1"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        let right = match task.input() {
            "left" => false,
            "right" => true,
            input => return Err(Error::fatal(format!("inputs are named left and right, not {input:?}"))),
        };
        let keys: String = task.param(if right { "right-key" } else { "left-key" })?;
        let keys = keys.split(',').map(column_number).collect::<Result<_>>()?;
        Ok(Self { right, keys, key: Vec::new(), rest: Vec::new() })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let columns = || line.as_bytes().split(|byte| *byte == b'\t');
        self.key.clear();
        for (place, column) in self.keys.iter().enumerate() {
            let Some(cell) = columns().nth(*column) else {
                return reject(format!("there is no column {}", column + 1));
            };
            if place > 0 {
                self.key.push(b'\t');
            }
            self.key.extend_from_slice(cell);
        }
        self.rest.clear();
        for (_, cell) in columns().enumerate().filter(|(column, _)| !self.keys.contains(column)) {
            self.rest.push(b'\t');
            self.rest.extend_from_slice(cell);
        }
        out.emit(&self.key, (self.right, &self.rest));
        Ok(())
    }
}

/// A column as it is typed, from 1, as it is used, from 0.
fn column_number(text: &str) -> Result<usize> {
    let number = text.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    number.ok_or_else(|| Error::fatal(format!("{text:?} is no column: they count from 1")))
}

/// Holds the left lines of a key against its right ones.
pub struct Join {
    left_bytes_max: usize,
    /// Left lines of the key in hand, end to end, and where each ends.
    left: Vec<u8>,
    ends: Vec<usize>,
    joined: Vec<u8>,
}

impl Join {
    /// Bytes that the left lines of the key take.
    fn left_bytes(&self) -> usize {
        self.left.len() + self.ends.len() * size_of::<usize>()
    }
}

impl Reducer for Join {
    type Key = Text;
    type Value = Tagged;
    type Output = Emitter<(), Text>;

    const PARAMS: &'static [Param] =
        &[Param::u64("left-bytes", "most bytes of the left lines of one key").default("16777216")];

    fn setup(task: &Task) -> Result<Self> {
        let left_bytes_max = task.param("left-bytes")?;
        Ok(Self { left_bytes_max, left: Vec::new(), ends: Vec::new(), joined: Vec::new() })
    }

    fn reduce(&mut self, key: Str<'_>, lines: &mut Values<'_, Tagged>, out: &mut Self::Output) -> Result {
        self.left.clear();
        self.ends.clear();
        let mut right_begun = false;
        while let Some((right, rest)) = lines.next_view() {
            if right {
                right_begun = true;
                let mut start = 0;
                for end in &self.ends {
                    self.joined.clear();
                    for part in [&*key, &self.left[start..*end], &*rest] {
                        self.joined.extend_from_slice(part);
                    }
                    out.emit((), &self.joined);
                    start = *end;
                }
                continue;
            }
            if right_begun {
                return Err(Error::fatal("the input left has to be named before the input right"));
            }
            self.left.extend_from_slice(&rest);
            self.ends.push(self.left.len());
            if self.left_bytes() > self.left_bytes_max {
                return Err(Error::invalid(format!(
                    "key {key:?} has more than left-bytes={} of lines on the left: exchange the sides, or raise it",
                    self.left_bytes_max
                )));
            }
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "join",
    mapper: Tag,
    reducer: Join,
}

#[cfg(test)]
mod tests;
