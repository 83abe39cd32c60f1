//! The encodings against `wit/vectors.json`, which every SDK and the engine share.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use guest_sdk::{Bytes, DataType, Desc, Encode, Owned, Str, Text};
use serde_json::Value;

/// Values of a data type, read from JSON.
trait FromJson: DataType {
    fn from_json(json: &Value) -> Owned<Self>;
}

fn raw(json: &Value) -> Vec<u8> {
    match json {
        Value::String(text) => text.as_bytes().to_vec(),
        _ => unhex(json["hex"].as_str().unwrap()),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

macro_rules! numbers {
    ($($datatype:ty)*) => {$(
        impl FromJson for $datatype {
            fn from_json(json: &Value) -> $datatype {
                json.as_str().unwrap().parse().unwrap()
            }
        }
    )*};
}

numbers! { u64 i64 f64 }

impl FromJson for bool {
    fn from_json(json: &Value) -> bool {
        json.as_bool().unwrap()
    }
}

impl FromJson for () {
    fn from_json(json: &Value) {
        assert!(json.is_null());
    }
}

impl FromJson for Text {
    fn from_json(json: &Value) -> Str<'static> {
        Str::from(raw(json).as_slice()).into_owned()
    }
}

impl FromJson for Bytes {
    fn from_json(json: &Value) -> Cow<'static, [u8]> {
        Cow::Owned(raw(json))
    }
}

impl<D: FromJson> FromJson for Desc<D> {
    fn from_json(json: &Value) -> Owned<Self> {
        Desc(D::from_json(json))
    }
}

impl<A: FromJson> FromJson for (A,) {
    fn from_json(json: &Value) -> Owned<Self> {
        (A::from_json(&json[0]),)
    }
}

impl<A: FromJson, B: FromJson> FromJson for (A, B) {
    fn from_json(json: &Value) -> Owned<Self> {
        (A::from_json(&json[0]), B::from_json(&json[1]))
    }
}

impl<A: FromJson, B: FromJson, C: FromJson> FromJson for (A, B, C) {
    fn from_json(json: &Value) -> Owned<Self> {
        (A::from_json(&json[0]), B::from_json(&json[1]), C::from_json(&json[2]))
    }
}

fn check_ordered<D: FromJson>(cells: &[Value]) {
    let mut last: Option<Vec<u8>> = None;
    for vector in cells {
        let value = D::from_json(&vector["value"]);
        let cell = unhex(vector["bytes"].as_str().unwrap());
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        assert_eq!(encoded, cell, "{vector}");
        if let Some(width) = D::WIDTH {
            assert_eq!(cell.len(), width, "{vector}");
        }

        let decoded = D::to_owned(D::decode(&cell).unwrap());
        assert_eq!(format!("{decoded:?}"), format!("{value:?}"), "{vector}");
        let mut text = Vec::new();
        D::render(&decoded, &mut text);
        if let Some(expected) = vector["text"].as_str() {
            assert_eq!(String::from_utf8(text).unwrap(), expected, "{vector}");
        }

        assert!(last.is_none_or(|last| last < cell), "{vector} does not sort behind the one before");
        last = Some(cell);
    }
}

fn check_malformed<D: DataType>(cell: &[u8]) {
    assert!(D::decode(cell).is_err(), "{} {cell:?}", D::name());
}

macro_rules! dispatch {
    ($name:expr, $check:ident($argument:expr), $($datatype:ty),*) => {
        match $name {
            $(name if name == <$datatype as DataType>::name() => $check::<$datatype>($argument),)*
            name => panic!("add {name} to this test"),
        }
    };
}

macro_rules! check {
    ($check:ident, $name:expr, $argument:expr) => {
        dispatch!(
            $name,
            $check($argument),
            Text,
            Bytes,
            u64,
            i64,
            f64,
            bool,
            (),
            (Text,),
            (Text, u64),
            (Text, Text),
            (Bytes, i64),
            ((i64, f64), bool),
            (u64, (), Text),
            Desc<Text>,
            Desc<Bytes>,
            Desc<u64>,
            Desc<i64>,
            Desc<f64>,
            Desc<bool>,
            Desc<()>,
            Desc<(Text, u64)>,
            Desc<Desc<Text>>,
            (Text, Desc<u64>),
            (Desc<Text>, Text)
        )
    };
}

#[test]
fn cells_are_those_of_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("../../wit/vectors.json")).unwrap();
    for list in vectors["ordered"].as_array().unwrap() {
        check!(check_ordered, list["type"].as_str().unwrap(), list["cells"].as_array().unwrap());
    }
    for vector in vectors["malformed"].as_array().unwrap() {
        let cell = unhex(vector["bytes"].as_str().unwrap());
        check!(check_malformed, vector["type"].as_str().unwrap(), &cell);
    }
}

fn cell<D: DataType>(value: impl Encode<D>) -> Vec<u8> {
    let mut cell = Vec::new();
    value.encode(&mut cell);
    cell
}

#[test]
fn every_nan_is_one_cell_and_zeros_are_two() {
    let odd = f64::from_bits(0xfff0_0000_0000_0001);
    assert_eq!(cell::<f64>(odd), cell::<f64>(f64::NAN));
    assert!(cell::<f64>(-0.0) < cell::<f64>(0.0));
}

#[test]
fn what_may_stand_for_text_encodes_alike() {
    let owned = String::from("a\0b");
    for cells in [
        cell::<(Text, u64)>((&owned, 1)),
        cell::<(Text, u64)>((b"a\0b".as_slice(), 1)),
        cell::<(Text, u64)>((Str::from("a\0b"), &1)),
    ] {
        assert_eq!(cells, cell::<(Text, u64)>(("a\0b", 1)));
    }
}
