//! Those who look at the log while it is written: each has its level, its look and a bounded queue.
//!
//! A watcher that reads too slowly loses lines, never holds up the log, and is told how many it lost. Of the libraries'
//! lines it sees those from `info` up: below, they tell what passes through them, and writing to a watcher over HTTP/2
//! makes such lines itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;

use super::hclog::{self, Hclog};

/// Who may look at the same time.
pub const WATCHERS: usize = 8;
/// Lines that wait for one of them.
const QUEUE: usize = 512;
/// The logger of what a watcher is told about itself.
const OWN: &str = "monitor";

/// The lines of one watcher; they end when the process does.
pub type Lines = mpsc::Receiver<io::Result<Bytes>>;

/// Too many look already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log is watched by {WATCHERS} clients already")]
pub struct TooManyWatchers;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    list: RwLock<Vec<Watcher>>,
}

#[derive(Debug)]
struct Watcher {
    level: LevelFilter,
    look: Hclog,
    lines: mpsc::Sender<io::Result<Bytes>>,
    /// Lines lost that it was not told of.
    dropped: AtomicU64,
}

/// The part of the log that serves them.
#[derive(Debug)]
pub(super) struct WatchLayer(pub(super) Arc<Watchers>);

// === impl Watchers ===

impl Watchers {
    /// # Errors
    /// See [`TooManyWatchers`].
    pub(super) fn add(&self, level: LevelFilter, look: Hclog) -> Result<Lines, TooManyWatchers> {
        let (lines, received) = mpsc::channel(QUEUE);
        let mut list = self.list.write();
        list.retain(|watcher| !watcher.lines.is_closed());
        if list.len() >= WATCHERS {
            return Err(TooManyWatchers);
        }
        list.push(Watcher { level, look, lines, dropped: AtomicU64::new(0) });
        Ok(received)
    }

    /// Ends all of them.
    pub(super) fn clear(&self) {
        self.list.write().clear();
    }

    /// Forgets those who have gone, tells the others what they lost.
    pub(super) fn tend(&self) {
        self.list.write().retain(|watcher| !watcher.lines.is_closed());
        self.list.read().iter().for_each(Watcher::tell);
    }

    /// Lines that somebody may want.
    pub(super) fn targets(&self) -> Targets {
        let level = self.level();
        Targets::new().with_default(level.min(LevelFilter::INFO)).with_target("understudy", level)
    }

    /// The most that anybody wants.
    fn level(&self) -> LevelFilter {
        self.list.read().iter().map(|watcher| watcher.level).max().unwrap_or(LevelFilter::OFF)
    }
}

// === impl Watcher ===

impl Watcher {
    fn send(&self, line: String) {
        match self.lines.try_send(Ok(line.into())) {
            // Who has gone is forgotten by `tend`.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What it lost, when there is room to say it.
    fn tell(&self) {
        let lost = self.dropped.load(Ordering::Relaxed);
        if lost == 0 || self.lines.capacity() == 0 {
            return;
        }
        self.dropped.fetch_sub(lost, Ordering::Relaxed);
        let message = format!("Monitor dropped {lost} logs during monitor request");
        self.send(self.look.line(OffsetDateTime::now_utc(), Level::WARN, OWN, &hclog::Fields::of(message)));
    }
}

impl<S: Subscriber> Layer<S> for WatchLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        let watchers = self.0.list.read();
        let mut wanting = watchers.iter().filter(|watcher| level <= watcher.level).peekable();
        if wanting.peek().is_none() {
            return;
        }
        let (now, module) = (OffsetDateTime::now_utc(), hclog::module(event.metadata().target()));
        let mut fields = hclog::Fields::default();
        event.record(&mut fields);
        for watcher in wanting {
            watcher.tell();
            watcher.send(watcher.look.line(now, level, &module, &fields));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &mut Lines) -> String {
        let line = lines.try_recv().map(|line| line.unwrap().to_vec()).unwrap_or_default();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_slow_watcher_is_told_what_it_lost() {
        let watchers = Watchers::default();
        let mut lines = watchers.add(LevelFilter::INFO, Hclog::Text).unwrap();
        let list = watchers.list.read();
        (0..QUEUE + 3).for_each(|at| list[0].send(format!("{at}\n")));
        drop(list);
        watchers.tend();
        assert_eq!(text(&mut lines), "0\n");
        watchers.tend();
        let rest: Vec<String> =
            std::iter::from_fn(|| Some(text(&mut lines)).filter(|t| !t.is_empty())).collect();
        assert_eq!(rest.len(), QUEUE);
        let last = rest.last().unwrap();
        assert!(last.ends_with("[WARN]  monitor: Monitor dropped 3 logs during monitor request\n"), "{last}");
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let watchers = Watchers::default();
        let mut all: Vec<Lines> =
            (0..WATCHERS).map(|_| watchers.add(LevelFilter::DEBUG, Hclog::Json).unwrap()).collect();
        assert_eq!(watchers.add(LevelFilter::TRACE, Hclog::Json).unwrap_err(), TooManyWatchers);
        assert_eq!(watchers.level(), LevelFilter::DEBUG);
        all.pop();
        let last = watchers.add(LevelFilter::TRACE, Hclog::Json).unwrap();
        assert_eq!(watchers.level(), LevelFilter::TRACE);
        drop(last);
        watchers.tend();
        assert_eq!(watchers.level(), LevelFilter::DEBUG);
        watchers.clear();
        assert_eq!(watchers.level(), LevelFilter::OFF);
        assert!(all[0].is_closed());
    }
}
