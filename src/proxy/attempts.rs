//! Attempts under way in one worker: each with a deadline and a server, so that the sweeper can end those whose
//! time is up or whose server went away. One timer for all of them instead of one each.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Poll, Waker};

use slab::Slab;

use super::snapshot::ServerId;

/// Why an attempt was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    TimedOut,
    /// Its server is not usable any more and asking another one does no harm.
    ServerLost,
}

/// What the sweeper needs to know of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// On the worker's coarse clock; `u64::MAX`: none (streams).
    pub deadline_ms: u64,
    pub server: ServerId,
    /// May be given up when its server is lost, because another one can be asked.
    pub movable: bool,
}

/// All attempts of one worker. Bounded by its client connections.
#[derive(Debug, Default)]
pub struct Attempts {
    running: RefCell<Slab<Running>>,
}

#[derive(Debug)]
struct Running {
    terms: Terms,
    fate: Option<Fate>,
    waker: Option<Waker>,
}

/// Takes the attempt off the list, whichever way it ends.
struct Listed<'a> {
    attempts: &'a Attempts,
    key: usize,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.attempts.running.borrow_mut().remove(self.key);
    }
}

// === impl Attempts ===

impl Attempts {
    /// Runs `attempt` until it is done or its fate is decided.
    ///
    /// # Errors
    /// The sweeper ended it.
    pub async fn run<F: Future>(&self, terms: Terms, mut attempt: Pin<&mut F>) -> Result<F::Output, Fate> {
        let key = self.running.borrow_mut().insert(Running { terms, fate: None, waker: None });
        let listed = Listed { attempts: self, key };
        std::future::poll_fn(|cx| {
            if let Some(fate) = listed.fate() {
                return Poll::Ready(Err(fate));
            }
            let polled = attempt.as_mut().poll(cx).map(Ok);
            if polled.is_pending() {
                listed.wake_with(cx.waker());
            }
            polled
        })
        .await
    }

    /// A wait that is no future of its own, such as for the next piece of an answer: lists it under `key` the first
    /// time, wakes the task when its fate is decided, and says so then. Ended by [`Attempts::waited`].
    pub fn wait(
        &self,
        key: &mut Option<usize>,
        terms: impl FnOnce() -> Terms,
        waker: &Waker,
    ) -> Option<Fate> {
        let mut running = self.running.borrow_mut();
        let at =
            *key.get_or_insert_with(|| running.insert(Running { terms: terms(), fate: None, waker: None }));
        let listed = running.get_mut(at)?;
        if listed.fate.is_none() && !listed.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            listed.waker = Some(waker.clone());
        }
        listed.fate
    }

    /// What was waited for came, or nobody wants it any more.
    pub fn waited(&self, key: &mut Option<usize>) {
        if let Some(at) = key.take() {
            self.running.borrow_mut().remove(at);
        }
    }

    /// Ends every attempt whose deadline passed.
    pub fn sweep(&self, now_ms: u64) {
        self.end(Fate::TimedOut, |terms| terms.deadline_ms <= now_ms);
    }

    /// Ends the movable attempts on a server that was lost.
    pub fn server_lost(&self, server: ServerId) {
        self.end(Fate::ServerLost, |terms| terms.movable && terms.server == server);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.running.borrow().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn end(&self, fate: Fate, ends: impl Fn(&Terms) -> bool) {
        for (_, running) in self.running.borrow_mut().iter_mut() {
            if running.fate.is_none() && ends(&running.terms) {
                running.fate = Some(fate);
                if let Some(waker) = running.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

impl Listed<'_> {
    fn fate(&self) -> Option<Fate> {
        self.attempts.running.borrow().get(self.key).and_then(|running| running.fate)
    }

    fn wake_with(&self, waker: &Waker) {
        if let Some(running) = self.attempts.running.borrow_mut().get_mut(self.key)
            && !running.waker.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            running.waker = Some(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    const TERMS: Terms = Terms { deadline_ms: 100, server: ServerId(1), movable: true };

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn an_attempt_that_is_done_is_off_the_list() {
        let attempts = Attempts::default();
        assert_eq!(block_on(attempts.run(TERMS, pin!(async { 7 }))), Ok(7));
        assert!(attempts.is_empty());
    }

    #[test]
    fn fates() {
        type End = fn(&Attempts);
        let cases: [(End, Fate); 2] = [
            (|attempts| attempts.sweep(100), Fate::TimedOut),
            (|attempts| attempts.server_lost(ServerId(1)), Fate::ServerLost),
        ];
        for (end, fate) in cases {
            let attempts = Attempts::default();
            let ended = block_on(async {
                let never = pin!(std::future::pending::<()>());
                let stuck = attempts.run(TERMS, never);
                let sweeper = async {
                    tokio::task::yield_now().await;
                    attempts.sweep(99);
                    attempts.server_lost(ServerId(2));
                    tokio::task::yield_now().await;
                    assert_eq!(attempts.len(), 1);
                    end(&attempts);
                };
                tokio::join!(stuck, sweeper).0
            });
            assert_eq!(ended, Err(fate));
            assert!(attempts.is_empty());
        }
    }

    #[test]
    fn a_wait_is_listed_once_and_ends_with_its_deadline() {
        let (attempts, mut key) = (Attempts::default(), None);
        let wait = |key: &mut _| attempts.wait(key, || TERMS, Waker::noop());
        assert_eq!((wait(&mut key), wait(&mut key), attempts.len()), (None, None, 1));
        attempts.sweep(100);
        assert_eq!(wait(&mut key), Some(Fate::TimedOut));
        attempts.waited(&mut key);
        assert!(attempts.is_empty() && key.is_none());
    }

    #[test]
    fn what_cannot_move_stays_when_its_server_is_lost() {
        let attempts = Attempts::default();
        block_on(async {
            let (release, released) = tokio::sync::oneshot::channel::<()>();
            let released = pin!(released);
            let write = attempts.run(Terms { movable: false, ..TERMS }, released);
            let sweeper = async {
                tokio::task::yield_now().await;
                attempts.server_lost(ServerId(1));
                tokio::task::yield_now().await;
                assert_eq!(attempts.len(), 1);
                release.send(()).unwrap();
            };
            assert!(tokio::join!(write, sweeper).0.is_ok());
        });
    }
}
