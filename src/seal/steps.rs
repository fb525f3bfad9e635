//! The state of a ceremony of several requests, kept in the active node's memory. One ceremony of a kind at a time.

use std::fmt;

use parking_lot::Mutex;

/// A request that lost a race is run again, and its step with it: the state before the last step is kept, and a second
/// run of the same request begins there. What is kept is wiped with the state.
pub(super) struct Steps<S> {
    inner: Mutex<Inner<S>>,
}

struct Inner<S> {
    state: Option<S>,
    /// The request of the last step, and what it found.
    before: Option<(String, Option<S>)>,
}

// === impl Steps ===

impl<S> Default for Steps<S> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { state: None, before: None }) }
    }
}

impl<S: Clone> Steps<S> {
    /// Takes one step for `request`.
    pub(super) fn step<R>(&self, request: &str, step: impl FnOnce(&mut Option<S>) -> R) -> R {
        let mut inner = self.inner.lock();
        let found = match inner.before.take() {
            Some((last, found)) if last == request => found,
            Some(_) | None => inner.state.clone(),
        };
        inner.state.clone_from(&found);
        inner.before = Some((request.to_owned(), found));
        step(&mut inner.state)
    }

    /// Looks without a step.
    pub(super) fn look<R>(&self, look: impl FnOnce(Option<&S>) -> R) -> R {
        look(self.inner.lock().state.as_ref())
    }

    /// Drops everything.
    pub(super) fn forget(&self) {
        *self.inner.lock() = Inner { state: None, before: None };
    }
}

impl<S> fmt::Debug for Steps<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Steps({})", if self.inner.lock().state.is_some() { "under way" } else { "none" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_run_twice_by_one_request_is_one_step() {
        let steps = Steps::<u32>::default();
        let add = |request: &str| steps.step(request, |state| *state.get_or_insert(0) += 1);
        add("a");
        add("b");
        add("b");
        assert_eq!(steps.look(|state| state.copied()), Some(2));
        steps.step("c", |state| *state = None);
        steps.step("c", |state| {
            assert_eq!(state.take(), Some(2), "the second run finds what the first found")
        });
        assert_eq!(steps.look(|state| state.copied()), None);
        add("d");
        steps.forget();
        add("d");
        assert_eq!(steps.look(|state| state.copied()), Some(1));
    }
}
