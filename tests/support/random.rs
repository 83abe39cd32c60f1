//! Inputs made from a seed, and properties with fixed seeds: a failure is the same on every machine.

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Seed of every property.
const SEED: u64 = 0x6d72_2d74_6573_7473;
/// Smaller cases that are tried after a failure.
const SHRINKS_MAX: u32 = 100;

/// Runs `test` on `cases` values of a strategy; shows the smallest that fails.
pub fn property<S: Strategy<Value: Debug>>(cases: u32, values: &S, test: impl Fn(S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(SEED),
        max_shrink_iters: SHRINKS_MAX,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(values, |value| {
        test(value);
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Numbers that look random: xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A byte below `end`.
    pub fn byte(&mut self, end: u8) -> u8 {
        self.below(u64::from(end)).to_le_bytes()[0]
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }
}

/// A text by its measures.
#[derive(Debug, Clone)]
pub struct Text {
    pub seed: u64,
    pub lines: u64,
    /// Most words of a line.
    pub words: u64,
    /// Distinct words, at most.
    pub vocabulary: u64,
    /// Longest word, in bytes.
    pub word_bytes: u64,
    /// Ends lines with `\r\n`.
    pub crlf: bool,
    /// Ends the last line, too.
    pub ended: bool,
}

impl Text {
    /// Texts of every kind: none, few and many lines, words and repetitions.
    pub fn any(lines_max: u64) -> impl Strategy<Value = Self> {
        let words = (0..24u64, 1..3000u64, 1..60u64);
        let measures = (proptest::num::u64::ANY, 0..lines_max, words);
        (measures, proptest::bool::ANY, proptest::bool::ANY).prop_map(
            |((seed, lines, (words, vocabulary, word_bytes)), crlf, ended)| Self {
                seed,
                lines,
                words,
                vocabulary,
                word_bytes,
                crlf,
                ended,
            },
        )
    }

    pub fn write(&self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let mut text = Vec::new();
        for line in 0..self.lines {
            for word in 0..random.below(self.words + 1) {
                let separators: [&[u8]; 4] = [b" ", b" ", b"\t", b"  "];
                text.extend_from_slice(if word == 0 { b"" } else { separators[usize::from(random.byte(4))] });
                write_word(random.below(self.vocabulary), self.word_bytes, &mut text);
            }
            if self.ended || line + 1 < self.lines {
                text.extend_from_slice(if self.crlf { b"\r\n" } else { b"\n" });
            }
        }
        text
    }
}

/// Word number `number`: any bytes but white space, not always UTF-8.
fn write_word(number: u64, bytes_max: u64, text: &mut Vec<u8>) {
    let mut random = Random::new(number + 1);
    for _ in 0..=random.below(bytes_max) {
        let byte = match random.below(20) {
            0 => 0x80 | random.byte(128),
            1 => 0,
            _ => b'a' + random.byte(26),
        };
        text.push(byte);
    }
}

/// Everything about a run that must not change its result.
#[derive(Debug, Clone)]
pub struct Arrangement {
    /// Splits that the input is cut into, about.
    splits: u64,
    workers: u64,
    /// Budget for each worker, in MiB.
    memory_mib: u64,
}

impl Arrangement {
    pub fn any() -> impl Strategy<Value = Self> {
        (1..40u64, 1..5u64, 27..60u64).prop_map(|(splits, workers, memory_mib)| Self {
            splits,
            workers,
            memory_mib,
        })
    }

    /// The options for an input of `bytes` bytes.
    pub fn args(&self, bytes: usize) -> String {
        let split = (bytes as u64 / self.splits).max(1);
        let memory = self.memory_mib * self.workers;
        format!("--split-size {split} --workers {} --memory {memory}M", self.workers)
    }

    /// The options with the least memory that is accepted.
    pub fn tight_args(&self, bytes: usize) -> String {
        Self { memory_mib: 26, ..self.clone() }.args(bytes)
    }
}
