//! Sort of records of 100 bytes by their first 10, all in memory: each thread sorts the keys of its
//! share, then each merges a range of keys and writes its records where they belong.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow, bail};

use crate::data::{KEY_BYTES, RECORD_BYTES as RECORD};
use crate::native_tuned::read;

/// Records that are written at a time.
const WRITE_RECORDS: usize = 10_000;
/// Bits of an entry that are the record's number.
const NUMBER_BITS: u32 = 48;

/// Sorts the records of `input` into the file `output`.
pub fn run(input: &Path, output: &Path, threads: usize) -> Result<()> {
    let records = read(input, threads)?;
    if !records.len().is_multiple_of(RECORD) {
        bail!("{} is not made of records of {RECORD} bytes", input.display());
    }
    let shares = sorted_shares(&records, threads)?;
    let file = File::create(output)?;
    let bounds = bounds(&shares, threads);
    thread::scope(|scope| {
        let (records, file, shares) = (&records, &file, &shares);
        let threads: Vec<_> = bounds
            .windows(2)
            .map(|bounds| scope.spawn(move || write_merged(records, shares, &bounds[0], &bounds[1], file)))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

/// Sorted entries of each thread's share of the records: key, then the record's number.
fn sorted_shares(records: &[u8], threads: usize) -> Result<Vec<Vec<u128>>> {
    let count = records.len() / RECORD;
    let share = count.div_ceil(threads).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .step_by(share)
            .map(|start| {
                scope.spawn(move || {
                    let numbers = start..(start + share).min(count);
                    let mut entries: Vec<u128> = numbers.map(|number| entry(records, number)).collect();
                    entries.sort_unstable();
                    entries
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))).collect()
    })
}

/// The key in the upper bits, so that entries sort as keys do, and as records stood where keys are equal.
fn entry(records: &[u8], number: usize) -> u128 {
    let mut bytes = [0; 16];
    bytes[..KEY_BYTES].copy_from_slice(&records[number * RECORD..][..KEY_BYTES]);
    u128::from_be_bytes(bytes) | number as u128
}

fn number(entry: u128) -> usize {
    let mask = (1 << NUMBER_BITS) - 1;
    usize::try_from(entry & mask).unwrap_or(usize::MAX)
}

/// For each of the ranges that the output is cut into, where it begins in each share; and the end.
fn bounds(shares: &[Vec<u128>], ranges: usize) -> Vec<Vec<usize>> {
    let longest = shares.iter().max_by_key(|share| share.len());
    let inner = (1..ranges).map(|range| {
        let splitter =
            longest.and_then(|share| share.get(share.len() * range / ranges)).copied().unwrap_or(0);
        shares.iter().map(|share| share.partition_point(|entry| *entry < splitter)).collect()
    });
    let mut bounds = vec![vec![0; shares.len()]];
    bounds.extend(inner);
    bounds.push(shares.iter().map(Vec::len).collect());
    bounds
}

/// Merges a range of each share and writes it where it belongs.
fn write_merged(
    records: &[u8],
    shares: &[Vec<u128>],
    from: &[usize],
    to: &[usize],
    file: &File,
) -> Result<()> {
    let mut rest: Vec<&[u128]> =
        shares.iter().zip(from.iter().zip(to)).map(|(share, (from, to))| &share[*from..*to]).collect();
    let mut place = (from.iter().sum::<usize>() * RECORD) as u64;
    let mut out = Vec::with_capacity(WRITE_RECORDS * RECORD);
    while let Some(share) =
        (0..rest.len()).filter(|share| !rest[*share].is_empty()).min_by_key(|share| rest[*share][0])
    {
        let number = number(rest[share][0]);
        rest[share] = &rest[share][1..];
        out.extend_from_slice(&records[number * RECORD..][..RECORD]);
        if out.len() == WRITE_RECORDS * RECORD {
            file.write_all_at(&out, place)?;
            place += out.len() as u64;
            out.clear();
        }
    }
    Ok(file.write_all_at(&out, place)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_sorted_as_a_stable_sort_does() {
        let dir = tempfile::tempdir().unwrap();
        let record = |i: u32| format!("{:010}{i:089}\n", i.wrapping_mul(2_654_435_761) >> 20);
        let mut records: Vec<String> = (0..30_001).map(record).collect();
        let input = dir.path().join("records");
        std::fs::write(&input, records.concat()).unwrap();
        records.sort_by(|a, b| a[..KEY_BYTES].cmp(&b[..KEY_BYTES]));
        for threads in [1, 2, 5] {
            let output = dir.path().join("sorted");
            run(&input, &output, threads).unwrap();
            assert!(std::fs::read_to_string(&output).unwrap() == records.concat(), "{threads} threads");
        }
        std::fs::write(&input, "short").unwrap();
        assert!(run(&input, &dir.path().join("sorted"), 2).is_err());
    }
}
