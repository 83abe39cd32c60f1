//! Union, intersection and difference of two sets of lines, and the distinct lines of one: what SQL calls
//! `UNION`, `INTERSECT`, `EXCEPT` and `DISTINCT`.
//!
//! Source: J. Leskovec, A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 2.3.5 and 2.3.6.
//!
//! Every line comes with the sides that it was seen on, one bit each; combiner and reducer put bits together,
//! and the operation tells which of the four outcomes is wanted.
//!
//! | | |
//! |---|---|
//! | input | lines; for operations on two sets the inputs are named `left` and `right` |
//! | map, combine | key `text`: the line; value `u64`: 1 for left, 2 for right, 3 for both |
//! | reduce | key `text`: the line; value `unit` |
//! | `op` | `union`, `intersection`, `difference` (what is left but not right) or `distinct` |
//!
//! ```sh
//! mr-engine submit sets.wasm -i left=yesterday.txt -i right=today.txt -p op=difference -o gone
//! ```

use guest_sdk::prelude::*;

/// Of lines on the left, or of an input without a name.
const LEFT: u64 = 1;
/// Of lines on the right.
const RIGHT: u64 = 2;

/// Sides of two parts of a group together.
pub struct Sides;

impl Fold<u64> for Sides {
    fn fold(a: u64, b: u64) -> u64 {
        a | b
    }
}

/// Emits every line with its side.
pub struct Members {
    side: u64,
}

impl Mapper for Members {
    type Input = Lines;
    type Output = Combining<Text, u64, Sides>;

    const PARAMS: &'static [Param] = &[OPERATION];

    fn setup(task: &Task) -> Result<Self> {
        let operation: String = task.param("op")?;
        match (task.input(), operation.as_str()) {
            ("left", _) | ("", "distinct") => Ok(Self { side: LEFT }),
            ("right", _) => Ok(Self { side: RIGHT }),
            (input, _) => {
                Err(Error::fatal(format!("there is an input {input:?}: op={operation} takes left and right")))
            }
        }
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        out.emit(line, self.side);
        Ok(())
    }
}

/// Puts sides together early.
pub type Early = Folding<Text, u64, Sides>;

/// Emits the lines that are where the operation wants them.
pub struct Choose {
    /// Whether what is on the left alone, on the right alone, on both sides is wanted.
    wanted: [bool; 3],
}

impl Reducer for Choose {
    type Key = Text;
    type Value = u64;
    type Output = Emitter<Text, ()>;

    const PARAMS: &'static [Param] = &[OPERATION];

    fn setup(task: &Task) -> Result<Self> {
        let operation: String = task.param("op")?;
        let wanted = match operation.as_str() {
            "union" | "distinct" => [true, true, true],
            "intersection" => [false, false, true],
            "difference" => [true, false, false],
            _ => return Err(Error::fatal(format!("op={operation} is none of {OPERATIONS}"))),
        };
        Ok(Self { wanted })
    }

    fn reduce(&mut self, line: Str<'_>, sides: &mut Values<'_, u64>, out: &mut Self::Output) -> Result {
        let wanted = match sides.reduce(Sides::fold) {
            Some(LEFT) => self.wanted[0],
            Some(RIGHT) => self.wanted[1],
            _ => self.wanted[2],
        };
        if wanted {
            out.emit(line, ());
        }
        Ok(())
    }
}

const OPERATIONS: &str = "union, intersection, difference, distinct";
const OPERATION: Param = Param::text("op", OPERATIONS).required();

guest_sdk::export! {
    name: "sets",
    mapper: Members,
    combiner: Early,
    reducer: Choose,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn operations_want_their_sides() {
        let groups: [(&str, &[u64]); 3] = [("both", &[2, 1, 1]), ("left", &[1]), ("right", &[2, 2])];
        for (operation, lines) in [
            ("union", "both\nleft\nright\n"),
            ("intersection", "both\n"),
            ("difference", "left\n"),
            ("distinct", "both\nleft\nright\n"),
        ] {
            let run = Test::new().param("op", operation).reduce::<Choose>(&groups).unwrap();
            assert_eq!(run.text(), lines, "{operation}");
        }
    }

    #[test]
    fn lines_carry_the_side_of_their_input() {
        let test = |input: &str| Test::new().param("op", "union").param("mr.input", input);
        assert_eq!(test("left").map::<Members>("a\nb\na\n").unwrap().records().unwrap().len(), 2);
        assert_eq!(test("right").map::<Members>("a").unwrap().text(), "a\t2\n");
        let error = test("").map::<Members>("a").unwrap_err();
        assert_eq!(error.message(), "there is an input \"\": op=union takes left and right");
    }

    #[test]
    fn another_operation_is_refused() {
        let error = Test::new().param("op", "xor").reduce::<Choose>(&[("a", &[1_u64])]).unwrap_err();
        assert_eq!(error.message(), "op=xor is none of union, intersection, difference, distinct");
    }
}
