//! Lists and scans in the server's order.

use crate::barrier::{StoreError, View};
use crate::logical::field::Fields;
use crate::logical::{Fault, Response};

/// A page of a list: what comes after `after`, at most `limit`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) after: String,
    pub(super) limit: usize,
}

// === impl Page ===

impl Page {
    pub(super) const WHOLE: Self = Self { after: String::new(), limit: usize::MAX };

    /// As asked for by `after` and `limit`; a limit of none or less is no limit.
    ///
    /// # Errors
    /// They are not a text and a number.
    pub(super) fn of(fields: &Fields<'_>) -> Result<Self, Fault> {
        let limit =
            fields.int("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let after = fields.text("after")?.unwrap_or_default();
        Ok(Self { after: child_of(&after).to_owned(), limit: limit.unwrap_or(usize::MAX) })
    }
}

/// A place inside a folder is behind the folder and before everything else, just as the folder is.
fn child_of(after: &str) -> &str {
    after.split_inclusive('/').next().unwrap_or(after)
}

/// A folder as the store wants it: empty, or ending in a slash.
pub(super) fn folder(path: &str) -> String {
    if path.is_empty() || path.ends_with('/') { path.to_owned() } else { format!("{path}/") }
}

/// The answer to a list.
pub(super) fn children(store: &View<'_>, folder: &str, page: &Page) -> Result<Response, StoreError> {
    Ok(Response::keys(store.list(folder, &page.after, page.limit)?))
}

/// The answer to a scan: no keys is still an answer.
pub(super) fn scanned(keys: Vec<String>) -> Response {
    let mut response = Response::json(serde_json::json!({}));
    if !keys.is_empty() {
        response = Response::keys(keys);
    }
    response
}

/// Every key below `folder`, relative to it.
pub(super) fn below(store: &View<'_>, folder: &str) -> Result<Vec<String>, StoreError> {
    let keys = store.keys(folder, usize::MAX)?;
    Ok(keys.iter().filter_map(|key| key.strip_prefix(folder)).map(str::to_owned).collect())
}

/// Sorted keys in the order a scan shows them: a folder's own keys first, then its folders, the last of them first.
pub(super) fn scan_order(sorted: &[String]) -> Vec<String> {
    let (mut shown, mut folders) = (Vec::with_capacity(sorted.len()), vec![(0, sorted)]);
    while let Some((depth, keys)) = folders.pop() {
        let mut rest = keys;
        while let Some(first) = rest.first() {
            let inside = first.get(depth..).and_then(|name| name.find('/')).map(|slash| depth + slash + 1);
            let Some(end) = inside else {
                shown.push(first.clone());
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let size = rest.partition_point(|key| key.get(..end) == first.get(..end));
            let (folder, after) = rest.split_at(size);
            folders.push((end, folder));
            rest = after;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn scans_come_in_the_servers_order() {
        let sorted = owned(&["a", "d1/s1/y", "d1/s2/z", "d1/w", "d1/x", "d2/s/q", "d2/x", "n", "r1"]);
        let expected = owned(&["a", "n", "r1", "d2/x", "d2/s/q", "d1/w", "d1/x", "d1/s2/z", "d1/s1/y"]);
        assert_eq!(scan_order(&sorted), expected);
        assert!(scan_order(&[]).is_empty());
    }

    #[test]
    fn a_page_begins_behind_a_folder_or_before_it() {
        for (after, child) in [("", ""), ("a", "a"), ("a/", "a/"), ("a/b/c", "a/"), ("/x", "/")] {
            assert_eq!(child_of(after), child, "{after:?}");
        }
    }

    proptest! {
        #[test]
        fn a_scan_shows_every_key_once(keys in proptest::collection::btree_set("[ab/é]{1,8}", 0..40)) {
            let sorted: Vec<String> = keys.into_iter().collect();
            let mut shown = scan_order(&sorted);
            shown.sort();
            prop_assert_eq!(shown, sorted);
        }
    }
}
