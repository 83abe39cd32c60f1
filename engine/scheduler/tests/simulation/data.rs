//! The data of simulated jobs, and the word count that they are: what maps and reduces really make
//! of it, and the naive reference.

use mr_model::JobId;
use mr_scheduler::JobPlan;

use crate::rng::Rng;

/// Words that occur.
const WORDS: usize = 8;

/// How often each word was counted.
pub type Counts = [u64; WORDS];

/// The text of a split: numbers of words.
fn text(job: &JobId, split: u32) -> Vec<usize> {
    let seed = job.as_str().bytes().fold(u64::from(split), |hash, byte| hash * 31 + u64::from(byte));
    let mut rng = Rng::new(seed);
    (0..rng.within(0, 12)).map(|_| usize::try_from(rng.within(0, WORDS as u64 - 1)).unwrap()).collect()
}

/// What a map makes of its split: counts for each partition.
pub fn map(job: &JobId, split: u32, partitions: u32) -> Vec<Counts> {
    let partitions = partitions.max(1) as usize;
    let mut output = vec![Counts::default(); partitions];
    for word in text(job, split) {
        output[word % partitions][word] += 1;
    }
    output
}

pub fn add(sum: &mut Counts, counts: &Counts) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// Bytes of a map's output for each reducer, told by every other job.
pub fn partition_bytes(job: &JobId, split: u32, reducers: u32) -> Vec<u64> {
    if job.as_str().ends_with(['1', '3']) {
        return Vec::new();
    }
    map(job, split, reducers).iter().map(|counts| counts.iter().sum::<u64>() * 10).collect()
}

/// The counts of a whole job, without any of the machinery.
pub fn reference(job: &JobId, plan: &JobPlan) -> Counts {
    let mut counts = Counts::default();
    for split in 0..u32::try_from(plan.split_bytes.len()).unwrap() {
        text(job, split).into_iter().for_each(|word| counts[word] += 1);
    }
    counts
}
