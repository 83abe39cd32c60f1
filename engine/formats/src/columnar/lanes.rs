//! A column of a batch, ready to be laid into rows: numbers as the words of their cells, bytes where they lie
//! in the file's own buffers, everything else as text. All that depends on types happens here, once for each
//! batch, so that laying rows is a loop without questions.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, LargeBinaryArray, PrimitiveArray,
    downcast_dictionary_array, downcast_temporal_array,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType as Arrow};
use mr_model::DataType;

use super::rows::length;
use super::show;
use super::views::Views;
use crate::write::render;

/// The sign of a number, as a bit of its word.
const SIGN: u64 = 1 << 63;
/// The value of infinity: every NaN is more, but for its sign.
const INFINITY: u64 = 0x7ff0_0000_0000_0000;
/// The value of every NaN.
const NAN: u64 = 0x7ff8_0000_0000_0000;

/// A column of a batch.
#[derive(Debug)]
pub(crate) struct Lane {
    pub cells: Cells,
    /// Which rows have a value; all, if none.
    pub there: Option<NullBuffer>,
    /// The rows that have none, ascending.
    pub nulls: Vec<u32>,
    /// The word that stands for a number that is missing.
    pub zero: u64,
    /// A flag is ahead of each value: it may be missing.
    pub nullable: bool,
    /// Rows whose value does not fit the type that it is read as, ascending.
    pub misfits: Vec<usize>,
}

/// The values of a column, one for each row. Numbers and booleans that are missing are anything.
#[derive(Debug)]
pub(crate) enum Cells {
    /// The commonest numbers, where they lie.
    Signed(ScalarBuffer<i64>),
    Signed32(ScalarBuffer<i32>),
    Unsigned(ScalarBuffer<u64>),
    Floats(ScalarBuffer<f64>),
    /// Other numbers, as the big-endian words of their cells.
    Words(Vec<u64>),
    /// Booleans, as the bytes of their cells.
    Bools(Vec<u8>),
    Views(Views),
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    Fixed(FixedSizeBinaryArray),
    /// Values made here: their ends in what they hold.
    Made {
        ends: Vec<usize>,
        bytes: Vec<u8>,
    },
}

impl Lane {
    /// Reads `array` as `datatype`.
    ///
    /// # Errors
    /// A file whose data are not of the types of its schema.
    pub fn new(array: &ArrayRef, datatype: &DataType, nullable: bool) -> Result<Self, ArrowError> {
        if matches!(array.data_type(), Arrow::Dictionary(..)) {
            return Self::new(&unpacked(array)?, datatype, nullable);
        }
        let there = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let nulls: Vec<u32> = there
            .iter()
            .flat_map(|there| (!there.inner()).set_indices().map(length).collect::<Vec<_>>())
            .collect();
        let (cells, mut misfits) = match datatype {
            DataType::U64 => whole(array, false)?,
            DataType::S64 => whole(array, true)?,
            DataType::F64 => floats(array)?,
            DataType::Bool => (bools(array)?, Vec::new()),
            _ => (bytes(array, there.as_ref(), &nulls)?, Vec::new()),
        };
        misfits.retain(|row| there.as_ref().is_none_or(|there| there.is_valid(*row)));
        let zero = match datatype {
            DataType::S64 | DataType::F64 => SIGN,
            _ => 0,
        };
        Ok(Self { cells, there, nulls, zero, nullable, misfits })
    }
}

/// The word of a signed number's cell.
#[inline]
pub(crate) fn signed_word(number: i64) -> u64 {
    number.cast_unsigned() ^ SIGN
}

/// The word of a float's cell.
#[inline]
pub(crate) fn float_word(value: f64) -> u64 {
    let bits = value.to_bits();
    let bits = if bits & !SIGN > INFINITY { NAN } else { bits };
    // All bits flip where the sign is set, else the sign alone.
    bits ^ ((bits.cast_signed() >> 63).cast_unsigned() | SIGN)
}

/// What the array is not, in a file that contradicts its own schema.
fn unexpected(array: &ArrayRef) -> ArrowError {
    ArrowError::SchemaError(format!("values of type {} are not what its schema says", array.data_type()))
}

/// The values that the keys of a dictionary stand for.
fn unpacked(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    downcast_dictionary_array!(
        array => arrow_select::take::take(array.values().as_ref(), array.keys(), None),
        _ => Err(unexpected(array)),
    )
}

/// The words of numbers that all fit.
fn words<T: ArrowPrimitiveType>(array: &ArrayRef, word: impl Fn(T::Native) -> u64) -> (Cells, Vec<usize>) {
    let values = array.as_primitive::<T>().values();
    (Cells::Words(values.iter().map(|value| word(*value)).collect()), Vec::new())
}

/// The words of numbers, and which of them do not fit.
fn fitting<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    word: impl Fn(T::Native) -> Option<u64>,
) -> (Cells, Vec<usize>) {
    let mut misfits = Vec::new();
    let values = array.as_primitive::<T>().values().iter().enumerate();
    let words = values.map(|(row, value)| {
        word(*value).unwrap_or_else(|| {
            misfits.push(row);
            0
        })
    });
    (Cells::Words(words.collect()), misfits)
}

/// Whole numbers, and the ticks of dates and times.
fn whole(array: &ArrayRef, signed: bool) -> Result<(Cells, Vec<usize>), ArrowError> {
    let to_unsigned = |value: i64| u64::try_from(value).ok();
    Ok(match (array.data_type(), signed) {
        (Arrow::UInt8, false) => words::<UInt8Type>(array, u64::from),
        (Arrow::UInt16, false) => words::<UInt16Type>(array, u64::from),
        (Arrow::UInt32, false) => words::<UInt32Type>(array, u64::from),
        (Arrow::UInt64, false) => {
            (Cells::Unsigned(array.as_primitive::<UInt64Type>().values().clone()), Vec::new())
        }
        (Arrow::UInt8, true) => words::<UInt8Type>(array, |value| u64::from(value) ^ SIGN),
        (Arrow::UInt16, true) => words::<UInt16Type>(array, |value| u64::from(value) ^ SIGN),
        (Arrow::UInt32, true) => words::<UInt32Type>(array, |value| u64::from(value) ^ SIGN),
        (Arrow::UInt64, true) => {
            fitting::<UInt64Type>(array, |value| i64::try_from(value).ok().map(signed_word))
        }
        (Arrow::Int8, true) => words::<Int8Type>(array, |value| signed_word(value.into())),
        (Arrow::Int16, true) => words::<Int16Type>(array, |value| signed_word(value.into())),
        (Arrow::Int32, true) => {
            (Cells::Signed32(array.as_primitive::<Int32Type>().values().clone()), Vec::new())
        }
        (Arrow::Int64, true) => {
            (Cells::Signed(array.as_primitive::<Int64Type>().values().clone()), Vec::new())
        }
        (Arrow::Int8, false) => fitting::<Int8Type>(array, |value| to_unsigned(value.into())),
        (Arrow::Int16, false) => fitting::<Int16Type>(array, |value| to_unsigned(value.into())),
        (Arrow::Int32, false) => fitting::<Int32Type>(array, |value| to_unsigned(value.into())),
        (Arrow::Int64, false) => fitting::<Int64Type>(array, to_unsigned),
        (_, true) => downcast_temporal_array!(
            array => (Cells::Words(tick_words(array)), Vec::new()),
            _ => return Err(unexpected(array)),
        ),
        _ => return Err(unexpected(array)),
    })
}

/// The words of dates and times, as signed numbers.
fn tick_words<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Vec<u64>
where
    i64: From<T::Native>,
{
    array.values().iter().map(|ticks| i64::from(*ticks).cast_unsigned() ^ SIGN).collect()
}

/// Whole numbers beyond are not all of them floats.
const EXACT_MAX: u64 = 1 << 53;

fn floats(array: &ArrayRef) -> Result<(Cells, Vec<usize>), ArrowError> {
    #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are refused")]
    let exact = |value: u64| (value <= EXACT_MAX).then_some(value as f64);
    let negated = |value: i64| {
        let float = exact(value.unsigned_abs())?;
        Some(float_word(if value < 0 { -float } else { float }))
    };
    Ok(match array.data_type() {
        Arrow::Float16 => words::<Float16Type>(array, |value| float_word(value.to_f64())),
        Arrow::Float32 => words::<Float32Type>(array, |value| float_word(value.into())),
        Arrow::Float64 => (Cells::Floats(array.as_primitive::<Float64Type>().values().clone()), Vec::new()),
        Arrow::UInt8 => words::<UInt8Type>(array, |value| float_word(value.into())),
        Arrow::UInt16 => words::<UInt16Type>(array, |value| float_word(value.into())),
        Arrow::UInt32 => words::<UInt32Type>(array, |value| float_word(value.into())),
        Arrow::UInt64 => fitting::<UInt64Type>(array, |value| exact(value).map(float_word)),
        Arrow::Int8 => words::<Int8Type>(array, |value| float_word(value.into())),
        Arrow::Int16 => words::<Int16Type>(array, |value| float_word(value.into())),
        Arrow::Int32 => words::<Int32Type>(array, |value| float_word(value.into())),
        Arrow::Int64 => fitting::<Int64Type>(array, negated),
        _ => {
            let Cells::Made { ends, bytes } = made(array, None)? else { return Err(unexpected(array)) };
            let mut begin = 0;
            let words = ends.iter().map(|end| {
                let text = std::str::from_utf8(&bytes[begin..*end]).unwrap_or_default();
                begin = *end;
                float_word(text.parse().unwrap_or(f64::NAN))
            });
            (Cells::Words(words.collect()), Vec::new())
        }
    })
}

fn bools(array: &ArrayRef) -> Result<Cells, ArrowError> {
    let array = array.as_boolean_opt().ok_or_else(|| unexpected(array))?;
    let mut bytes = Vec::with_capacity(array.len() + 64);
    for bits in array.values().bit_chunks().iter_padded() {
        bytes.extend((0..64).map(|bit| u8::from(bits >> bit & 1 == 1)));
    }
    bytes.truncate(array.len());
    Ok(Cells::Bools(bytes))
}

/// Text and bytes where they lie, everything else as text.
fn bytes(array: &ArrayRef, there: Option<&NullBuffer>, nulls: &[u32]) -> Result<Cells, ArrowError> {
    Ok(match array.data_type() {
        Arrow::Utf8View => Cells::Views(Views::new(&array.as_string_view().clone().to_binary_view(), nulls)),
        Arrow::BinaryView => Cells::Views(Views::new(array.as_binary_view(), nulls)),
        Arrow::Utf8 => Cells::Binary(BinaryArray::from(array.as_string::<i32>().clone())),
        Arrow::Binary => Cells::Binary(array.as_binary::<i32>().clone()),
        Arrow::LargeUtf8 => Cells::LargeBinary(LargeBinaryArray::from(array.as_string::<i64>().clone())),
        Arrow::LargeBinary => Cells::LargeBinary(array.as_binary::<i64>().clone()),
        Arrow::FixedSizeBinary(_) => Cells::Fixed(array.as_fixed_size_binary().clone()),
        _ => made(array, there)?,
    })
}

/// Values as text.
fn made(array: &ArrayRef, there: Option<&NullBuffer>) -> Result<Cells, ArrowError> {
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(array.len());
    let mut each = |show: &dyn Fn(usize, &mut Vec<u8>)| {
        for row in 0..array.len() {
            if there.is_none_or(|there| there.is_valid(row)) {
                show(row, &mut bytes);
            }
            ends.push(bytes.len());
        }
    };
    match array.data_type() {
        // Nothing but missing values.
        Arrow::Null => each(&|_, _| {}),
        Arrow::Boolean => {
            let array = array.as_boolean();
            each(&|row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }));
        }
        Arrow::Float16 => {
            each(&|row, out| render::float(array.as_primitive::<Float16Type>().value(row).to_f64(), out))
        }
        Arrow::Float32 => {
            each(&|row, out| render::float(array.as_primitive::<Float32Type>().value(row).into(), out))
        }
        Arrow::Float64 => {
            each(&|row, out| render::float(array.as_primitive::<Float64Type>().value(row), out))
        }
        Arrow::UInt64 => {
            each(&|row, out| render::unsigned(array.as_primitive::<UInt64Type>().value(row), out))
        }
        Arrow::Date32 => {
            each(&|row, out| show::date(array.as_primitive::<Date32Type>().value(row).into(), out))
        }
        Arrow::Date64 => each(&|row, out| {
            show::date(array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000), out);
        }),
        Arrow::Time32(unit) | Arrow::Time64(unit) => {
            let ticks = ticks(array)?;
            each(&|row, out| show::time(ticks[row], *unit, out));
        }
        Arrow::Timestamp(unit, zone) => {
            let ticks = ticks(array)?;
            each(&|row, out| show::timestamp(ticks[row], *unit, zone.is_some(), out));
        }
        Arrow::Decimal32(_, scale) => decimals::<Decimal32Type>(array, *scale, &mut each),
        Arrow::Decimal64(_, scale) => decimals::<Decimal64Type>(array, *scale, &mut each),
        Arrow::Decimal128(_, scale) => decimals::<Decimal128Type>(array, *scale, &mut each),
        Arrow::Decimal256(_, scale) => decimals::<Decimal256Type>(array, *scale, &mut each),
        _ => {
            let numbers = ticks(array)?;
            each(&|row, out| render::signed(numbers[row], out));
        }
    }
    Ok(Cells::Made { ends, bytes })
}

/// Shows a value of a row.
type Each<'a> = &'a mut dyn FnMut(&dyn Fn(usize, &mut Vec<u8>));

fn decimals<T: DecimalType>(array: &ArrayRef, scale: i8, each: Each<'_>)
where
    T::Native: std::fmt::Display,
{
    let array: &PrimitiveArray<T> = array.as_primitive();
    each(&|row, out| show::decimal(&array.value(row).to_string(), scale, out));
}

/// Whole numbers, dates and times as signed numbers.
fn ticks(array: &ArrayRef) -> Result<Vec<i64>, ArrowError> {
    Ok(match whole(array, true)?.0 {
        Cells::Signed(numbers) => numbers.to_vec(),
        Cells::Signed32(numbers) => numbers.iter().map(|number| (*number).into()).collect(),
        Cells::Words(words) => words.into_iter().map(|word| (word ^ SIGN).cast_signed()).collect(),
        _ => return Err(unexpected(array)),
    })
}
