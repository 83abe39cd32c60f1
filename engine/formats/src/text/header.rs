//! The first row of a delimited file, which names its columns or at least says how many there are, and how the
//! fields that are asked for are found among them.

use std::sync::Arc;

use mr_model::format::FIELDS_MAX;
use mr_model::{Compression, DataType, Delimited, Field, Fields, Row, limit};

use super::rows::{Dialect, Finder, Parsed, Span, is_newline};
use crate::cell::Shown;
use crate::error::FormatError;
use crate::source::{Borrowed, Source};
use crate::tape::{Bounds, Tape};

/// What some programs put ahead of text in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Names of a header that a sentence tells.
const NAMES_TOLD_MAX: usize = 10;

/// The front of a delimited file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    /// Values of the first row: names, if there is a header.
    pub(super) values: Vec<Vec<u8>>,
    /// Offset of the first row that is a record.
    pub(super) data: u64,
}

/// Reads the first row of a file and goes to the first one with data; none if there is no row.
///
/// # Errors
/// The file cannot be read, or the row is longer than allowed.
pub(super) fn read_front(tape: &mut Tape<'_>, delimited: Delimited) -> Result<Option<Front>, FormatError> {
    while tape.bytes().len() < BYTE_ORDER_MARK.len() && tape.more()? {}
    if tape.bytes().starts_with(b"\xff\xfe") || tape.bytes().starts_with(b"\xfe\xff") {
        return Err(tape.bad(tape.offset(), "the file is text in UTF-16; convert it to UTF-8"));
    }
    if tape.bytes().starts_with(BYTE_ORDER_MARK) {
        tape.consume(BYTE_ORDER_MARK.len());
    }
    skip_newlines(tape)?;
    let dialect = Dialect::new(delimited);
    if tape.bytes().is_empty() {
        return Ok(None);
    }
    let parse = |tape: &Tape<'_>, spans: &mut [Span]| {
        Dialect::parse(&mut Finder::new(dialect, tape.bytes()), 0, tape.ended(), spans)
    };
    let (next, columns) = loop {
        match parse(tape, &mut []) {
            Parsed::Row { end, .. } if end > tape.record_bytes_max() => {
                return Err(tape.too_long(tape.offset()));
            }
            Parsed::Row { next, columns, .. } => break (next, columns),
            Parsed::Unclosed(quote) => return Err(unclosed(tape, tape.offset() + quote as u64)),
            Parsed::More => {
                tape.more_of_record()?;
            }
        }
    };
    let (mut spans, mut scratch) = (vec![Span::NONE; columns], Vec::new());
    parse(tape, &mut spans);
    let values = spans.iter().map(|span| dialect.value(tape.bytes(), *span, &mut scratch).to_vec());
    let values = values.collect();
    if delimited.header {
        tape.consume(next);
        skip_newlines(tape)?;
    }
    Ok(Some(Front { values, data: tape.offset() }))
}

/// Moves on to the first byte that ends no row.
fn skip_newlines(tape: &mut Tape<'_>) -> Result<(), FormatError> {
    loop {
        let newlines = tape.bytes().iter().take_while(|byte| is_newline(**byte)).count();
        tape.consume(newlines);
        if !tape.bytes().is_empty() || !tape.more()? {
            return Ok(());
        }
    }
}

/// The error of a quote without another one.
pub(super) fn unclosed(tape: &Tape<'_>, quote: u64) -> FormatError {
    tape.bad(
        quote,
        "the quote that opens here is not closed before the end of the file; if quotes mean nothing in it, \
         say quote=none",
    )
}

/// Where a field is found in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) datatype: DataType,
    pub(super) nullable: bool,
}

/// Where the fields of `row` are found.
///
/// # Errors
/// A clause that names a field that is not there, or there twice.
pub(super) fn locate(front: &Front, header: bool, row: &Row) -> Result<(Vec<Cell>, Vec<Cell>), String> {
    let numbered = row.key.0.iter().chain(&row.value.0).all(|field| number(&field.name).is_some());
    let place = |field: &Field| -> Result<Cell, String> {
        let column = if header {
            by_name(front, &field.name)?
        } else if numbered {
            number(&field.name).unwrap_or(0)
        } else {
            by_order(&row.value, &field.name)?
        };
        if column >= front.values.len() {
            let (name, columns) = (&field.name, front.values.len());
            return Err(format!(
                "the field {name:?} is that of column {} and there are {columns}",
                column + 1
            ));
        }
        let datatype = field.datatype.clone().unwrap_or(DataType::Text);
        Ok(Cell { column, name: field.name.clone(), datatype, nullable: field.nullable })
    };
    let all = |fields: &Fields| fields.0.iter().map(place).collect::<Result<Vec<_>, _>>();
    Ok((all(&row.key)?, all(&row.value)?))
}

/// The column of the name `c1`, `c2`, ..., from 0.
fn number(name: &str) -> Option<usize> {
    name.strip_prefix('c')?.parse::<usize>().ok()?.checked_sub(1)
}

fn by_order(value: &Fields, name: &str) -> Result<usize, String> {
    let column = value.0.iter().position(|field| field.name == name);
    column.ok_or_else(|| {
        format!("the field {name:?} is none of those named in order of their columns; add it to --fields")
    })
}

fn by_name(front: &Front, name: &str) -> Result<usize, String> {
    let mut columns = (0..).zip(&front.values).filter(|(_, value)| *value == name.as_bytes());
    match (columns.next(), columns.next()) {
        (Some((column, _)), None) => Ok(column),
        (Some(_), Some(_)) => Err(format!("the header has the field {name:?} twice")),
        (None, _) => {
            let told = front.values.iter().take(NAMES_TOLD_MAX).map(|name| Shown(name).to_string());
            let told = told.collect::<Vec<_>>().join(", ");
            let more = if front.values.len() > NAMES_TOLD_MAX { ", ..." } else { "" };
            Err(format!("the header has no field {name:?}; it has {told}{more}"))
        }
    }
}

/// What the rows of a delimited file are.
///
/// # Errors
/// As [`read_front`] and [`locate`].
pub(crate) fn describe(
    source: &dyn Source,
    delimited: Delimited,
    compression: Compression,
    asked: Option<&Fields>,
    key: Option<&Fields>,
) -> Result<Row, FormatError> {
    let mut tape = front_tape(Arc::new(Borrowed(source)), compression, limit::RECORD_BYTES_MAX)?;
    let front = read_front(&mut tape, delimited)?;
    let key = key.cloned().unwrap_or_default();
    let value = match (asked, &front) {
        (Some(asked), _) => asked.clone(),
        (None, Some(front)) => {
            all_but(front, delimited.header, &key).map_err(|reason| FormatError::bad(0, reason))?
        }
        (None, None) => return Err(FormatError::bad(0, "the file is empty and has no header")),
    };
    let row = typed(key, value);
    if let Some(front) = &front {
        locate(front, delimited.header, &row).map_err(|reason| FormatError::bad(0, reason))?;
    }
    Ok(row)
}

/// What the rows of JSON lines are: only who asks knows; none if nothing is asked for.
///
/// # Errors
/// Fields of the key and none of the value.
pub(crate) fn describe_json(
    asked: Option<&Fields>,
    key: Option<&Fields>,
) -> Result<Option<Row>, FormatError> {
    match (asked, key) {
        (Some(asked), key) => Ok(Some(typed(key.cloned().unwrap_or_default(), asked.clone()))),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let reason = "JSON lines have no header: name the fields of the value with --fields";
            Err(FormatError::bad(0, reason))
        }
    }
}

/// The front of a file, to read its first row.
pub(super) fn front_tape<'a>(
    source: Arc<dyn Source + 'a>,
    compression: Compression,
    record_bytes_max: u64,
) -> Result<Tape<'a>, FormatError> {
    let range = 0..source.bytes();
    let bounds = Bounds { record: "first row", record_bytes_max, expansion_max: u64::MAX };
    Ok(match compression {
        Compression::None => Tape::plain(source, 0, range, bounds),
        _ => Tape::decoded(source, compression, range, bounds)?,
    })
}

/// All columns that are not in the key.
fn all_but(front: &Front, header: bool, key: &Fields) -> Result<Fields, String> {
    let mut fields = Vec::new();
    for (column, value) in (1..).zip(&front.values) {
        let name = match header {
            true => String::from_utf8_lossy(value).into_owned(),
            false => format!("c{column}"),
        };
        if name.is_empty() {
            return Err(format!(
                "column {column} has no name in the header; name those wanted with --fields"
            ));
        }
        if !key.0.iter().any(|field| field.name == name) {
            fields.push(Field { name, datatype: None, nullable: false });
        }
        if fields.len() > FIELDS_MAX {
            let columns = front.values.len();
            return Err(format!(
                "there are {columns} columns and a row has {FIELDS_MAX} fields at most; name those wanted with \
                 --fields"
            ));
        }
    }
    Ok(Fields(fields))
}

/// Fields with their types: text where none is said, and in the key what the value says.
fn typed(key: Fields, value: Fields) -> Row {
    let mut row = Row { key, value };
    for field in &mut row.value.0 {
        field.datatype.get_or_insert(DataType::Text);
    }
    for field in row.key.0.iter_mut().filter(|field| field.datatype.is_none()) {
        let same = row.value.0.iter().find(|other| other.name == field.name);
        field.nullable |= same.is_some_and(|same| same.nullable);
        field.datatype = Some(same.and_then(|same| same.datatype.clone()).unwrap_or(DataType::Text));
    }
    row
}
