//! Chasing an index: a few quick looks at how far a standby is, because somebody waits for it to get there.
//! Pure timing; the question itself is the prober's. Bounds: one chase per server, at most 50 looks a second, and a
//! chase that takes longer than two seconds is left to the ordinary probes.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// 50 looks a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// Chases that follow each other this closely keep the longest pause: that is what bounds the looks.
const BUSY: Duration = Duration::from_millis(50);
const LONGEST_CHASE: Duration = Duration::from_secs(2);

/// An index that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub index: u64,
    /// When it was first wanted: the active had it then.
    pub since: Instant,
}

/// The chase of one server.
#[derive(Debug, Default)]
pub(super) struct Chase {
    target: Option<Wanted>,
    /// Given up or reached: not taken up again.
    ended: Option<Wanted>,
    pause: Option<Duration>,
    last_poll: Option<Instant>,
}

/// After a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Reached { took: Duration },
}

impl Chase {
    /// Takes up a wanted index, unless it is there already or another chase is under way.
    pub(super) fn want(&mut self, wanted: Option<Wanted>, applied: u64, now: Instant) {
        let Some(target) = wanted else { return };
        if self.target.is_none() && target.index > applied && self.ended != wanted {
            self.target = wanted;
            let busy = self.last_poll.is_some_and(|last| now.duration_since(last) < BUSY);
            self.pause = Some(if busy { LONGEST_PAUSE } else { FIRST_PAUSE });
        }
    }

    /// When to look next; `None`: nothing to chase.
    pub(super) fn next_poll(&self, now: Instant) -> Option<Instant> {
        let target = self.target?;
        let pause = self.pause.unwrap_or(LONGEST_PAUSE);
        let after_want = target.since + FIRST_PAUSE;
        // The first look of a new chase keeps its distance from the last one of the chase before.
        let next = self.last_poll.map_or(after_want, |last| (last + pause).max(after_want));
        Some(next.max(now))
    }

    /// A look ended with this applied index.
    pub(super) fn polled(&mut self, now: Instant, applied: u64) -> Progress {
        self.last_poll = Some(now);
        self.pause = self.pause.map(|pause| (pause * 2).min(LONGEST_PAUSE));
        let Some(target) = self.target else { return Progress::Waiting };
        let took = now.duration_since(target.since);
        if applied >= target.index {
            self.end();
            return Progress::Reached { took };
        }
        if took > LONGEST_CHASE {
            self.end();
        }
        Progress::Waiting
    }

    /// The server did not answer.
    pub(super) fn give_up(&mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ended = self.target.take().or(self.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn looks_get_rarer_and_stop_when_reached() {
        let mut chase = Chase::default();
        let start = Instant::now();
        chase.want(Some(Wanted { index: 10, since: start }), 9, start);
        let mut now = start;
        let mut looks = Vec::new();
        for applied in [9, 9, 9, 9, 10] {
            now = chase.next_poll(now).unwrap();
            looks.push((now - start).as_millis());
            let progress = chase.polled(now, applied);
            assert_eq!(progress == Progress::Reached { took: now - start }, applied == 10);
        }
        assert_eq!(looks, [5, 15, 35, 55, 75]);
        assert_eq!(chase.next_poll(now), None);
    }

    #[test]
    fn nothing_to_chase_when_it_is_there() {
        let mut chase = Chase::default();
        chase.want(Some(Wanted { index: 10, since: Instant::now() }), 10, Instant::now());
        assert_eq!(chase.next_poll(Instant::now()), None);
    }

    #[test]
    fn a_hopeless_chase_ends_and_is_not_taken_up_again() {
        let mut chase = Chase::default();
        let start = Instant::now();
        let wanted = Some(Wanted { index: 10, since: start });
        chase.want(wanted, 1, start);
        let late = start + LONGEST_CHASE + ms(1);
        assert_eq!(chase.polled(late, 1), Progress::Waiting);
        chase.want(wanted, 1, late);
        assert_eq!(chase.next_poll(late), None);
        chase.want(Some(Wanted { index: 11, since: late }), 1, late);
        assert!(chase.next_poll(late).is_some());
    }

    #[test]
    fn never_more_than_fifty_looks_a_second() {
        let mut chase = Chase::default();
        let start = Instant::now();
        let mut now = start;
        let mut looks = 0;
        // A new index is wanted after every look and reached by the next.
        for index in 1.. {
            chase.want(Some(Wanted { index, since: now }), index - 1, now);
            now = chase.next_poll(now).unwrap();
            if now - start > ms(1_000) {
                break;
            }
            looks += 1;
            chase.polled(now, index);
        }
        assert!(looks <= 52, "{looks} looks in a second");
    }
}
