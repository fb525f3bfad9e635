//! The barrier as a node holds it: sealed, unlocked, or open. Only with its keys can a transaction begin.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::sync::watch;

use super::keyring::Keyring;
use super::meters::BarrierMeters;
use super::record::KeysError;
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
    /// Whether requests may come: the keys are here, and what requests need has been loaded.
    open: watch::Sender<bool>,
    meters: Arc<BarrierMeters>,
}

// === impl Barrier ===

impl Barrier {
    /// Sealed at first.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            keyring: ArcSwapOption::empty(),
            open: watch::Sender::new(false),
            meters: Arc::default(),
        }
    }

    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Takes the keys, which were checked by whoever recovered them: transactions can begin, to load what requests need.
    /// [`serve`](Self::serve) ends that.
    pub fn unlock(&self, keyring: Keyring) {
        self.keyring.store(Some(Arc::new(keyring)));
    }

    /// From now on it is not sealed. Without keys it stays so.
    pub fn serve(&self) {
        // The keys are looked at under the lock that sealing takes last: it cannot be passed by.
        self.open.send_if_modified(|open| !std::mem::replace(open, self.keyring.load().is_some()) && *open);
    }

    /// Takes the keys and is open at once.
    pub fn open(&self, keyring: Keyring) {
        self.unlock(keyring);
        self.serve();
    }

    /// Forgets the keys. Transactions under way keep theirs until they end.
    pub fn seal(&self) {
        self.keyring.store(None);
        self.open.send_if_modified(|open| std::mem::replace(open, false));
    }

    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !*self.open.borrow()
    }

    /// Changes when it opens and when it is sealed: whether it is open.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// The keys of this moment.
    ///
    /// # Errors
    /// The barrier is sealed.
    pub fn keyring(&self) -> Result<Arc<Keyring>, Sealed> {
        self.keyring.load_full().ok_or(Sealed)
    }

    /// Reads the keyring again: it was changed, here or on another node. Sealed, there is nothing to follow.
    ///
    /// # Errors
    /// The changed keyring does not open with the keys held. They are kept; who asked decides what that means.
    pub fn follow(&self) -> Result<(), KeysError> {
        loop {
            let held = self.keyring.load();
            let Some(keyring) = held.as_ref() else { return Ok(()) };
            let newer = Arc::new(keyring.follow(&*self.storage.snapshot())?);
            // Somebody may have sealed it meanwhile, and sealed it shall stay.
            let before = self.keyring.compare_and_swap(&*held, Some(newer));
            if before.as_ref().map(Arc::as_ptr) == held.as_ref().map(Arc::as_ptr) {
                return Ok(());
            }
        }
    }

    #[must_use]
    pub fn meters(&self) -> &BarrierMeters {
        &self.meters
    }

    /// A transaction over the store of this moment.
    ///
    /// # Errors
    /// The barrier is sealed.
    pub fn begin(&self, mode: Mode) -> Result<Transaction, Sealed> {
        // In this order: where the snapshot is newer than a change of the keys that was followed, the keys are too.
        let snapshot = self.storage.snapshot();
        Ok(Transaction::new(snapshot, self.keyring()?, mode).metered(Arc::clone(&self.meters)))
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
