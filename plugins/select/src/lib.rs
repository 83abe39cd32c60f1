//! Selection and projection: keeps the lines that fulfil conditions, and of these some columns, in any
//! order. What SQL calls `SELECT columns FROM input WHERE conditions`, duplicates and all: `sets` with
//! `op=distinct` removes these.
//!
//! Source: J. Leskovec, A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 2.3.3 and 2.3.4.
//!
//! | | |
//! |---|---|
//! | input | lines of columns, tabs between them; columns count from 1 |
//! | emits | `text`: the line, or its columns |
//! | `where` | conditions `COLUMN OP VALUE` with ` and ` between them; all lines where it is not set |
//! | `columns` | columns to keep, as in `3,1`; all where it is not set |
//!
//! `OP` is `=`, `!=`, `<`, `<=`, `>`, `>=` or `~` (contains). Where `VALUE` is a number, numbers are compared,
//! whole ones exactly and others as `f64`, and a column that is none is below all that are; else bytes are. A line without one of the columns is
//! rejected.
//!
//! ```sh
//! mr-engine submit select.wasm -i packages.tsv -p where='4>=1000 and 2~games' -p columns=1,4 --reducers 0
//! ```

mod condition;

use guest_sdk::prelude::*;

use crate::condition::{Condition, conditions};

/// Emits the lines that fulfil all conditions.
pub struct Select {
    conditions: Vec<Condition>,
    /// Columns to keep, from 0; none for all.
    columns: Option<Vec<usize>>,
    row: Vec<u8>,
}

impl Mapper for Select {
    type Input = Lines;
    type Output = Emitter<(), Text>;

    const PARAMS: &'static [Param] = &[
        Param::text("where", "conditions, as in 3>=1000 and 2~games; all lines where it is not set"),
        Param::text("columns", "columns to keep, from 1, as in 3,1; all where it is not set"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        let select: Option<String> = task.param_if_set("where")?;
        let columns: Option<String> = task.param_if_set("columns")?;
        let columns = columns.map(|columns| columns.split(',').map(column_number).collect());
        Ok(Self {
            conditions: select.map_or(Ok(Vec::new()), |text| conditions(&text))?,
            columns: columns.transpose()?,
            row: Vec::new(),
        })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        for condition in &self.conditions {
            let Some(cell) = cell(&line, condition.column) else {
                return reject(format!("there is no column {}", condition.column + 1));
            };
            if !condition.holds(cell) {
                return Ok(());
            }
        }
        let Some(columns) = &self.columns else {
            out.emit((), line);
            return Ok(());
        };
        self.row.clear();
        for (place, column) in columns.iter().enumerate() {
            let Some(cell) = cell(&line, *column) else {
                return reject(format!("there is no column {}", column + 1));
            };
            if place > 0 {
                self.row.push(b'\t');
            }
            self.row.extend_from_slice(cell);
        }
        out.emit((), &self.row);
        Ok(())
    }
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

guest_sdk::export! { name: "select", mapper: Select }

#[cfg(test)]
mod tests;
