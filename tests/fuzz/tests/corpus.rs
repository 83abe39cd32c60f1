//! Every target over its seeds, its kept corpus, and damaged copies of both: cut short, one bit flipped.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use mr_fuzz::{TARGETS, Target};

/// A seeded source of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap()
    }
}

/// Seeds and corpus of a target, in an order that is always the same.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = (0..).zip((target.seeds)()).map(|(number, seed)| (format!("seed {number}"), seed));
    let mut inputs: Vec<_> = seeds.collect();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let kept = match fs::read_dir(&dir) {
        // No run has found anything that the seeds do not reach.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return inputs,
        kept => kept.unwrap_or_else(|error| panic!("{}: {error}", dir.display())),
    };
    let mut paths: Vec<PathBuf> = kept.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    inputs.extend(paths.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())));
    inputs
}

/// Runs a target, and says on which input it failed.
fn run(target: &Target, name: &str, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| (target.run)(input));
    assert!(outcome.is_ok(), "target {} fails on {name}: {input:?}", target.name);
}

/// As many damaged copies as a target can take, spread evenly over its inputs.
fn damage(target: &Target, inputs: &[(String, Vec<u8>)]) {
    let mut random = Random(0x6d72);
    for (name, input) in inputs {
        let share = target.damages.div_ceil(inputs.len());
        // All of them where they are few.
        let lengths: Vec<usize> = match input.len() {
            short if short <= share / 2 => (0..short).collect(),
            long => (0..share / 2).map(|_| random.below(long)).collect(),
        };
        for length in lengths {
            run(target, &format!("{name} cut to {length} bytes"), &input[..length]);
        }
        let bits: Vec<usize> = match input.len() * 8 {
            short if short <= share / 2 => (0..short).collect(),
            long => (0..share / 2).map(|_| random.below(long)).collect(),
        };
        for bit in bits {
            let mut flipped = input.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            run(target, &format!("{name} with bit {bit} flipped"), &flipped);
        }
    }
}

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let inputs = inputs(target);
    for (name, input) in &inputs {
        run(target, name, input);
    }
    damage(target, &inputs);
}

/// One test for each target, and one that none is forgotten.
macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_a_test_and_a_corpus() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
            for entry in fs::read_dir(dir).unwrap() {
                let name = entry.unwrap().file_name();
                assert!(names.contains(&name.to_str().unwrap()), "{name:?} is the corpus of no target");
            }
        }
    };
}

targets! {
    frame identity column contract typed counters encoding lines line_keys fixed delimited json_lines
    compressed kv parquet run_file segment block manifest policy signed message journal submission executor coordinator component
}
