//! Waiting for an active node: bounded in time by `failover.hold_writes`, in number by `connections.max_pending`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::config::proxy::ProxyConfig;

use super::error::Refusal;
use super::worker::Worker;

/// First and longest pause between two looks, when no snapshot arrives meanwhile.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Redirects followed at once; after that the request waits between them, so that two confused nodes cost no loop.
const FREE_HINTS: u32 = 2;

/// One request's waiting, all rounds together.
#[derive(Debug, Default)]
pub(super) struct Hold {
    held: Option<Held>,
    rounds: u32,
    hints: u32,
}

/// Counts the request as held until it ends.
#[derive(Debug)]
struct Held {
    worker: Rc<Worker>,
    since: Instant,
}

// === impl Hold ===

impl Hold {
    /// Waits for the next snapshot, or a little.
    ///
    /// # Errors
    /// The time is up, or too many wait already: nothing was executed.
    pub(super) async fn wait(&mut self, worker: &Rc<Worker>, config: &ProxyConfig) -> Result<(), Refusal> {
        let since = self.begin(worker, config.cluster.connections.max_pending)?;
        let left = config.cluster.failover.hold_writes.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(Refusal::NoActive);
        }
        let pause = pause(self.rounds).min(left);
        self.rounds += 1;
        let mut changed = worker.shared.cluster.changed.clone();
        changed.mark_unchanged();
        // Either way the caller looks again: at a new snapshot, or at the old one after a pause.
        drop(tokio::time::timeout(pause, changed.changed()).await);
        Ok(())
    }

    /// A redirect may be followed at once.
    pub(super) fn follows_hint(&mut self) -> bool {
        self.hints += 1;
        self.hints <= FREE_HINTS
    }

    fn begin(&mut self, worker: &Rc<Worker>, most: usize) -> Result<Instant, Refusal> {
        if let Some(held) = &self.held {
            return Ok(held.since);
        }
        let share = most.div_ceil(worker.shared.workers).max(1);
        if worker.held.get() >= share {
            return Err(Refusal::HoldFull);
        }
        worker.held.set(worker.held.get() + 1);
        worker.metrics.write_held();
        let since = Instant::now();
        self.held = Some(Held { worker: Rc::clone(worker), since });
        Ok(since)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.worker.held.set(self.worker.held.get() - 1);
        self.worker.metrics.write_released(self.since.elapsed());
    }
}

fn pause(rounds: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << rounds.min(8)).min(LONGEST_PAUSE)
}
