//! Counts words: what is between white space.

use guest_sdk::prelude::*;

/// Emits every word with a 1, added up early.
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
    name: "{{name}}",
    mapper: Words,
    combiner: Total,
    reducer: Total,
}

#[test]
fn words_are_counted() {
    let run = guest_sdk::testing::Test::new().job::<Words, Total>("to be\nor not to be\n").unwrap();
    assert_eq!(run.text(), "be\t2\nnot\t1\nor\t1\nto\t2\n");
}
