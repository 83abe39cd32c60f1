//! Counts words as `wordcount` does, and takes its time: a job on little data runs long enough for
//! something to befall it half way. For benchmarks only.

use std::hint::black_box;

use guest_sdk::prelude::*;

/// Emits every word with a 1, after some idle arithmetic.
pub struct SlowWords {
    rounds: u64,
}

impl Mapper for SlowWords {
    type Input = Chunks;
    type Output = Combining<Text, u64, Sum>;

    const PARAMS: &'static [Param] =
        &[Param::u64("rounds", "multiplications for each word, one after the other").default("1000")];

    fn setup(task: &Task) -> Result<Self> {
        Ok(SlowWords { rounds: task.param("rounds")? })
    }

    fn map(&mut self, text: Chunk<'_>, out: &mut Self::Output) -> Result {
        for word in text.words() {
            black_box(
                (0..self.rounds).fold(1_u64, |product, round| product.wrapping_mul(black_box(round | 1))),
            );
            out.emit(word, 1);
        }
        Ok(())
    }
}

/// Adds up the counts of a word: combiner and reducer.
pub type Total = Folding<Text, u64, Sum>;

guest_sdk::export! {
    name: "slow-words",
    mapper: SlowWords,
    combiner: Total,
    reducer: Total,
}
