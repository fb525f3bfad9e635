//! The way back to whoever proposed a command, and the room the command takes meanwhile.

use openraft::OptionalSend;
use openraft::raft::responder::Responder;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::types::Types;

/// Told once; the room is given back then, even if nobody listens any more.
pub(super) struct Answer<T> {
    told: oneshot::Sender<T>,
    _room: Option<OwnedSemaphorePermit>,
}

// === impl Answer ===

impl<T> Answer<T> {
    pub(super) fn new(room: Option<OwnedSemaphorePermit>) -> (Self, oneshot::Receiver<T>) {
        let (told, outcome) = oneshot::channel();
        (Self { told, _room: room }, outcome)
    }
}

impl<T: OptionalSend + 'static> Responder<Types, T> for Answer<T> {
    fn on_complete(self, result: T) {
        drop(self.told.send(result));
    }
}
