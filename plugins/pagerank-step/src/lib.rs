//! One round of PageRank: every node shares its rank among the nodes that it links to, and what comes together
//! at a node, damped, is its new rank.
//!
//! Source: L. Page, S. Brin, R. Motwani and T. Winograd, *The PageRank Citation Ranking*; J. Leskovec,
//! A. Rajaraman and J. Ullman, *Mining of Massive Datasets*, 5.1 and 5.2.
//!
//! A rank is a whole number of billionths of the average rank. Whole numbers add up to the same in any order,
//! so every round is the same to the last bit however records meet; what division leaves over is less than a
//! billionth for each link.
//!
//! Nodes without links pass nothing on. Where `nodes` and `dangling`, counters of the round before, are given,
//! the rank of these is spread evenly over all nodes, so that ranks always add up to the number of nodes. Left
//! out, it is lost: in the end all ranks are smaller by the same factor, so their order and their ratios are
//! what they would be.
//!
//! | | |
//! |---|---|
//! | input | what `pagerank-graph` or the round before made, as `kv` |
//! | map, combine | key `text`: a node; value: what was shared with it; whether the rest is known: rank, links |
//! | reduce | key `text`: the node; value `tuple<u64,text>`: its rank, and its links with tabs between them |
//! | `nodes`, `dangling` | counters of the round before; 1 and 0 where they are not set |
//! | `damping` | share of the rank that follows links; 0.85 where it is not set |
//!
//! The counters are `nodes` and `dangling` for the next round, and `moved`: the sum of what ranks changed by.
//! Rounds go on until it is small enough, in billionths of the average rank.
//!
//! ```sh
//! mr-engine run pagerank.toml -p links=links.tsv      # the pipeline beside this plugin
//! mr-engine submit pagerank-step.wasm -i round-0:kv --output-format kv -o round-1
//! ```

use guest_sdk::prelude::*;

/// The average rank, and the whole of a share.
const ONE: u64 = 1_000_000_000;

/// What was shared with a node; whether the rest is known, which one record of each node tells: the rank of
/// the round before, and the links with tabs between them.
type Part = (u64, bool, u64, Text);

/// Shares the ranks.
pub struct Share;

impl Mapper for Share {
    type Input = Records<Text, (u64, Text)>;
    type Output = Emitter<Text, Part>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn map(&mut self, (node, (rank, links)): (Str<'_>, (u64, Str<'_>)), out: &mut Self::Output) -> Result {
        if !links.is_empty() {
            let to = || links.split(|byte| *byte == b'\t');
            let share = rank / to().count() as u64;
            to().for_each(|to| out.emit(to, (share, false, 0, "")));
        }
        out.emit(node, (0, true, rank, links));
        Ok(())
    }
}

/// All parts of a node together, as far as they are there.
fn gather(parts: &mut Values<'_, Part>) -> Result<(u64, Option<(u64, Str<'static>)>)> {
    let (mut sum, mut node) = (0_u64, None);
    while let Some((shared, known, rank, links)) = parts.next_view() {
        sum = sum.checked_add(shared).ok_or_else(|| Error::invalid("ranks are larger than u64 can hold"))?;
        if known {
            node = Some((rank, links.into_owned()));
        }
    }
    Ok((sum, node))
}

/// Adds up early.
pub struct Early;

impl Combiner for Early {
    type Key = Text;
    type Value = Part;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn combine(
        &mut self,
        _: Str<'_>,
        parts: &mut Values<'_, Part>,
        out: &mut Combined<'_, Text, Part>,
    ) -> Result {
        let (sum, node) = gather(parts)?;
        let known = node.is_some();
        let (rank, links) = node.unwrap_or_default();
        out.emit((sum, known, rank, links));
        Ok(())
    }
}

/// Gives every node its new rank.
pub struct Rank {
    /// Share of the rank that follows links, in billionths.
    damping: u64,
    /// What every node is given of the rank of those without links.
    dangling_share: u64,
    counted: [Counter; 3],
}

impl Reducer for Rank {
    type Key = Text;
    type Value = Part;
    type Output = Emitter<Text, (u64, Text)>;

    const PARAMS: &'static [Param] = &[
        Param::u64("nodes", "number of nodes, as the round before counted them").default("1"),
        Param::u64("dangling", "rank of nodes without links, as the round before counted it").default("0"),
        Param::f64("damping", "share of the rank that follows links").default("0.85"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        let (nodes, dangling): (u64, u64) = (task.param("nodes")?, task.param("dangling")?);
        let Some(dangling_share) = dangling.checked_div(nodes) else {
            return Err(Error::fatal("nodes=0: there are none to rank"));
        };
        let counted = ["nodes", "dangling", "moved"].map(|name| task.counter(name));
        Ok(Self { damping: billionths(&task.param::<String>("damping")?)?, dangling_share, counted })
    }

    fn reduce(&mut self, node: Str<'_>, parts: &mut Values<'_, Part>, out: &mut Self::Output) -> Result {
        let (sum, Some((before, links))) = gather(parts)? else {
            return Err(Error::invalid(format!("{node:?} is linked to but is no node of the graph")));
        };
        let shared = u128::from(sum) + u128::from(self.dangling_share);
        let followed = shared * u128::from(self.damping) / u128::from(ONE);
        let rank = u64::try_from(followed)? + (ONE - self.damping);
        let [nodes, dangling, moved] = &self.counted;
        nodes.add(1);
        moved.add(rank.abs_diff(before).cast_signed());
        if links.is_empty() {
            dangling.add(rank.cast_signed());
        }
        out.emit(node, (rank, links));
        Ok(())
    }
}

/// A share between 0 and 1 in billionths: of its decimal digits, so that no float is in between.
fn billionths(text: &str) -> Result<u64> {
    let is_part = |digits: &&str| matches!(digits.len(), 1..=9) && digits.bytes().all(|b| b.is_ascii_digit());
    let digits = text.strip_prefix("0.").filter(is_part);
    let share = match (text, digits) {
        ("0", _) => Some(0),
        ("1", _) => Some(ONE),
        (_, Some(digits)) => format!("{digits:0<9}").parse().ok(),
        _ => None,
    };
    share.ok_or_else(|| Error::fatal(format!("damping={text} is no share: use 0.85 or the like")))
}

guest_sdk::export! {
    name: "pagerank-step",
    mapper: Share,
    combiner: Early,
    reducer: Rank,
}

#[cfg(test)]
mod tests;
