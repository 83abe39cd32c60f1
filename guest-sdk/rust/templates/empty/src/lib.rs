//! Passes on every line as it is: a beginning.

use guest_sdk::prelude::*;

/// Emits every line.
pub struct Pass;

impl Mapper for Pass {
    type Input = Lines;
    type Output = Emitter<(), Text>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Pass)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        out.emit((), line);
        Ok(())
    }
}

guest_sdk::export! {
    name: "{{name}}",
    mapper: Pass,
}

#[test]
fn lines_pass() {
    let run = guest_sdk::testing::Test::new().map::<Pass>("a\nb\n").unwrap();
    assert_eq!(run.text(), "a\nb\n");
}
