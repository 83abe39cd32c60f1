//! One round of k-means: every point goes to the nearest of the means, and the mean of the points that went to
//! it is the new one.
//!
//! Source: S. Lloyd, *Least Squares Quantization in PCM*; J. Leskovec, A. Rajaraman and J. Ullman, *Mining of
//! Massive Datasets*, 7.3.
//!
//! Coordinates are whole numbers of millionths, so that sums are the same in any order, and every round the
//! same to the last bit. Of means that are equally near the first one is taken. A mean that no point goes to
//! stays where it is. Points are added up in the mapper: a task sends on one record for each mean.
//!
//! | | |
//! |---|---|
//! | input | points: lines `NAME TAB X TAB Y ...`, at most six digits behind the point, up to 10^9 |
//! | side input `means` | the means: lines `NAME TAB X TAB Y ...`, all with as many coordinates as the points |
//! | map, combine | key `u64`: number of the mean; value `tuple<u64,bytes>`: points, sums of coordinates |
//! | reduce | key `text`: name of the mean; value `text`: its coordinates with tabs between them |
//!
//! The counter `moved` is the sum of what coordinates of means changed by, in millionths: rounds go on until it
//! is small enough. A line that is no point of so many coordinates is rejected.
//!
//! ```sh
//! mr-engine submit k-means.wasm -i points.tsv --side means=means-0.tsv --reducers 1 -o round-1
//! ```

mod coordinate;
mod means;

use guest_sdk::prelude::*;

use crate::coordinate::{parse_all, show_all};
use crate::means::Means;

/// Points of a mean so far.
#[derive(Clone, Default)]
struct Cluster {
    points: u64,
    /// Sum of each coordinate.
    sums: Vec<i128>,
}

/// Points, and sums of coordinates, 16 bytes each.
type Packed = (u64, Bytes);

impl Cluster {
    fn new(dimensions: usize) -> Self {
        Self { points: 0, sums: vec![0; dimensions] }
    }

    fn add(&mut self, points: u64, coordinates: impl IntoIterator<Item = i128>) {
        self.points += points;
        for (sum, coordinate) in self.sums.iter_mut().zip(coordinates) {
            *sum += coordinate;
        }
    }

    /// Adds all values of a key.
    fn gather(values: &mut Values<'_, Packed>) -> Self {
        let mut cluster = Self::default();
        while let Some((points, packed)) = values.next_view() {
            let (sums, _) = packed.as_chunks::<16>();
            cluster.sums.resize(cluster.sums.len().max(sums.len()), 0);
            cluster.add(points, sums.iter().map(|sum| i128::from_be_bytes(*sum)));
        }
        cluster
    }

    fn packed(&self) -> (u64, Vec<u8>) {
        (self.points, self.sums.iter().flat_map(|sum| sum.to_be_bytes()).collect())
    }

    /// The mean of its points; none without any.
    fn mean(&self) -> Option<Vec<i64>> {
        let points = i128::from(self.points);
        if points == 0 {
            return None;
        }
        self.sums.iter().map(|sum| i64::try_from((sum + points / 2).div_euclid(points)).ok()).collect()
    }
}

/// Adds up the points of a split by their nearest mean.
pub struct Assign {
    means: Means,
    clusters: Vec<Cluster>,
    point: Vec<i64>,
}

impl Mapper for Assign {
    type Input = Lines;
    type Output = Emitter<u64, Packed>;

    fn setup(task: &Task) -> Result<Self> {
        let means = Means::read(task)?;
        let clusters = vec![Cluster::new(means.dimensions()); means.all().len()];
        Ok(Self { means, clusters, point: Vec::new() })
    }

    fn map(&mut self, line: Line<'_>, _: &mut Self::Output) -> Result {
        let columns = line.as_bytes().split(|byte| *byte == b'\t').skip(1);
        if !parse_all(columns, &mut self.point) || self.point.len() != self.means.dimensions() {
            return reject(format!("no point: use NAME and {} coordinates", self.means.dimensions()));
        }
        let nearest = self.means.nearest(&self.point);
        self.clusters[nearest].add(1, self.point.iter().map(|coordinate| i128::from(*coordinate)));
        Ok(())
    }

    fn finish(&mut self, out: &mut Self::Output) -> Result {
        for (number, cluster) in (0_u64..).zip(&self.clusters) {
            out.emit(number, cluster.packed());
        }
        Ok(())
    }
}

/// Adds up early.
pub struct Early;

impl Combiner for Early {
    type Key = u64;
    type Value = Packed;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn combine(
        &mut self,
        _: u64,
        parts: &mut Values<'_, Packed>,
        out: &mut Combined<'_, u64, Packed>,
    ) -> Result {
        out.emit(Cluster::gather(parts).packed());
        Ok(())
    }
}

/// Moves a mean.
pub struct Move {
    means: Means,
    moved: Counter,
}

impl Reducer for Move {
    type Key = u64;
    type Value = Packed;
    type Output = Emitter<Text, Text>;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { means: Means::read(task)?, moved: task.counter("moved") })
    }

    fn reduce(&mut self, number: u64, parts: &mut Values<'_, Packed>, out: &mut Self::Output) -> Result {
        let known = usize::try_from(number).ok().and_then(|number| self.means.all().get(number));
        let Some((name, before)) = known else {
            return Err(Error::invalid(format!("there is no mean {number}")));
        };
        let after = Cluster::gather(parts).mean().unwrap_or_else(|| before.clone());
        let moved: u64 = before.iter().zip(&after).map(|(before, after)| before.abs_diff(*after)).sum();
        self.moved.add(moved.cast_signed());
        out.emit(name, show_all(&after));
        Ok(())
    }
}

guest_sdk::export! {
    name: "k-means",
    mapper: Assign,
    combiner: Early,
    reducer: Move,
}

#[cfg(test)]
mod tests;
