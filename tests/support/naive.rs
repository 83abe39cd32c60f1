//! What results must be: MapReduce in a few lines, on one thread, with everything in memory.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

/// A key and a value.
pub type Record = (Vec<u8>, Vec<u8>);

/// The lines of a text, without their newlines; a last one without newline counts.
pub fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

/// Lines as records: the offset as 8 bytes, and the line.
pub fn line_records(text: &[u8]) -> Vec<Record> {
    let mut offset = 0u64;
    let record = |line: &&[u8]| {
        let key = offset.to_be_bytes().to_vec();
        offset += line.len() as u64 + 1;
        (key, line.to_vec())
    };
    lines(text).iter().map(record).collect()
}

/// Records of a fixed length.
pub fn fixed_records(bytes: &[u8], record: usize, key: usize) -> Vec<Record> {
    bytes.chunks(record).map(|record| (record[..key].to_vec(), record[key..].to_vec())).collect()
}

/// What the mapper `remap` does, by its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Remap {
    pub from_value: bool,
    pub keep: usize,
    pub repeat: u64,
    pub pad: usize,
}

impl Default for Remap {
    fn default() -> Self {
        Self { from_value: false, keep: 1_000_000_000, repeat: 1, pad: 0 }
    }
}

impl Remap {
    /// The parameters as they are typed.
    pub fn args(&self) -> String {
        let Self { from_value, keep, repeat, pad } = self;
        format!("-p from-value={from_value} -p keep={keep} -p repeat={repeat} -p pad={pad}")
    }

    pub fn map(&self, records: &[Record]) -> Vec<Record> {
        records.iter().flat_map(|record| self.map_one(record)).collect()
    }

    fn map_one(&self, (key, value): &Record) -> Vec<Record> {
        let (key, value) = if self.from_value { (value, key) } else { (key, value) };
        let key = key[..key.len().min(self.keep)].to_vec();
        if self.repeat == 1 {
            return vec![(key, value.clone())];
        }
        let copy = |number: u64| {
            let mut copy = [&number.to_be_bytes(), value.as_slice()].concat();
            copy.resize(copy.len().max(self.pad), b'.');
            (key.clone(), copy)
        };
        (0..self.repeat).map(copy).collect()
    }
}

/// The engine's own partitioner.
pub fn by_hash(key: &[u8], partitions: usize) -> usize {
    (((xxh3_64(key) >> 32) * partitions as u64) >> 32) as usize
}

/// The partitioner `place`.
pub fn by_last_byte(key: &[u8], partitions: usize) -> usize {
    usize::from(key.last().copied().unwrap_or(0)) % partitions
}

/// Records of each partition, by key, and within a key as they came.
pub fn shuffle(
    records: Vec<Record>,
    partitions: usize,
    place: fn(&[u8], usize) -> usize,
) -> Vec<Vec<Record>> {
    let mut shuffled = vec![Vec::new(); partitions];
    for record in records {
        shuffled[place(&record.0, partitions)].push(record);
    }
    shuffled.iter_mut().for_each(|records| records.sort_by(|a, b| a.0.cmp(&b.0)));
    shuffled
}

/// One record for each group.
pub fn reduce(records: &[Record], fold: fn(&[&[u8]]) -> Vec<u8>) -> Vec<Record> {
    let groups = records.chunk_by(|a, b| a.0 == b.0);
    groups
        .map(|group| {
            let values: Vec<&[u8]> = group.iter().map(|record| record.1.as_slice()).collect();
            (group[0].0.clone(), fold(&values))
        })
        .collect()
}

/// The reducer `gather` with `how=digest`: tells every value and their order.
pub fn digest(values: &[&[u8]]) -> Vec<u8> {
    let fold = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let hash = values.iter().fold(0, |hash, value| {
        value.chunks(8).fold(fold(hash, value.len() as u64), |hash, bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            fold(hash, u64::from_le_bytes(word))
        })
    });
    format!("{}:{hash:016x}", values.len()).into_bytes()
}

/// The reducer `gather` with `how=sum`.
pub fn sum(values: &[&[u8]]) -> Vec<u8> {
    let word = |value: &&[u8]| u64::from_be_bytes(TryInto::try_into(*value).expect("values of 8 bytes"));
    values.iter().map(word).fold(0, u64::wrapping_add).to_be_bytes().to_vec()
}

/// Records as `key TAB value NEWLINE`.
pub fn text(records: &[Record]) -> Vec<u8> {
    let line = |(key, value): &Record| [key.as_slice(), b"\t", value, b"\n"].concat();
    records.iter().flat_map(line).collect()
}

/// Records end to end.
pub fn raw(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(|(key, value)| [key.as_slice(), value].concat()).collect()
}

/// The parts of a job that maps with `remap` and digests.
pub fn digested(records: &[Record], remap: Remap, partitions: usize) -> Vec<Vec<u8>> {
    let shuffled = shuffle(remap.map(records), partitions, by_hash);
    shuffled.iter().map(|records| text(&reduce(records, digest))).collect()
}

/// White space as the SDKs have it: as in C, so with the vertical tab, which Rust's own does without.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// The parts of a word count.
pub fn wordcount(texts: &[u8], partitions: usize) -> Vec<Vec<u8>> {
    let mut counts = BTreeMap::<&[u8], u64>::new();
    for word in texts.split(is_space).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let mut parts = vec![Vec::new(); partitions];
    for (word, count) in counts {
        let part: &mut Vec<u8> = &mut parts[by_hash(word, partitions)];
        part.extend_from_slice(word);
        part.extend_from_slice(format!("\t{count}\n").as_bytes());
    }
    parts
}
