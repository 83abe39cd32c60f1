//! Builds an inverted index: for every word the files that it is in, with the number of times.
//!
//! A line of output is `word TAB path:count,path:count`, paths in byte order. The files of one
//! word are held in memory together, so a word may be in as many files as fit there.

use std::collections::BTreeMap;

use guest_sdk::prelude::*;

/// Words that are counted before they are sent on: bounds the memory of a task.
const WORDS_MAX: usize = 100_000;

/// Counts the words of each file, and emits every word with the file and the count.
#[derive(Default)]
pub struct Postings {
    path: Vec<u8>,
    counts: BTreeMap<Vec<u8>, u64>,
}

type Out = Emitter<Text, (Text, u64)>;

impl Postings {
    fn send(&mut self, out: &mut Out) {
        for (word, count) in std::mem::take(&mut self.counts) {
            out.emit(word, (&self.path, count));
        }
    }
}

impl Mapper for Postings {
    type Input = FileLines;
    type Output = Out;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self::default())
    }

    fn map(&mut self, line: FileLine<'_>, out: &mut Out) -> Result {
        if self.path != **line.path() || self.counts.len() >= WORDS_MAX {
            self.send(out);
            self.path = line.path().to_vec();
        }
        for word in line.words() {
            match self.counts.get_mut(&*word) {
                Some(count) => *count += 1,
                None => _ = self.counts.insert(word.to_vec(), 1),
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Out) -> Result {
        self.send(out);
        Ok(())
    }
}

/// Joins the files of a word. A file that was cut into several splits comes several times.
pub struct Join;

impl Reducer for Join {
    type Key = Text;
    type Value = (Text, u64);
    type Output = Emitter<Text, Text>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Join)
    }

    fn reduce(
        &mut self,
        word: Str<'_>,
        files: &mut Values<'_, (Text, u64)>,
        out: &mut Self::Output,
    ) -> Result {
        let mut counts = BTreeMap::new();
        for (path, count) in files {
            *counts.entry(path).or_insert(0) += count;
        }
        let mut list = Vec::new();
        for (path, count) in counts {
            let comma: &[u8] = if list.is_empty() { b"" } else { b"," };
            list.extend_from_slice(comma);
            list.extend_from_slice(&path);
            list.extend_from_slice(format!(":{count}").as_bytes());
        }
        out.emit(word, list);
        Ok(())
    }
}

guest_sdk::export! {
    name: "inverted-index",
    mapper: Postings,
    reducer: Join,
}

#[cfg(test)]
mod tests;
