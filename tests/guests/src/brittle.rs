//! A mapper that sees rows: emits each line with its place, and traps on those that say so.

use std::borrow::Cow;

use guest_sdk::prelude::*;

mod marks;

/// Turns records round.
pub struct Brittle;

impl Mapper for Brittle {
    type Input = Records<Bytes, Bytes>;
    type Output = Emitter<Bytes, Bytes>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn map(&mut self, (place, line): (Cow<'_, [u8]>, Cow<'_, [u8]>), out: &mut Self::Output) -> Result {
        // What it emits for a record that it traps on must not be seen.
        out.emit(&line, &place);
        marks::act(&line);
        Ok(())
    }
}

guest_sdk::export! {
    name: "brittle",
    mapper: Brittle,
}
