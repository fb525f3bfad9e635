//! Boxes for futures, used again: a request's future is kilobytes large, and the allocator takes its slow path for
//! each. Between requests a connection holds none, so ten thousand idle ones share what a hundred busy ones need.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// More are not kept: beyond that many at once, requests allocate.
const MOST: usize = 256;

/// Empty boxes for one kind of future, of one worker.
pub struct Boxes<F> {
    empty: RefCell<Vec<Pin<Box<Option<F>>>>>,
}

/// A future in one of those boxes, which goes back when this is dropped.
pub struct Boxed<F> {
    /// `None` only while it is dropped.
    future: Option<Pin<Box<Option<F>>>>,
    home: Rc<Boxes<F>>,
}

impl<F> std::fmt::Debug for Boxes<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boxes").field("empty", &self.empty.borrow().len()).finish()
    }
}

impl<F> std::fmt::Debug for Boxed<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boxed").finish_non_exhaustive()
    }
}

impl<F> Default for Boxes<F> {
    fn default() -> Self {
        Self { empty: RefCell::default() }
    }
}

// === impl Boxes ===

impl<F: Future> Boxes<F> {
    /// Puts a future into an empty box, or into a new one.
    pub fn put(self: &Rc<Self>, future: F) -> Boxed<F> {
        let kept = self.empty.borrow_mut().pop();
        let mut slot = kept.unwrap_or_else(|| Box::pin(None));
        slot.as_mut().set(Some(future));
        Boxed { future: Some(slot), home: Rc::clone(self) }
    }
}

// === impl Boxed ===

impl<F: Future> Future for Boxed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let slot = self.future.as_mut().expect("it is there until the drop");
        slot.as_mut().as_pin_mut().expect("filled by put").poll(cx)
    }
}

impl<F> Drop for Boxed<F> {
    fn drop(&mut self) {
        let Some(mut slot) = self.future.take() else { return };
        slot.as_mut().set(None);
        let mut empty = self.home.empty.borrow_mut();
        if empty.len() < MOST {
            empty.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::task::Waker;

    /// Sets its flag when it is dropped, and is never done.
    struct Endless(Rc<Cell<bool>>);

    impl Future for Endless {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn a_box_comes_back_empty_and_is_used_again() {
        let (boxes, dropped) = (Rc::new(Boxes::default()), Rc::new(Cell::new(false)));
        let mut boxed = boxes.put(Endless(Rc::clone(&dropped)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut boxed).poll(&mut context).is_pending());
        let place = std::ptr::from_ref(&**boxed.future.as_ref().unwrap());
        drop(boxed);
        assert!(dropped.get(), "what the future holds is not kept");
        let again = boxes.put(Endless(dropped));
        assert_eq!(std::ptr::from_ref(&**again.future.as_ref().unwrap()), place);
    }

    #[test]
    fn no_more_are_kept_than_a_busy_worker_needs() {
        let boxes = Rc::new(Boxes::default());
        drop((0..=MOST).map(|_| boxes.put(std::future::ready(()))).collect::<Vec<_>>());
        assert_eq!(boxes.empty.borrow().len(), MOST);
    }

    #[test]
    fn a_ready_future_answers() {
        let mut boxed = Rc::new(Boxes::default()).put(std::future::ready(7));
        assert_eq!(Pin::new(&mut boxed).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(7));
    }
}
