//! Grouping and aggregation: for each group of lines that have the same columns, how many there are, and
//! the sum, smallest, largest and average of another column. What SQL calls `SELECT by, COUNT(*), SUM(column),
//! MIN(column), MAX(column), AVG(column) FROM input GROUP BY by`.
//!
//! Source: J. Leskovec, A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 2.3.8.
//!
//! Numbers are added up as whole numbers of a unit, `decimals` digits behind the point: floats would make the
//! sum depend on the order of adding. Averages are `f64`, made of the sum and the count at the very end. Sums
//! of what is positive and of what is negative have 64 bits each; passing them fails the job, or with `--max-rejects` leaves the
//! group out.
//!
//! | | |
//! |---|---|
//! | input | lines of columns, tabs between them; columns count from 1 |
//! | map, combine | key `text`: the columns of the group; value: see `Stats` |
//! | reduce | key `text`, value `tuple<u64,text,text,text,f64>`: count, sum, smallest, largest, average |
//! | `by` | columns of the group, as in `1,3` |
//! | `column` | column of the numbers |
//! | `decimals` | most digits behind the point, 0 to 9; 0 where it is not set |
//!
//! A line without one of the columns, or with something else than such a number, is rejected.
//!
//! ```sh
//! mr-engine submit aggregate.wasm -i packages.tsv -p by=2 -p column=4 -o sizes
//! ```

mod decimal;

use guest_sdk::prelude::*;

/// What is known of numbers: how many there are, the sum of those above 0 and of the others without their
/// sign, the smallest, the largest.
type Stats = (u64, u64, u64, i64, i64);

/// What is known of the numbers of two parts of a group together.
pub struct Together;

impl Fold<Stats> for Together {
    fn fold(a: Stats, b: Stats) -> Stats {
        (Sum::fold(a.0, b.0), Sum::fold(a.1, b.1), Sum::fold(a.2, b.2), a.3.min(b.3), a.4.max(b.4))
    }
}

/// Emits for every line its group and what is known of its number.
pub struct Numbers {
    by: Vec<usize>,
    column: usize,
    decimals: u32,
    group: Vec<u8>,
}

impl Mapper for Numbers {
    type Input = Lines;
    type Output = Combining<Text, Stats, Together>;

    const PARAMS: &'static [Param] = &[
        Param::text("by", "columns of the group, from 1, as in 1,3").required(),
        Param::text("column", "column of the numbers").required(),
        DECIMALS,
    ];

    fn setup(task: &Task) -> Result<Self> {
        let (by, column): (String, String) = (task.param("by")?, task.param("column")?);
        Ok(Self {
            by: by.split(',').map(column_number).collect::<Result<_>>()?,
            column: column_number(&column)?,
            decimals: decimals(task)?,
            group: Vec::new(),
        })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        self.group.clear();
        for (place, column) in self.by.iter().enumerate() {
            let Some(cell) = cell(&line, *column) else {
                return reject(format!("there is no column {}", column + 1));
            };
            if place > 0 {
                self.group.push(b'\t');
            }
            self.group.extend_from_slice(cell);
        }
        let Some(number) = cell(&line, self.column) else {
            return reject(format!("there is no column {}", self.column + 1));
        };
        let Some(number) = decimal::parse(number, self.decimals) else {
            return reject(format!("column {} is no number of decimals={}", self.column + 1, self.decimals));
        };
        let (above, below) = if number > 0 { (number.unsigned_abs(), 0) } else { (0, number.unsigned_abs()) };
        out.emit(&self.group, (1, above, below, number, number));
        Ok(())
    }
}

/// Adds up early.
pub type Early = Folding<Text, Stats, Together>;

/// Tells what is known of a whole group.
pub struct Tell {
    decimals: u32,
}

impl Reducer for Tell {
    type Key = Text;
    type Value = Stats;
    type Output = Emitter<Text, (u64, Text, Text, Text, f64)>;

    const PARAMS: &'static [Param] = &[DECIMALS];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { decimals: decimals(task)? })
    }

    fn reduce(&mut self, group: Str<'_>, parts: &mut Values<'_, Stats>, out: &mut Self::Output) -> Result {
        let Some((count, above, below, min, max)) = parts.reduce(Together::fold) else {
            return Ok(());
        };
        let sum = i128::from(above) - i128::from(below);
        let average = sum as f64 / (i128::from(count) * 10_i128.pow(self.decimals)) as f64;
        let shown = |number: i128| decimal::show(number, self.decimals);
        out.emit(group, (count, shown(sum), shown(min.into()), shown(max.into()), average));
        Ok(())
    }
}

const DECIMALS: Param = Param::u64("decimals", "most digits behind the point, 0 to 9").default("0");

fn decimals(task: &Task) -> Result<u32> {
    let decimals = task.param("decimals")?;
    if decimals > 9 { Err(Error::fatal("parameter decimals is 9 at most")) } else { Ok(decimals) }
}

/// A column of a line, from 0.
fn cell(line: &[u8], column: usize) -> Option<&[u8]> {
    line.split(|byte| *byte == b'\t').nth(column)
}

/// A column as it is typed, from 1, as it is used, from 0.
fn column_number(text: &str) -> Result<usize> {
    let number = text.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    number.ok_or_else(|| Error::fatal(format!("{text:?} is no column: they count from 1")))
}

guest_sdk::export! {
    name: "aggregate",
    mapper: Numbers,
    combiner: Early,
    reducer: Tell,
}

#[cfg(test)]
mod tests;
