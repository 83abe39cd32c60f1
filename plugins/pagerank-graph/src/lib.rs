//! Makes a graph of links for PageRank: for every node its rank before the first round, which is 1, and the
//! nodes that it links to.
//!
//! Source: L. Page, S. Brin, R. Motwani and T. Winograd, *The PageRank Citation Ranking*; J. Leskovec,
//! A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 5.1 and 5.2.
//!
//! Ranks are whole numbers of billionths of the average rank, so they add up to the number of nodes, and the
//! same in any order. A link that is there twice counts once, and a node to which others link alone is one,
//! too. `pagerank-step` has the rest.
//!
//! | | |
//! |---|---|
//! | input | lines `FROM TAB TO`; further columns are left alone |
//! | map | key `text`: a node; value `tuple<bool,text>`: whether it links, and to what |
//! | reduce | key `text`: the node; value `tuple<u64,text>`: its rank, and its links with tabs between them |
//!
//! The counters `nodes` and `dangling`, the rank of nodes without links, may be parameters of the first round.
//! A line without two names is rejected.
//!
//! ```sh
//! mr-engine submit pagerank-graph.wasm -i links.tsv --output-format kv -o round-0
//! ```

use std::collections::BTreeSet;

use guest_sdk::prelude::*;

/// The average rank.
const ONE: u64 = 1_000_000_000;

/// Emits every link at its start, and that there is a node at its end.
pub struct Links;

impl Mapper for Links {
    type Input = Lines;
    type Output = Emitter<Text, (bool, Text)>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let mut columns = line.as_bytes().split(|byte| *byte == b'\t');
        let mut name = || columns.next().filter(|name| !name.is_empty());
        let (Some(from), Some(to)) = (name(), name()) else {
            return reject("there is no link: use FROM TAB TO");
        };
        out.emit(from, (true, to));
        out.emit(to, (false, ""));
        Ok(())
    }
}

/// Gathers the links of a node, which are in memory together.
pub struct Nodes {
    nodes: Counter,
    dangling: Counter,
}

impl Reducer for Nodes {
    type Key = Text;
    type Value = (bool, Text);
    type Output = Emitter<Text, (u64, Text)>;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { nodes: task.counter("nodes"), dangling: task.counter("dangling") })
    }

    fn reduce(
        &mut self,
        node: Str<'_>,
        links: &mut Values<'_, (bool, Text)>,
        out: &mut Self::Output,
    ) -> Result {
        let links: BTreeSet<Str<'_>> = links.filter_map(|(links, to)| links.then_some(to)).collect();
        let links: Vec<&[u8]> = links.iter().map(Str::as_bytes).collect();
        self.nodes.add(1);
        if links.is_empty() {
            self.dangling.add(ONE.cast_signed());
        }
        out.emit(node, (ONE, links.join(&b'\t')));
        Ok(())
    }
}

guest_sdk::export! {
    name: "pagerank-graph",
    mapper: Links,
    reducer: Nodes,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn nodes_have_their_links_once() {
        let run = Test::new().job::<Links, Nodes>("b\ta\nb\tc\tx\na\tb\nb\ta\nnone\nnone\t\n").unwrap();
        assert_eq!(run.text(), "a\t1000000000\tb\nb\t1000000000\ta\tc\nc\t1000000000\t\n");
        assert_eq!((run.counters["nodes"], run.counters["dangling"]), (3, 1_000_000_000));
        assert_eq!(run.rejects.len(), 2);
    }
}
