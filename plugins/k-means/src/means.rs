//! The means of the round before, read from the side input.

use guest_sdk::prelude::*;

use crate::coordinate::parse_all;

/// Most bytes of the side input: it is held in memory.
const BYTES_MAX: u64 = 16 << 20;

/// A name and coordinates.
pub type Mean = (Vec<u8>, Vec<i64>);

/// All means, in order.
pub struct Means(Vec<Mean>);

impl Means {
    /// Reads the side input `means`: at least one, all with as many coordinates.
    pub fn read(task: &Task) -> Result<Self> {
        let text = task.side_input("means")?.read_all(BYTES_MAX)?;
        Self::parse(&text).map_err(|error| error.context("side input means"))
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let mut means: Vec<Mean> = Vec::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut columns = line.split(|byte| *byte == b'\t');
            let name = columns.next().unwrap_or_default().to_vec();
            let mut mean = Vec::new();
            let fits = parse_all(columns, &mut mean) && !mean.is_empty();
            if !fits || means.first().is_some_and(|(_, first)| first.len() != mean.len()) {
                let line = line.escape_ascii();
                return Err(Error::fatal(format!(
                    "\"{line}\" is no mean: use NAME TAB X TAB Y, all as many"
                )));
            }
            means.push((name, mean));
        }
        if means.is_empty() { Err(Error::fatal("there is no mean")) } else { Ok(Self(means)) }
    }

    /// All of them.
    pub fn all(&self) -> &[Mean] {
        &self.0
    }

    /// Number of coordinates.
    pub fn dimensions(&self) -> usize {
        self.0.first().map_or(0, |(_, mean)| mean.len())
    }

    /// Number of the mean that is nearest to a point.
    pub fn nearest(&self, point: &[i64]) -> usize {
        let distance = |(_, mean): &Mean| -> u128 {
            mean.iter().zip(point).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum()
        };
        let distances = self.0.iter().map(distance).enumerate();
        distances.min_by_key(|(_, distance)| *distance).map_or(0, |(number, _)| number)
    }
}
