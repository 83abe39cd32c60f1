//! Secondary sort: the lines of each key in the order of a number, each with its rank. What SQL calls
//! `ROW_NUMBER() OVER (PARTITION BY key ORDER BY number)`.
//!
//! Source: J. Lin and C. Dyer, *Data-Intensive Text Processing with MapReduce*, 3.4; T. White, *Hadoop: The
//! Definitive Guide*, chapter 9, "Secondary Sort".
//!
//! Keys are sorted by key and number, and grouped by the key alone: the engine sorts, so a reducer sees the
//! values in order and holds one of them at a time, however many there are. Lines with the same number keep
//! the order of the input.
//!
//! | | |
//! |---|---|
//! | input | lines `KEY TAB NUMBER TAB ...`; the number is whole, with or without a sign |
//! | map | key `tuple<text,s64>`: key and number; value `text`: the rest of the line |
//! | reduce | key `tuple<text,u64>`: key and rank, from 1; value `text`: the rest, the number first |
//!
//! A line without a number is rejected.
//!
//! ```sh
//! mr-engine submit secondary-sort.wasm -i readings.tsv -o ranked
//! ```

use guest_sdk::prelude::*;

/// Emits every line by its key and number.
pub struct Readings;

impl Mapper for Readings {
    type Input = Lines;
    type Output = Emitter<(Text, i64), Text>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let mut columns = line.as_bytes().splitn(2, |byte| *byte == b'\t');
        let (key, rest) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        let number = rest.split(|byte| *byte == b'\t').next().unwrap_or_default();
        let Some(number) = std::str::from_utf8(number).ok().and_then(|number| number.parse::<i64>().ok())
        else {
            return reject("there is no number: use KEY TAB NUMBER");
        };
        out.emit((key, number), rest);
        Ok(())
    }
}

/// Numbers the lines of a key.
pub struct Rank;

impl Reducer for Rank {
    type Key = (Text,);
    type Value = Text;
    type Output = Emitter<(Text, u64), Text>;

    const GROUP_PREFIX: u32 = 1;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn reduce(&mut self, (key,): (Str<'_>,), lines: &mut Values<'_, Text>, out: &mut Self::Output) -> Result {
        let mut rank = 0_u64;
        while let Some(rest) = lines.next_view() {
            rank += 1;
            out.emit((&key, rank), rest);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "secondary-sort",
    mapper: Readings,
    reducer: Rank,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn lines_of_a_key_are_numbered_in_order() {
        let run = Test::new().job::<Readings, Rank>("b\t2\tx\na\t10\nb\t-1\ty\tz\na\t9\nb\t2\ta\n").unwrap();
        assert_eq!(run.text(), "a\t1\t9\na\t2\t10\nb\t1\t-1\ty\tz\nb\t2\t2\tx\nb\t3\t2\ta\n");
    }

    #[test]
    fn lines_without_a_number_are_rejected() {
        let run = Test::new().map::<Readings>("a\na\tx\n\na\t1.5\na\t+1\n").unwrap();
        assert_eq!((run.text(), run.rejects.len()), ("a\t1\t+1\n".into(), 4));
    }
}
