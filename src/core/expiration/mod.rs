//! Leases and their end: the records (`lease`), the order they end in (`queue`), and the task of the active node that
//! revokes what is due (`runner`).
//!
//! The store is the truth. The queue learns of every change by the same path as all caches ([`Expiration::changed`]) and
//! reads the changed records again before it looks at the clock; so it misses nothing, whoever wrote.

mod lease;
mod queue;
mod runner;

use std::collections::BTreeSet;
use std::fmt;

use parking_lot::Mutex;
use time::OffsetDateTime;

pub use lease::{
    LeaseEntry, end, end_leases_of, end_token, forget_token, get, ids_below, list, register, register_token,
    remove, renew, token_lease_id,
};
pub use runner::{Revoker, Revoking};

use super::token_store::{TokenStore, nanos};
use crate::barrier::{StoreError, Transaction};
use crate::logical::Fault;
use crate::storage::CommitIndex;
use queue::Queue;

/// Changed leases remembered between two looks; beyond it everything is read again.
const MAX_DIRTY: usize = 100_000;

/// See the module.
pub struct Expiration {
    queue: Mutex<Queue>,
    dirty: Mutex<Dirty>,
}

/// What the queue does not know yet.
enum Dirty {
    /// Everything: nothing was read so far, or too much changed. Standbys stay here.
    All,
    Some(BTreeSet<String>),
}

/// A lease taken out of the store: its backend has to undo what it stands for, in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct RevokedLease {
    pub lease: LeaseEntry,
}

// === impl Expiration ===

impl Default for Expiration {
    fn default() -> Self {
        Self::new()
    }
}

impl Expiration {
    #[must_use]
    pub fn new() -> Self {
        Self { queue: Mutex::default(), dirty: Mutex::new(Dirty::All) }
    }

    /// A record changed; `None`: any may have. Cheap: called by the store's own thread.
    pub fn changed(&self, _index: CommitIndex, key: Option<&str>) {
        let mut dirty = self.dirty.lock();
        let Some(key) = key else {
            *dirty = Dirty::All;
            return;
        };
        let (Some(id), Dirty::Some(ids)) = (key.strip_prefix(lease::IDS), &mut *dirty) else { return };
        ids.insert(id.to_owned());
        if ids.len() > MAX_DIRTY {
            *dirty = Dirty::All;
        }
    }

    /// Forgets the queue: this node is no longer the one that revokes.
    pub fn stop(&self) {
        *self.dirty.lock() = Dirty::All;
        self.queue.lock().clear();
    }

    /// Reads what changed since the last time; everything, the first time. The transaction must be younger than the changes
    /// told of; without one nothing is known any more.
    ///
    /// # Errors
    /// The store cannot be read; everything will be read again.
    pub fn refresh(&self, begin: impl FnOnce() -> Option<Transaction>) -> Result<(), StoreError> {
        // Taken before the snapshot: what changes in between is in both, which is harmless.
        let dirty = std::mem::replace(&mut *self.dirty.lock(), Dirty::Some(BTreeSet::new()));
        let Some(mut tx) = begin() else {
            self.stop();
            return Ok(());
        };
        let outcome = match dirty {
            Dirty::All => self.read_all(&mut tx),
            Dirty::Some(ids) => ids.iter().try_for_each(|id| self.read_one(&mut tx, id)),
        };
        if outcome.is_err() {
            *self.dirty.lock() = Dirty::All;
        }
        outcome
    }

    fn read_all(&self, tx: &mut Transaction) -> Result<(), StoreError> {
        self.queue.lock().clear();
        ids_below(tx, "", usize::MAX)?.iter().try_for_each(|id| self.read_one(tx, id))
    }

    fn read_one(&self, tx: &mut Transaction, id: &str) -> Result<(), StoreError> {
        let end = get(tx, id)?.filter(|lease| lease.irrevocable.is_none()).and_then(|lease| lease.expires_at);
        self.queue.lock().set(id, end);
        Ok(())
    }

    /// Ids of leases that ended, oldest first, at most `limit`.
    #[must_use]
    pub fn due(&self, now: OffsetDateTime, limit: usize) -> Vec<String> {
        self.queue.lock().due(nanos(now), limit).iter().map(ToString::to_string).collect()
    }

    /// Leases waiting for their end.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.lock().len()
    }

    /// Tries a lease again at `moment` (the store keeps its real end).
    fn postpone(&self, id: &str, moment: i64) {
        self.queue.lock().set(id, Some(moment));
    }
}

/// Ends a lease in this transaction: a token goes with all it has; a secret's is taken out and given back, and its
/// backend must now revoke it. `None` when there is no such lease, when it was a token's, or when `only_due` and it was
/// renewed meanwhile.
///
/// # Errors
/// The store refuses.
pub fn revoke(
    tx: &mut Transaction,
    tokens: &TokenStore,
    id: &str,
    only_due: bool,
    now: OffsetDateTime,
) -> Result<Option<RevokedLease>, Fault> {
    let Some(lease) = get(tx, id)? else { return Ok(None) };
    if only_due && lease.expires_at.is_none_or(|end| end > nanos(now)) {
        return Ok(None);
    }
    if lease.is_token {
        tokens.revoke_tree(tx, &lease.token_key, now)?;
        remove(tx, &lease)?;
        return Ok(None);
    }
    remove(tx, &lease)?;
    Ok(Some(RevokedLease { lease }))
}

/// Gives a lease up: it stays in the store with the reason, for an operator to see and force.
///
/// # Errors
/// The store refuses.
pub fn give_up(tx: &mut Transaction, id: &str, why: &str) -> Result<(), StoreError> {
    match get(tx, id)? {
        Some(lease) => lease::put(tx, &LeaseEntry { irrevocable: Some(why.to_owned()), ..lease }),
        None => Ok(()),
    }
}

impl fmt::Debug for Expiration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expiration({} leases)", self.waiting())
    }
}
