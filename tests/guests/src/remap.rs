//! A mapper alone: moves, cuts, repeats and pads records, so that a small input makes any shuffle.

use guest_sdk::prelude::*;

/// Emits each record `repeat` times.
pub struct Remap {
    from_value: bool,
    keep: usize,
    repeat: u64,
    pad: usize,
}

impl Mapper for Remap {
    type Input = Records<Bytes, Bytes>;
    type Output = Emitter<Bytes, Bytes>;

    const PARAMS: &'static [Param] = &[
        Param::flag("from-value", "key and value change places"),
        Param::u64("keep", "bytes of the key that are kept").default("1000000000"),
        Param::u64("repeat", "times that a record is emitted; from 2 on with its number in front")
            .default("1"),
        Param::u64("pad", "bytes that a repeated value is filled up to").default("0"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self {
            from_value: task.param("from-value")?,
            keep: task.param("keep")?,
            repeat: task.param("repeat")?,
            pad: task.param("pad")?,
        })
    }

    fn map(
        &mut self,
        (key, value): (std::borrow::Cow<'_, [u8]>, std::borrow::Cow<'_, [u8]>),
        out: &mut Self::Output,
    ) -> Result {
        let (key, value) = if self.from_value { (value, key) } else { (key, value) };
        let key = &key[..key.len().min(self.keep)];
        if self.repeat == 1 {
            out.emit(key, value);
            return Ok(());
        }
        let mut copy = Vec::new();
        for number in 0..self.repeat {
            copy.clear();
            copy.extend_from_slice(&number.to_be_bytes());
            copy.extend_from_slice(&value);
            copy.resize(copy.len().max(self.pad), b'.');
            out.emit(key, &copy);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "remap",
    mapper: Remap,
}
