//! Emits every word by itself, with a 1 and without adding up: as many records as there can be, so
//! that what is measured is how records leave the sandbox and not what is done to them. For
//! benchmarks only: `wordcount` is how words are counted.

use guest_sdk::prelude::*;

/// Emits every word with a 1.
pub struct EveryWord;

impl Mapper for EveryWord {
    type Input = Chunks;
    type Output = Emitter<Text, u64>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(EveryWord)
    }

    fn map(&mut self, text: Chunk<'_>, out: &mut Self::Output) -> Result {
        for word in text.words() {
            out.emit(word, 1);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "every-word",
    mapper: EveryWord,
}
