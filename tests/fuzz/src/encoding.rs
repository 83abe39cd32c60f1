//! The codecs of keys and values, as the guest's SDK and the engine have them: cells sort as their values
//! do, values survive their cells, any bytes are refused or read, and both sides agree on which.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Debug;

use guest_sdk::{Bytes, DataType, Encode, Owned, Str, Text};

use crate::take::Supply;

/// Target: first byte for the type, then two values of it, then bytes that are read as a cell of it.
pub fn encoding(data: &[u8]) {
    let mut supply = Supply(data);
    match supply.below(11) {
        0 => check::<u64>(supply),
        1 => check::<i64>(supply),
        2 => check::<f64>(supply),
        3 => check::<bool>(supply),
        4 => check::<()>(supply),
        5 => check::<Text>(supply),
        6 => check::<Bytes>(supply),
        7 => check::<(Text, u64)>(supply),
        8 => check::<(Bytes, i64, bool)>(supply),
        9 => check::<((Text, Bytes), f64)>(supply),
        _ => check::<(Text, (), Text, (u64,))>(supply),
    }
}

/// A type whose values can be made of any bytes, and compared.
trait Natural: DataType {
    fn make(supply: &mut Supply<'_>) -> Owned<Self>;
    fn compare(a: &Self::View<'_>, b: &Self::View<'_>) -> Ordering;
}

fn check<D: Natural>(mut supply: Supply<'_>)
where
    for<'a> D::View<'a>: Debug,
{
    let values = [D::make(&mut supply), D::make(&mut supply)];
    let cells = [0, 1].map(|i: usize| {
        let mut cell = Vec::new();
        values[i].encode(&mut cell);
        cell
    });
    assert_eq!(cells[0].cmp(&cells[1]), D::compare(&values[0], &values[1]), "{values:?}");
    for (value, cell) in values.iter().zip(&cells) {
        let read = D::decode(cell).unwrap();
        assert_eq!(D::compare(&read, value), Ordering::Equal, "{value:?}");
        check_cell::<D>(cell);
    }
    check_cell::<D>(supply.rest());
}

/// Both sides read a cell, and alike, or neither does; what was read is written as the same cell.
fn check_cell<D: Natural>(cell: &[u8])
where
    for<'a> D::View<'a>: Debug,
{
    let engine: mr_model::DataType = D::name().parse().unwrap();
    let mut rendered = Vec::new();
    let fits = engine.render(cell, &mut rendered);
    let read = D::decode(cell);
    assert_eq!(read.is_ok(), fits.is_ok(), "{read:?} {fits:?}");
    let Ok(view) = read else { return };
    let mut text = Vec::new();
    D::render(&view, &mut text);
    assert_eq!(text, rendered);
    let mut again = Vec::new();
    view.encode(&mut again);
    // Not the same cell where a NaN has lost its sign and payload, but then it is settled.
    let settled = D::decode(&again).unwrap();
    let mut settled_cell = Vec::new();
    settled.encode(&mut settled_cell);
    assert_eq!(settled_cell, again);
    if !rendered.windows(3).any(|window| window == b"NaN") {
        assert_eq!(again, cell);
    }
    if let Some(width) = D::WIDTH {
        assert_eq!(cell.len(), width);
    }
}

macro_rules! ordered {
    ($($datatype:ty, |$supply:ident| $make:expr;)*) => {$(
        impl Natural for $datatype {
            fn make($supply: &mut Supply<'_>) -> Owned<Self> {
                $make
            }

            fn compare(a: &Self::View<'_>, b: &Self::View<'_>) -> Ordering {
                a.cmp(b)
            }
        }
    )*};
}

ordered! {
    u64, |supply| supply.long();
    i64, |supply| supply.long().cast_signed();
    bool, |supply| supply.below(2) == 1;
    (), |_supply| ();
    Bytes, |supply| Cow::Owned(supply.string().to_vec());
}

impl Natural for Text {
    fn make(supply: &mut Supply<'_>) -> Owned<Self> {
        Str::from(supply.string()).into_owned()
    }

    fn compare(a: &Str<'_>, b: &Str<'_>) -> Ordering {
        a[..].cmp(&b[..])
    }
}

impl Natural for f64 {
    fn make(supply: &mut Supply<'_>) -> f64 {
        f64::from_bits(supply.long())
    }

    fn compare(a: &f64, b: &f64) -> Ordering {
        // All NaNs are one, behind infinity.
        let settled = |value: &f64| if value.is_nan() { f64::NAN.abs() } else { *value };
        settled(a).total_cmp(&settled(b))
    }
}

macro_rules! tuples {
    ($(($($element:ident $index:tt),+))*) => {$(
        impl<$($element: Natural),+> Natural for ($($element,)+) {
            fn make(supply: &mut Supply<'_>) -> Owned<Self> {
                ($($element::make(supply),)+)
            }

            fn compare(a: &Self::View<'_>, b: &Self::View<'_>) -> Ordering {
                Ordering::Equal$(.then_with(|| $element::compare(&a.$index, &b.$index)))+
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// Two values and a cell of every type.
pub fn seeds() -> Vec<Vec<u8>> {
    let numbers = b"\x01\0\0\0\0\0\0\x80\xff\xff\xff\xff\xff\xff\xff\x7f\x80\0\0\0\0\0\0\x01";
    let strings = b"\x03a\0b\x02a\0tail";
    let mut seeds: Vec<Vec<u8>> = (0..3u8).map(|kind| [&[kind], numbers.as_slice()].concat()).collect();
    seeds.extend([vec![3, 0, 1, 1], vec![4]]);
    seeds.extend((5..7u8).map(|kind| [&[kind], strings.as_slice()].concat()));
    seeds
        .push([b"\x07\x02a\0", &numbers[..8], b"\x02ab", &numbers[..8], b"a\0\0\0\0\0\0\0\0\0\x05"].concat());
    seeds.push(
        [b"\x08\x01x", &numbers[..8], b"\x01\x01y", &numbers[..8], b"\0x\0\0\0\0\0\0\0\0\0\x05\x01"].concat(),
    );
    seeds
        .push([b"\x09\x01x\x01y", &numbers[..8], b"\x01x\x01z", &numbers[..8], b"x\0\xff\0\0y\0\0"].concat());
    seeds.push([b"\x0a\x01x\x01y", &numbers[..8], b"\x01x\0", &numbers[..8], b"x\0\0y\0\0"].concat());
    seeds
}
