//! Cuts and packs what a test gives, as the engine would.

use crate::datatype::DataType;
use crate::encode::Encode;
use crate::wire::{Column, GroupedBatch};

use super::BATCH_ROWS;

/// Bytes of a chunk of lines.
const CHUNK_BYTES: usize = 64;

/// An encoded key or value.
pub(super) type Cell = Vec<u8>;
/// Keys in order, with their values.
pub(super) type Groups = Vec<(Cell, Vec<Cell>)>;

pub(super) fn cell<D: DataType>(value: &impl Encode<D>) -> Cell {
    let mut cell = Cell::new();
    value.encode(&mut cell);
    cell
}

/// Cuts a text into chunks of whole lines, with their offsets.
pub(super) fn chunks(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let cut = memchr::memrchr(b'\n', &rest[..rest.len().min(CHUNK_BYTES)]);
        let len = cut.or_else(|| memchr::memchr(b'\n', rest)).map_or(rest.len(), |newline| newline + 1);
        let chunk = (start as u64, &rest[..len]);
        start += len;
        Some(chunk)
    })
}

/// Sorts records by key, keeping the order of values, and groups them.
pub(super) fn group(mut records: Vec<(Cell, Cell)>) -> Groups {
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let mut groups = Groups::new();
    for (key, value) in records {
        match groups.last_mut() {
            Some((last, values)) if *last == key => values.push(value),
            _ => groups.push((key, vec![value])),
        }
    }
    groups
}

pub(super) fn pack<'a>(cells: impl Iterator<Item = &'a Cell>, width: Option<usize>) -> Column {
    let mut column = Column { width: count(width.unwrap_or(0)), ..Column::default() };
    for cell in cells {
        column.data.extend_from_slice(cell);
        if width.is_none() {
            column.end_cell();
        }
    }
    column
}

/// Puts groups together whose keys begin with the same `K`, which is then their key.
pub(super) fn group_by_prefix<K: DataType>(whole: Groups) -> Groups {
    let mut groups = Groups::new();
    for (mut key, mut values) in whole {
        let mut rest = key.as_slice();
        assert!(K::decode_front(&mut rest).is_some(), "a key does not begin with a {}", K::name());
        key.truncate(key.len() - rest.len());
        match groups.last_mut() {
            Some((known, all)) if *known == key => all.append(&mut values),
            _ => groups.push((key, values)),
        }
    }
    groups
}

/// Packs groups into a batch; of a group with more than `values_max` values the rest is apart.
pub(super) fn pack_groups<K: DataType, V: DataType>(
    groups: &[(Cell, Vec<Cell>)],
    values_max: usize,
) -> (GroupedBatch, Vec<(u32, Column)>) {
    let heads = groups.iter().map(|(_, values)| &values[..values.len().min(values_max)]);
    let mut ends = Vec::new();
    let mut rows = 0;
    for head in heads.clone() {
        rows += head.len();
        ends.extend_from_slice(&count(rows).to_le_bytes());
    }
    let tail = groups.last().and_then(|(_, values)| values.get(values_max..)).unwrap_or_default();
    let rest: Vec<_> =
        tail.chunks(BATCH_ROWS).map(|part| (count(part.len()), pack(part.iter(), V::WIDTH))).collect();
    let batch = GroupedBatch {
        groups: count(groups.len()),
        keys: pack(groups.iter().map(|(key, _)| key), K::WIDTH),
        ends,
        rows: count(rows),
        values: pack(heads.flatten(), V::WIDTH),
        more: !rest.is_empty(),
    };
    (batch, rest)
}

pub(super) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
