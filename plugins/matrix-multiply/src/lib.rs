//! Multiplies two sparse matrices, `a` times `b`, in one step.
//!
//! Source: J. Leskovec, A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 2.3.10 and 2.6.7.
//!
//! Rows of `a` and columns of `b` fall into `bands` bands each, and a reducer group makes what is where a band
//! of rows crosses a band of columns. So every element goes to `bands` groups, each of which is sent and holds
//! about the `bands`-th part of both matrices: more bands take less memory and more shuffling. The sums over
//! the inner index are made in its order, so that floats give the same bits however the job is run.
//!
//! | | |
//! |---|---|
//! | inputs | `a` and `b`: lines `ROW TAB COLUMN TAB VALUE`; an element that is not there is zero |
//! | map | key `tuple<u64,u64>`: the bands; value: matrix, inner index, outer index, element |
//! | reduce | key `tuple<u64,u64>`: row and column; value `f64`; zeros are left out |
//! | `bands` | number of bands; 4 where it is not set |
//! | `elements` | most elements of a group; 1,000,000 where it is not set |
//!
//! Where an element comes twice, both count. A line that is no element is rejected.
//!
//! ```sh
//! mr-engine submit matrix-multiply.wasm -i a=a.tsv -i b=b.tsv -p bands=8 -o product
//! ```

use std::collections::BTreeMap;

use guest_sdk::prelude::*;

/// Whether an element is of `b`, inner index, outer index (row of `a`, column of `b`), and the element.
type Element = (bool, u64, u64, f64);

/// Emits every element to all groups that need it.
pub struct Spread {
    of_b: bool,
    bands: u64,
}

impl Mapper for Spread {
    type Input = Lines;
    type Output = Emitter<(u64, u64), Element>;

    const PARAMS: &'static [Param] =
        &[Param::u64("bands", "number of bands of rows and of columns").default("4")];

    fn setup(task: &Task) -> Result<Self> {
        let of_b = match task.input() {
            "a" => false,
            "b" => true,
            input => return Err(Error::fatal(format!("inputs are named a and b, not {input:?}"))),
        };
        match task.param("bands")? {
            0 => Err(Error::fatal("parameter bands is at least 1")),
            bands => Ok(Self { of_b, bands }),
        }
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let Some((row, column, value)) = line.to_str().ok().and_then(element) else {
            return reject("no element: use ROW TAB COLUMN TAB VALUE");
        };
        let (inner, outer) = if self.of_b { (row, column) } else { (column, row) };
        let band = outer % self.bands;
        for other in 0..self.bands {
            let group = if self.of_b { (other, band) } else { (band, other) };
            out.emit(group, (self.of_b, inner, outer, value));
        }
        Ok(())
    }
}

fn element(line: &str) -> Option<(u64, u64, f64)> {
    let mut cells = line.split('\t');
    let element = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    cells.next().is_none().then_some(element)
}

/// Multiplies a band of rows with a band of columns.
pub struct Multiply {
    elements_max: usize,
}

impl Reducer for Multiply {
    type Key = (u64, u64);
    type Value = Element;
    type Output = Emitter<(u64, u64), f64>;

    const PARAMS: &'static [Param] =
        &[Param::u64("elements", "most elements of a group, which are held in memory").default("1000000")];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { elements_max: task.param("elements")? })
    }

    fn reduce(
        &mut self,
        _: (u64, u64),
        elements: &mut Values<'_, Element>,
        out: &mut Self::Output,
    ) -> Result {
        let mut all: Vec<Element> = Vec::new();
        for element in elements {
            if all.len() == self.elements_max {
                let sentence = format!(
                    "a group has more than elements={} elements: use more bands, or raise it",
                    self.elements_max
                );
                return Err(Error::invalid(sentence));
            }
            all.push(element);
        }
        all.sort_unstable_by(|a, b| (a.1, a.0, a.2).cmp(&(b.1, b.0, b.2)).then_with(|| a.3.total_cmp(&b.3)));
        let mut product = BTreeMap::new();
        for same_inner in all.chunk_by(|a, b| a.1 == b.1) {
            let (of_a, of_b) = same_inner.split_at(same_inner.partition_point(|element| !element.0));
            for (_, _, row, left) in of_a {
                for (_, _, column, right) in of_b {
                    *product.entry((*row, *column)).or_insert(0.0) += left * right;
                }
            }
        }
        for (place, value) in product.into_iter().filter(|(_, value)| *value != 0.0) {
            out.emit(place, value);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "matrix-multiply",
    mapper: Spread,
    reducer: Multiply,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn elements_go_to_the_groups_that_need_them() {
        let test = Test::new().param("bands", "2");
        let a = test.clone().param("mr.input", "a").map::<Spread>("3\t7\t1.5\n").unwrap();
        assert_eq!(a.text(), "1\t0\tfalse\t7\t3\t1.5\n1\t1\tfalse\t7\t3\t1.5\n");
        let b = test.param("mr.input", "b").map::<Spread>("3\t7\t1.5\n1\t2\n1\t2\t3\t4\n-1\t2\t3\n").unwrap();
        assert_eq!(b.text(), "0\t1\ttrue\t3\t7\t1.5\n1\t1\ttrue\t3\t7\t1.5\n");
        assert_eq!(b.rejects.len(), 3);
    }

    #[test]
    fn a_group_is_multiplied() {
        let elements: &[Element] = &[
            (false, 0, 0, 1.0),
            (true, 0, 0, 5.0),
            (false, 1, 0, 2.0),
            (true, 1, 0, 7.0),
            (false, 0, 1, 3.0),
            (true, 1, 1, 8.0),
            (true, 0, 2, 1.0),
            (true, 1, 2, -0.5),
        ];
        let run = Test::new().reduce::<Multiply>(&[((0, 0), elements)]).unwrap();
        assert_eq!(run.text(), "0\t0\t19\n0\t1\t16\n1\t0\t15\n1\t2\t3\n");
        let error = Test::new().param("elements", "7").reduce::<Multiply>(&[((0, 0), elements)]).unwrap_err();
        assert!(error.message().starts_with("a group has more than elements=7 elements"), "{error}");
    }
}
