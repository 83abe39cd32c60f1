//! Records as rows of columns, for the formats that have them: which columns keys and values become, and
//! their cells read one by one. The elements of a tuple are a column each, a `tuple<bool,T>` within it is
//! one that may be null, a unit is none.

use mr_model::{BadCell, DataType, StageTypes};

use super::error::EncodeError;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    U64,
    S64,
    F64,
    Bool,
    Text,
    Bytes,
}

/// A column of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutColumn {
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
    /// Its bytes are flipped: it sorts the other way round.
    pub desc: bool,
}

/// The columns of keys and values, those of keys first.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// All columns.
    pub all: Vec<OutColumn>,
    key: Side,
    value: Side,
    /// Name of a format that takes UTF-8 alone.
    utf8: Option<&'static str>,
}

/// The key or the value.
#[derive(Debug, Clone)]
struct Side {
    datatype: DataType,
    /// Text or bytes that fill the cell, and so are not escaped.
    alone: bool,
    /// Its part of the columns.
    from: usize,
    to: usize,
}

/// A cell of a row. Bytes lie in the key, in the value, or unescaped in the scratch memory.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Null,
    U64(u64),
    S64(i64),
    F64(f64),
    Bool(bool),
    Key(usize, usize),
    Value(usize, usize),
    Scratch(usize, usize),
}

/// A cell of a row, as its reader sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    U64(u64),
    S64(i64),
    F64(f64),
    Bool(bool),
    Bytes(&'a [u8]),
}

/// Memory for the cells of a row, used again for each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    slots: Vec<Slot>,
    scratch: Vec<u8>,
}

impl Columns {
    /// The columns of `types`; a type that nobody declared is `undeclared`. `names` are theirs, if given:
    /// else `key`, `value`, and `key_1`, `value_2_1` for elements of tuples. `utf8` names a format that takes no
    /// other text.
    ///
    /// # Errors
    /// A sentence: names that do not fit.
    pub fn new(
        types: &StageTypes,
        names: Option<&[String]>,
        undeclared: &DataType,
        utf8: Option<&'static str>,
    ) -> Result<Self, String> {
        let mut all = Vec::new();
        let key = Side::new(types.key.as_ref().unwrap_or(undeclared), "key", &mut all);
        let value = Side::new(types.value.as_ref().unwrap_or(undeclared), "value", &mut all);
        if let Some(names) = names {
            if names.len() != all.len() {
                let (given, had) = (names.len(), all.len());
                let columns: Vec<&str> = all.iter().map(|column| column.name.as_str()).collect();
                return Err(format!(
                    "{given} names are given for the {had} columns of the output ({})",
                    columns.join(", ")
                ));
            }
            for (column, name) in all.iter_mut().zip(names) {
                name.clone_into(&mut column.name);
            }
        }
        Ok(Self { all, key, value, utf8 })
    }

    /// Reads the cells of a record.
    ///
    /// # Errors
    /// A key or value that is not of its type, text that is not UTF-8 where the format needs it.
    #[inline]
    pub fn read(&self, key: &[u8], value: &[u8], row: &mut Row) -> Result<(), EncodeError> {
        row.slots.clear();
        row.scratch.clear();
        self.key.read(&self.all, key, row, Slot::Key)?;
        self.value.read(&self.all, value, row, Slot::Value)?;
        if let Some(format) = self.utf8 {
            for (i, column) in self.all.iter().enumerate() {
                if column.kind == Kind::Text
                    && let Cell::Bytes(text) = row.cell(i, key, value)
                    && std::str::from_utf8(text).is_err()
                {
                    return Err(EncodeError::NotUtf8 { column: column.name.clone(), format });
                }
            }
        }
        Ok(())
    }
}

impl Row {
    /// The cell of a column, of the record that was read last.
    #[inline]
    pub fn cell<'a>(&'a self, column: usize, key: &'a [u8], value: &'a [u8]) -> Cell<'a> {
        match self.slots[column] {
            Slot::Null => Cell::Null,
            Slot::U64(number) => Cell::U64(number),
            Slot::S64(number) => Cell::S64(number),
            Slot::F64(number) => Cell::F64(number),
            Slot::Bool(truth) => Cell::Bool(truth),
            Slot::Key(from, to) => Cell::Bytes(&key[from..to]),
            Slot::Value(from, to) => Cell::Bytes(&value[from..to]),
            Slot::Scratch(from, to) => Cell::Bytes(&self.scratch[from..to]),
        }
    }
}

impl Side {
    fn new(datatype: &DataType, name: &str, columns: &mut Vec<OutColumn>) -> Self {
        let from = columns.len();
        flatten(datatype, name, columns);
        let alone = matches!(datatype, DataType::Text | DataType::Bytes);
        Self { datatype: datatype.clone(), alone, from, to: columns.len() }
    }

    #[inline]
    fn read(
        &self,
        columns: &[OutColumn],
        cell: &[u8],
        row: &mut Row,
        slot: fn(usize, usize) -> Slot,
    ) -> Result<(), EncodeError> {
        if self.alone {
            row.slots.push(slot(0, cell.len()));
            return Ok(());
        }
        let mut at = 0;
        for column in &columns[self.from..self.to] {
            let read = read_front(column, cell, &mut at, &mut row.scratch, slot);
            row.slots.push(read.ok_or_else(|| self.bad(cell))?);
        }
        if at == cell.len() { Ok(()) } else { Err(self.bad(cell)) }
    }

    #[cold]
    fn bad(&self, cell: &[u8]) -> EncodeError {
        BadCell { datatype: self.datatype.to_string(), bytes: cell.len() }.into()
    }
}

fn flatten(datatype: &DataType, name: &str, columns: &mut Vec<OutColumn>) {
    match datatype {
        DataType::Tuple(elements) => {
            for (i, element) in elements.iter().enumerate() {
                let name = format!("{name}_{}", i + 1);
                match nullable(element) {
                    Some((kind, desc)) => columns.push(OutColumn { name, kind, nullable: true, desc }),
                    None => flatten(element, &name, columns),
                }
            }
        }
        scalar => {
            columns.extend(kind(scalar).map(|(kind, desc)| OutColumn {
                name: name.to_owned(),
                kind,
                nullable: false,
                desc,
            }));
        }
    }
}

/// `T` of a `tuple<bool,T>`.
fn nullable(element: &DataType) -> Option<(Kind, bool)> {
    match element {
        DataType::Tuple(pair) => match pair.as_slice() {
            [DataType::Bool, datatype] => kind(datatype),
            _ => None,
        },
        _ => None,
    }
}

/// What values of a type are, and whether their bytes are flipped.
fn kind(datatype: &DataType) -> Option<(Kind, bool)> {
    let kind = match datatype {
        DataType::U64 => Kind::U64,
        DataType::S64 => Kind::S64,
        DataType::F64 => Kind::F64,
        DataType::Bool => Kind::Bool,
        DataType::Text => Kind::Text,
        DataType::Bytes => Kind::Bytes,
        DataType::Desc(inner) => return kind(inner).map(|(kind, desc)| (kind, !desc)),
        DataType::Unit | DataType::Tuple(_) => return None,
    };
    Some((kind, false))
}

/// Reads the element of a tuple (or the number alone in a cell) at `at`; none if it is malformed.
#[inline]
fn read_front(
    column: &OutColumn,
    cell: &[u8],
    at: &mut usize,
    scratch: &mut Vec<u8>,
    slot: fn(usize, usize) -> Slot,
) -> Option<Slot> {
    let there = !column.nullable || read_bool(cell, at)?;
    let read = match column.kind {
        _ if column.desc => read_desc(column.kind, cell, at, scratch)?,
        Kind::U64 => Slot::U64(read_word(cell, at)?),
        Kind::S64 => Slot::S64((read_word(cell, at)? ^ (1 << 63)).cast_signed()),
        Kind::F64 => {
            let bits = read_word(cell, at)?;
            Slot::F64(f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits }))
        }
        Kind::Bool => Slot::Bool(read_bool(cell, at)?),
        Kind::Text | Kind::Bytes => read_bytes(cell, at, scratch, slot)?,
    };
    Some(if there { read } else { Slot::Null })
}

/// Reads an element whose bytes are flipped.
#[cold]
fn read_desc(kind: Kind, cell: &[u8], at: &mut usize, scratch: &mut Vec<u8>) -> Option<Slot> {
    let flipped: Vec<u8> = cell.get(*at..)?.iter().map(|byte| !byte).collect();
    let plain = OutColumn { name: String::new(), kind, nullable: false, desc: false };
    let (mut passed, mut own) = (0, Vec::new());
    let read = read_front(&plain, &flipped, &mut passed, &mut own, Slot::Key)?;
    *at += passed;
    let bytes = match read {
        Slot::Key(from, to) => flipped.get(from..to)?,
        Slot::Scratch(from, to) => own.get(from..to)?,
        number => return Some(number),
    };
    let from = scratch.len();
    scratch.extend_from_slice(bytes);
    Some(Slot::Scratch(from, scratch.len()))
}

#[inline]
fn read_word(cell: &[u8], at: &mut usize) -> Option<u64> {
    let word = cell.get(*at..)?.first_chunk::<8>()?;
    *at += 8;
    Some(u64::from_be_bytes(*word))
}

#[inline]
fn read_bool(cell: &[u8], at: &mut usize) -> Option<bool> {
    let byte = *cell.get(*at)?;
    *at += 1;
    (byte < 2).then_some(byte == 1)
}

/// Bytes up to their terminator, unescaped into the scratch memory only where they have to be.
#[inline]
fn read_bytes(
    cell: &[u8],
    at: &mut usize,
    scratch: &mut Vec<u8>,
    slot: fn(usize, usize) -> Slot,
) -> Option<Slot> {
    let begin = *at;
    let zero = begin + memchr::memchr(0, cell.get(begin..)?)?;
    if cell.get(zero + 1) == Some(&0) {
        *at = zero + 2;
        return Some(slot(begin, zero));
    }
    let from = scratch.len();
    let mut rest = begin;
    loop {
        let zero = rest + memchr::memchr(0, &cell[rest..])?;
        scratch.extend_from_slice(&cell[rest..zero]);
        rest = zero + 2;
        match cell.get(zero + 1)? {
            0xff => scratch.push(0),
            0 => break,
            _ => return None,
        }
    }
    *at = rest;
    Some(Slot::Scratch(from, scratch.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(key: &str, value: &str) -> Columns {
        let types = StageTypes { key: Some(key.parse().unwrap()), value: Some(value.parse().unwrap()) };
        Columns::new(&types, None, &DataType::Bytes, None).unwrap()
    }

    #[test]
    fn tuples_become_columns_with_names() {
        let columns = columns("text", "tuple<u64,unit,tuple<bool,f64>,tuple<s64,tuple<text,bytes>>>");
        let shown: Vec<_> =
            columns.all.iter().map(|c| format!("{} {:?} {}", c.name, c.kind, c.nullable)).collect();
        assert_eq!(
            shown,
            [
                "key Text false",
                "value_1 U64 false",
                "value_3 F64 true",
                "value_4_1 S64 false",
                "value_4_2_1 Text false",
                "value_4_2_2 Bytes false"
            ]
        );
    }

    #[test]
    fn names_have_to_be_as_many_as_columns() {
        let types = StageTypes { key: None, value: Some("tuple<u64,u64>".parse().unwrap()) };
        let names = ["a".to_owned(), "b".to_owned()];
        let error = Columns::new(&types, Some(&names), &DataType::Bytes, None).unwrap_err();
        assert_eq!(error, "2 names are given for the 3 columns of the output (key, value_1, value_2)");
    }

    #[test]
    fn cells_are_read_where_they_lie() {
        let columns = columns("tuple<text,tuple<bool,u64>,bytes>", "s64");
        let mut row = Row::default();
        let key = b"a\0\xffb\0\0\x01\0\0\0\0\0\0\0\x07x\0\0";
        let value = b"\x7f\xff\xff\xff\xff\xff\xff\xff";
        columns.read(key, value, &mut row).unwrap();
        let cells: Vec<_> = (0..4).map(|i| row.cell(i, key, value)).collect();
        assert_eq!(cells, [Cell::Bytes(b"a\0b"), Cell::U64(7), Cell::Bytes(b"x"), Cell::S64(-1)]);
        for bad in [
            b"a\0\x01".as_slice(),
            b"a",
            b"a\0\0\x02\0\0\0\0\0\0\0\x07x\0\0",
            b"a\0\0\x01\0\0\0\0\0\0\0\x07x\0\0y",
            b"",
        ] {
            assert!(columns.read(bad, value, &mut row).is_err(), "{bad:?}");
        }
    }
}
