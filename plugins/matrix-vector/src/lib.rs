//! Multiplies a matrix with a vector, M v. The matrix is the input, a line `i TAB j TAB value` for each element that
//! is not zero; the vector is the side input `v`, a line `j TAB value` for each of its elements. Comes out: a line `i
//! TAB value` for each row of the matrix that has elements, in the order of the rows.
//!
//! The products of a row are added up in the order of the input, so that not even the last digit depends on how the
//! job ran. That is why there is no combiner: sums of floating-point numbers depend on what is added first.
//!
//! ```sh
//! mr-engine submit matrix-vector.wasm --input m.tsv --side v=v.tsv --output ./product
//! ```

use std::collections::HashMap;
use std::io::BufRead;

use guest_sdk::prelude::*;

/// Most bytes of the vector's text: what a task holds of it takes about as much memory.
const VECTOR_BYTES_MAX: u64 = 256 << 20;

/// Multiplies every element with its element of the vector.
pub struct Products {
    vector: HashMap<u64, f64>,
}

impl Mapper for Products {
    type Input = Lines;
    type Output = Emitter<u64, f64>;

    fn setup(task: &Task) -> Result<Self> {
        let v = task.side_input("v")?;
        if v.bytes() > VECTOR_BYTES_MAX {
            let bytes = v.bytes();
            return Err(Error::fatal(format!(
                "the vector has {bytes} bytes, and {VECTOR_BYTES_MAX} are allowed"
            )));
        }
        let mut vector = HashMap::new();
        for (number, line) in (1..).zip(v.buffered().split(b'\n')) {
            let line = line?;
            let element = numbers::<2>(&line).and_then(|[j, value]| Some((parse(j)?, parse(value)?)));
            let (j, value) = element
                .ok_or_else(|| Error::fatal(format!("line {number} of side input v is not j TAB value")))?;
            vector.insert(j, value);
        }
        Ok(Self { vector })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let element = numbers::<3>(&line)
            .and_then(|[i, j, value]| Some((parse::<u64>(i)?, parse::<u64>(j)?, parse::<f64>(value)?)));
        let Some((i, j, value)) = element else { return reject("the line is not i TAB j TAB value") };
        let factor = self.vector.get(&j).copied().unwrap_or(0.0);
        out.emit(i, value * factor);
        Ok(())
    }
}

/// Adds up the products of a row, in their order.
pub struct Rows;

impl Reducer for Rows {
    type Key = u64;
    type Value = f64;
    type Output = Emitter<u64, f64>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Rows)
    }

    fn reduce(&mut self, row: u64, products: &mut Values<'_, f64>, out: &mut Self::Output) -> Result {
        out.emit(row, products.fold(0.0, |sum, product| sum + product));
        Ok(())
    }
}

/// The fields of a line, if there are so many.
fn numbers<const FIELDS: usize>(line: &[u8]) -> Option<[&str; FIELDS]> {
    let fields: Vec<&str> = std::str::from_utf8(line).ok()?.split('\t').collect();
    fields.try_into().ok()
}

fn parse<T: std::str::FromStr>(field: &str) -> Option<T> {
    field.trim().parse().ok()
}

guest_sdk::export! {
    name: "matrix-vector",
    mapper: Products,
    reducer: Rows,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn rows_are_multiplied() {
        // (1 2 0; 0 0 -3; 0 0.5 0) (10; 100; 7)
        let m = "1\t1\t1\n1\t2\t2\n2\t3\t-3\n3\t2\t0.5\n3\t9\t8\n";
        let run = Test::new().side_input("v", "1\t10\n2\t100\n3\t7\n").job::<Products, Rows>(m).unwrap();
        assert_eq!(run.text(), "1\t210\n2\t-21\n3\t50\n");
    }

    #[test]
    fn lines_that_are_no_elements_are_rejected_and_a_bad_vector_is_told() {
        let run = Test::new().side_input("v", "1\t2\n").map::<Products>("1\t1\n1\t1\tx\n1\t1\t3\n").unwrap();
        assert_eq!((run.text().as_str(), run.rejects.len()), ("1\t6\n", 2));
        let bad = Test::new().side_input("v", "1\t2\n\n").map::<Products>("1\t1\t1\n").unwrap_err();
        assert_eq!(bad.message(), "line 2 of side input v is not j TAB value");
    }
}
