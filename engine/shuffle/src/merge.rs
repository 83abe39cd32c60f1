//! One sorted stream from many sorted runs: a loser tree over prefixes (Knuth, The Art of Computer
//! Programming, volume 3, 5.4.1). Equal keys come in the order of the sources, so the order of the
//! whole is (key, map task, emission) whatever the runs' number and size.

use std::sync::Arc;

use mr_model::Failure;

use crate::buffer::MemoryRun;
use crate::reader::RunCursor;
use crate::sort::CLASS_LONG;

/// Records that a cursor over a memory run asks for ahead of time: their memory arrives while the
/// ones before them are used.
pub(crate) const PREFETCH_AHEAD: usize = 6;

/// A sorted source of the merge.
#[derive(Debug)]
pub enum Cursor {
    /// A partition of a run in memory.
    Memory(MemoryCursor),
    /// A partition of a run file.
    File(Box<RunCursor>),
}

/// A place in a partition of a run in memory.
#[derive(Debug)]
pub struct MemoryCursor {
    run: Arc<MemoryRun>,
    at: usize,
    end: usize,
}

impl MemoryCursor {
    /// A cursor at the first record of a partition.
    pub fn new(run: Arc<MemoryRun>, partition: usize) -> Self {
        let range = run.range(partition);
        for at in range.start..range.end.min(range.start + PREFETCH_AHEAD) {
            run.prefetch(at);
        }
        Self { run, at: range.start, end: range.end }
    }
}

impl Cursor {
    /// Prefix and class of the key in one number; the largest there is behind the last record.
    #[inline]
    fn rank(&self) -> u128 {
        let (prefix, class) = match self {
            Cursor::Memory(cursor) if cursor.at < cursor.end => {
                let entry = cursor.run.entry(cursor.at);
                (entry.prefix(), entry.class())
            }
            Cursor::File(cursor) if !cursor.is_exhausted() => cursor.rank(),
            _ => return EXHAUSTED,
        };
        u128::from(prefix) << 4 | u128::from(class)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        match self {
            Cursor::Memory(cursor) => cursor.run.key(cursor.run.entry(cursor.at)),
            Cursor::File(cursor) => cursor.key(),
        }
    }

    #[inline]
    fn value(&self) -> &[u8] {
        match self {
            Cursor::Memory(cursor) => cursor.run.value(cursor.run.entry(cursor.at)),
            Cursor::File(cursor) => cursor.value(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Failure> {
        match self {
            Cursor::Memory(cursor) => {
                cursor.at += 1;
                cursor.run.prefetch(cursor.at + PREFETCH_AHEAD);
                Ok(())
            }
            Cursor::File(cursor) => cursor.advance(),
        }
    }
}

/// Rank of a source without records left: above every rank of a record.
const EXHAUSTED: u128 = u128::MAX;

/// True where the rank alone does not tell two keys apart.
#[inline]
fn is_long(rank: u128) -> bool {
    rank & 0xf == u128::from(CLASS_LONG)
}

/// The merged stream, always at a record until it is at its end.
#[derive(Debug)]
pub struct Merge {
    cursors: Vec<Cursor>,
    ranks: Vec<u128>,
    /// Losers of the inner nodes, from 1; entry 0 is the winner of all.
    tree: Vec<usize>,
    records: u64,
    bytes: u64,
}

impl Merge {
    /// Merges `cursors`, whose order decides between equal keys.
    pub fn new(cursors: Vec<Cursor>) -> Self {
        let ranks = cursors.iter().map(Cursor::rank).collect();
        let mut merge = Self { tree: vec![0; cursors.len().max(1)], cursors, ranks, records: 0, bytes: 0 };
        merge.tree[0] = merge.play(1);
        merge
    }

    /// Rank of the record's key: prefix and class; none at the end.
    #[inline]
    pub(crate) fn rank(&self) -> Option<u128> {
        self.ranks.get(self.tree[0]).copied().filter(|rank| *rank != EXHAUSTED)
    }

    /// True at the end.
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.rank().is_none()
    }

    /// Key of the record. Only before the end.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.cursors[self.tree[0]].key()
    }

    /// Value of the record. Only before the end.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.cursors[self.tree[0]].value()
    }

    /// True where the record's key is `key`, whose rank is `rank`.
    #[inline]
    pub(crate) fn key_is(&self, rank: u128, key: &[u8]) -> bool {
        self.rank() == Some(rank) && (!is_long(rank) || self.key() == key)
    }

    /// True where the record's key begins with `prefix`.
    #[inline]
    pub(crate) fn key_begins(&self, prefix: &[u8]) -> bool {
        !self.is_exhausted() && self.key().starts_with(prefix)
    }

    /// Goes to the next record. Only before the end.
    #[inline]
    pub fn advance(&mut self) -> Result<(), Failure> {
        let winner = self.tree[0];
        self.records += 1;
        self.bytes += (self.key().len() + self.value().len()) as u64;
        self.cursors[winner].advance()?;
        self.ranks[winner] = self.cursors[winner].rank();
        self.replay(winner);
        Ok(())
    }

    /// Records and bytes passed.
    pub fn passed(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// Winner of the subtree at `node`; fills in its losers. Leaves are nodes `k..2k`.
    fn play(&mut self, node: usize) -> usize {
        let sources = self.cursors.len();
        if sources <= 1 {
            return 0;
        }
        if node >= sources {
            return node - sources;
        }
        let (left, right) = (self.play(2 * node), self.play(2 * node + 1));
        let (winner, loser) = if self.less(right, left) { (right, left) } else { (left, right) };
        self.tree[node] = loser;
        winner
    }

    /// Plays the changed source up to the root.
    #[inline]
    fn replay(&mut self, source: usize) {
        let mut winner = source;
        let mut node = (source + self.cursors.len()) / 2;
        while node > 0 {
            let rival = self.tree[node];
            if self.less(rival, winner) {
                self.tree[node] = winner;
                winner = rival;
            }
            node /= 2;
        }
        self.tree[0] = winner;
    }

    #[inline]
    fn less(&self, a: usize, b: usize) -> bool {
        let (rank_a, rank_b) = (self.ranks[a], self.ranks[b]);
        if rank_a != rank_b {
            return rank_a < rank_b;
        }
        if !is_long(rank_a) || rank_a == EXHAUSTED {
            return a < b;
        }
        self.cursors[a].key().cmp(self.cursors[b].key()).then(a.cmp(&b)).is_lt()
    }
}
