//! Packed columns, as a plugin hands them over: the verdict is that of a naive reading, and a column that
//! was accepted can be looked at everywhere.

use mr_model::column::Column;

use crate::take::Supply;

/// Rows that are looked at one by one.
const ROWS_SEEN_MAX: u32 = 1 << 12;

/// Target: rows, width, length of the ends, the ends, the data.
pub fn column(data: &[u8]) {
    let mut supply = Supply(data);
    let (rows, width) = (small_or_any(&mut supply), small_or_any(&mut supply));
    let ends_bytes = usize::from(supply.short());
    let ends = supply.bytes(ends_bytes);
    let bytes = supply.rest();
    let made = Column::new(rows, width, ends, bytes);
    let expected = naive(rows, width, ends, bytes);
    assert_eq!(made.is_ok(), expected.is_some(), "{made:?}");
    let (Ok(column), Some(cells)) = (made, expected) else { return };
    assert_eq!(column.rows(), rows);
    assert_eq!(column.parts(), (width, ends, bytes));
    assert_eq!(column.data(), bytes);
    for (row, cell) in cells.iter().enumerate() {
        assert_eq!(column.cell(row), *cell);
        assert_eq!(&bytes[column.range(row)], *cell);
    }
    assert!(column.iter().take(cells.len()).eq(cells));
}

fn small_or_any(supply: &mut Supply<'_>) -> u32 {
    u32::try_from(supply.number()).unwrap_or(u32::MAX)
}

/// The first cells, if there are cells at all.
fn naive<'a>(rows: u32, width: u32, ends: &[u8], data: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let seen = rows.min(ROWS_SEEN_MAX) as usize;
    if ends.is_empty() {
        if u128::from(rows) * u128::from(width) != data.len() as u128 {
            return None;
        }
        let width = width as usize;
        return Some((0..seen).map(|row| &data[row * width..(row + 1) * width]).collect());
    }
    if ends.len() as u128 != u128::from(rows) * 4 {
        return None;
    }
    let mut cells = Vec::new();
    let mut start = 0;
    for end in ends.chunks(4) {
        let end = u32::from_le_bytes(end.try_into().unwrap()) as usize;
        cells.push(data.get(start..end)?);
        start = end;
    }
    cells.truncate(seen);
    (start == data.len()).then_some(cells)
}

/// Columns of both layouts.
pub fn seeds() -> Vec<Vec<u8>> {
    let ends = |ends: &[u32]| ends.iter().flat_map(|end| end.to_le_bytes()).collect::<Vec<u8>>();
    let column = |rows: u8, width: u8, ends: &[u8], data: &[u8]| {
        let length = u16::try_from(ends.len()).unwrap().to_le_bytes();
        [&[rows, width], length.as_slice(), ends, data].concat()
    };
    vec![
        column(3, 0, &ends(&[2, 2, 5]), b"abcde"),
        column(3, 2, &[], b"aabbcc"),
        column(5, 0, &[], b""),
        column(0, 8, &[], b""),
        column(2, 0, &ends(&[2, 1]), b"a"),
        [&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 8, 0, 0], b"a".as_slice()].concat(),
    ]
}
