//! Finds the `k` lines with the largest numbers, largest first. Of lines with the same number, those that are
//! first in byte order win, so that the answer is one, whatever the splits are.
//!
//! Source: D. Miner and A. Shook, *MapReduce Design Patterns*, chapter 3, "Top Ten".
//!
//! Every task keeps the best `k` in a heap and sends on no more than these, all to one reducer.
//!
//! | | |
//! |---|---|
//! | input | lines of columns, tabs between them |
//! | map, combine | key `unit`; value `tuple<f64,text>`: the number and the line |
//! | reduce | `text`: the line |
//! | `k` | lines wanted, 1 to 100,000; 10 where it is not set |
//! | `column` | column of the number, from 1; the last one where it is not set |
//!
//! Numbers are compared as `f64`. A line without one is rejected.
//!
//! ```sh
//! mr-engine submit top-k.wasm -i counts -p k=20 --reducers 1
//! ```

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use guest_sdk::prelude::*;

/// Most lines that may be wanted: they are held in memory.
const K_MAX: usize = 100_000;

const K: Param = Param::u64("k", "lines wanted, 1 to 100000").default("10");

/// A line with its number: greater the better it is.
#[derive(Debug)]
struct Scored {
    number: f64,
    line: Vec<u8>,
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.total_cmp(&other.number).then_with(|| other.line.cmp(&self.line))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Scored {}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

/// The best lines so far, the worst of them on top.
struct Best {
    k: usize,
    heap: BinaryHeap<Reverse<Scored>>,
}

impl Best {
    fn new(task: &Task) -> Result<Self> {
        match task.param("k")? {
            k @ 1..=K_MAX => Ok(Self { k, heap: BinaryHeap::new() }),
            k => Err(Error::fatal(format!("k={k} is not between 1 and {K_MAX}"))),
        }
    }

    fn offer(&mut self, number: f64, line: &[u8]) {
        if self.heap.len() < self.k {
            self.heap.push(Reverse(Scored { number, line: line.into() }));
            return;
        }
        let Some(mut worst) = self.heap.peek_mut() else { return };
        let order = number.total_cmp(&worst.0.number).then_with(|| worst.0.line.as_slice().cmp(line));
        if order.is_gt() {
            *worst = Reverse(Scored { number, line: line.into() });
        }
    }

    /// All of them, the best first.
    fn take(&mut self) -> impl Iterator<Item = Scored> {
        std::mem::take(&mut self.heap).into_sorted_vec().into_iter().map(|Reverse(scored)| scored)
    }
}

/// Sends on the best lines of a split.
pub struct Splits {
    best: Best,
    /// From 0; none for the last one.
    column: Option<usize>,
}

impl Mapper for Splits {
    type Input = Lines;
    type Output = Emitter<(), (f64, Text)>;

    const PARAMS: &'static [Param] =
        &[K, Param::u64("column", "column of the number, from 1; the last one where it is not set")];

    fn setup(task: &Task) -> Result<Self> {
        let column: Option<usize> = task.param_if_set("column")?;
        let column = column.map(|column| {
            column.checked_sub(1).ok_or_else(|| Error::fatal("column=0 is none: they count from 1"))
        });
        Ok(Self { best: Best::new(task)?, column: column.transpose()? })
    }

    fn map(&mut self, line: Line<'_>, _: &mut Self::Output) -> Result {
        let mut columns = line.as_bytes().split(|byte| *byte == b'\t');
        let cell = match self.column {
            Some(column) => columns.nth(column),
            None => columns.next_back(),
        };
        let number = cell.and_then(|cell| std::str::from_utf8(cell).ok()?.trim().parse::<f64>().ok());
        let Some(number) = number.filter(|number| !number.is_nan()) else {
            return reject("there is no number in the column");
        };
        // There is but one zero.
        self.best.offer(number + 0.0, &line);
        Ok(())
    }

    fn finish(&mut self, out: &mut Self::Output) -> Result {
        for scored in self.best.take() {
            out.emit((), (scored.number, scored.line));
        }
        Ok(())
    }
}

/// Keeps the best lines of several splits.
pub struct Early(Best);

impl Combiner for Early {
    type Key = ();
    type Value = (f64, Text);

    const PARAMS: &'static [Param] = &[K];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self(Best::new(task)?))
    }

    fn combine(
        &mut self,
        (): (),
        lines: &mut Values<'_, Self::Value>,
        out: &mut Combined<'_, (), Self::Value>,
    ) -> Result {
        while let Some((number, line)) = lines.next_view() {
            self.0.offer(number, &line);
        }
        for scored in self.0.take() {
            out.emit((scored.number, scored.line));
        }
        Ok(())
    }
}

/// Tells the best lines of all.
pub struct All(Best);

impl Reducer for All {
    type Key = ();
    type Value = (f64, Text);
    type Output = Emitter<(), Text>;

    const PARAMS: &'static [Param] = &[K];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self(Best::new(task)?))
    }

    fn reduce(&mut self, (): (), lines: &mut Values<'_, Self::Value>, out: &mut Self::Output) -> Result {
        while let Some((number, line)) = lines.next_view() {
            self.0.offer(number, &line);
        }
        for scored in self.0.take() {
            out.emit((), scored.line);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "top-k",
    mapper: Splits,
    combiner: Early,
    reducer: All,
}

#[cfg(test)]
mod tests;
