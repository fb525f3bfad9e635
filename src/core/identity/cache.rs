//! Subjects by entity id, so that a request of a known entity reads nothing of identity.
//!
//! Invariant: a subject is cached only when nothing it was made of changed after the snapshot it was read from; so what is
//! found is never older than the last change the store told of.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::core::policy::Subject;
use crate::storage::CommitIndex;

/// Most subjects kept; a usual one is about 1 KB.
const MAX_SUBJECTS: usize = 20_000;

#[derive(Default)]
pub(super) struct Cache {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    by_entity: HashMap<String, Cached>,
    /// Index of the last change of anything subjects are made of.
    changed: CommitIndex,
}

struct Cached {
    subject: Arc<Subject>,
    /// Of the snapshot it was read from.
    read_at: CommitIndex,
}

impl Cache {
    /// The subject as of `index` or later, when known.
    pub(super) fn get(&self, entity: &str, index: CommitIndex) -> Option<Arc<Subject>> {
        let inner = self.inner.read();
        inner
            .by_entity
            .get(entity)
            .filter(|cached| cached.read_at <= index)
            .map(|cached| cached.subject.clone())
    }

    pub(super) fn put(&self, subject: &Arc<Subject>, read_at: CommitIndex) {
        let mut inner = self.inner.write();
        if read_at < inner.changed {
            return;
        }
        if inner.by_entity.len() >= MAX_SUBJECTS {
            inner.evict_one();
        }
        inner.by_entity.insert(subject.entity_id.clone(), Cached { subject: subject.clone(), read_at });
    }

    pub(super) fn entity_changed(&self, index: CommitIndex, entity: &str) {
        let mut inner = self.inner.write();
        inner.changed = inner.changed.max(index);
        inner.by_entity.remove(entity);
    }

    /// Groups change seldom, so their members are looked for.
    pub(super) fn group_changed(&self, index: CommitIndex, group: &str) {
        let mut inner = self.inner.write();
        inner.changed = inner.changed.max(index);
        inner.by_entity.retain(|_, cached| cached.subject.groups.iter().all(|known| known.id != group));
    }

    pub(super) fn clear(&self, index: CommitIndex) {
        let mut inner = self.inner.write();
        inner.changed = inner.changed.max(index);
        inner.by_entity.clear();
    }
}

impl Inner {
    /// Any: the map's order is random enough for a bound that is hardly ever met.
    fn evict_one(&mut self) {
        if let Some(victim) = self.by_entity.keys().next().cloned() {
            self.by_entity.remove(&victim);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} subjects", self.inner.read().by_entity.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::policy::Group;

    fn subject(entity: &str, group: &str) -> Arc<Subject> {
        let groups = vec![Group { id: group.to_owned(), ..Group::default() }];
        Arc::new(Subject { entity_id: entity.to_owned(), groups, ..Subject::default() })
    }

    #[test]
    fn a_change_forgets_whom_it_concerns_and_an_old_read_is_not_kept() {
        let cache = Cache::default();
        cache.put(&subject("e", "g"), 5);
        cache.put(&subject("f", "h"), 5);
        assert!(cache.get("e", 5).is_some() && cache.get("e", 4).is_none());
        cache.group_changed(6, "g");
        assert!(cache.get("e", 9).is_none() && cache.get("f", 9).is_some());
        cache.put(&subject("e", "g"), 5);
        assert!(cache.get("e", 9).is_none(), "read before the change");
        cache.entity_changed(7, "f");
        assert!(cache.get("f", 9).is_none());
        cache.put(&subject("e", "g"), 7);
        cache.clear(8);
        assert!(cache.get("e", 9).is_none());
    }
}
