//! When the data key is due to be replaced. Pure: who owns the keyring asks, with the time and the counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

/// Most values one key may seal: nonces are random, and beyond 2^32 two of them become likely to be the same; a tenth
/// is kept back for what was sealed and not yet counted.
pub const MAX_OPERATIONS: u64 = 3_865_470_566;
/// Fewest, so that a small number does not make a keyring of thousands of keys.
pub const MIN_OPERATIONS: u64 = 1_000_000;
/// Shortest interval, for the same reason.
pub const MIN_INTERVAL: Duration = Duration::from_hours(24);

/// What `sys/rotate/config` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    pub enabled: bool,
    /// Values sealed by one key.
    pub max_operations: u64,
    /// Age of one key in seconds; 0: keys do not age.
    pub interval_secs: u64,
}

/// A setting that is out of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RotationError {
    #[error("max_operations must be in the range [{MIN_OPERATIONS},{MAX_OPERATIONS}]")]
    Operations,
    #[error("interval must be greater or equal to 24h0m0s")]
    Interval,
}

// === impl Rotation ===

impl Default for Rotation {
    fn default() -> Self {
        Self { enabled: true, max_operations: MAX_OPERATIONS, interval_secs: 0 }
    }
}

impl Rotation {
    /// # Errors
    /// A number is out of its bounds.
    pub fn check(&self) -> Result<(), RotationError> {
        if !(MIN_OPERATIONS..=MAX_OPERATIONS).contains(&self.max_operations) {
            return Err(RotationError::Operations);
        }
        match self.interval_secs {
            0 => Ok(()),
            secs if secs >= MIN_INTERVAL.as_secs() => Ok(()),
            _ => Err(RotationError::Interval),
        }
    }

    /// Whether a key of this age that has sealed so much is to be replaced.
    #[must_use]
    pub fn is_due(&self, encryptions: u64, installed: OffsetDateTime, now: OffsetDateTime) -> bool {
        let age = u64::try_from((now - installed).whole_seconds()).unwrap_or(0);
        let old = self.interval_secs > 0 && age >= self.interval_secs;
        self.enabled && (encryptions >= self.max_operations || old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_replaced_when_it_is_old_or_worn() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_hours(48);
        let installed = OffsetDateTime::UNIX_EPOCH;
        let daily = Rotation { interval_secs: 86_400, ..Rotation::default() };
        for (rotation, encryptions, due) in [
            (Rotation::default(), 0, false),
            (Rotation::default(), MAX_OPERATIONS, true),
            (daily, 0, true),
            (Rotation { enabled: false, ..daily }, MAX_OPERATIONS, false),
            (Rotation { interval_secs: 86_400 * 3, ..daily }, 0, false),
        ] {
            assert_eq!(rotation.is_due(encryptions, installed, now), due, "{rotation:?} {encryptions}");
        }
        assert!(!daily.is_due(0, now, installed), "a clock that went back makes nothing old");
    }

    #[test]
    fn settings_have_bounds() {
        let with = |max_operations, interval_secs| Rotation { enabled: true, max_operations, interval_secs };
        for (rotation, outcome) in [
            (with(MIN_OPERATIONS, 0), Ok(())),
            (with(MAX_OPERATIONS, 86_400), Ok(())),
            (with(MAX_OPERATIONS + 1, 0), Err(RotationError::Operations)),
            (with(MIN_OPERATIONS - 1, 0), Err(RotationError::Operations)),
            (with(MIN_OPERATIONS, 86_399), Err(RotationError::Interval)),
        ] {
            assert_eq!(rotation.check(), outcome, "{rotation:?}");
        }
        let text = RotationError::Operations.to_string();
        assert_eq!(text, "max_operations must be in the range [1000000,3865470566]");
    }
}
