//! JSON lines against `serde_json`.

use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::read::{Reading, shown, source};

#[test]
fn members_are_found_by_name_and_typed() {
    let bytes = concat!(
        "\u{feff}{\"id\": 7, \"name\":\"a\\u00e9\\n\\u0000\", \"price\":1.5, \"tags\":[1, {\"x\":\"}\"}]}\r\n",
        "\n  \n",
        "{\"price\":null,\"other\":{\"id\":1},\"tags\":\"plain\",\"n\\u0061me\":\"b\",\"id\":-0}",
    );
    let reading = Reading::new("jsonl");
    let reading = reading.fields(bytes.as_bytes(), Some("name,price:f64?,tags:text?,id:s64"), Some("id:s64"));
    let row = reading.options.row.clone().unwrap();
    let lines: Vec<_> = reading.all(bytes.as_bytes()).iter().map(|record| shown(&row, record)).collect();
    assert_eq!(
        lines,
        [
            "7\taé\n\0\ttrue\t1.5\ttrue\t[1, {\"x\":\"}\"}]\t7".to_owned(),
            "0\tb\tfalse\t0\ttrue\tplain\t0".to_owned(),
        ]
    );
}

#[test]
fn without_fields_the_value_is_the_line() {
    let bytes = b"{\"a\":1}\nno json\n";
    let reading = Reading::new("jsonl");
    assert_eq!(reading.row(bytes, None, None), Ok(None));
    let values: Vec<_> = reading.all(bytes).into_iter().map(|record| record.1).collect();
    assert_eq!(values, [b"{\"a\":1}".as_slice(), b"no json"]);
    assert_eq!(
        reading.row(bytes, None, Some("a")).unwrap_err(),
        "at byte 0: JSON lines have no header: name the fields of the value with --fields"
    );
}

#[test]
fn bad_lines_are_told_and_passed_over() {
    let lines = [
        (&b"{\"a\":1,\"b\":\"x\"}"[..], ""),
        (
            b"{\"a\":1",
            "the line is no JSON object: an object has neither , nor } behind a value at its byte 6",
        ),
        (b"[1]", "the line is no JSON object: a { is missing at its byte 0"),
        (
            b"{\"a\":1,\"b\":\"x\"}}",
            "the line is no JSON object: something follows the object at its byte 15",
        ),
        (b"{\"a\":1.0,\"b\":\"x\"}", "the field \"a\" is 1.0, which is no u64"),
        (b"{\"a\":\"1\",\"b\":\"x\"}", "the field \"a\" is the text \"1\", which is no u64"),
        (b"{\"a\":[],\"b\":\"x\"}", "the field \"a\" is an array, which is no u64"),
        (b"{\"b\":\"x\"}", "the field \"a\" is missing; ask for a:u64? if it may be"),
        (b"{\"a\":1,\"b\":null}", "the field \"b\" is null; ask for b:text? if it may be"),
        (b"{\"a\":1,\"b\":1,\"a\":2}", "the field \"a\" is there twice"),
        (b"{\"a\":1,\"b\":\"\xff\"}", "the line is no UTF-8 at its byte 12"),
        (b"{\"a\":1,\"b\":\"\\ud800\"}", "a string has half of a surrogate pair in it"),
    ];
    let bytes: Vec<u8> = lines.iter().flat_map(|(line, _)| [line, b"\n".as_slice()].concat()).collect();
    let reading = Reading::new("jsonl").fields(&bytes, Some("a:u64,b"), None);
    let mut told = Vec::new();
    let read = reading.range(source(&bytes), 0..bytes.len() as u64, &mut |bad| {
        assert!(bytes[usize::try_from(bad.offset).unwrap()..].starts_with(bad.sample));
        told.push(bad.reason);
        Ok(())
    });
    assert_eq!(read.unwrap().len(), 1);
    assert_eq!(told, lines.iter().map(|(_, reason)| *reason).skip(1).collect::<Vec<_>>());
    assert_eq!(reading.refused(&bytes), format!("at byte 16: {}", lines[1].1));
    let float = Reading::new("jsonl").fields(b"", Some("x:f64"), None);
    assert_eq!(float.refused(b"{\"x\":-1e999}"), "at byte 0: the field \"x\" is -1e999, which is no f64");
}

/// Objects of few names and all kinds of values.
fn objects() -> impl Strategy<Value = Vec<Map<String, Value>>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[a-z\"\\\\\n\u{0}é ]{0,12}".prop_map(Value::from),
        prop::collection::vec("[a-z\"{}]{0,3}".prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    let names = prop::sample::select(vec!["a", "b", "c", "d\"\\", "é"]).prop_map(str::to_owned);
    let object =
        prop::collection::vec((names, value), 0..5).prop_map(|members| members.into_iter().collect());
    prop::collection::vec(object, 0..30)
}

/// A member as the reader should show it: nullable text.
fn text(object: &Map<String, Value>, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => "false\t".to_owned(),
        Some(Value::String(text)) => format!("true\t{text}"),
        Some(other) => format!("true\t{other}"),
    }
}

proptest! {
    #[test]
    fn lines_are_those_of_serde_json(objects in objects(), cuts in prop::collection::vec(any::<u64>(), 0..8)) {
        let lines: Vec<_> = objects.iter().map(|object| serde_json::to_string(object).unwrap()).collect();
        let bytes = lines.join("\n").into_bytes();
        let mut reading = Reading::new("jsonl").fields(&bytes, Some("é:?,a:?,d\"\\\\:?"), None);
        reading.target = 1;
        let row = reading.options.row.clone().unwrap();
        let records = reading.all(&bytes);
        let expected: Vec<_> = objects
            .iter()
            .map(|object| ["é", "a", "d\"\\"].map(|name| text(object, name)).join("\t"))
            .collect();
        let shown: Vec<_> = records
            .iter()
            .map(|record| shown(&row, record).split_once('\t').unwrap().1.to_owned())
            .collect();
        prop_assert_eq!(shown, expected);
        prop_assert_eq!(reading.tiled(&bytes, &cuts), records);
    }
}
