//! A reducer alone: the sum of values of 8 bytes, or a digest that tells every value and their order.

use guest_sdk::prelude::*;

/// Folds each group into one record.
pub struct Gather {
    digest: bool,
}

impl Reducer for Gather {
    type Key = Bytes;
    type Value = Bytes;
    type Output = Emitter<Bytes, Bytes>;

    const PARAMS: &'static [Param] = &[Param::text("how", "sum or digest").default("digest")];

    fn setup(task: &Task) -> Result<Self> {
        match task.param::<String>("how")?.as_str() {
            "sum" => Ok(Self { digest: false }),
            "digest" => Ok(Self { digest: true }),
            other => Err(Error::fatal(format!("parameter how = {other:?}: use sum or digest"))),
        }
    }

    fn reduce(
        &mut self,
        key: std::borrow::Cow<'_, [u8]>,
        values: &mut Values<'_, Bytes>,
        out: &mut Self::Output,
    ) -> Result {
        if self.digest {
            let (mut count, mut hash) = (0u64, 0u64);
            while let Some(value) = values.next_view() {
                count += 1;
                hash = digest(hash, &value);
            }
            out.emit(key, format!("{count}:{hash:016x}"));
            return Ok(());
        }
        let mut sum = 0u64;
        while let Some(value) = values.next_view() {
            let word = value.as_ref().try_into()?;
            sum = sum.wrapping_add(u64::from_be_bytes(word));
        }
        out.emit(key, sum.to_be_bytes());
        Ok(())
    }
}

/// Goes on with the digest of the values so far; the tests know the same function.
fn digest(hash: u64, value: &[u8]) -> u64 {
    let fold = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    value.chunks(8).fold(fold(hash, value.len() as u64), |hash, bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        fold(hash, u64::from_le_bytes(word))
    })
}

guest_sdk::export! {
    name: "gather",
    reducer: Gather,
}
