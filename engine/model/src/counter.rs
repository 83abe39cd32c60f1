//! Job-wide sums: those that plugins count, with caps, added up over winning attempts only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limit::{COUNTER_NAME_BYTES_MAX, COUNTERS_MAX};
use crate::text::is_unprintable;

/// What the names begin with that are the engine's own: no plugin counts under them.
pub const ENGINE_GROUP: &str = "mr/";

/// The group of a counter and its name in it: `group/name`. None where it is in no group.
pub fn grouped(name: &str) -> Option<(&str, &str)> {
    name.split_once('/').filter(|(group, name)| !group.is_empty() && !name.is_empty())
}

/// Named sums, in name order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Adds `delta` to the counter `name`, saturating.
    pub fn add(&mut self, name: &str, delta: i64) -> Result<(), CounterRefused> {
        if let Some(sum) = self.0.get_mut(name) {
            *sum = sum.saturating_add(delta);
            return Ok(());
        }
        if name.len() > COUNTER_NAME_BYTES_MAX {
            return Err(CounterRefused::Long { bytes: name.len() });
        }
        if name.is_empty() || name.chars().any(is_unprintable) {
            return Err(CounterRefused::Name);
        }
        if name.starts_with(ENGINE_GROUP) {
            return Err(CounterRefused::Reserved);
        }
        if self.0.len() >= COUNTERS_MAX {
            return Err(CounterRefused::Count);
        }
        self.0.insert(name.to_owned(), delta);
        Ok(())
    }

    /// Adds every counter of `other`.
    pub fn merge(&mut self, other: &Counters) -> Result<(), CounterRefused> {
        other.iter().try_for_each(|(name, delta)| self.add(name, delta))
    }

    /// The sum of the counter `name`; 0 where nobody counted it.
    pub fn value(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Names and sums, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, sum)| (name.as_str(), *sum))
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A counter over a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CounterRefused {
    /// The name is empty or holds what cannot be shown.
    #[error("a counter's name is empty or holds control characters")]
    Name,
    /// The name is the engine's.
    #[error("counters whose names begin with {ENGINE_GROUP} are the engine's own")]
    Reserved,
    /// The name is too long.
    #[error("a counter's name has {bytes} bytes; 1 to {COUNTER_NAME_BYTES_MAX} are allowed")]
    Long {
        /// Length of the name in bytes.
        bytes: usize,
    },
    /// One counter too many.
    #[error("more than {COUNTERS_MAX} counters")]
    Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_grouped() {
        let mut counters = Counters::default();
        assert_eq!(counters.add("mr/rejects", 1), Err(CounterRefused::Reserved));
        assert_eq!(counters.add("", 1), Err(CounterRefused::Name));
        assert_eq!(counters.add("mr", 1), Ok(()));
        let groups = ["a/b/c", "a", "/a", "a/", "/"].map(grouped);
        assert_eq!(groups, [Some(("a", "b/c")), None, None, None, None]);
    }
}
