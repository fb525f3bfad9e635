//! Changed keys → the one cache that owns them. The storage calls it in commit order, after a change is visible and
//! before its writer is answered; so a node never answers from a cache older than what it has acknowledged.

use std::sync::{Arc, Weak};

use super::cached::FollowsRecord;
use super::expiration::Expiration;
use super::mount::Table;
use super::mounts::Mounts;
use super::token_store::TokenStore;
use crate::barrier::{Barrier, Mode, StoreError, Transaction};
use crate::storage::{CommitIndex, Observer};

/// See the module.
#[derive(Debug)]
pub struct Invalidation {
    /// Weak: the storage behind it holds this observer.
    barrier: Weak<Barrier>,
    mounts: Arc<Mounts>,
    tokens: Arc<TokenStore>,
    expiration: Arc<Expiration>,
    records: Vec<Arc<dyn FollowsRecord>>,
}

// === impl Invalidation ===

impl Invalidation {
    #[must_use]
    pub fn new(
        barrier: &Arc<Barrier>,
        mounts: Arc<Mounts>,
        tokens: Arc<TokenStore>,
        expiration: Arc<Expiration>,
        records: Vec<Arc<dyn FollowsRecord>>,
    ) -> Self {
        Self { barrier: Arc::downgrade(barrier), mounts, tokens, expiration, records }
    }

    fn key_changed(&self, index: CommitIndex, key: &str) {
        self.tokens.changed(index, Some(key));
        self.expiration.changed(index, Some(key));
        if let Some((uuid, rest)) = mount_key(key)
            && let Some(mounted) = self.mounts.router().by_uuid(uuid)
        {
            mounted.backend.changed(Some(rest));
        }
    }

    /// A sealed node has nothing to rebuild; unsealing does it.
    fn reload(&self, what: &str, load: impl FnOnce(&mut Transaction) -> Result<(), StoreError>) {
        let Some(barrier) = self.barrier.upgrade() else { return };
        let Ok(mut tx) = barrier.begin(Mode::ReadOnly) else { return };
        if let Err(error) = load(&mut tx) {
            tracing::error!(%error, "the {what} could not be read again; the old ones stay");
        }
    }

    fn reload_mounts(&self) {
        self.reload("mounts", |tx| reload_mounts(&self.mounts, &self.tokens, tx));
    }

    fn reload_record(&self, record: &Arc<dyn FollowsRecord>) {
        self.reload(record.key(), |tx| record.load(tx));
    }
}

impl Observer for Invalidation {
    fn changed(&self, index: CommitIndex, keys: Option<&[String]>) {
        let Some(keys) = keys else {
            self.tokens.changed(index, None);
            self.expiration.changed(index, None);
            self.reload_mounts();
            self.records.iter().for_each(|record| self.reload_record(record));
            self.mounts.router().mounts().for_each(|mounted| mounted.backend.changed(None));
            return;
        };
        keys.iter().for_each(|key| self.key_changed(index, key));
        if keys.iter().any(|key| key == Table::Secret.key() || key == Table::Auth.key()) {
            self.reload_mounts();
        }
        let changed = |record: &&Arc<dyn FollowsRecord>| keys.iter().any(|key| key == record.key());
        self.records.iter().filter(changed).for_each(|record| self.reload_record(record));
    }
}

/// Rebuilds the router, and tells the tokens where their cubbyholes are.
///
/// # Errors
/// The tables cannot be read; the old router stays.
pub fn reload_mounts(mounts: &Mounts, tokens: &TokenStore, tx: &mut Transaction) -> Result<(), StoreError> {
    mounts.reload(tx)?;
    if let Some(cubbyhole) = mounts.router().mounts().find(|mounted| mounted.entry.kind == "cubbyhole") {
        tokens.set_cubbyholes(&cubbyhole.storage);
    }
    Ok(())
}

/// `logical/<uuid>/rest` and `auth/<uuid>/rest`.
fn mount_key(key: &str) -> Option<(&str, &str)> {
    let inside = key.strip_prefix("logical/").or_else(|| key.strip_prefix("auth/"))?;
    inside.split_once('/')
}
