//! One request's reads and writes: a snapshot, what was read of it, and what shall change.
//!
//! Invariant: what a transaction has read by key is checked again when it commits, so two of them never both succeed on
//! the same old value. Lists are not checked: two transactions may both add a child.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use zeroize::Zeroizing;

use super::envelope::KeyringError;
use super::keyring::Keyring;
use super::meters::{self, BarrierMeters};
use super::record::KeysError;
use crate::meter::Timer;
use crate::storage::{Changes, CommitIndex, Expectation, Snapshot, StorageError, Stored, Write};

/// Largest value, as Vault's raft storage (`max_entry_size`).
pub const MAX_ENTRY_BYTES: usize = 1024 * 1024;

/// Most changes of one transaction.
pub const MAX_WRITES: usize = 100_000;

/// May the transaction write?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A standby, or an operation declared free of writes.
    ReadOnly,
    ReadWrite,
}

/// Why a read or write of a transaction failed.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The first write of a read-only transaction: the request belongs to the active node.
    #[error("cannot write to readonly storage")]
    ReadOnly,
    #[error("put failed due to value being too large; got {got} bytes, max: {MAX_ENTRY_BYTES}")]
    TooLarge { got: usize },
    #[error("too many changes in one request; max: {MAX_WRITES}")]
    TooMany,
    #[error("decryption of a stored value failed: {0}")]
    Barrier(#[from] KeyringError),
    #[error("a stored value is not in the format this release writes: {0}")]
    Format(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// See the module. Not shared: one request owns it.
pub struct Transaction {
    snapshot: Arc<dyn Snapshot>,
    keyring: Arc<Keyring>,
    mode: Mode,
    reads: BTreeMap<String, Option<CommitIndex>>,
    writes: BTreeMap<String, Pending>,
    meters: Option<Arc<BarrierMeters>>,
}

/// What becomes of a key when the transaction commits.
enum Pending {
    /// To be sealed.
    Plain(Zeroizing<Vec<u8>>),
    /// To be kept as it is: records that are read while there is no keyring, or that carry a seal of their own.
    Raw(Bytes),
    Deleted,
}

/// A transaction seen through one prefix: all a backend gets.
#[derive(Debug)]
pub struct View<'t> {
    transaction: &'t mut Transaction,
    /// Empty or ending in `/`.
    prefix: &'t str,
}

/// A snapshot of this index that was given up.
#[derive(Debug)]
struct Gone(CommitIndex);

impl Snapshot for Gone {
    fn index(&self) -> CommitIndex {
        self.0
    }

    fn get(&self, _key: &str) -> Result<Option<Stored>, StorageError> {
        Ok(None)
    }

    fn list(&self, _prefix: &str, _after: &str, _limit: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn keys(&self, _prefix: &str, _after: &str, _limit: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

// === impl Transaction ===

impl Transaction {
    #[must_use]
    pub fn new(snapshot: Arc<dyn Snapshot>, keyring: Arc<Keyring>, mode: Mode) -> Self {
        Self { snapshot, keyring, mode, reads: BTreeMap::new(), writes: BTreeMap::new(), meters: None }
    }

    /// Counts what it does.
    #[must_use]
    pub(super) fn metered(self, meters: Arc<BarrierMeters>) -> Self {
        Self { meters: Some(meters), ..self }
    }

    fn timer(&self, which: fn(&BarrierMeters) -> &Timer) -> Option<&Timer> {
        self.meters.as_deref().map(which)
    }

    /// Gives its view of the store up, so that the store need not keep it: from here on nothing is there for it. For what
    /// has read all it needs and goes on for long.
    pub fn let_go(&mut self) {
        self.snapshot = Arc::new(Gone(self.index()));
    }

    /// The index of the snapshot it reads.
    #[must_use]
    pub fn index(&self) -> CommitIndex {
        self.snapshot.index()
    }

    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether committing would change anything.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// The value at `key`, own writes included.
    ///
    /// # Errors
    /// The store cannot be read, or the value does not open.
    pub fn get(&mut self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match self.writes.get(key) {
            Some(Pending::Plain(value)) => return Ok(Some(value.clone())),
            Some(Pending::Raw(value)) => return Ok(Some(self.keyring.open(key, value)?)),
            Some(Pending::Deleted) => return Ok(None),
            None => {}
        }
        let meters = self.meters.clone();
        meters::time(meters.as_deref().map(|meters| &meters.get), || {
            self.read(key)?.map(|stored| self.open(key, &stored)).transpose()
        })
    }

    /// The bytes at `key` as the store has them, own writes of that kind included: records outside of the keyring.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get_raw(&mut self, key: &str) -> Result<Option<Bytes>, StoreError> {
        match self.writes.get(key) {
            Some(Pending::Raw(value)) => Ok(Some(value.clone())),
            Some(Pending::Plain(_) | Pending::Deleted) => Ok(None),
            None => self.read(key),
        }
    }

    /// Reads the snapshot and remembers to have done so.
    fn read(&mut self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let stored = self.snapshot.get(key)?;
        if self.mode == Mode::ReadWrite {
            self.reads.insert(key.to_owned(), stored.as_ref().map(|stored| stored.version));
        }
        Ok(stored.map(|stored| stored.value))
    }

    /// The snapshot may be younger than the keyring, by a rotation: then it holds the newer keyring too.
    fn open(&mut self, key: &str, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let opened = self.keyring.open(key, stored);
        if let (Err(KeyringError::Term(_)), Ok(newer)) = (&opened, self.keyring.follow(&*self.snapshot)) {
            self.keyring = Arc::new(newer);
            return Ok(self.keyring.open(key, stored)?);
        }
        Ok(opened?)
    }

    /// The keys this transaction seals with.
    #[must_use]
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The keys as the snapshot has them, which may be younger: what a change of the keyring begins with.
    ///
    /// # Errors
    /// The stored keyring does not open.
    pub(super) fn latest_keyring(&mut self) -> Result<Arc<Keyring>, KeysError> {
        self.keyring = Arc::new(self.keyring.follow(&*self.snapshot)?);
        Ok(Arc::clone(&self.keyring))
    }

    /// What it reads.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<dyn Snapshot> {
        &self.snapshot
    }

    /// The index of the transaction that wrote the value at `key`, without opening it: what a cache keyed by it holds
    /// is what [`get`](Self::get) would give, and counts as read. `None`: there is none, or this transaction wrote it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn version(&mut self, key: &str) -> Result<Option<CommitIndex>, StoreError> {
        if self.writes.contains_key(key) {
            return Ok(None);
        }
        let version = self.snapshot.get(key)?.map(|stored| stored.version);
        if self.mode == Mode::ReadWrite {
            self.reads.insert(key.to_owned(), version);
        }
        Ok(version)
    }

    /// Sets `key` when the transaction commits.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], or the value or the transaction is over its bound.
    pub fn put(&mut self, key: &str, value: Zeroizing<Vec<u8>>) -> Result<(), StoreError> {
        if value.len() > MAX_ENTRY_BYTES {
            return Err(StoreError::TooLarge { got: value.len() });
        }
        self.write(key, Pending::Plain(value))
    }

    /// Sets `key` to these very bytes when the transaction commits. Only for what seals itself or is no secret.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], or too many changes.
    pub fn put_raw(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), StoreError> {
        self.write(key, Pending::Raw(value.into()))
    }

    /// Removes `key` when the transaction commits; an absent one is no error.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], or too many changes.
    pub fn delete(&mut self, key: &str) -> Result<(), StoreError> {
        self.write(key, Pending::Deleted)
    }

    fn write(&mut self, key: &str, value: Pending) -> Result<(), StoreError> {
        if self.mode == Mode::ReadOnly {
            return Err(StoreError::ReadOnly);
        }
        if self.writes.len() >= MAX_WRITES && !self.writes.contains_key(key) {
            return Err(StoreError::TooMany);
        }
        self.writes.insert(key.to_owned(), value);
        Ok(())
    }

    /// Children of `prefix` as [`Snapshot::list`], own writes included.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        if !self.writes.keys().any(|key| key.starts_with(prefix)) {
            let timer = self.timer(|meters| &meters.list);
            return Ok(meters::time(timer, || self.snapshot.list(prefix, after, limit))?);
        }
        // Own deletions may empty a folder, so children are told from the keys themselves; only requests that list what
        // they have just changed come here.
        let mut children: Vec<String> = Vec::new();
        for key in self.keys(prefix, usize::MAX)? {
            let child = child_of(&key, prefix);
            if child > after && children.last().is_none_or(|last| last != child) {
                children.push(child.to_owned());
            }
        }
        children.truncate(limit);
        Ok(children)
    }

    /// Every key below `prefix` in byte order, own writes included, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn keys(&self, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let own = || self.writes.iter().filter(|(key, _)| key.starts_with(prefix));
        if own().next().is_none() {
            return Ok(self.snapshot.keys(prefix, "", limit)?);
        }
        let timer = self.timer(|meters| &meters.list);
        let mut keys = meters::time(timer, || self.snapshot.keys(prefix, "", usize::MAX))?;
        keys.retain(|key| !matches!(self.writes.get(key), Some(Pending::Deleted)));
        let kept = own().filter(|(_, value)| !matches!(value, Pending::Deleted));
        keys.extend(kept.map(|(key, _)| key.clone()));
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(limit);
        Ok(keys)
    }

    /// The part of the store below `prefix` (empty or ending in `/`).
    pub fn view<'t>(&'t mut self, prefix: &'t str) -> View<'t> {
        View { transaction: self, prefix }
    }

    /// What shall change, sealed; `None` when nothing was written.
    #[must_use]
    pub fn into_changes(self) -> Option<Changes> {
        if self.writes.is_empty() {
            return None;
        }
        let seen = Some(self.index());
        let expect = self.reads.into_iter().map(|(key, version)| Expectation { key, version }).collect();
        let meters = self.meters.as_deref();
        let seal = |(key, value): (String, Pending)| match value {
            Pending::Plain(plain) => {
                let timer = meters.map(|meters| &meters.put);
                Write::Put {
                    value: Bytes::from(meters::time(timer, || self.keyring.seal(&key, &plain))),
                    key,
                }
            }
            Pending::Raw(value) => Write::Put { value, key },
            Pending::Deleted => {
                meters::time(meters.map(|meters| &meters.delete), || ());
                Write::Delete { key }
            }
        };
        Some(Changes { seen, expect, writes: self.writes.into_iter().map(seal).collect() })
    }
}

/// The segment of `key` after `prefix`, with its slash.
fn child_of<'k>(key: &'k str, prefix: &str) -> &'k str {
    let rest = key.strip_prefix(prefix).unwrap_or(key);
    rest.split_inclusive('/').next().unwrap_or(rest)
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transaction({:?} at {}, {} writes)", self.mode, self.index(), self.writes.len())
    }
}

// === impl View ===

impl View<'_> {
    /// # Errors
    /// As [`Transaction::get`].
    pub fn get(&mut self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = self.key(path);
        self.transaction.get(&key)
    }

    /// # Errors
    /// As [`Transaction::version`].
    pub fn version(&mut self, path: &str) -> Result<Option<CommitIndex>, StoreError> {
        let key = self.key(path);
        self.transaction.version(&key)
    }

    /// # Errors
    /// As [`Transaction::put`].
    pub fn put(&mut self, path: &str, value: Zeroizing<Vec<u8>>) -> Result<(), StoreError> {
        let key = self.key(path);
        self.transaction.put(&key, value)
    }

    /// # Errors
    /// As [`Transaction::delete`].
    pub fn delete(&mut self, path: &str) -> Result<(), StoreError> {
        let key = self.key(path);
        self.transaction.delete(&key)
    }

    /// The record at `path`, decoded from the JSON it is stored as.
    ///
    /// # Errors
    /// As [`Transaction::get`]; [`StoreError::Format`] when it is not such a record.
    pub fn get_record<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>, StoreError> {
        self.get(path)?
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| format_error(&error)))
            .transpose()
    }

    /// Stores `record` as JSON.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn put_record<T: Serialize>(&mut self, path: &str, record: &T) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(record).map_err(|error| format_error(&error))?;
        self.put(path, Zeroizing::new(bytes))
    }

    /// Children of `path` (empty or ending in `/`) after `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`Transaction::list`].
    pub fn list(&self, path: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.transaction.list(&self.key(path), after, limit)
    }

    /// Every path below `path`, relative to the view, at most `limit`.
    ///
    /// # Errors
    /// As [`Transaction::keys`].
    pub fn keys(&self, path: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let keys = self.transaction.keys(&self.key(path), limit)?;
        Ok(keys.into_iter().map(|key| key.strip_prefix(self.prefix).unwrap_or(&key).to_owned()).collect())
    }

    /// Deletes everything below `path`.
    ///
    /// # Errors
    /// As [`Transaction::delete`].
    pub fn clear(&mut self, path: &str) -> Result<(), StoreError> {
        self.keys(path, usize::MAX)?.iter().try_for_each(|key| self.delete(key))
    }

    /// The whole transaction: for backends whose view is the root (`sys/`, `auth/token/`, `identity/`), whose own
    /// managers keep their records in several places.
    ///
    /// `None` for a view with a prefix: a secrets engine never reaches outside its mount.
    pub fn whole(&mut self) -> Option<&mut Transaction> {
        self.prefix.is_empty().then_some(&mut *self.transaction)
    }

    fn key(&self, path: &str) -> String {
        let mut key = String::with_capacity(self.prefix.len() + path.len());
        key.push_str(self.prefix);
        key.push_str(path);
        key
    }
}

/// Says what is wrong with a record, never what is in it: serde's message may quote a value.
fn format_error(error: &serde_json::Error) -> StoreError {
    StoreError::Format(format!(
        "{:?} error at line {} column {}",
        error.classify(),
        error.line(),
        error.column()
    ))
}
