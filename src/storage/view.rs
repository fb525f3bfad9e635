//! A held read transaction of the table: what a request reads from.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;
use redb::{Range, ReadOnlyTable, StorageError as Redb};

use super::{CommitIndex, Snapshot, StorageError, Stored};

/// Bytes of the version in front of every value, little endian.
pub(super) const VERSION_BYTES: usize = 8;

/// Entries in the order of their keys; it keeps the state they are read from.
pub(super) type Rows = Range<'static, &'static str, &'static [u8]>;

/// One published state of a table.
pub(super) struct View {
    index: CommitIndex,
    entries: ReadOnlyTable<&'static str, &'static [u8]>,
}

// === impl View ===

impl View {
    pub(super) fn new(index: CommitIndex, entries: ReadOnlyTable<&'static str, &'static [u8]>) -> Self {
        Self { index, entries }
    }

    /// Every entry as stored, in the order of the keys.
    pub(super) fn all(&self) -> Result<Rows, StorageError> {
        self.from(Bound::Unbounded)
    }

    fn from(&self, from: Bound<&str>) -> Result<Rows, StorageError> {
        self.entries.range::<&str>((from, Bound::Unbounded)).map_err(|e| failed(&e))
    }
}

impl Snapshot for View {
    fn index(&self) -> CommitIndex {
        self.index
    }

    fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        let Some(guard) = self.entries.get(key).map_err(|e| failed(&e))? else { return Ok(None) };
        let (version, value) = split(guard.value())?;
        Ok(Some(Stored { version, value: Bytes::copy_from_slice(value) }))
    }

    fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        let mut children: Vec<String> = Vec::new();
        let mut rows = self.from(past(prefix, after).as_ref().map(String::as_str))?;
        while children.len() < limit {
            let Some((key, _)) = rows.next().transpose().map_err(|e| failed(&e))? else { break };
            let Some(child) = child_of(key.value(), prefix) else { break };
            if child.ends_with('/') {
                rows = self.from(past(prefix, child).as_ref().map(String::as_str))?;
            }
            children.push(child.to_owned());
        }
        Ok(children)
    }

    fn keys(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let mut keys = Vec::new();
        for entry in self.from(from)?.take(limit) {
            let (key, _) = entry.map_err(|e| failed(&e))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            keys.push(key.value().to_owned());
        }
        Ok(keys)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View(index {})", self.index)
    }
}

/// Where to look for the child after `last`: behind everything inside a folder, without reading it.
fn past(prefix: &str, last: &str) -> Bound<String> {
    match last.strip_suffix('/') {
        Some(folder) => Bound::Included(format!("{prefix}{folder}0")), // '0' follows '/'
        None => Bound::Excluded(format!("{prefix}{last}")),
    }
}

/// The next segment of `key` below `prefix`, with its `/` where more may follow.
fn child_of<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix)?;
    rest.split_inclusive('/').next()
}

/// A stored value is its version and its bytes.
pub(super) fn split(stored: &[u8]) -> Result<(CommitIndex, &[u8]), StorageError> {
    match stored.split_first_chunk::<VERSION_BYTES>() {
        Some((version, value)) => Ok((CommitIndex::from_le_bytes(*version), value)),
        None => Err(StorageError::Damaged("a value has no version".to_owned())),
    }
}

/// Damage and failure to read are not the same to an operator.
#[expect(clippy::wildcard_enum_match_arm, reason = "an error of redb that is not named here is damage")]
pub(super) fn failed(error: &Redb) -> StorageError {
    match error {
        Redb::Io(io) => StorageError::Io(io.to_string()),
        Redb::PreviousIo | Redb::DatabaseClosed => StorageError::Io(error.to_string()),
        other => StorageError::Damaged(other.to_string()),
    }
}
