//! Tokens: made, found, used, renewed and revoked, each within the transaction of the request that asks for it.
//!
//! ```text
//!   sys/token/keys                      the key that turns a text into an id, and the one that seals batch tokens
//!   sys/token/id/<key>                  the token                     sys/token/parent/<parent>/<child>   the tree
//!   sys/token/accessor/<hash>           its key by its accessor       sys/expire/…                        its lease
//! ```
//!
//! Who may ask is the pipeline's business and that of `system`; when tokens end by themselves, `expiration`'s.

mod cache;
mod create;
mod entry;
mod renew;
mod revoke;
pub mod role;
mod secrets;
#[cfg(test)]
mod tests;
pub mod ttl;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use create::parse_cidrs;
pub use create::{Made, TokenSpec, sanitize_policies};
pub use entry::{Kind, SPENT, Shown, TokenEntry, nanos, nanos_after, wire_time};
pub use revoke::{Revoked, Tidied};

use crate::barrier::{StoreError, Transaction};
use crate::meter::Timer;
use crate::storage::CommitIndex;
use cache::Cache;
use secrets::Secrets;

const IDS: &str = "sys/token/id/";
const PARENTS: &str = "sys/token/parent/";
const ACCESSORS: &str = "sys/token/accessor/";

/// Longest token text looked at: longer ones are nobody's.
const MAX_TEXT: usize = 16 * 1024;

/// See the module.
pub struct TokenStore {
    cache: Cache,
    secrets: ArcSwapOption<Secrets>,
    /// Prefix of all cubbyholes; empty until the mounts are known.
    cubbyholes: RwLock<String>,
    /// Making tokens.
    pub creates: Timer,
}

/// What an accessor leads to.
#[derive(Serialize, Deserialize)]
struct AccessorRecord {
    accessor: String,
    key: String,
}

// === impl TokenStore ===

impl Default for TokenStore {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenStore {
    #[must_use]
    pub fn new() -> Self {
        Self {
            cache: Cache::new(),
            secrets: ArcSwapOption::empty(),
            cubbyholes: RwLock::default(),
            creates: Timer::default(),
        }
    }

    /// Tells where the cubbyhole mount keeps its records (ends in `/`), so that a revoked token's are cleared.
    pub fn set_cubbyholes(&self, prefix: &str) {
        prefix.clone_into(&mut self.cubbyholes.write());
    }

    /// The live token with this text. A cached entry is taken unless this transaction has written: then its own words
    /// count.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn lookup(
        &self,
        tx: &mut Transaction,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<TokenEntry>>, StoreError> {
        let cacheable = !tx.has_writes();
        if cacheable && let Some(entry) = self.cache.get(token, tx.index()) {
            return Ok(entry.is_live(now).then_some(entry));
        }
        let found = self.read(tx, token)?.filter(|entry| entry.is_live(now)).map(Arc::new);
        if let Some(entry) = found.as_ref().filter(|entry| cacheable && !entry.is_batch()) {
            self.cache.put(token, entry, tx.index());
        }
        Ok(found)
    }

    fn read(&self, tx: &mut Transaction, token: &str) -> Result<Option<TokenEntry>, StoreError> {
        if token.is_empty() || token.len() > MAX_TEXT {
            return Ok(None);
        }
        let secrets = self.secrets(tx)?;
        let Some(batch) = secrets.open_batch(token) else { return self.entry(tx, &secrets.id(token)) };
        // A batch token lives no longer than its parent.
        let orphaned = !batch.parent.is_empty() && self.entry(tx, &batch.parent)?.is_none();
        Ok((!orphaned).then_some(batch))
    }

    /// The token stored under `key`, live or not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entry(&self, tx: &mut Transaction, key: &str) -> Result<Option<TokenEntry>, StoreError> {
        if key.is_empty() {
            return Ok(None);
        }
        tx.view(IDS).get_record(key)
    }

    /// The live token an accessor stands for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn by_accessor(
        &self,
        tx: &mut Transaction,
        accessor: &str,
        now: OffsetDateTime,
    ) -> Result<Option<TokenEntry>, StoreError> {
        let id = self.secrets(tx)?.id(accessor);
        let Some(record) = tx.view(ACCESSORS).get_record::<AccessorRecord>(&id)? else { return Ok(None) };
        Ok(self.entry(tx, &record.key)?.filter(|entry| entry.is_live(now)))
    }

    /// How many service tokens there are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count(&self, tx: &Transaction) -> Result<usize, StoreError> {
        Ok(tx.keys(ACCESSORS, usize::MAX)?.len())
    }

    /// The accessors of all live tokens, at most `limit`: one that has ended waits to be revoked and opens nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn accessors(
        &self,
        tx: &mut Transaction,
        limit: usize,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, StoreError> {
        let ids = tx.view(ACCESSORS).list("", "", limit)?;
        let mut accessors = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(record) = tx.view(ACCESSORS).get_record::<AccessorRecord>(&id)? else { continue };
            if self.entry(tx, &record.key)?.is_some_and(|entry| entry.is_live(now)) {
                accessors.push(record.accessor);
            }
        }
        accessors.sort_unstable();
        Ok(accessors)
    }

    /// Takes one of a limited token's uses. The last leaves it [`SPENT`], with its lease due at once: the request that took
    /// it is still served, then the expiration revokes token, children and leases.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] on a standby: uses are counted by the active node.
    pub fn consume_use(
        &self,
        tx: &mut Transaction,
        entry: &TokenEntry,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        if entry.num_uses == 0 || entry.is_batch() {
            return Ok(());
        }
        let Some(mut stored) = self.entry(tx, &entry.key)? else { return Ok(()) };
        if stored.num_uses == SPENT {
            return Ok(());
        }
        stored.num_uses = if stored.num_uses > 1 { stored.num_uses - 1 } else { SPENT };
        if stored.num_uses == SPENT {
            super::expiration::end_token(tx, &stored, now)?;
        }
        self.save(tx, &stored)
    }

    fn save(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<(), StoreError> {
        tx.view(IDS).put_record(&entry.key, entry)
    }

    /// The keys, kept once they are known to be committed.
    fn secrets(&self, tx: &mut Transaction) -> Result<Arc<Secrets>, StoreError> {
        if let Some(secrets) = self.secrets.load_full() {
            return Ok(secrets);
        }
        let own_writes = tx.has_writes();
        let secrets = Arc::new(Secrets::load(tx)?);
        if !own_writes && !tx.has_writes() {
            self.secrets.store(Some(secrets.clone()));
        }
        Ok(secrets)
    }

    /// A record changed at `index`; `None`: any may have. Called in commit order, on every node.
    pub fn changed(&self, index: CommitIndex, key: Option<&str>) {
        match key {
            None => {
                self.secrets.store(None);
                self.cache.changed(index, None);
            }
            Some(secrets::KEYS) => self.secrets.store(None),
            Some(key) => {
                if let Some(key) = key.strip_prefix(IDS) {
                    self.cache.changed(index, Some(key));
                }
            }
        }
    }
}

impl fmt::Debug for TokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenStore({:?})", self.cache)
    }
}
