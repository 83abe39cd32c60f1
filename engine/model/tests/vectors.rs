//! The engine's reading of keys and values against `wit/vectors.json`, which every SDK shares.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use mr_model::DataType;
use serde_json::Value;

fn unhex(json: &Value) -> Vec<u8> {
    let hex = json.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn vectors(list: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../../../wit/vectors.json")).unwrap();
    vectors[list].as_array().unwrap().clone()
}

#[test]
fn cells_render_as_the_vectors_say_and_ascend() {
    for list in vectors("ordered") {
        let name = list["type"].as_str().unwrap();
        let datatype: DataType = name.parse().unwrap();
        assert_eq!(datatype.to_string(), name);
        let mut last: Option<Vec<u8>> = None;
        for vector in list["cells"].as_array().unwrap() {
            let cell = unhex(&vector["bytes"]);
            let mut text = Vec::new();
            datatype.render(&cell, &mut text).unwrap();
            if let Some(expected) = vector["text"].as_str() {
                assert_eq!(String::from_utf8(text).unwrap(), expected, "{name} {vector}");
            }
            assert!(last.is_none_or(|last| last < cell), "{name} {vector}");
            last = Some(cell);
        }
    }
}

#[test]
fn malformed_cells_are_refused() {
    for vector in vectors("malformed") {
        let datatype: DataType = vector["type"].as_str().unwrap().parse().unwrap();
        assert!(datatype.render(&unhex(&vector["bytes"]), &mut Vec::new()).is_err(), "{vector}");
    }
}
