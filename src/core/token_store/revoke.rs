//! Revoking: what a token leaves behind goes with it, in one transaction.

use time::OffsetDateTime;

use super::create::child_key;
use super::entry::TokenEntry;
use super::{ACCESSORS, AccessorRecord, IDS, PARENTS, TokenStore};
use crate::barrier::{StoreError, Transaction};
use crate::core::expiration;

/// What revoking did besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    pub tokens: usize,
    /// Leases of secrets that the tokens held. Their records are due now: the expiration ends them, with its retries.
    pub leases: Vec<String>,
}

/// What tidying found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    pub accessors: usize,
    pub children: usize,
}

impl TokenStore {
    /// Revokes the token and everything below it. An unknown key is no error: revoking twice is revoking.
    ///
    /// # Errors
    /// The store refuses; a tree too large for one transaction is [`StoreError::TooMany`].
    pub fn revoke_tree(
        &self,
        tx: &mut Transaction,
        key: &str,
        now: OffsetDateTime,
    ) -> Result<Revoked, StoreError> {
        let (mut todo, mut revoked) = (vec![key.to_owned()], Revoked::default());
        while let Some(key) = todo.pop() {
            todo.extend(self.children(tx, &key)?);
            self.revoke_one(tx, &key, now, &mut revoked)?;
        }
        Ok(revoked)
    }

    /// Revokes the token alone; its children become orphans.
    ///
    /// # Errors
    /// The store refuses.
    pub fn revoke_orphan(
        &self,
        tx: &mut Transaction,
        key: &str,
        now: OffsetDateTime,
    ) -> Result<Revoked, StoreError> {
        let mut revoked = Revoked::default();
        for child in self.children(tx, key)? {
            if let Some(mut entry) = self.entry(tx, &child)? {
                entry.parent.clear();
                entry.orphan = true;
                self.save(tx, &entry)?;
            }
        }
        self.revoke_one(tx, key, now, &mut revoked)?;
        Ok(revoked)
    }

    fn children(&self, tx: &Transaction, key: &str) -> Result<Vec<String>, StoreError> {
        tx.list(&format!("{PARENTS}{key}/"), "", usize::MAX)
    }

    fn revoke_one(
        &self,
        tx: &mut Transaction,
        key: &str,
        now: OffsetDateTime,
        revoked: &mut Revoked,
    ) -> Result<(), StoreError> {
        tx.view(&format!("{PARENTS}{key}/")).clear("")?;
        let Some(entry) = self.entry(tx, key)? else { return Ok(()) };
        revoked.leases.extend(expiration::end_leases_of(tx, key, now)?);
        expiration::forget_token(tx, &entry)?;
        self.forget(tx, &entry)?;
        revoked.tokens += 1;
        Ok(())
    }

    fn forget(&self, tx: &mut Transaction, entry: &TokenEntry) -> Result<(), StoreError> {
        let accessor = self.secrets(tx)?.id(&entry.accessor);
        tx.delete(&format!("{ACCESSORS}{accessor}"))?;
        if !entry.parent.is_empty() {
            tx.delete(&child_key(&entry.parent, &entry.key))?;
        }
        let cubbyholes = self.cubbyholes.read().clone();
        if !cubbyholes.is_empty() && !entry.cubbyhole.is_empty() {
            tx.view(&format!("{cubbyholes}{}/", entry.cubbyhole)).clear("")?;
        }
        tx.delete(&crate::core::wrapping::record_key(&entry.key))?;
        tx.delete(&format!("{IDS}{}", entry.key))
    }

    /// Drops accessors and tree entries that lead nowhere. Transactions leave none behind; this is for stores that a
    /// repair went through.
    ///
    /// # Errors
    /// The store refuses.
    pub fn tidy(&self, tx: &mut Transaction) -> Result<Tidied, StoreError> {
        let mut tidied = Tidied::default();
        for id in tx.list(ACCESSORS, "", usize::MAX)? {
            let record = tx.view(ACCESSORS).get_record::<AccessorRecord>(&id)?;
            if let Some(record) = record
                && self.entry(tx, &record.key)?.is_none()
            {
                tx.delete(&format!("{ACCESSORS}{id}"))?;
                tidied.accessors += 1;
            }
        }
        for path in tx.keys(PARENTS, usize::MAX)? {
            let child = path.rsplit('/').next().unwrap_or_default();
            if self.entry(tx, child)?.is_none() {
                tx.delete(&path)?;
                tidied.children += 1;
            }
        }
        Ok(tidied)
    }
}
