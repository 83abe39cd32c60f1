//! Validates the output of a sort: that its records are in order within and across all files, how many
//! there are, and the sum of their CRC-32, as `valsort` and Hadoop's TeraValidate do. The job fails where
//! they are not in order, or not those that were generated.
//!
//! Source: C. Nyberg, M. Shah and N. Govindaraju, *Sort Benchmark* (sortbenchmark.org); Hadoop's TeraSort.
//!
//! A map task looks at one split and passes on a summary; splits in order are the input in order. The one
//! reducer holds the summaries together, end to beginning.
//!
//! | | |
//! |---|---|
//! | input | records of 100 bytes with keys of 10: `fixed:100:10`, unless the job says otherwise |
//! | map | key `unit`, value: the summary of a split |
//! | reduce | one line: the verdict |
//! | `records` | number of records that there must be; any where it is not set |
//! | `checksum` | sum that there must be, as TeraGen counts it; any where it is not set |
//!
//! ```sh
//! mr-engine submit teravalidate.wasm -i sorted -p records=10000000 -p checksum=21472776955442690
//! ```

use std::borrow::Cow;

use guest_sdk::prelude::*;

/// A key with a place: in order of the first record of a split and the last one.
type Ends = (Bytes, Bytes);
/// Task; records, of these those with the key of the one before, checksum; number of the first record that
/// is out of order, behind the last one for none; first and last key.
type Summary = (u64, (u64, u64, u64), u64, Ends);

/// Summarises a split.
#[derive(Default)]
pub struct Look {
    task: u64,
    records: u64,
    duplicates: u64,
    checksum: u64,
    unordered: Option<u64>,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Mapper for Look {
    type Input = Records<Bytes, Bytes>;
    type Output = Emitter<(), Summary>;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { task: u64::from(task.number()), ..Self::default() })
    }

    fn map(&mut self, (key, value): (Cow<'_, [u8]>, Cow<'_, [u8]>), _: &mut Self::Output) -> Result {
        if self.records == 0 {
            self.first.extend_from_slice(&key);
        } else if *key < *self.last {
            self.unordered = self.unordered.or(Some(self.records));
        } else {
            self.duplicates += u64::from(*key == *self.last);
        }
        self.last.clear();
        self.last.extend_from_slice(&key);
        self.records += 1;
        self.checksum += checksum(&key, &value);
        Ok(())
    }

    fn finish(&mut self, out: &mut Self::Output) -> Result {
        let counts = (self.records, self.duplicates, self.checksum);
        let unordered = self.unordered.unwrap_or(self.records);
        if self.records > 0 {
            out.emit((), (self.task, counts, unordered, (&self.first, &self.last)));
        }
        Ok(())
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    u64::from(crc.finalize())
}

/// Holds the summaries together.
pub struct Judge {
    records: Option<u64>,
    checksum: Option<u64>,
    partitions: u32,
    judged: bool,
}

impl Reducer for Judge {
    type Key = ();
    type Value = Summary;
    type Output = Emitter<(), Text>;

    const PARAMS: &'static [Param] = &[
        Param::u64("records", "number of records that there must be"),
        Param::u64("checksum", "sum of their CRC-32 that there must be"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self {
            records: task.param_if_set("records")?,
            checksum: task.param_if_set("checksum")?,
            partitions: task.partitions(),
            judged: false,
        })
    }

    fn reduce(&mut self, (): (), splits: &mut Values<'_, Summary>, out: &mut Self::Output) -> Result {
        let (mut records, mut duplicates, mut checksum) = (0, 0, 0_u64);
        let mut before: Option<Vec<u8>> = None;
        let mut splits: Vec<_> = splits.collect();
        splits.sort_unstable_by_key(|(task, ..)| *task);
        for (_, counts, unordered, (first, last)) in splits {
            let disorder = match &before {
                Some(before) if first.as_ref() < before.as_slice() => Some(0),
                _ => (unordered < counts.0).then_some(unordered),
            };
            if let Some(number) = disorder {
                let number = records + number;
                return Err(Error::invalid(format!(
                    "not sorted: record {number} is below the one before it"
                )));
            }
            duplicates += counts.1 + u64::from(before.is_some_and(|before| *before == *first));
            records += counts.0;
            checksum += counts.2;
            before = Some(last.into_owned());
        }
        self.judge(records, duplicates, checksum, out)
    }

    fn finish(&mut self, out: &mut Self::Output) -> Result {
        // Without any record there is no summary; one reducer alone knows that there is none elsewhere.
        if self.judged || self.partitions > 1 { Ok(()) } else { self.judge(0, 0, 0, out) }
    }
}

impl Judge {
    fn judge(&mut self, records: u64, duplicates: u64, checksum: u64, out: &mut Emitter<(), Text>) -> Result {
        self.judged = true;
        if let Some(expected) = self.records.filter(|expected| *expected != records) {
            return Err(Error::invalid(format!("sorted, but {records} records instead of {expected}")));
        }
        if let Some(expected) = self.checksum.filter(|expected| *expected != checksum) {
            let other = format!("sorted, but other records: checksum {checksum} instead of {expected}");
            return Err(Error::invalid(other));
        }
        out.emit(
            (),
            format!("sorted: {records} records, {duplicates} duplicate keys, checksum {checksum:x}"),
        );
        Ok(())
    }
}

guest_sdk::export! {
    name: "teravalidate",
    mapper: Look,
    reducer: Judge,
    attributes: { "input.format": "fixed:100:10" },
}

#[cfg(test)]
mod tests;
