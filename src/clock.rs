//! The proxy clock: monotonic milliseconds from one starting moment, so that moments fit into atomics.
//! It only converts; who needs a moment is handed an [`Instant`], so tests can choose it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One per process; every part that compares milliseconds must hold the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose zero is this moment.
    #[must_use]
    pub fn starting_at(started: Instant) -> Self {
        Self { started }
    }

    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Milliseconds from the start to `moment`; 0 for anything earlier.
    #[must_use]
    pub fn ms(&self, moment: Instant) -> u64 {
        whole_ms(moment.saturating_duration_since(self.started))
    }
}

/// Whole milliseconds, saturating.
#[must_use]
pub fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970; 0 when the wall clock stands before it.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_moments_are_zero() {
        let now = Instant::now();
        let clock = Clock::starting_at(now + Duration::from_secs(5));
        assert_eq!(clock.ms(now), 0);
        assert_eq!(clock.ms(now + Duration::from_millis(5_250)), 250);
    }
}
