//! Who has guessed wrong too often. Pure: names and moments in, a verdict out.
//!
//! Counters live in the memory of the active node, where every login goes, so that they do not multiply with the
//! number of nodes; a restart or a new leader forgives. Names that nobody has are counted as others are: who is locked
//! out says nothing of who exists.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Most names counted at once; beyond it the oldest failures make room.
const MAX_NAMES: usize = 10_000;

/// What an operator tunes on an auth mount. Lengths in seconds; 0: Vault's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockoutConfig {
    /// Wrong guesses that lock; 0: five.
    pub threshold: u64,
    /// How long a lock holds; 0: fifteen minutes.
    pub duration_secs: u64,
    /// Failures older than this are forgotten; 0: fifteen minutes.
    pub counter_reset_secs: u64,
    pub disabled: bool,
}

/// A name at a mount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login {
    /// Accessor of the mount.
    pub accessor: String,
    pub alias: String,
}

/// See the module.
#[derive(Default)]
pub struct Lockouts {
    failures: Mutex<HashMap<Login, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u64,
    last: OffsetDateTime,
}

// === impl LockoutConfig ===

impl LockoutConfig {
    fn threshold(self) -> u64 {
        if self.threshold == 0 { 5 } else { self.threshold }
    }

    fn duration(self) -> Duration {
        or_quarter(self.duration_secs)
    }

    fn counter_reset(self) -> Duration {
        or_quarter(self.counter_reset_secs)
    }

    fn is_locked(self, failed: Failures, now: OffsetDateTime) -> bool {
        !self.disabled && failed.count >= self.threshold() && now - failed.last < self.duration()
    }
}

fn or_quarter(secs: u64) -> Duration {
    if secs == 0 { Duration::minutes(15) } else { Duration::seconds(i64::try_from(secs).unwrap_or(i64::MAX)) }
}

// === impl Lockouts ===

impl Lockouts {
    /// Whether the login may not even be tried.
    #[must_use]
    pub fn is_locked(&self, login: &Login, config: LockoutConfig, now: OffsetDateTime) -> bool {
        let failures = self.failures.lock();
        failures.get(login).is_some_and(|failed| config.is_locked(*failed, now))
    }

    pub fn failed(&self, login: &Login, config: LockoutConfig, now: OffsetDateTime) {
        if config.disabled {
            return;
        }
        let mut failures = self.failures.lock();
        if failures.len() >= MAX_NAMES && !failures.contains_key(login) {
            make_room(&mut failures);
        }
        let entry = failures.entry(login.clone()).or_insert(Failures { count: 0, last: now });
        let stale = now - entry.last >= config.counter_reset() || was_released(config, *entry, now);
        entry.count = if stale { 1 } else { entry.count.saturating_add(1) };
        entry.last = now;
    }

    /// A login that succeeded, or whom an operator let in again.
    pub fn forgive(&self, login: &Login) {
        self.failures.lock().remove(login);
    }

    /// Names that are locked out now, by the accessor of their mount, in order.
    #[must_use]
    pub fn locked(
        &self,
        config_of: impl Fn(&str) -> LockoutConfig,
        now: OffsetDateTime,
    ) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::<String, Vec<String>>::new();
        let failures = self.failures.lock();
        for (login, failed) in failures.iter() {
            if config_of(&login.accessor).is_locked(*failed, now) {
                found.entry(login.accessor.clone()).or_default().push(login.alias.clone());
            }
        }
        found.values_mut().for_each(|names| names.sort_unstable());
        found
    }
}

/// Whether a lock has run out since: the next failure is the first of a new count.
fn was_released(config: LockoutConfig, failed: Failures, now: OffsetDateTime) -> bool {
    failed.count >= config.threshold() && now - failed.last >= config.duration()
}

/// Drops the older half.
fn make_room(failures: &mut HashMap<Login, Failures>) {
    let mut moments: Vec<OffsetDateTime> = failures.values().map(|failed| failed.last).collect();
    moments.sort_unstable();
    if let Some(middle) = moments.get(moments.len() / 2).copied() {
        failures.retain(|_, failed| failed.last > middle);
    }
}

/// Names are nobody's business in a log.
impl fmt::Debug for Lockouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lockouts({} names)", self.failures.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn login(alias: &str) -> Login {
        Login { accessor: "a".to_owned(), alias: alias.to_owned() }
    }

    #[test]
    fn five_failures_lock_for_a_quarter_of_an_hour() {
        let (lockouts, config) = (Lockouts::default(), LockoutConfig::default());
        let quarter = Duration::minutes(15);
        for guess in 0..5 {
            assert!(!lockouts.is_locked(&login("ed"), config, START), "after {guess} failures");
            lockouts.failed(&login("ed"), config, START);
        }
        assert!(lockouts.is_locked(&login("ed"), config, START));
        assert!(!lockouts.is_locked(&login("bob"), config, START));
        assert_eq!(lockouts.locked(|_| config, START), BTreeMap::from([("a".into(), vec!["ed".into()])]));
        assert!(!lockouts.is_locked(&login("ed"), config, START + quarter));
        lockouts.failed(&login("ed"), config, START + quarter);
        assert!(!lockouts.is_locked(&login("ed"), config, START + quarter), "old failures are forgotten");
        (0..5).for_each(|_| lockouts.failed(&login("bob"), config, START));
        lockouts.forgive(&login("bob"));
        assert!(!lockouts.is_locked(&login("bob"), config, START));
    }

    #[test]
    fn a_mount_may_be_tuned() {
        let lockouts = Lockouts::default();
        let config = LockoutConfig { threshold: 2, duration_secs: 10, ..LockoutConfig::default() };
        (0..2).for_each(|_| lockouts.failed(&login("ed"), config, START));
        let later = |secs| START + Duration::seconds(secs);
        assert!(lockouts.is_locked(&login("ed"), config, later(9)));
        assert!(!lockouts.is_locked(&login("ed"), config, later(10)));
        lockouts.failed(&login("ed"), config, later(11));
        assert!(!lockouts.is_locked(&login("ed"), config, later(11)), "one guess is not two");
        let off = LockoutConfig { disabled: true, ..config };
        (0..9).for_each(|_| lockouts.failed(&login("ed"), off, later(12)));
        assert!(!lockouts.is_locked(&login("ed"), off, later(12)));
        assert!(!lockouts.is_locked(&login("ed"), config, later(12)), "nothing was counted");
    }

    #[test]
    fn the_map_is_bounded() {
        let (lockouts, config) = (Lockouts::default(), LockoutConfig::default());
        for number in 0..MAX_NAMES + 100 {
            let moment = START + Duration::milliseconds(i64::try_from(number).unwrap());
            lockouts.failed(&login(&number.to_string()), config, moment);
        }
        assert!(lockouts.failures.lock().len() <= MAX_NAMES);
        let newest = login(&(MAX_NAMES + 99).to_string());
        assert!(lockouts.failures.lock().contains_key(&newest), "the newest stays");
    }
}
