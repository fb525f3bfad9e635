//! How long a token or lease lives: pure arithmetic, in whole seconds, with the texts of its warnings.
//!
//! ```text
//!   periodic      the period, capped by the largest ttl; an explicit maximum ends it nevertheless
//!   otherwise     asked for, else the login's, else the mount's default; never past start + the smallest maximum
//! ```

use std::time::Duration;

use crate::duration::go_string;

/// Bounds of the mount (already the system's where it sets none).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub default_secs: u64,
    pub max_secs: u64,
}

/// What is asked for. 0: not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// The client's `ttl` or `increment`.
    pub increment: u64,
    /// The backend's.
    pub ttl: u64,
    pub period: u64,
    pub max_ttl: u64,
    pub explicit_max_ttl: u64,
    /// Seconds since the token or lease was made.
    pub age: u64,
}

/// A length of life and what the client should know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    pub ttl: u64,
    pub warnings: Vec<String>,
}

/// Its end has come: nothing can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastMax;

/// The rule of Vault's `CalculateTTL`.
///
/// # Errors
/// [`PastMax`].
pub fn calculate(asked: Asked, bounds: Bounds) -> Result<Granted, PastMax> {
    let max = smallest_set(&[bounds.max_secs, asked.max_ttl, asked.explicit_max_ttl]);
    let mut granted = Granted::default();
    if asked.period > 0 {
        granted.ttl = asked.period.min(max);
        if asked.period > max {
            granted.warnings.push(capped("period", asked.period, max));
        }
        return if asked.explicit_max_ttl > 0 {
            cap(granted, asked.age, asked.explicit_max_ttl)
        } else {
            Ok(granted)
        };
    }
    granted.ttl =
        [asked.increment, asked.ttl].into_iter().find(|ttl| *ttl > 0).unwrap_or(bounds.default_secs);
    cap(granted, asked.age, max)
}

fn cap(mut granted: Granted, age: u64, max: u64) -> Result<Granted, PastMax> {
    let left = max.checked_sub(age).filter(|left| *left > 0).ok_or(PastMax)?;
    if granted.ttl > left {
        granted.warnings.push(capped("TTL", granted.ttl, left));
        granted.ttl = left;
    }
    Ok(granted)
}

fn smallest_set(bounds: &[u64]) -> u64 {
    bounds.iter().copied().filter(|bound| *bound > 0).min().unwrap_or(0)
}

fn capped(what: &str, asked: u64, max: u64) -> String {
    let (asked, max) = (short(asked), short(max));
    format!(
        "{what} of \"{asked}\" exceeded the effective max_ttl of \"{max}\"; {what} value is capped accordingly"
    )
}

/// `768h`, `1h30m`, `45s`: Go's text without its zero tail.
#[must_use]
pub fn short(secs: u64) -> String {
    let mut text = go_string(Duration::from_secs(secs));
    for (ending, zero) in [("m0s", "0s"), ("h0m", "0m")] {
        if text.ends_with(ending) {
            text.truncate(text.len() - zero.len());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { default_secs: 2_764_800, max_secs: 2_764_800 };

    #[test]
    fn ttls_follow_the_table_of_the_real_server() {
        let none = Asked::default();
        for (asked, ttl, warning) in [
            (none, 2_764_800, None),
            (Asked { increment: 3600, ..none }, 3600, None),
            (Asked { ttl: 60, ..none }, 60, None),
            (Asked { increment: 30, ttl: 60, ..none }, 30, None),
            (
                Asked { increment: 36_000_000, ..none },
                2_764_800,
                Some(
                    "TTL of \"10000h\" exceeded the effective max_ttl of \"768h\"; TTL value is capped accordingly",
                ),
            ),
            (
                Asked { increment: 7200, explicit_max_ttl: 3600, ..none },
                3600,
                Some(
                    "TTL of \"2h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly",
                ),
            ),
            (Asked { explicit_max_ttl: 36_000_000, ..none }, 2_764_800, None),
            (
                Asked { period: 36_000_000, ..none },
                2_764_800,
                Some(
                    "period of \"10000h\" exceeded the effective max_ttl of \"768h\"; period value is capped accordingly",
                ),
            ),
            (Asked { period: 1800, explicit_max_ttl: 7200, increment: 3600, ..none }, 1800, None),
            (Asked { period: 1800, age: 100_000_000, ..none }, 1800, None),
        ] {
            let granted = calculate(asked, BOUNDS).unwrap();
            assert_eq!(
                (granted.ttl, granted.warnings.first().map(String::as_str)),
                (ttl, warning),
                "{asked:?}"
            );
        }
        assert_eq!(calculate(Asked { age: 3600, max_ttl: 3600, ..none }, BOUNDS), Err(PastMax));
        assert_eq!(
            calculate(Asked { age: 7200, period: 60, explicit_max_ttl: 7200, ..none }, BOUNDS),
            Err(PastMax)
        );
    }

    #[test]
    fn durations_are_short() {
        for (secs, text) in
            [(45, "45s"), (60, "1m"), (3600, "1h"), (5400, "1h30m"), (3605, "1h0m5s"), (36_000_000, "10000h")]
        {
            assert_eq!(short(secs), text);
        }
    }

    proptest! {
        #[test]
        fn no_life_passes_its_maximum(increment in 0u64..1 << 40, ttl in 0u64..1 << 40, period in 0u64..1 << 40,
            max_ttl in 0u64..1 << 40, explicit_max_ttl in 0u64..1 << 40, age in 0u64..1 << 40) {
            let asked = Asked { increment, ttl, period, max_ttl, explicit_max_ttl, age };
            if let Ok(granted) = calculate(asked, BOUNDS) {
                prop_assert!(granted.ttl > 0 && granted.ttl <= BOUNDS.max_secs);
                prop_assert!(explicit_max_ttl == 0 || age + granted.ttl <= explicit_max_ttl);
                prop_assert!(period > 0 || max_ttl == 0 || age + granted.ttl <= max_ttl);
                prop_assert!(period > 0 || age + granted.ttl <= BOUNDS.max_secs);
            }
        }
    }
}
