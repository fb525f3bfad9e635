//! Who has guessed wrong too often. Pure: names and moments in, a verdict out.
//!
//! Counters live in the memory of the active node, where every login goes, so that they do not multiply with the
//! number of nodes; a restart or a new leader forgives. Vault's defaults: five failures within fifteen minutes lock
//! for fifteen minutes.

use std::collections::HashMap;

use parking_lot::Mutex;
use time::{Duration, OffsetDateTime};

/// Wrong guesses that lock.
const THRESHOLD: u32 = 5;
/// How long a lock holds.
const LOCKED_FOR: Duration = Duration::minutes(15);
/// Failures older than this are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::minutes(15);
/// Most names counted at once; beyond it the oldest failures make room.
const MAX_NAMES: usize = 10_000;

/// See the module.
#[derive(Default)]
pub(super) struct Lockout {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: OffsetDateTime,
}

impl Lockout {
    /// Whether `name` may not even try.
    pub(super) fn is_locked(&self, name: &str, now: OffsetDateTime) -> bool {
        let failures = self.failures.lock();
        failures.get(name).is_some_and(|failed| failed.count >= THRESHOLD && now - failed.last < LOCKED_FOR)
    }

    pub(super) fn failed(&self, name: &str, now: OffsetDateTime) {
        let mut failures = self.failures.lock();
        if failures.len() >= MAX_NAMES && !failures.contains_key(name) {
            make_room(&mut failures, now);
        }
        let entry = failures.entry(name.to_owned()).or_insert(Failures { count: 0, last: now });
        let stale = now - entry.last >= FORGOTTEN_AFTER;
        entry.count = if stale { 1 } else { entry.count.saturating_add(1) };
        entry.last = now;
    }

    pub(super) fn succeeded(&self, name: &str) {
        self.failures.lock().remove(name);
    }
}

/// Drops what is stale, or else the older half.
fn make_room(failures: &mut HashMap<String, Failures>, now: OffsetDateTime) {
    failures.retain(|_, failed| now - failed.last < FORGOTTEN_AFTER);
    if failures.len() >= MAX_NAMES {
        let mut moments: Vec<OffsetDateTime> = failures.values().map(|failed| failed.last).collect();
        moments.sort_unstable();
        let middle = moments.get(moments.len() / 2).copied().unwrap_or(now);
        failures.retain(|_, failed| failed.last > middle);
    }
}

/// Names are nobody's business in a log.
impl std::fmt::Debug for Lockout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lockout({} names)", self.failures.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_lock_for_a_quarter_of_an_hour() {
        let (lockout, start) = (Lockout::default(), OffsetDateTime::UNIX_EPOCH);
        for guess in 0..5 {
            assert!(!lockout.is_locked("ed", start), "after {guess} failures");
            lockout.failed("ed", start);
        }
        assert!(lockout.is_locked("ed", start) && !lockout.is_locked("bob", start));
        assert!(!lockout.is_locked("ed", start + LOCKED_FOR));
        lockout.failed("ed", start + LOCKED_FOR);
        assert!(!lockout.is_locked("ed", start + LOCKED_FOR), "old failures are forgotten");
        (0..5).for_each(|_| lockout.failed("bob", start));
        lockout.succeeded("bob");
        assert!(!lockout.is_locked("bob", start));
    }

    #[test]
    fn the_map_is_bounded() {
        let (lockout, start) = (Lockout::default(), OffsetDateTime::UNIX_EPOCH);
        for number in 0..MAX_NAMES + 100 {
            lockout
                .failed(&number.to_string(), start + Duration::milliseconds(i64::try_from(number).unwrap()));
        }
        assert!(lockout.failures.lock().len() <= MAX_NAMES);
        assert!(lockout.failures.lock().contains_key(&(MAX_NAMES + 99).to_string()), "the newest stays");
    }
}
