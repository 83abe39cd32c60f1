//! Finds the lines that contain a text.

use guest_sdk::prelude::*;

/// Emits the lines that contain the parameter `pattern`.
pub struct Matches {
    pattern: String,
    matched: Counter,
}

impl Mapper for Matches {
    type Input = Lines;
    type Output = Emitter<(), Text>;

    const PARAMS: &'static [Param] = &[Param::text("pattern", "text that a line must contain").required()];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Matches { pattern: task.param("pattern")?, matched: task.counter("lines matched") })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let pattern = self.pattern.as_bytes();
        if pattern.is_empty() || line.windows(pattern.len()).any(|window| window == pattern) {
            out.emit((), line);
            self.matched.add(1);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "{{name}}",
    mapper: Matches,
}

#[test]
fn lines_are_found() {
    let test = guest_sdk::testing::Test::new().param("pattern", "rr");
    let run = test.map::<Matches>("an error\nall is well\nsorry\n").unwrap();
    assert_eq!(run.text(), "an error\nsorry\n");
    assert_eq!(run.counters["lines matched"], 2);
}
