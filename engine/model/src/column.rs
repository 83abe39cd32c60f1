//! Packed columns: how records lie in memory on both sides of the sandbox (`types.column` in
//! `wit/engine.wit`). Views are checked once, then read without copying; builders are reused.

use std::ops::Range;

/// Bytes of one entry of `ends`: a little-endian u32.
pub const END_BYTES: usize = 4;

/// A checked view of `rows` byte strings laid end to end.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    rows: u32,
    width: u32,
    ends: &'a [u8],
    data: &'a [u8],
}

/// A column that breaks the layout's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadColumn {
    /// `ends` has neither 0 nor `4 * rows` bytes.
    #[error("`ends` has {bytes} bytes for {rows} rows")]
    EndsLength {
        /// Length of `ends`.
        bytes: usize,
        /// Rows claimed.
        rows: u32,
    },
    /// An end lies before the one ahead of it or behind the data.
    #[error("end of row {row} is out of order or past the {bytes} bytes of `data`")]
    EndOrder {
        /// The row.
        row: u32,
        /// Length of `data`.
        bytes: usize,
    },
    /// The last end, or `rows * width`, is not the length of `data`.
    #[error("`data` has {bytes} bytes where the rows cover {covered}")]
    DataLength {
        /// Length of `data`.
        bytes: usize,
        /// Bytes that the rows cover.
        covered: u64,
    },
}

impl<'a> Column<'a> {
    /// Checks the layout. `ends` empty means fixed width (with `rows` > 0).
    pub fn new(rows: u32, width: u32, ends: &'a [u8], data: &'a [u8]) -> Result<Self, BadColumn> {
        if ends.is_empty() {
            let covered = u64::from(rows) * u64::from(width);
            if covered != data.len() as u64 {
                return Err(BadColumn::DataLength { bytes: data.len(), covered });
            }
            return Ok(Self { rows, width, ends, data });
        }
        if ends.len() as u64 != u64::from(rows) * END_BYTES as u64 {
            return Err(BadColumn::EndsLength { bytes: ends.len(), rows });
        }
        let mut last = 0u32;
        let mut ordered = true;
        for end in ends.as_chunks::<END_BYTES>().0 {
            let end = u32::from_le_bytes(*end);
            ordered &= end >= last;
            last = end;
        }
        if !ordered {
            return Err(BadColumn::EndOrder { row: first_disorder(ends), bytes: data.len() });
        }
        if last as usize != data.len() {
            return Err(BadColumn::DataLength { bytes: data.len(), covered: u64::from(last) });
        }
        Ok(Self { rows, width, ends, data })
    }

    /// Number of cells.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// All cells' bytes, end to end.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The raw parts `(width, ends, data)`, as they cross the sandbox.
    pub fn parts(&self) -> (u32, &'a [u8], &'a [u8]) {
        (self.width, self.ends, self.data)
    }

    /// Where cell `row` lies in `data`. Rows past the end are empty.
    #[inline]
    pub fn range(&self, row: usize) -> Range<usize> {
        if self.ends.is_empty() {
            let width = self.width as usize;
            return row * width..(row + 1) * width;
        }
        let ends = self.ends.as_chunks::<END_BYTES>().0;
        let start = if row == 0 { 0 } else { u32::from_le_bytes(ends[row - 1]) };
        start as usize..u32::from_le_bytes(ends[row]) as usize
    }

    /// Cell `row`. Panics past the last row.
    #[inline]
    pub fn cell(&self, row: usize) -> &'a [u8] {
        &self.data[self.range(row)]
    }

    /// All cells in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let column = *self;
        let mut start = 0usize;
        (0..column.rows as usize).map(move |row| {
            let end = if column.ends.is_empty() {
                start + column.width as usize
            } else {
                u32::from_le_bytes(column.ends.as_chunks::<END_BYTES>().0[row]) as usize
            };
            let cell = &column.data[start..end];
            start = end;
            cell
        })
    }
}

fn first_disorder(ends: &[u8]) -> u32 {
    let mut last = 0u32;
    let ends = ends.as_chunks::<END_BYTES>().0.iter().map(|end| u32::from_le_bytes(*end));
    for (row, end) in (0u32..).zip(ends) {
        if end < last {
            return row;
        }
        last = end;
    }
    0
}

/// A checked view of ungrouped records.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Key column.
    pub keys: Column<'a>,
    /// Value column, as many rows as keys.
    pub values: Column<'a>,
}

impl<'a> Batch<'a> {
    /// Number of records.
    pub fn rows(&self) -> u32 {
        self.keys.rows()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> u64 {
        (self.keys.data().len() + self.values.data().len()) as u64
    }

    /// All records in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.keys.iter().zip(self.values.iter())
    }
}

/// A reusable variable-width column under construction. Holds at most `u32::MAX` bytes; callers
/// bound batches far below that.
#[derive(Debug, Clone, Default)]
pub struct ColumnBuf {
    rows: u32,
    ends: Vec<u8>,
    data: Vec<u8>,
}

impl ColumnBuf {
    /// Appends a cell.
    #[inline]
    pub fn push(&mut self, cell: &[u8]) {
        // Numbers are the commonest cells, and a copy of known length is no call.
        match <&[u8; 8]>::try_from(cell) {
            Ok(word) => self.data.extend_from_slice(word),
            Err(_) => self.data.extend_from_slice(cell),
        }
        self.close_cell();
    }

    /// The bytes, to append to directly; [`ColumnBuf::close_cell`] then ends the cell.
    #[inline]
    pub fn data_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Ends a cell at the end of the data.
    #[inline]
    pub fn close_cell(&mut self) {
        let end = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        self.ends.extend_from_slice(&end.to_le_bytes());
        self.rows += 1;
    }

    /// Ends cells whose bytes were appended to the data, each at one of `ends`: ascending places in the data, the
    /// last of them its length.
    pub fn close_cells(&mut self, ends: &[u32]) {
        let from = self.ends.len();
        self.ends.resize(from + ends.len() * END_BYTES, 0);
        for (cell, end) in self.ends[from..].as_chunks_mut::<END_BYTES>().0.iter_mut().zip(ends) {
            *cell = end.to_le_bytes();
        }
        self.rows += u32::try_from(ends.len()).unwrap_or(u32::MAX);
    }

    /// Ends `rows` cells of `width` bytes each, which were appended to the data.
    pub fn close_even_cells(&mut self, rows: usize, width: usize) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let width = number(width);
        let mut end = number(self.data.len()).wrapping_sub(number(rows).wrapping_mul(width));
        let from = self.ends.len();
        self.ends.resize(from + rows * END_BYTES, 0);
        for cell in self.ends[from..].as_chunks_mut::<END_BYTES>().0 {
            end = end.wrapping_add(width);
            *cell = end.to_le_bytes();
        }
        self.rows += number(rows);
    }

    /// Appends cells of another column: what is packed already is copied as it lies. Panics past its last row.
    pub fn append(&mut self, column: Column<'_>, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let (begin, end) = (column.range(rows.start).start, column.range(rows.end - 1).end);
        let to = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        self.data.extend_from_slice(&column.data[begin..end]);
        let count = rows.len();
        self.rows += u32::try_from(count).unwrap_or(u32::MAX);
        if column.ends.is_empty() {
            let ends = (1..=count).map(|row| {
                to.saturating_add(u32::try_from(row).unwrap_or(u32::MAX).saturating_mul(column.width))
            });
            self.ends.extend(ends.flat_map(u32::to_le_bytes));
            return;
        }
        let from = self.ends.len();
        self.ends.extend_from_slice(&column.ends[rows.start * END_BYTES..rows.end * END_BYTES]);
        let moved = to.wrapping_sub(u32::try_from(begin).unwrap_or(u32::MAX));
        if moved != 0 {
            for end in self.ends[from..].as_chunks_mut::<END_BYTES>().0 {
                *end = u32::from_le_bytes(*end).wrapping_add(moved).to_le_bytes();
            }
        }
    }

    /// Number of cells.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes of all cells.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Bytes of memory in use: cells and their ends.
    #[inline]
    pub fn size(&self) -> usize {
        self.data.len() + self.ends.len()
    }

    /// Forgets the cells, keeps the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.ends.clear();
        self.data.clear();
    }

    /// The column as a view.
    pub fn view(&self) -> Column<'_> {
        Column { rows: self.rows, width: 0, ends: &self.ends, data: &self.data }
    }
}

/// A reusable batch of ungrouped records under construction.
#[derive(Debug, Clone, Default)]
pub struct BatchBuf {
    /// Key column.
    pub keys: ColumnBuf,
    /// Value column.
    pub values: ColumnBuf,
}

impl BatchBuf {
    /// Appends a record.
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.keys.push(key);
        self.values.push(value);
    }

    /// Number of records.
    pub fn rows(&self) -> u32 {
        self.keys.rows()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }

    /// Bytes of memory in use: what bounds a batch whose cells are empty, too.
    pub fn size(&self) -> usize {
        self.keys.size() + self.values.size()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }

    /// The batch as a view.
    pub fn view(&self) -> Batch<'_> {
        Batch { keys: self.keys.view(), values: self.values.view() }
    }
}

/// A reusable batch of groups under construction (`types.grouped-batch`).
#[derive(Debug, Clone, Default)]
pub struct GroupedBatchBuf {
    /// One cell for each group.
    pub keys: ColumnBuf,
    /// Little-endian u32 for each group: its end in `values`, in rows.
    pub ends: Vec<u8>,
    /// Values of all groups, end to end.
    pub values: ColumnBuf,
    /// The last group goes on.
    pub more: bool,
}

impl GroupedBatchBuf {
    /// Number of groups.
    pub fn groups(&self) -> u32 {
        self.keys.rows()
    }

    /// Bytes of memory in use: what bounds a batch whose cells are empty, too.
    #[inline]
    pub fn size(&self) -> usize {
        self.keys.size() + self.ends.len() + self.values.size()
    }

    /// Ends the open group at the last value.
    #[inline]
    pub fn close_group(&mut self) {
        self.ends.extend_from_slice(&self.values.rows().to_le_bytes());
    }

    /// Forgets the groups, keeps the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.ends.clear();
        self.values.clear();
        self.more = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_column_reads_back() {
        let mut buf = ColumnBuf::default();
        for cell in [b"ab".as_slice(), b"", b"cde"] {
            buf.push(cell);
        }
        let view = buf.view();
        let (width, ends, data) = view.parts();
        let checked = Column::new(view.rows(), width, ends, data).unwrap();
        assert_eq!(checked.iter().collect::<Vec<_>>(), [b"ab".as_slice(), b"", b"cde"]);
        assert_eq!(checked.cell(2), b"cde");
    }

    #[test]
    fn fixed_width_needs_no_ends() {
        let column = Column::new(3, 2, &[], b"aabbcc").unwrap();
        assert_eq!(column.iter().collect::<Vec<_>>(), [b"aa", b"bb", b"cc"]);
        assert_eq!(column.cell(1), b"bb");
        assert_eq!(Column::new(5, 0, &[], b"").unwrap().iter().count(), 5);
    }

    #[test]
    fn columns_are_appended_to_each_other() {
        let mut from = ColumnBuf::default();
        for cell in [b"ab".as_slice(), b"", b"cde", b"f"] {
            from.push(cell);
        }
        let mut to = ColumnBuf::default();
        to.append(from.view(), 1..4);
        to.append(Column::new(3, 2, &[], b"aabbcc").unwrap(), 1..3);
        to.append(Column::new(9, 0, &[], b"").unwrap(), 2..4);
        to.append(from.view(), 2..2);
        let end = u32::try_from(to.bytes()).unwrap();
        to.data_mut().extend_from_slice(b"xyz");
        to.close_cells(&[end + 1, end + 1, end + 3]);
        to.data_mut().extend_from_slice(b"uvw");
        to.close_even_cells(3, 1);
        let cells: Vec<_> = to.view().iter().collect();
        let copied = [b"".as_slice(), b"cde", b"f", b"bb", b"cc", b"", b""];
        assert_eq!(cells[..7], copied);
        assert_eq!(cells[7..], [b"x".as_slice(), b"", b"yz", b"u", b"v", b"w"]);
        assert_eq!(to.rows(), 13);
    }

    #[test]
    fn malformed_columns_are_refused() {
        let ends = |ends: &[u32]| ends.iter().flat_map(|end| end.to_le_bytes()).collect::<Vec<_>>();
        let refused = |rows, width, ends: &[u8], data| Column::new(rows, width, ends, data).unwrap_err();
        assert_eq!(refused(2, 0, &ends(&[2, 1]), b"a"), BadColumn::EndOrder { row: 1, bytes: 1 });
        assert_eq!(refused(1, 0, &ends(&[2]), b"a"), BadColumn::DataLength { bytes: 1, covered: 2 });
        assert_eq!(refused(2, 0, &ends(&[1]), b"a"), BadColumn::EndsLength { bytes: 4, rows: 2 });
        assert_eq!(refused(1, 0, b"abc", b"a"), BadColumn::EndsLength { bytes: 3, rows: 1 });
        assert_eq!(refused(2, 8, &[], b"a"), BadColumn::DataLength { bytes: 1, covered: 16 });
        assert_eq!(
            refused(u32::MAX, u32::MAX, &[], b""),
            BadColumn::DataLength { bytes: 0, covered: u64::from(u32::MAX) * u64::from(u32::MAX) }
        );
    }
}
