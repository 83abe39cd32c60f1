//! The combiner hook: folds neighbours of a sorted stream, wherever the engine sees one.

use mr_model::{BatchBuf, Failure, GroupedBatchBuf, PluginFault, Role};

/// Folds the values of each key into fewer records of the same key.
pub trait Combine: Send {
    /// Combines `groups` (never `more`) into `out`, which is empty at the call. Emits only keys that
    /// it was given, in their order; the caller checks.
    fn combine(&mut self, groups: &GroupedBatchBuf, out: &mut BatchBuf) -> Result<(), Failure>;

    /// Called once, after the last batch.
    fn close(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A combiner with its buffers, fed record by record.
pub struct CombineStage {
    hook: Box<dyn Combine>,
    groups: GroupedBatchBuf,
    out: BatchBuf,
    batch_bytes: usize,
    last_key: Vec<u8>,
}

/// Takes a combined record.
pub type Consume<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Failure>;

impl CombineStage {
    /// A stage that calls `hook` with about `batch_bytes` bytes at a time.
    pub fn new(hook: Box<dyn Combine>, batch_bytes: usize) -> Self {
        let groups = GroupedBatchBuf::default();
        Self { hook, groups, out: BatchBuf::default(), batch_bytes, last_key: Vec::new() }
    }

    /// Adds the next record of a sorted stream.
    pub fn add(&mut self, key: &[u8], value: &[u8], consume: Consume<'_>) -> Result<(), Failure> {
        let open = self.groups.groups() > 0;
        if !open || self.last_key != key {
            if self.groups.size() >= self.batch_bytes {
                self.flush(consume)?;
            } else if open {
                self.groups.close_group();
            }
            self.start_group(key);
        } else if self.groups.size() >= self.batch_bytes {
            // A combiner may be given a part of a group, so a long one is cut here.
            self.flush(consume)?;
            self.start_group(key);
        }
        self.groups.values.push(value);
        Ok(())
    }

    /// Combines and hands on what was added since.
    pub fn flush(&mut self, consume: Consume<'_>) -> Result<(), Failure> {
        if self.groups.groups() == 0 {
            return Ok(());
        }
        self.groups.close_group();
        self.out.clear();
        self.hook.combine(&self.groups, &mut self.out)?;
        let (given, emitted) = (self.groups.values.rows(), self.out.rows());
        if emitted > given {
            return Err(contract(format!(
                "it emitted {emitted} records for {given}; a combiner makes fewer"
            )));
        }
        let mut given = self.groups.keys.view().iter().peekable();
        for (key, value) in self.out.view().iter() {
            while given.peek().is_some_and(|known| *known != key) {
                given.next();
            }
            if given.peek().is_none() {
                return Err(contract("it emitted a key that it was not given, or keys out of order".into()));
            }
            consume(key, value)?;
        }
        drop(given);
        self.groups.clear();
        Ok(())
    }

    /// Ends the combiner, after the last flush.
    pub fn close(mut self) -> Result<(), Failure> {
        self.hook.close()
    }

    fn start_group(&mut self, key: &[u8]) {
        self.groups.keys.push(key);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
    }
}

fn contract(message: String) -> Failure {
    Failure::Plugin {
        fault: PluginFault::Contract,
        role: Role::Combiner,
        message,
        place: None,
        words: mr_model::LastWords::default(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Joins the values of a group with `+`, for tests.
    pub(crate) struct Join;

    impl Combine for Join {
        fn combine(&mut self, groups: &GroupedBatchBuf, out: &mut BatchBuf) -> Result<(), Failure> {
            let ends: Vec<u32> =
                groups.ends.as_chunks::<4>().0.iter().map(|e| u32::from_le_bytes(*e)).collect();
            let mut start = 0;
            for (key, end) in groups.keys.view().iter().zip(ends) {
                let values: Vec<_> =
                    (start..end).map(|row| groups.values.view().cell(row as usize)).collect();
                out.push(key, &values.join(&b'+'));
                start = end;
            }
            Ok(())
        }
    }

    /// Emits these keys, whatever it was given.
    struct Liar(&'static [&'static str]);

    impl Combine for Liar {
        fn combine(&mut self, _: &GroupedBatchBuf, out: &mut BatchBuf) -> Result<(), Failure> {
            self.0.iter().for_each(|key| out.push(key.as_bytes(), b""));
            Ok(())
        }
    }

    #[test]
    fn groups_are_combined_and_long_ones_cut() {
        let mut stage = CombineStage::new(Box::new(Join), 30);
        let mut got = Vec::new();
        let mut consume = |key: &[u8], value: &[u8]| {
            got.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
            Ok(())
        };
        for (key, value) in
            [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("c", "5"), ("c", "6"), ("c", "7")]
        {
            stage.add(key.as_bytes(), value.as_bytes(), &mut consume).unwrap();
        }
        stage.flush(&mut consume).unwrap();
        stage.flush(&mut consume).unwrap();
        assert_eq!(got, ["a=1+2", "b=3", "c=4", "c=5+6+7"]);
    }

    #[test]
    fn what_it_was_not_given_is_refused() {
        let foreign = "it emitted a key that it was not given, or keys out of order";
        for (emitted, expected) in [
            (&["a", "b"][..], None),
            (&["a", "a"], None),
            (&["zzz"], Some(foreign)),
            (&["b", "a"], Some(foreign)),
            (&["a", "a", "b"], Some("it emitted 3 records for 2; a combiner makes fewer")),
        ] {
            let mut stage = CombineStage::new(Box::new(Liar(emitted)), 100);
            stage.add(b"a", b"1", &mut |_, _| Ok(())).unwrap();
            stage.add(b"b", b"1", &mut |_, _| Ok(())).unwrap();
            let told = stage.flush(&mut |_, _| Ok(())).err().map(|failure| failure.to_string());
            let expected = expected.map(|why| format!("the combiner broke the plugin interface: {why}"));
            assert_eq!(told, expected, "{emitted:?}");
        }
    }
}
