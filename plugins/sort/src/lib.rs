//! Sorts lines by their bytes, over all parts of the output in order. No code is needed: a stage
//! that is not there passes records on, and records travel sorted by key. What is left to say is
//! that lines are the keys, and that parts get ranges of them.

guest_sdk::export! {
    name: "sort",
    attributes: {
        "input.format": "line-keys",
        "partition": "range",
        "map.key": "text",
        "map.value": "unit",
        "reduce.in.key": "text",
        "reduce.in.value": "unit",
        "reduce.key": "text",
        "reduce.value": "unit",
    },
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_asks_for_lines_as_keys_in_ranges() {
        let attributes = super::description().attributes;
        for (name, value) in [("input.format", "line-keys"), ("partition", "range"), ("reduce.value", "unit")]
        {
            assert!(attributes.contains(&(name.into(), value.into())), "{name}");
        }
    }
}
