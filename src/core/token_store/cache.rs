//! Entries by a keyed hash of the token's text: the text itself is never kept.
//!
//! Invariant: an entry is cached only when no token changed after the snapshot it was read from; so what is found is never
//! older than the last change the store told of.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use parking_lot::RwLock;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::entry::TokenEntry;
use crate::entropy;
use crate::storage::CommitIndex;

/// Most entries kept; about 60 MB.
const MAX_ENTRIES: usize = 100_000;

pub(super) struct Cache {
    seed: [u8; 16],
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_hash: HashMap<u128, Cached>,
    by_key: HashMap<String, u128>,
    /// Index of the last change of any token.
    changed: CommitIndex,
}

struct Cached {
    entry: Arc<TokenEntry>,
    /// Of the snapshot it was read from.
    read_at: CommitIndex,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { seed: entropy::bytes(), inner: RwLock::default() }
    }

    fn hash(&self, text: &str) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        hasher.write(text.as_bytes());
        hasher.finish128().as_u128()
    }

    /// The entry as of `index` or later, when known.
    pub(super) fn get(&self, text: &str, index: CommitIndex) -> Option<Arc<TokenEntry>> {
        let hash = self.hash(text);
        let inner = self.inner.read();
        inner.by_hash.get(&hash).filter(|cached| cached.read_at <= index).map(|cached| cached.entry.clone())
    }

    pub(super) fn put(&self, text: &str, entry: &Arc<TokenEntry>, read_at: CommitIndex) {
        let hash = self.hash(text);
        let mut inner = self.inner.write();
        if read_at < inner.changed {
            return;
        }
        if inner.by_hash.len() >= MAX_ENTRIES {
            inner.evict_one();
        }
        inner.by_key.insert(entry.key.clone(), hash);
        inner.by_hash.insert(hash, Cached { entry: entry.clone(), read_at });
    }

    /// The token stored under `key` changed at `index`; `None`: any may have.
    pub(super) fn changed(&self, index: CommitIndex, key: Option<&str>) {
        let mut inner = self.inner.write();
        inner.changed = inner.changed.max(index);
        let Some(key) = key else {
            inner.by_hash.clear();
            inner.by_key.clear();
            return;
        };
        if let Some(hash) = inner.by_key.remove(key) {
            inner.by_hash.remove(&hash);
        }
    }
}

impl Inner {
    /// Any: the map's order is random enough for a bound that is hardly ever met.
    fn evict_one(&mut self) {
        let victim = self.by_hash.iter().next().map(|(hash, cached)| (*hash, cached.entry.key.clone()));
        if let Some((hash, key)) = victim {
            self.by_hash.remove(&hash);
            self.by_key.remove(&key);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache({} tokens)", self.inner.read().by_hash.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Arc<TokenEntry> {
        Arc::new(TokenEntry { key: key.to_owned(), ..TokenEntry::default() })
    }

    #[test]
    fn a_change_forgets_and_an_old_read_is_not_kept() {
        let cache = Cache::new();
        cache.put("t", &entry("k"), 5);
        assert!(cache.get("t", 5).is_some());
        assert!(cache.get("t", 4).is_none(), "a transaction on an older snapshot reads for itself");
        cache.changed(7, Some("k"));
        assert!(cache.get("t", 9).is_none());
        cache.put("t", &entry("k"), 6);
        assert!(cache.get("t", 9).is_none(), "read before the change");
        cache.put("t", &entry("k"), 7);
        assert!(cache.get("t", 9).is_some());
        cache.changed(8, None);
        assert!(cache.get("t", 9).is_none());
    }
}
