//! What the active had committed, and when: turns a standby's index into "how far behind" without asking both at
//! the same moment. It holds the last minute or so of leader probes of one active node.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::proxy::endpoint::Endpoint;

use super::decide::Lag;

/// At `fast_interval` some six seconds, at one probe a second a minute.
const MAX_SAMPLES: usize = 64;

/// Answers below the highest known index before the cluster is taken to be restored.
const ANSWERS_BELOW: u32 = 3;

/// Samples of the active's committed index, oldest first. Invariant: both numbers only grow from front to back.
#[derive(Debug, Clone, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    /// Highest index any active of this cluster has named, over leader changes.
    watermark: u64,
    /// Answers in a row below it.
    below: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Before the question was sent: all that was acknowledged earlier is within `committed`.
    asked_at: Instant,
    committed: u64,
}

impl History {
    /// The active answered. An index that fell belongs to another history: the old one is dropped.
    pub fn record(&mut self, asked_at: Instant, committed: u64) {
        match self.samples.back() {
            Some(last) if last.committed > committed => self.samples.clear(),
            Some(last) if last.asked_at >= asked_at => return,
            Some(_) | None => {}
        }
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { asked_at, committed });
    }

    /// An active named this index. True when the cluster has gone back for good: restored from an older state, so
    /// that nobody will reach the indexes handed out before. A new leader never has less than was committed
    /// (Raft §5.4), so a few answers in a row are enough to tell it from a slip.
    pub fn has_gone_back(&mut self, committed: u64) -> bool {
        if committed >= self.watermark {
            self.watermark = committed;
            self.below = 0;
            return false;
        }
        self.below += 1;
        let gone = self.below >= ANSWERS_BELOW;
        if gone {
            *self = Self { watermark: committed, ..Self::default() };
        }
        gone
    }

    /// Another server leads: its numbers are not this one's.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    /// The latest moment whose committed index this applied index covers.
    #[must_use]
    pub fn covered(&self, applied: u64) -> Option<Instant> {
        self.samples.iter().rev().find(|sample| sample.committed <= applied).map(|sample| sample.asked_at)
    }

    /// How far behind the active a server was when it last answered. Only what the active had said *before* counts:
    /// a standby asked a second ago is not behind because of what was written since.
    #[must_use]
    pub fn lag(&self, endpoint: &Endpoint) -> Lag {
        let Some(answered_at) = endpoint.gate.answered_at else { return Lag::default() };
        let earlier = self.samples.iter().rev().find(|sample| sample.asked_at <= answered_at);
        let Some(then) = earlier.or(self.samples.front()) else { return Lag::default() };
        let entries = then.committed.saturating_sub(endpoint.live.applied_index());
        let time = if entries == 0 { Duration::ZERO } else { self.behind_for(endpoint, answered_at) };
        Lag { entries: Some(entries), time }
    }

    fn behind_for(&self, endpoint: &Endpoint, answered_at: Instant) -> Duration {
        let since = endpoint.gate.caught_up_to.or(self.samples.front().map(|oldest| oldest.asked_at));
        since.map_or(Duration::ZERO, |since| answered_at.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::endpoint::tests::endpoint;

    fn s(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn covered_is_the_latest_moment_within_reach() {
        let start = Instant::now();
        let mut history = History::default();
        for (at, committed) in [(0, 10), (1, 10), (2, 15)] {
            history.record(start + s(at), committed);
        }
        for (applied, expected) in [(9, None), (10, Some(s(1))), (14, Some(s(1))), (15, Some(s(2)))] {
            assert_eq!(history.covered(applied), expected.map(|at| start + at), "{applied}");
        }
    }

    #[test]
    fn lag_counts_only_what_was_said_before() {
        let start = Instant::now();
        let mut history = History::default();
        history.record(start, 10);
        history.record(start + s(2), 500);
        let mut standby = endpoint("a");
        standby.live.raise_applied_index(10);
        standby.gate.answered_at = Some(start + s(1));
        assert_eq!(history.lag(&standby), Lag { entries: Some(0), time: Duration::ZERO });
        standby.gate.answered_at = Some(start + s(3));
        standby.gate.caught_up_to = Some(start);
        assert_eq!(history.lag(&standby), Lag { entries: Some(490), time: s(3) });
    }

    #[test]
    fn going_back_takes_three_answers() {
        let mut history = History::default();
        let answers = [100, 120, 119, 118, 121, 30, 31, 31, 32];
        let gone: Vec<bool> = answers.iter().map(|committed| history.has_gone_back(*committed)).collect();
        assert_eq!(gone, [false, false, false, false, false, false, false, true, false]);
    }

    #[test]
    fn a_restored_cluster_starts_over_and_the_size_is_bounded() {
        let start = Instant::now();
        let mut history = History::default();
        for at in 0..200 {
            history.record(start + s(at), at);
        }
        assert_eq!(history.samples.len(), MAX_SAMPLES);
        history.record(start + s(300), 3);
        assert_eq!(history.samples.len(), 1);
    }
}
