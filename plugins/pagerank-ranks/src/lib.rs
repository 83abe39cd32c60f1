//! Tells the ranks of a graph that `pagerank-step` ranked as numbers, without its links: what comes behind the
//! last round.
//!
//! | | |
//! |---|---|
//! | input | what the last round made, as `kv` |
//! | emits | key `text`: a node; value `f64`: its rank, of which 1 is the average |
//!
//! ```sh
//! mr-engine submit pagerank-ranks.wasm -i round-10:kv --reducers 0 -o ranks
//! mr-engine submit top-k.wasm -i ranks -p k=20
//! ```

use guest_sdk::prelude::*;

/// The average rank, as rounds have it.
const ONE: f64 = 1e9;

/// Leaves out the links.
pub struct Ranks;

impl Mapper for Ranks {
    type Input = Records<Text, (u64, Text)>;
    type Output = Emitter<Text, f64>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn map(&mut self, (node, (rank, _)): (Str<'_>, (u64, Str<'_>)), out: &mut Self::Output) -> Result {
        out.emit(node, rank as f64 / ONE);
        Ok(())
    }
}

guest_sdk::export! { name: "pagerank-ranks", mapper: Ranks }

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn ranks_are_numbers() {
        let graph = [("a", (1_500_000_000, "b")), ("b", (0, ""))];
        let run = Test::new().map_records::<Ranks, Text, (u64, Text)>(&graph).unwrap();
        assert_eq!(run.text(), "a\t1.5\nb\t0\n");
    }
}
