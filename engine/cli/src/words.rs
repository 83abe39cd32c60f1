//! What a failed plugin left, as lines for people: where it was, on which record, and what it said.
//! What it says must not pass for the engine's own words, so whatever has several lines is indented.

use mr_model::LastWords;

/// A text of which every line but the first is indented.
pub fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// The record and the functions that a plugin failed in.
pub fn place(words: &LastWords) -> Vec<String> {
    let record = words.record.iter().map(|record| format!("on: {}", indented(record)));
    let functions = words.stack.iter().enumerate().map(|(depth, function)| {
        let how = if depth == 0 { "in" } else { "called by" };
        format!("{how} {}", indented(function))
    });
    record.chain(functions).collect()
}

/// Its last log lines.
pub fn log(words: &LastWords) -> impl Iterator<Item = String> {
    words.log.iter().map(|line| format!("plugin log: {}", indented(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_for_a_line_of_the_engine() {
        let words = LastWords {
            log: vec!["info: x\nmr-engine: done".into()],
            stack: vec!["f".into(), "g".into()],
            record: Some("a\\tb".into()),
        };
        assert_eq!(place(&words), ["on: a\\tb", "in f", "called by g"]);
        assert_eq!(log(&words).collect::<Vec<_>>(), ["plugin log: info: x\n    mr-engine: done"]);
    }
}
