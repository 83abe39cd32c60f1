//! A partitioner alone: by the last byte of the key.

use guest_sdk::prelude::*;

/// Places keys.
pub struct Place;

impl Partitioner for Place {
    type Key = Bytes;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Place)
    }

    fn partition(&mut self, key: std::borrow::Cow<'_, [u8]>, partitions: u32) -> Result<u32> {
        Ok(u32::from(key.last().copied().unwrap_or(0)) % partitions)
    }
}

guest_sdk::export! {
    name: "place",
    partitioner: Place,
}
