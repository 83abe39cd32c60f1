//! Which columns of a file are asked for, and as what: the natural type of each, what else it may be read
//! as, and where it goes. Reads schemas, never data.
//!
//! Natural types: integers are `s64` or `u64`, floats `f64`, booleans `bool`, strings `text`, bytes `bytes`;
//! decimals, dates, times and timestamps are `text` (`2026-01-31`, `12:30:00.250`,
//! `2026-01-31T12:30:00.250Z`, without the `Z` where the file names no time zone); durations are `s64` in the
//! file's unit. Beyond that, a whole number may be read as the other kind or as an `f64` (a value that does not
//! fit is a bad record), everything as `text`, dates and times as `s64` in the file's unit, a decimal as an
//! `f64`, strings as `bytes` and the other way round. A column of lists, structs or maps can be read as
//! nothing.

use arrow_schema::{DataType as Arrow, Field as ArrowField, Schema};
use mr_model::{DataType, FIELDS_MAX, Field, Fields, Row};

use crate::error::FormatError;

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its number in the file's schema.
    pub index: usize,
    /// The field, with its type.
    pub name: String,
    pub datatype: DataType,
    pub nullable: bool,
}

/// The columns of keys and values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub key: Vec<Column>,
    pub value: Vec<Column>,
}

impl Plan {
    /// Finds the fields of `row` in the schema of a file.
    pub fn new(schema: &Schema, row: &Row) -> Result<Self, FormatError> {
        let find = |fields: &Fields| -> Result<Vec<Column>, FormatError> {
            fields.0.iter().map(|field| column(schema, field)).collect()
        };
        Ok(Self { key: find(&row.key)?, value: find(&row.value)? })
    }

    /// Numbers of the columns in the file's schema, ascending, each once.
    pub fn indices(&self) -> Vec<usize> {
        let mut indices: Vec<usize> = self.key.iter().chain(&self.value).map(|column| column.index).collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }
}

/// The rows of a file with this schema: `asked` for the value (none: all that are not in the key), `key` for
/// the key.
pub(crate) fn describe(
    schema: &Schema,
    asked: Option<&Fields>,
    key: Option<&Fields>,
) -> Result<Row, FormatError> {
    let typed = |fields: &Fields| -> Result<Fields, FormatError> {
        fields
            .0
            .iter()
            .map(|field| column(schema, field).map(Column::field))
            .collect::<Result<_, _>>()
            .map(Fields)
    };
    let key = key.map(typed).transpose()?.unwrap_or_default();
    if let Some(asked) = asked {
        return Ok(Row { key, value: typed(asked)? });
    }
    let is_key = |name: &str| key.0.iter().any(|field| field.name == name);
    let rest = schema.fields().iter().filter(|field| !is_key(field.name()));
    let rest: Vec<Field> =
        rest.map(|field| Field { name: field.name().clone(), datatype: None, nullable: false }).collect();
    if rest.len() > FIELDS_MAX {
        let reason = format!(
            "it has {} columns, and a row has {FIELDS_MAX} fields at most: name those to read",
            rest.len()
        );
        return Err(FormatError::bad(0, reason));
    }
    let value = typed(&Fields(rest))?;
    Ok(Row { key, value })
}

impl Column {
    fn field(self) -> Field {
        Field { name: self.name, datatype: Some(self.datatype), nullable: self.nullable }
    }
}

/// The column that a field is, with the type it is read as.
fn column(schema: &Schema, field: &Field) -> Result<Column, FormatError> {
    let name = &field.name;
    let mut found = schema.fields().iter().enumerate().filter(|(_, column)| column.name() == name);
    let Some((index, column)) = found.next() else {
        let known: Vec<&str> =
            schema.fields().iter().take(FIELDS_MAX).map(|field| field.name().as_str()).collect();
        return Err(FormatError::bad(0, format!("it has no column {name:?}; it has {}", known.join(", "))));
    };
    if found.next().is_some() {
        return Err(FormatError::bad(0, format!("it has more than one column {name:?}")));
    }
    let Some(natural) = natural(column.data_type()) else {
        let reason = format!(
            "its column {name:?} is of type {}, which has no values to be read; name the fields to read, without it",
            column.data_type()
        );
        return Err(FormatError::bad(0, reason));
    };
    let datatype = field.datatype.clone().unwrap_or_else(|| natural.clone());
    if !readable(column.data_type(), &datatype) {
        let reason = format!("its column {name:?} is {natural} and cannot be read as {datatype}");
        return Err(FormatError::bad(0, reason));
    }
    // A type that was asked for says also whether values may be missing.
    let nullable = field.nullable || (field.datatype.is_none() && is_nullable(column));
    Ok(Column { index, name: name.clone(), datatype, nullable })
}

fn is_nullable(column: &ArrowField) -> bool {
    column.is_nullable()
}

/// The type that a column is read as unless somebody says otherwise; none for what has none.
fn natural(arrow: &Arrow) -> Option<DataType> {
    use Arrow::{
        Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256,
        Dictionary, Duration, FixedSizeBinary, Float16, Float32, Float64, Int8, Int16, Int32, Int64,
        LargeBinary, LargeUtf8, Null, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8,
        Utf8View,
    };
    Some(match arrow {
        Int8 | Int16 | Int32 | Int64 | Duration(_) => DataType::S64,
        UInt8 | UInt16 | UInt32 | UInt64 => DataType::U64,
        Float16 | Float32 | Float64 => DataType::F64,
        Boolean => DataType::Bool,
        Utf8 | LargeUtf8 | Utf8View => DataType::Text,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => DataType::Bytes,
        Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) => DataType::Text,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => DataType::Text,
        // Nothing is there, and writers that were given nothing knew no type.
        Null => DataType::Text,
        Dictionary(_, values) if !matches!(**values, Dictionary(..)) => return natural(values),
        _ => return None,
    })
}

/// Whether a column, which has a natural type, may be read as another one.
fn readable(arrow: &Arrow, datatype: &DataType) -> bool {
    if let Arrow::Dictionary(_, values) = arrow {
        return readable(values, datatype);
    }
    match datatype {
        DataType::Text => true,
        DataType::U64 => arrow.is_integer(),
        DataType::S64 => arrow.is_integer() || arrow.is_temporal(),
        DataType::F64 => arrow.is_numeric(),
        DataType::Bool => *arrow == Arrow::Boolean,
        DataType::Bytes => matches!(natural(arrow), Some(DataType::Bytes)) || arrow.is_string(),
        DataType::Unit | DataType::Tuple(_) | DataType::Desc(_) => false,
    }
}
