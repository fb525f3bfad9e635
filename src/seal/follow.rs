//! The open barrier follows its keyring: whoever changes it, on this node or another, writes the record, and every open
//! node hears of the change here.

use std::sync::Weak;

use crate::barrier::{Barrier, KEYRING};
use crate::storage::{CommitIndex, Observer};

/// Told of changes by the storage. A keyring that cannot be followed seals the node: it could neither read what others
/// write from now on, nor may it write what they could not read.
#[derive(Debug)]
pub struct KeyringFollower {
    /// Weak: the storage behind it holds this observer.
    barrier: Weak<Barrier>,
}

// === impl KeyringFollower ===

impl KeyringFollower {
    #[must_use]
    pub fn new(barrier: Weak<Barrier>) -> Self {
        Self { barrier }
    }
}

impl Observer for KeyringFollower {
    fn changed(&self, index: CommitIndex, keys: Option<&[String]>) {
        if keys.is_some_and(|keys| !keys.iter().any(|key| key == KEYRING)) {
            return;
        }
        let Some(barrier) = self.barrier.upgrade() else { return };
        if let Err(error) = barrier.follow() {
            tracing::error!(%error, index, "the keyring has changed and does not open with the keys held: sealing");
            barrier.seal();
        }
    }
}
