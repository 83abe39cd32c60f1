//! A combiner alone: adds up values of 8 bytes, big-endian, wrapping around.

use guest_sdk::prelude::*;

/// Adds up.
pub struct Sums;

impl Combiner for Sums {
    type Key = Bytes;
    type Value = Bytes;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Sums)
    }

    fn combine(
        &mut self,
        _: std::borrow::Cow<'_, [u8]>,
        values: &mut Values<'_, Bytes>,
        out: &mut Combined<'_, Bytes, Bytes>,
    ) -> Result {
        let mut sum = 0u64;
        while let Some(value) = values.next_view() {
            let word = value.as_ref().try_into()?;
            sum = sum.wrapping_add(u64::from_be_bytes(word));
        }
        out.emit(sum.to_be_bytes());
        Ok(())
    }
}

guest_sdk::export! {
    name: "sum",
    combiner: Sums,
}
