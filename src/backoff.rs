//! Jittered exponential backoff as arithmetic: the caller brings the attempt and the roll of the dice, and sleeps.

use std::time::Duration;

/// Doubling from `base` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub max: Duration,
}

impl Backoff {
    /// The wait before retry number `attempt` (0 for the first), between half and all of the doubled base.
    /// `roll` is uniform in 0.0..1.0; half is kept so that a burst of failures cannot retry at once.
    #[must_use]
    pub fn delay(&self, attempt: u32, roll: f64) -> Duration {
        self.ceiling(attempt).mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
    }

    /// The doubled base without jitter.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.min(31)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}

/// `duration` moved by up to `share` of itself to either side; `roll` is uniform in 0.0..1.0.
#[must_use]
pub fn jittered(duration: Duration, share: f64, roll: f64) -> Duration {
    let share = share.clamp(0.0, 1.0);
    duration.mul_f64(1.0 + share * (2.0 * roll.clamp(0.0, 1.0) - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_ceiling() {
        let backoff = Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250) };
        let ms: Vec<u128> = (0..6).map(|n| backoff.ceiling(n).as_millis()).collect();
        assert_eq!(ms, [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.ceiling(200).as_millis(), 250);
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(1) };
        assert_eq!(backoff.delay(0, 0.0).as_millis(), 50);
        assert_eq!(backoff.delay(0, 1.0).as_millis(), 100);
        assert_eq!(jittered(Duration::from_millis(1000), 0.1, 0.0).as_millis(), 900);
        assert_eq!(jittered(Duration::from_millis(1000), 0.1, 1.0).as_millis(), 1100);
        assert_eq!(jittered(Duration::from_millis(1000), 0.0, 0.3).as_millis(), 1000);
    }
}
