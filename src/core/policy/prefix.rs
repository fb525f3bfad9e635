//! The longest known prefix of a text, without a tree: the prefixes sorted, each with the longest other that it begins with.
//!
//! The sorted predecessor of a text begins with every prefix of the text that is in the table (what lies between a prefix
//! and a text it begins also begins with it), so the answer is the predecessor or one of its ancestors.

use std::collections::BTreeMap;

/// See the module.
#[derive(Debug)]
pub(super) struct Prefixes<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    prefix: Box<str>,
    /// Place of the longest other prefix that this one begins with.
    parent: Option<usize>,
    value: T,
}

impl<T> Prefixes<T> {
    pub(super) fn new(sorted: BTreeMap<String, T>) -> Self {
        let mut entries: Vec<Entry<T>> = Vec::with_capacity(sorted.len());
        for (prefix, value) in sorted {
            let last = entries.len().checked_sub(1);
            let parent = ancestor(&entries, last, &prefix);
            entries.push(Entry { prefix: prefix.into_boxed_str(), parent, value });
        }
        Self { entries }
    }

    pub(super) fn longest(&self, text: &str) -> Option<(&str, &T)> {
        let after = self.entries.partition_point(|entry| entry.prefix.as_ref() <= text);
        let found = ancestor(&self.entries, after.checked_sub(1), text)?;
        self.entries.get(found).map(|entry| (entry.prefix.as_ref(), &entry.value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|entry| (entry.prefix.as_ref(), &entry.value))
    }
}

/// From `place` upwards, the first that `text` begins with.
fn ancestor<T>(entries: &[Entry<T>], mut place: Option<usize>, text: &str) -> Option<usize> {
    while let Some(entry) = entries.get(place?) {
        if text.starts_with(entry.prefix.as_ref()) {
            return place;
        }
        place = entry.parent;
    }
    None
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_longest(prefixes in proptest::collection::vec("[ab/]{0,5}", 0..12), text in "[ab/]{0,7}") {
            let table = Prefixes::new(prefixes.iter().map(|prefix| (prefix.clone(), ())).collect());
            let expected = prefixes.iter().filter(|prefix| text.starts_with(*prefix)).max_by_key(|prefix| prefix.len());
            prop_assert_eq!(table.longest(&text).map(|(prefix, ())| prefix), expected.map(String::as_str));
        }
    }
}
