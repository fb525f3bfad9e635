//! Operations that write only the first time (`transit/encrypt/<new key>`, `transit/wrapping_key`): they go to the
//! active node until this proxy saw them succeed there, then they are reads (vault-semantics §4.3).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use parking_lot::RwLock;

/// Most paths remembered; when it is full everything is forgotten, which costs each path one trip to the active.
const MAX_PATHS: usize = 65_536;

/// Paths whose first touch is behind them. Only hashes are kept.
#[derive(Debug, Default)]
pub struct FirstTouch {
    hasher: RandomState,
    seen: RwLock<HashSet<u64>>,
}

// === impl FirstTouch ===

impl FirstTouch {
    #[must_use]
    pub fn is_behind(&self, namespace: &str, path: &str) -> bool {
        self.seen.read().contains(&self.key(namespace, path))
    }

    /// The active node answered it with success.
    pub fn succeeded(&self, namespace: &str, path: &str) {
        let key = self.key(namespace, path);
        let mut seen = self.seen.write();
        if seen.len() >= MAX_PATHS {
            seen.clear();
        }
        seen.insert(key);
    }

    /// Something was deleted or remounted: any path may have to be created again.
    pub fn forget(&self) {
        if !self.seen.read().is_empty() {
            self.seen.write().clear();
        }
    }

    fn key(&self, namespace: &str, path: &str) -> u64 {
        self.hasher.hash_one((namespace, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_behind_once_it_succeeded_and_until_something_was_deleted() {
        let touched = FirstTouch::default();
        assert!(!touched.is_behind("", "transit/encrypt/a"));
        touched.succeeded("", "transit/encrypt/a");
        assert!(touched.is_behind("", "transit/encrypt/a"));
        assert!(!touched.is_behind("ns1", "transit/encrypt/a"));
        touched.forget();
        assert!(!touched.is_behind("", "transit/encrypt/a"));
    }

    #[test]
    fn it_is_bounded() {
        let touched = FirstTouch::default();
        for n in 0..=MAX_PATHS {
            touched.succeeded("", &n.to_string());
        }
        assert!(touched.seen.read().len() <= MAX_PATHS);
    }
}
