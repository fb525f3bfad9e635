//! The way back from the consensus library to whoever proposed something.

use openraft::OptionalSend;
use openraft::raft::responder::Responder;

use super::types::Types;

/// Told once, or dropped where nothing is known of the outcome.
pub(super) struct Answer<T>(Box<dyn FnOnce(T) + Send>);

// === impl Answer ===

impl<T> Answer<T> {
    /// `tell` is called from whichever thread knows: it must not block.
    pub(super) fn new(tell: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }
}

impl<T: OptionalSend + 'static> Responder<Types, T> for Answer<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
