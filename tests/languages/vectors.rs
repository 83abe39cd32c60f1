//! `wit/vectors.json` for SDKs in languages that have no JSON at hand: a line for each cell.
//!
//! The line of a value is its type, the cell in hexadecimal, and the elements of the value, apart by tabs:
//! text and bytes in hexadecimal, other types as in the file, a unit empty. Tuples in tuples leave no trace
//! in a cell, and none here; neither does `desc` in a value. A line of a cell that must be refused is `malformed`, the type, and the cell.

use serde_json::Value;

/// All vectors as lines.
pub fn lines() -> String {
    let vectors: Value = serde_json::from_str(include_str!("../../wit/vectors.json")).unwrap();
    let mut lines = String::new();
    for list in vectors["ordered"].as_array().unwrap() {
        let datatype = text(&list["type"]);
        for cell in list["cells"].as_array().unwrap() {
            lines.push_str(&format!("{datatype}\t{}", text(&cell["bytes"])));
            for element in elements(datatype, &cell["value"]) {
                lines.push('\t');
                lines.push_str(&element);
            }
            lines.push('\n');
        }
    }
    for cell in vectors["malformed"].as_array().unwrap() {
        lines.push_str(&format!("malformed {}\t{}\n", text(&cell["type"]), text(&cell["bytes"])));
    }
    lines
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The elements of a value, tuple or not.
fn elements(datatype: &str, value: &Value) -> Vec<String> {
    if let Some(inner) = datatype.strip_prefix("desc<") {
        return elements(inner.strip_suffix('>').unwrap(), value);
    }
    if let Some(inner) = datatype.strip_prefix("tuple<") {
        let types = types(inner.strip_suffix('>').unwrap());
        let values = value.as_array().unwrap();
        return types.iter().zip(values).flat_map(|(datatype, value)| elements(datatype, value)).collect();
    }
    vec![match (datatype, value) {
        ("text" | "bytes", Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ("text" | "bytes", hex) => text(&hex["hex"]).to_owned(),
        ("unit", _) => String::new(),
        ("bool", yes) => yes.as_bool().unwrap().to_string(),
        (_, number) => text(number).to_owned(),
    }]
}

/// Types apart by commas that are in no tuple.
fn types(list: &str) -> Vec<&str> {
    let (mut types, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth -= 1,
            b',' if depth == 0 => {
                types.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    types.push(&list[start..]);
    types
}

#[test]
fn tuples_are_flattened() {
    assert_eq!(types("tuple<s64,f64>,bool"), ["tuple<s64,f64>", "bool"]);
    let value = serde_json::json!([["-7", "0.5"], true]);
    assert_eq!(elements("tuple<tuple<s64,f64>,bool>", &value), ["-7", "0.5", "true"]);
    assert_eq!(elements("desc<tuple<s64,bool>>", &serde_json::json!(["1", true])), ["1", "true"]);
    assert!(lines().lines().count() > 50);
}
