//! Values of an Avro block as columns of Arrow: those that were asked for, the others are stepped over.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Float32Builder, Float64Builder, PrimitiveBuilder,
    StringBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_schema::{DataType as Arrow, Schema, SchemaRef};

use super::schema::{Type, Types};

/// Deepest nesting of values: recursive types have no end of their own.
const DEPTH_MAX: usize = 64;

/// Bytes that are read from the front.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next bytes, so many of them.
    #[inline]
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    /// A number of seven bits in each byte, the sign in its lowest bit.
    #[inline]
    pub fn long(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        None
    }

    /// A length and as many bytes.
    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.long()?).ok()?;
        self.take(length)
    }

    /// Number of items in the next block of an array or map; not more than there are bytes left, so that items
    /// of nothing do not keep anybody busy.
    pub fn block_count(&mut self) -> Option<u64> {
        let count = self.long()?;
        if count < 0 {
            // The block's length in bytes.
            self.long()?;
        }
        let count = count.unsigned_abs();
        (count <= (self.bytes.len() - self.at) as u64).then_some(count)
    }
}

/// Reads rows of blocks.
pub(crate) struct Decoder {
    types: Arc<Types>,
    /// The schema of the columns that are read.
    schema: SchemaRef,
    columns: Vec<Option<Column>>,
}

impl Decoder {
    /// A decoder of the columns with the numbers `indices`.
    pub fn new(types: Arc<Types>, schema: &Schema, indices: &[usize]) -> Self {
        let column =
            |index: usize| indices.contains(&index).then(|| Column::new(schema.field(index).data_type()));
        let columns = (0..types.fields.len()).map(column).collect();
        let fields: Vec<_> = indices.iter().map(|index| schema.fields()[*index].clone()).collect();
        Self { types, schema: Arc::new(Schema::new(fields)), columns }
    }

    /// The next `rows` rows at the front of `data`, and how many bytes they are.
    ///
    /// # Errors
    /// A clause for people.
    pub fn decode(&mut self, data: &[u8], rows: usize) -> Result<(RecordBatch, usize), String> {
        let mut input = Input::new(data);
        for _ in 0..rows {
            for ((name, index), column) in self.types.fields.iter().zip(&mut self.columns) {
                let read = match column {
                    Some(column) => column.read(&self.types, *index, &mut input),
                    None => skip(&self.types, *index, &mut input, 0),
                };
                read.ok_or_else(|| format!("there is no value of {name:?}"))?;
            }
        }
        let columns = self.columns.iter_mut().flatten().zip(self.schema.fields());
        let columns =
            columns.map(|(column, field)| column.finish(field.data_type())).collect::<Result<_, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(self.schema.clone(), columns, &options));
        Ok((batch.map_err(|error| error.to_string())?, input.position()))
    }
}

/// Gathers the values of a column. Dates and times are their numbers until it is finished.
enum Column {
    Boolean(BooleanBuilder),
    Int(PrimitiveBuilder<Int32Type>),
    Long(PrimitiveBuilder<Int64Type>),
    Float(Float32Builder),
    Double(Float64Builder),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
    Decimal(Decimal128Builder),
}

impl Column {
    fn new(datatype: &Arrow) -> Self {
        match datatype {
            Arrow::Boolean => Column::Boolean(BooleanBuilder::new()),
            Arrow::Int32 | Arrow::Date32 | Arrow::Time32(_) => Column::Int(PrimitiveBuilder::new()),
            Arrow::Int64 | Arrow::Time64(_) | Arrow::Timestamp(..) => Column::Long(PrimitiveBuilder::new()),
            Arrow::Float32 => Column::Float(Float32Builder::new()),
            Arrow::Float64 => Column::Double(Float64Builder::new()),
            Arrow::Utf8 => Column::Text(StringBuilder::new()),
            Arrow::Decimal128(..) => Column::Decimal(Decimal128Builder::new()),
            _ => Column::Bytes(BinaryBuilder::new()),
        }
    }

    /// Reads a value of the type with the number `index`; none where there is none.
    #[inline]
    fn read(&mut self, types: &Types, index: usize, input: &mut Input<'_>) -> Option<()> {
        if let Type::Union(branches) = &types.all[index] {
            let (value, number) = types.optional(branches)?;
            return match usize::try_from(input.long()?).ok()? {
                branch if branch == number => self.read(types, value, input),
                branch if branch < branches.len() => {
                    self.append_null();
                    Some(())
                }
                _ => None,
            };
        }
        match (self, &types.all[index]) {
            (Column::Boolean(builder), _) => builder.append_value(truth(input)?),
            (Column::Int(builder), _) => builder.append_value(i32::try_from(input.long()?).ok()?),
            (Column::Long(builder), _) => builder.append_value(input.long()?),
            (Column::Float(builder), _) => builder.append_value(f32::from_le_bytes(input.array()?)),
            (Column::Double(builder), _) => builder.append_value(f64::from_le_bytes(input.array()?)),
            (Column::Text(builder), Type::Enum(symbols)) => {
                builder.append_value(symbols.get(usize::try_from(input.long()?).ok()?)?);
            }
            (Column::Text(builder), _) => builder.append_value(std::str::from_utf8(input.bytes()?).ok()?),
            (Column::Decimal(builder), Type::Decimal(_, Some(size))) => {
                builder.append_value(decimal(input.take(*size)?)?);
            }
            (Column::Decimal(builder), _) => builder.append_value(decimal(input.bytes()?)?),
            (Column::Bytes(builder), Type::Fixed(size)) => builder.append_value(input.take(*size)?),
            (Column::Bytes(builder), _) => builder.append_value(input.bytes()?),
        }
        Some(())
    }

    fn append_null(&mut self) {
        match self {
            Column::Boolean(builder) => builder.append_null(),
            Column::Int(builder) => builder.append_null(),
            Column::Long(builder) => builder.append_null(),
            Column::Float(builder) => builder.append_null(),
            Column::Double(builder) => builder.append_null(),
            Column::Bytes(builder) => builder.append_null(),
            Column::Text(builder) => builder.append_null(),
            Column::Decimal(builder) => builder.append_null(),
        }
    }

    /// The values as an array of the column's type.
    fn finish(&mut self, datatype: &Arrow) -> Result<ArrayRef, arrow_schema::ArrowError> {
        let array: ArrayRef = match self {
            Column::Boolean(builder) => Arc::new(builder.finish()),
            Column::Int(builder) => Arc::new(builder.finish()),
            Column::Long(builder) => Arc::new(builder.finish()),
            Column::Float(builder) => Arc::new(builder.finish()),
            Column::Double(builder) => Arc::new(builder.finish()),
            Column::Bytes(builder) => Arc::new(builder.finish()),
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Decimal(builder) => Arc::new(builder.finish()),
        };
        if array.data_type() == datatype {
            return Ok(array);
        }
        // The same numbers under another name.
        debug_assert!(array.as_any_dictionary_opt().is_none(), "numbers");
        Ok(make_array(array.to_data().into_builder().data_type(datatype.clone()).build()?))
    }
}

/// Steps over a value; none where there is none.
fn skip(types: &Types, index: usize, input: &mut Input<'_>, depth: usize) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match &types.all[index] {
        Type::Null => {}
        Type::Boolean => {
            truth(input)?;
        }
        Type::Int | Type::Long | Type::Enum(_) | Type::Date => {
            input.long()?;
        }
        Type::TimeMillis | Type::TimeMicros | Type::Timestamp(..) => {
            input.long()?;
        }
        Type::Float => {
            input.take(4)?;
        }
        Type::Double => {
            input.take(8)?;
        }
        Type::Bytes | Type::Text | Type::Decimal(_, None) => {
            input.bytes()?;
        }
        Type::Fixed(size) | Type::Decimal(_, Some(size)) => {
            input.take(*size)?;
        }
        Type::Array(items) => skip_items(types, *items, false, input, depth)?,
        Type::Map(values) => skip_items(types, *values, true, input, depth)?,
        Type::Union(branches) => {
            let branch = usize::try_from(input.long()?).ok()?;
            skip(types, *branches.get(branch)?, input, depth + 1)?;
        }
        Type::Record(fields) => {
            for field in fields {
                skip(types, *field, input, depth + 1)?;
            }
        }
    }
    Some(())
}

/// Steps over the items of an array, or of a map with their keys.
fn skip_items(types: &Types, item: usize, keys: bool, input: &mut Input<'_>, depth: usize) -> Option<()> {
    loop {
        let count = input.block_count()?;
        if count == 0 {
            return Some(());
        }
        for _ in 0..count {
            if keys {
                input.bytes()?;
            }
            skip(types, item, input, depth + 1)?;
        }
    }
}

#[inline]
fn truth(input: &mut Input<'_>) -> Option<bool> {
    let [byte] = input.array()?;
    (byte < 2).then_some(byte == 1)
}

/// A big-endian number in two's complement.
fn decimal(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let (more, bytes) = bytes.split_at(bytes.len().saturating_sub(16));
    if more.iter().any(|byte| *byte != fill) {
        return None;
    }
    let mut word = [fill; 16];
    word[16 - bytes.len()..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(word))
}
