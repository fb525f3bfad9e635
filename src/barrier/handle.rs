//! The barrier as a node holds it: sealed, or open with a keyring. Only while it is open can a transaction begin.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use thiserror::Error;

use super::keyring::Keyring;
use super::transaction::{Mode, Transaction};
use crate::storage::{CommitError, CommitIndex, Storage};

/// Nothing can be read or written: the keys are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Vault is sealed")]
pub struct Sealed;

/// See the module.
pub struct Barrier {
    storage: Arc<dyn Storage>,
    keyring: ArcSwapOption<Keyring>,
}

// === impl Barrier ===

impl Barrier {
    /// Sealed at first.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, keyring: ArcSwapOption::empty() }
    }

    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Opens it; the keyring was checked by whoever recovered it.
    pub fn open(&self, keyring: Keyring) {
        self.keyring.store(Some(Arc::new(keyring)));
    }

    /// Forgets the keys. Transactions under way keep theirs until they end.
    pub fn seal(&self) {
        self.keyring.store(None);
    }

    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.keyring.load().is_none()
    }

    /// A transaction over the store of this moment.
    ///
    /// # Errors
    /// The barrier is sealed.
    pub fn begin(&self, mode: Mode) -> Result<Transaction, Sealed> {
        let keyring = self.keyring.load_full().ok_or(Sealed)?;
        Ok(Transaction::new(self.storage.snapshot(), keyring, mode))
    }

    /// Makes the transaction's writes happen; without any, its answer is the index it read.
    ///
    /// # Errors
    /// See [`CommitError`]; after [`CommitError::Conflict`] the transaction may be run again.
    pub async fn commit(&self, transaction: Transaction) -> Result<CommitIndex, CommitError> {
        let read = transaction.index();
        match transaction.into_changes() {
            None => Ok(read),
            Some(changes) => self.storage.commit(changes).await,
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Barrier({})", if self.is_sealed() { "sealed" } else { "open" })
    }
}
