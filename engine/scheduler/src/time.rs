//! Time as the driver tells it. The scheduler never reads a clock: it compares what it is given.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since an epoch that the driver chooses once and keeps over restarts. It should
/// not run backwards; where it does, the scheduler goes on with the latest time it has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// The moment `duration` later, to the millisecond, saturating.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Milliseconds since `earlier`, or 0 where that is later.
    pub fn millis_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
