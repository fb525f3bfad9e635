//! Which leases end when: pure, ordered by their end.
//!
//! Bounded by the leases there are: about 150 bytes each.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    by_end: BTreeSet<(i64, Arc<str>)>,
    ends: HashMap<Arc<str>, i64>,
}

impl Queue {
    /// Puts a lease at its end, wherever it was before; `None` takes it out.
    pub(super) fn set(&mut self, id: &str, end: Option<i64>) {
        if let Some((id, old)) = self.ends.remove_entry(id) {
            self.by_end.remove(&(old, id));
        }
        if let Some(end) = end {
            let id: Arc<str> = Arc::from(id);
            self.by_end.insert((end, id.clone()));
            self.ends.insert(id, end);
        }
    }

    /// The leases that ended by `now`, oldest first, at most `limit`. They stay until [`set`](Self::set) moves them.
    pub(super) fn due(&self, now: i64, limit: usize) -> Vec<Arc<str>> {
        self.by_end.iter().take_while(|(end, _)| *end <= now).take(limit).map(|(_, id)| id.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_queue_is_a_sorted_list(steps in prop::collection::vec((0u8..20, prop::option::of(0i64..50)), 0..100), now in 0i64..60) {
            let (mut queue, mut naive) = (Queue::default(), std::collections::BTreeMap::new());
            for (id, end) in steps {
                let id = format!("l{id}");
                queue.set(&id, end);
                match end {
                    Some(end) => naive.insert(id, end),
                    None => naive.remove(&id),
                };
            }
            let mut expected: Vec<(i64, String)> = naive.iter().filter(|(_, end)| **end <= now).map(|(id, end)| (*end, id.clone())).collect();
            expected.sort();
            let due: Vec<String> = queue.due(now, 5).iter().map(ToString::to_string).collect();
            let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).take(5).collect();
            prop_assert_eq!(due, expected);
            prop_assert_eq!(queue.len(), naive.len());
            prop_assert_eq!(queue.by_end.len(), queue.ends.len());
        }
    }
}
