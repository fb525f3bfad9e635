//! The last [`KEPT`] decisions of each worker.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::proxy::access_log::AccessRecord;
use crate::proxy::metrics::label::Label as _;

/// Entries a worker keeps.
const KEPT: usize = 128;
/// Longest text kept of any one field, in bytes.
const TEXT_BYTES: usize = 256;

/// The rings of all workers.
#[derive(Debug, Default)]
pub struct Decisions {
    rings: Mutex<Vec<Arc<Mutex<Ring>>>>,
}

/// One worker's ring.
#[derive(Debug)]
pub struct WorkerDecisions {
    ring: Arc<Mutex<Ring>>,
}

/// One request and what was decided about it, as the admin shows it. Paths are templates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub time_unix_ms: u64,
    pub request_id: String,
    pub method: String,
    pub path: String,
    pub class: &'static str,
    pub source: &'static str,
    pub reason: &'static str,
    pub role: &'static str,
    /// Empty: the proxy answered.
    pub server: String,
    pub status: u16,
    /// Empty: not a prediction.
    pub outcome: &'static str,
    pub consistency: &'static str,
    pub total_us: u64,
    pub upstream_us: u64,
    pub retries: u32,
    pub outcome_unknown: bool,
}

#[derive(Debug, Default)]
struct Ring {
    entries: Vec<Decision>,
    /// Where the next entry goes once the ring is full.
    next: usize,
}

impl Decisions {
    /// The ring of one more worker.
    #[must_use]
    pub fn worker(&self) -> WorkerDecisions {
        let ring = Arc::default();
        self.rings.lock().push(Arc::clone(&ring));
        WorkerDecisions { ring }
    }

    /// The last decisions of all workers, newest first, at most `limit`.
    #[must_use]
    pub fn last(&self, limit: usize) -> Vec<Decision> {
        let rings = self.rings.lock().clone();
        let mut all: Vec<Decision> = rings.iter().flat_map(|ring| ring.lock().entries.clone()).collect();
        all.sort_by_key(|decision| std::cmp::Reverse(decision.time_unix_ms));
        all.truncate(limit);
        all
    }
}

impl WorkerDecisions {
    /// Keeps the decision, in the place of the oldest. Skipped while the admin is reading.
    pub fn record(&self, record: &AccessRecord<'_>) {
        if let Some(mut ring) = self.ring.try_lock() {
            ring.slot().take(record);
        }
    }
}

impl Ring {
    fn slot(&mut self) -> &mut Decision {
        if self.entries.len() < KEPT {
            self.entries.push(Decision::default());
            self.next = 0;
            return self.entries.last_mut().expect("just pushed");
        }
        let at = self.next;
        self.next = (at + 1) % KEPT;
        &mut self.entries[at]
    }
}

impl Decision {
    /// Overwrites every field; the strings keep their memory.
    fn take(&mut self, record: &AccessRecord<'_>) {
        self.time_unix_ms = record.time_unix_ms;
        put(&mut self.request_id, record.request_id);
        put(&mut self.method, record.method);
        put(&mut self.path, record.path.template);
        put(&mut self.server, record.server.unwrap_or_default());
        self.class = record.class.word();
        self.source = record.source.word();
        self.reason = record.reason;
        self.role = record.role.word();
        self.status = record.status;
        self.outcome = record.prediction.map_or("", |outcome| outcome.word());
        self.consistency = record.consistency.map_or("", |outcome| outcome.word());
        self.total_us = micros(record.total);
        self.upstream_us = micros(record.upstream);
        self.retries = record.retries;
        self.outcome_unknown = record.outcome_unknown;
    }
}

fn put(place: &mut String, text: &str) {
    place.clear();
    let end = text.floor_char_boundary(TEXT_BYTES);
    place.push_str(text.get(..end).unwrap_or_default());
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::access_log::tests_record;

    fn at(time_unix_ms: u64) -> AccessRecord<'static> {
        AccessRecord { time_unix_ms, ..tests_record() }
    }

    #[test]
    fn the_newest_of_all_workers_come_first() {
        let decisions = Decisions::default();
        let (one, two) = (decisions.worker(), decisions.worker());
        one.record(&at(1));
        two.record(&at(3));
        one.record(&at(2));
        let times: Vec<u64> = decisions.last(2).iter().map(|decision| decision.time_unix_ms).collect();
        assert_eq!(times, [3, 2]);
    }

    #[test]
    fn only_the_last_are_kept() {
        let decisions = Decisions::default();
        let worker = decisions.worker();
        for time in 0..1000 {
            worker.record(&at(time));
        }
        let kept = decisions.last(usize::MAX);
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.last().unwrap().time_unix_ms, 1000 - KEPT as u64);
    }

    #[test]
    fn a_reader_is_not_waited_for() {
        let decisions = Decisions::default();
        let worker = decisions.worker();
        let reading = worker.ring.lock();
        worker.record(&at(1));
        drop(reading);
        assert_eq!(decisions.last(10), []);
    }

    #[test]
    fn the_secret_is_not_kept_and_texts_are_bounded() {
        let long = "é".repeat(4096);
        let decisions = Decisions::default();
        let worker = decisions.worker();
        worker.record(&AccessRecord { request_id: &long, ..tests_record() });
        let kept = decisions.last(1).remove(0);
        assert_eq!((kept.path.as_str(), kept.request_id.len()), ("secret/data/:x", TEXT_BYTES));
        assert!(!serde_json::to_string(&kept).unwrap().contains("payroll"));
    }
}
