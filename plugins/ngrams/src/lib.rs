//! Counts n-grams: every sequence of `n` words of a line with the number of times that it occurs, in byte
//! order. A word is what is between white space; a sequence does not go on in the next line.
//!
//! Source: C. Manning and H. Schütze, *Foundations of Statistical Natural Language Processing*, 6.1; J. Lin and
//! C. Dyer, *Data-Intensive Text Processing with MapReduce*, 3.3.
//!
//! | | |
//! |---|---|
//! | input | lines of text |
//! | map, combine, reduce | key `text`: the words with a blank between each two; value `u64` |
//! | `n` | words of a sequence, 1 to 16; 2 where it is not set |
//!
//! ```sh
//! mr-engine submit ngrams.wasm -i ./books -p n=3 -o trigrams
//! ```

use guest_sdk::prelude::*;

/// Longest sequence, in words: longer ones hardly occur twice.
const WORDS_MAX: usize = 16;

/// Emits every sequence with a 1.
pub struct Sequences {
    n: usize,
    /// Words of the line with a blank behind each, and where each begins.
    words: Vec<u8>,
    starts: Vec<usize>,
}

impl Mapper for Sequences {
    type Input = Lines;
    type Output = Combining<Text, u64, Sum>;

    const PARAMS: &'static [Param] = &[Param::u64("n", "words of a sequence, 1 to 16").default("2")];

    fn setup(task: &Task) -> Result<Self> {
        match task.param("n")? {
            n @ 1..=WORDS_MAX => Ok(Self { n, words: Vec::new(), starts: Vec::new() }),
            n => Err(Error::fatal(format!("n={n} is not between 1 and {WORDS_MAX}"))),
        }
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        self.words.clear();
        self.starts.clear();
        for word in line.words() {
            self.starts.push(self.words.len());
            self.words.extend_from_slice(&word);
            self.words.push(b' ');
        }
        self.starts.push(self.words.len());
        for sequence in self.starts.windows(self.n + 1) {
            out.emit(&self.words[sequence[0]..sequence[self.n] - 1], 1);
        }
        Ok(())
    }
}

/// Adds up the counts of a sequence: combiner and reducer.
pub type Total = Folding<Text, u64, Sum>;

guest_sdk::export! {
    name: "ngrams",
    mapper: Sequences,
    combiner: Total,
    reducer: Total,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn sequences_stay_within_lines() {
        let text = "a b\t a  b\nb\n\na b c d\n";
        let run = |n: &str| Test::new().param("n", n).job::<Sequences, Total>(text).unwrap().text();
        assert_eq!(run("1"), "a\t3\nb\t4\nc\t1\nd\t1\n");
        assert_eq!(run("2"), "a b\t3\nb a\t1\nb c\t1\nc d\t1\n");
        assert_eq!(run("4"), "a b a b\t1\na b c d\t1\n");
        assert_eq!(run("5"), "");
        let combined = Test::new().combined_job::<Sequences, Total, Total>(text).unwrap();
        assert_eq!(combined.text(), run("2"));
    }

    #[test]
    fn other_lengths_are_refused() {
        for n in ["0", "17"] {
            let error = Test::new().param("n", n).map::<Sequences>("a").unwrap_err();
            assert_eq!(error.message(), format!("n={n} is not between 1 and 16"));
        }
    }
}
