//! A mapper that says that its keys are tuples, and emits lines as they are.

use guest_sdk::prelude::*;

/// Makes lines keys.
pub struct Liar;

impl Mapper for Liar {
    type Input = Lines;
    type Output = Emitter<Bytes, ()>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Liar)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        out.emit(line.as_bytes(), ());
        Ok(())
    }
}

guest_sdk::export! {
    name: "liar",
    mapper: Liar,
    attributes: { "map.key": "tuple<text,u64>" },
}
