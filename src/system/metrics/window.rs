//! What came lately: quantiles of the last minutes rather than of all time. The reader keeps what it read before; who
//! counts does nothing for it.

use std::collections::HashMap;

use parking_lot::Mutex;
use time::{Duration, OffsetDateTime};

use super::family::{Family, Value};
use crate::meter::Reading;

/// A reading is compared with one that is at least so old.
const SPAN: Duration = Duration::minutes(1);
/// Most timers whose past is kept: the routes of a node with very many mounts are shown without.
const MAX_KEPT: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Window {
    kept: Mutex<HashMap<String, Kept>>,
}

/// Two earlier readings: one is compared with, the other grows old enough to be.
#[derive(Debug)]
struct Kept {
    base: Reading,
    next: (OffsetDateTime, Reading),
}

// === impl Window ===

impl Window {
    /// What came since the reading one span ago; all of it where there is none.
    pub(super) fn recent(&self, family: &Family, now: OffsetDateTime) -> Reading {
        let Value::Timer(reading) = &family.value else { return Reading::default() };
        let mut kept = self.kept.lock();
        if !kept.contains_key(&family.name) && kept.len() >= MAX_KEPT {
            return reading.clone();
        }
        let kept = kept
            .entry(family.name.clone())
            .or_insert_with(|| Kept { base: Reading::default(), next: (now, reading.clone()) });
        if now - kept.next.0 >= SPAN {
            let (_, next) = std::mem::replace(&mut kept.next, (now, reading.clone()));
            kept.base = next;
        }
        reading.since(&kept.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Timer;

    #[test]
    fn what_is_older_than_two_spans_is_forgotten() {
        let (window, timer) = (Window::default(), Timer::default());
        let recent = |secs: i64| {
            let now = OffsetDateTime::UNIX_EPOCH + Duration::seconds(secs);
            window.recent(&Family::timer("t", &timer), now).count
        };
        timer.add(std::time::Duration::from_millis(1));
        assert_eq!(recent(0), 1);
        timer.add(std::time::Duration::from_millis(1));
        assert_eq!((recent(30), recent(60)), (2, 1));
        assert_eq!((recent(119), recent(121)), (1, 0));
    }
}
