//! From version 1: secrets that were there when the mount became versioned.
//!
//! They are the first version of their key from that moment on, read where they are. Whatever changes one moves it; the
//! rest is moved in bounded steps of the mount's periodic work. So there is no moment at which the mount answers nothing.

use super::key::Key;
use crate::barrier::{StoreError, View};
use crate::engine::record::{PLAIN, Plain};

/// Secrets one step moves at most.
const STEP_KEYS: usize = 200;
/// Bytes after which a step ends: well below what one transaction may carry.
const STEP_BYTES: usize = 2 * 1024 * 1024;

pub(super) fn plain_key(name: &str) -> String {
    [PLAIN, name].concat()
}

/// A key that is still plain.
pub(super) fn load(store: &mut View<'_>, name: &str) -> Result<Option<Key>, StoreError> {
    let Some(record) = store.get(&plain_key(name))? else { return Ok(None) };
    Ok(Some(Key::of_plain(name, Plain::decode(record)?)))
}

/// Moves some of what is still plain.
pub(super) fn step(store: &mut View<'_>) -> Result<(), StoreError> {
    let mut bytes = 0;
    for path in store.keys(PLAIN, STEP_KEYS)? {
        let Some(record) = store.get(&path)? else { continue };
        bytes += record.len();
        let name = path.strip_prefix(PLAIN).unwrap_or(&path);
        Key::of_plain(name, Plain::decode(record)?).save(store)?;
        if bytes > STEP_BYTES {
            break;
        }
    }
    Ok(())
}
