//! Keys in the store and, parsed, in memory.
//!
//! Invariant: a key in memory is used only by a transaction whose snapshot holds the very version of the record it was
//! parsed from. So it can be neither older nor newer than what the transaction would read, on whatever node; and a
//! transaction that writes conflicts with a change of the key as if it had read it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use super::key::Key;
use super::record::KeyRecord;
use super::settings;
use crate::barrier::View;
use crate::logical::Fault;
use crate::storage::CommitIndex;

const KEYS: &str = "policy/";
/// Names of keys that rotate by themselves, so that looking for them does not read every key.
const ROTATING: &str = "rotating/";
/// Most keys parsed where the mount sets no bound.
const DEFAULT_BOUND: usize = 10_000;

/// The keys of one mount.
pub(super) struct Keystore {
    parsed: RwLock<HashMap<String, Parsed>>,
}

struct Parsed {
    key: Arc<Key>,
    /// Of the record.
    stored_at: CommitIndex,
}

// === impl Keystore ===

impl Keystore {
    pub(super) fn new() -> Self {
        Self { parsed: RwLock::default() }
    }

    /// The key of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn load(&self, store: &mut View<'_>, name: &str) -> Result<Option<Arc<Key>>, Fault> {
        let path = path(name);
        let stored_at = store.version(&path)?;
        if let Some(stored_at) = stored_at
            && let Some(key) = self.parsed_at(name, stored_at)
        {
            return Ok(Some(key));
        }
        let Some(record) = store.get_record::<KeyRecord>(&path)? else { return Ok(None) };
        let key = Arc::new(Key::new(record));
        if let Some(stored_at) = stored_at {
            let bound = match settings::cache_size(store)? {
                0 => DEFAULT_BOUND,
                asked => asked,
            };
            self.keep(name, &key, stored_at, bound);
        }
        Ok(Some(key))
    }

    fn parsed_at(&self, name: &str, stored_at: CommitIndex) -> Option<Arc<Key>> {
        let parsed = self.parsed.read();
        parsed.get(name).filter(|known| known.stored_at == stored_at).map(|known| Arc::clone(&known.key))
    }

    /// The newer of two stays; over the bound any other goes.
    fn keep(&self, name: &str, key: &Arc<Key>, stored_at: CommitIndex, bound: usize) {
        let mut parsed = self.parsed.write();
        if parsed.get(name).is_some_and(|known| known.stored_at > stored_at) {
            return;
        }
        while parsed.len() >= bound && !parsed.contains_key(name) {
            let Some(victim) = parsed.keys().next().cloned() else { break };
            parsed.remove(&victim);
        }
        parsed.insert(name.to_owned(), Parsed { key: Arc::clone(key), stored_at });
    }

    /// The record at `path` of the mount changed; `None`: any may have. Its key need not be kept any longer.
    pub(super) fn changed(&self, path: Option<&str>) {
        match path {
            None => self.parsed.write().clear(),
            Some(path) => {
                if let Some(name) = path.strip_prefix(KEYS) {
                    self.parsed.write().remove(name);
                }
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("{KEYS}{name}")
}

/// Writes the key.
///
/// # Errors
/// The transaction refuses.
pub(super) fn store(store: &mut View<'_>, name: &str, record: &KeyRecord) -> Result<(), Fault> {
    let rotating = format!("{ROTATING}{name}");
    let listed = store.get(&rotating)?.is_some();
    match (record.settings.auto_rotate_secs > 0, listed) {
        (true, false) => store.put_record(&rotating, &true)?,
        (false, true) => store.delete(&rotating)?,
        (true, true) | (false, false) => {}
    }
    Ok(store.put_record(&path(name), record)?)
}

/// Removes the key.
///
/// # Errors
/// The transaction refuses.
pub(super) fn remove(store: &mut View<'_>, name: &str) -> Result<(), Fault> {
    store.delete(&format!("{ROTATING}{name}"))?;
    Ok(store.delete(&path(name))?)
}

/// Names of keys after `after`, at most `limit`.
///
/// # Errors
/// The store cannot be read.
pub(super) fn names(store: &View<'_>, after: &str, limit: usize) -> Result<Vec<String>, Fault> {
    Ok(store.list(KEYS, after, limit)?)
}

/// Names of keys that rotate by themselves, after `after`, at most `limit`.
///
/// # Errors
/// The store cannot be read.
pub(super) fn rotating(store: &View<'_>, after: &str, limit: usize) -> Result<Vec<String>, Fault> {
    Ok(store.list(ROTATING, after, limit)?)
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keystore({} parsed)", self.parsed.read().len())
    }
}
