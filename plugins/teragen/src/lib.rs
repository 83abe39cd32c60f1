//! Generates the records of the sort benchmark: 100 bytes each, of which the first 10 are the key. They are
//! those of `gensort` and of Hadoop's TeraGen, bit for bit, and follow from a record's number alone.
//!
//! Source: C. Nyberg, M. Shah and N. Govindaraju, *Sort Benchmark* (sortbenchmark.org); Hadoop's TeraSort.
//!
//! Input are lines `START COUNT`, each of which asks for the records with the numbers from START on. A task
//! makes those of its split, so `--split-size` tells how many lines go to a task. The counters `records` and
//! `checksum`, the sum of the records' CRC-32, are what `teravalidate` compares with.
//!
//! | | |
//! |---|---|
//! | emits | key `bytes` (10), value `bytes` (90) |
//! | options | `--reducers 0 --output-format raw`: records end to end |
//!
//! ```sh
//! for i in $(seq 0 99); do echo "$((i * 100000)) 100000"; done >ranges
//! mr-engine submit teragen.wasm -i ranges --split-size 64 --reducers 0 --output-format raw -o unsorted
//! mr-engine submit sort.wasm -i unsorted --input-format fixed:100:10 -o sorted
//! mr-engine submit teravalidate.wasm -i sorted --reducers 1
//! ```

use guest_sdk::prelude::*;

/// Bytes of a key.
const KEY_BYTES: usize = 10;
/// Bytes of what follows the key.
const VALUE_BYTES: usize = 90;

/// Emits the records of every range.
pub struct Generate {
    records: Counter,
    checksum: Counter,
}

impl Mapper for Generate {
    type Input = Lines;
    type Output = Emitter<Bytes, Bytes>;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { records: task.counter("records"), checksum: task.counter("checksum") })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let Some((start, count)) = range(line) else {
            return Err(Error::invalid(format!("{:?} is no range: use START COUNT", line.text())));
        };
        let mut random = Random::at(start);
        for number in start..start + count {
            let (key, value) = record(random.next(), number);
            self.records.add(1);
            self.checksum.add(checksum(&key, &value));
            out.emit(key, value);
        }
        Ok(())
    }
}

/// The two numbers of a line whose sum is a number, too.
fn range(line: Line<'_>) -> Option<(u64, u64)> {
    let mut numbers = line.to_str().ok()?.split_ascii_whitespace().map(str::parse);
    let (start, count): (u64, u64) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    start.checked_add(count).filter(|_| numbers.next().is_none()).map(|_| (start, count))
}

/// Numbers modulo 2^128 that look random, of which any can be had at once.
struct Random(u128);

impl Random {
    const FACTOR: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
    const ADDEND: u128 = 0x4A69_6D47_7261_7952_4950_2020_2020_2001;

    /// As it is after `steps` numbers: a step is `x * FACTOR + ADDEND`, and two steps are one of this kind.
    fn at(steps: u64) -> Self {
        let (mut factor, mut addend) = (Self::FACTOR, Self::ADDEND);
        let mut state = 0_u128;
        for bit in 0..u64::BITS {
            if steps >> bit & 1 == 1 {
                state = state.wrapping_mul(factor).wrapping_add(addend);
            }
            addend = addend.wrapping_mul(factor).wrapping_add(addend);
            factor = factor.wrapping_mul(factor);
        }
        Self(state)
    }

    fn next(&mut self) -> u128 {
        self.0 = self.0.wrapping_mul(Self::FACTOR).wrapping_add(Self::ADDEND);
        self.0
    }
}

/// Key and value of the record with a number: the key is the upper part of what is random, the filler its
/// last twelve digits, each four times.
fn record(random: u128, number: u64) -> ([u8; KEY_BYTES], [u8; VALUE_BYTES]) {
    let (mut key, mut value) = ([0; KEY_BYTES], [0; VALUE_BYTES]);
    key.copy_from_slice(&random.to_be_bytes()[..KEY_BYTES]);
    value[..2].copy_from_slice(&[0x00, 0x11]);
    for (place, digit) in value[2..34].iter_mut().enumerate() {
        *digit = hex_digit(u128::from(number), place);
    }
    value[34..38].copy_from_slice(&[0x88, 0x99, 0xAA, 0xBB]);
    for (place, digits) in value[38..86].chunks_mut(4).enumerate() {
        digits.fill(hex_digit(random, 20 + place));
    }
    value[86..].copy_from_slice(&[0xCC, 0xDD, 0xEE, 0xFF]);
    (key, value)
}

/// One of the 32 digits of a number, the most significant first.
fn hex_digit(number: u128, place: usize) -> u8 {
    b"0123456789ABCDEF"[(number >> (4 * (31 - place)) & 0xF) as usize]
}

fn checksum(key: &[u8], value: &[u8]) -> i64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    i64::from(crc.finalize())
}

guest_sdk::export! { name: "teragen", mapper: Generate }

#[cfg(test)]
mod tests;
