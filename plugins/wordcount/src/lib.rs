//! Counts words: every word of the input with the number of times that it occurs, in byte order.
//! A word is what is between white space.

use guest_sdk::prelude::*;

/// Emits every word with a 1, added up as far as a small table in the cache allows.
pub struct Words;

impl Mapper for Words {
    type Input = Chunks;
    type Output = Combining<Text, u64, Sum>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Words)
    }

    fn map(&mut self, text: Chunk<'_>, out: &mut Self::Output) -> Result {
        for word in text.words() {
            out.emit(word, 1);
        }
        Ok(())
    }
}

/// Adds up the counts of a word: combiner and reducer.
pub type Total = Folding<Text, u64, Sum>;

guest_sdk::export! {
    name: "wordcount",
    mapper: Words,
    combiner: Total,
    reducer: Total,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn words_are_counted() {
        let run = Test::new().job::<Words, Total>("to be\tor\nnot  to be\n\n").unwrap();
        assert_eq!(run.text(), "be\t2\nnot\t1\nor\t1\nto\t2\n");
    }

    #[test]
    fn a_long_text_counts_as_a_naive_loop_does() {
        let text = include_str!("lib.rs").repeat(3);
        let mut naive = BTreeMap::<&str, u64>::new();
        for word in text.split_ascii_whitespace() {
            *naive.entry(word).or_default() += 1;
        }
        let expected: String = naive.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect();
        assert_eq!(Test::new().job::<Words, Total>(&text).unwrap().text(), expected);
        assert_eq!(Test::new().combined_job::<Words, Total, Total>(&text).unwrap().text(), expected);
    }
}
