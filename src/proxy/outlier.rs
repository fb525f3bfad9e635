//! Passive health of one server: consecutive failures of live requests → ejection from reads for a while.
//!
//! ```text
//!            n failures in a row                    time is up, or k good probes
//!   in ───────────────────────────> ejected (k-th) ──────────────────────────────> in
//! ```
//! A good active probe ends an ejection (envoy#24217: an ejection that outlasts a healthy answer helps nobody);
//! the k-th ejection in a row asks for k of them, so that a server whose health answer is fine while its requests
//! fail does not come back every second. It does not know who else is ejected: the share is the caller's.

use std::time::{Duration, Instant};

use crate::config::proxy::OutlierDetection;

/// Longest ejection, in multiples of the base: beyond it a server would be forgotten.
const MAX_FACTOR: u32 = 16;

/// The passive state of one server.
#[derive(Debug, Clone, Default)]
pub struct Outlier {
    failures: u32,
    /// Ejections in a row; forgotten after a quiet `base_ejection` outside.
    ejections: u32,
    ejected: Option<Ejection>,
    returned_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Ejection {
    since: Instant,
    until: Instant,
    good_probes: u32,
}

impl Outlier {
    /// A live request failed. True when the streak asks for an ejection that is not in force yet.
    pub fn failure(&mut self, settings: &OutlierDetection) -> bool {
        self.failures = self.failures.saturating_add(1);
        let asked = settings.consecutive_failures;
        asked > 0 && self.failures >= asked && self.ejected.is_none()
    }

    /// A live request went well.
    pub fn success(&mut self) {
        self.failures = 0;
    }

    /// Takes the server out. Returns for how long at most.
    pub fn eject(&mut self, settings: &OutlierDetection, now: Instant) -> Duration {
        let quiet = self.returned_at.is_none_or(|at| now.duration_since(at) >= settings.base_ejection);
        self.ejections = if quiet { 1 } else { self.ejections.saturating_add(1) };
        let length = settings.base_ejection.saturating_mul(self.ejections.min(MAX_FACTOR));
        self.ejected = Some(Ejection { since: now, until: now + length, good_probes: 0 });
        length
    }

    /// A good active probe that began at `began`. True when it ended the ejection.
    pub fn good_probe(&mut self, began: Instant, now: Instant) -> bool {
        let Some(ejection) = &mut self.ejected else { return false };
        if began < ejection.since {
            return false;
        }
        ejection.good_probes += 1;
        let enough = ejection.good_probes >= self.ejections;
        if enough {
            self.come_back(now);
        }
        enough
    }

    /// Lets time end an ejection. True when it did.
    pub fn expire(&mut self, now: Instant) -> bool {
        let over = self.ejected.is_some_and(|ejection| now >= ejection.until);
        if over {
            self.come_back(now);
        }
        over
    }

    /// Until when the server is out.
    #[must_use]
    pub fn ejected_until(&self) -> Option<Instant> {
        self.ejected.map(|ejection| ejection.until)
    }

    fn come_back(&mut self, now: Instant) {
        self.ejected = None;
        self.failures = 0;
        self.returned_at = Some(now);
    }
}

/// How many of `candidates` read servers may be out at once: the configured share, and at least one while the
/// share is not zero, because the active node is always there to take the reads.
#[must_use]
pub fn allowed_ejections(candidates: usize, max_ejection: f64) -> usize {
    if max_ejection <= 0.0 || candidates == 0 {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of at most some hundred servers"
    )]
    let share = (candidates as f64 * max_ejection.min(1.0)).floor() as usize;
    share.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(10);

    fn settings(consecutive_failures: u32) -> OutlierDetection {
        OutlierDetection { consecutive_failures, base_ejection: BASE, max_ejection: 0.5 }
    }

    fn fail(outlier: &mut Outlier, times: u32) -> bool {
        (0..times).map(|_| outlier.failure(&settings(5))).last().unwrap_or(false)
    }

    #[test]
    fn only_an_unbroken_streak_asks_for_ejection() {
        let mut outlier = Outlier::default();
        assert!(!fail(&mut outlier, 4));
        outlier.success();
        assert!(!fail(&mut outlier, 4));
        assert!(fail(&mut outlier, 1));
    }

    #[test]
    fn zero_switches_it_off() {
        let mut outlier = Outlier::default();
        assert!(!(0..100).any(|_| outlier.failure(&settings(0))));
    }

    #[test]
    fn time_ends_it_and_repeats_last_longer() {
        let mut outlier = Outlier::default();
        let start = Instant::now();
        assert_eq!(outlier.eject(&settings(5), start), BASE);
        assert!(!outlier.expire(start + BASE / 2));
        assert!(outlier.expire(start + BASE));
        let again = start + BASE + Duration::from_secs(1);
        assert_eq!(outlier.eject(&settings(5), again), BASE * 2);
        assert!(outlier.expire(again + BASE * 2));
        let later = again + BASE * 4;
        assert_eq!(outlier.eject(&settings(5), later), BASE, "a quiet time starts over");
    }

    #[test]
    fn a_good_probe_that_began_later_ends_the_first() {
        let mut outlier = Outlier::default();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        outlier.eject(&settings(5), start);
        assert!(!outlier.good_probe(start - second, start + second), "asked before the failures");
        assert!(outlier.good_probe(start + second, start + second));
        assert_eq!(outlier.ejected_until(), None);
    }

    #[test]
    fn the_second_in_a_row_asks_for_two_good_probes() {
        let mut outlier = Outlier::default();
        let start = Instant::now();
        outlier.eject(&settings(5), start);
        assert!(outlier.good_probe(start, start));
        outlier.eject(&settings(5), start);
        assert!(!outlier.good_probe(start, start));
        assert!(outlier.good_probe(start, start));
    }

    #[test]
    fn share_table() {
        for (candidates, share, expected) in
            [(0, 0.5, 0), (1, 0.5, 1), (2, 0.5, 1), (4, 0.5, 2), (5, 0.5, 2), (4, 0.0, 0), (3, 1.0, 3)]
        {
            assert_eq!(allowed_ejections(candidates, share), expected, "{candidates} x {share}");
        }
    }
}
