//! A key-value store whose changes are transactions with an index.
//!
//! What every implementation promises is written here and held by one contract suite. Values are opaque: the barrier
//! encrypts them. Keys are paths (`logical/<uuid>/a/b`), UTF-8, at most [`MAX_KEY_BYTES`].
//!
//! ```text
//!   commit(changes) ──> preconditions ──> one atomic, durable step ──> snapshot published ──> observers told ──> index
//!                             └──> Conflict: nothing happened
//! ```

mod command;
#[cfg(test)]
mod contract;
pub mod file;
mod image;
pub mod inmem;
mod open;
pub mod raft;
mod space;
mod table;
mod view;
mod writer;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

pub use open::OpenError;
pub use table::MAX_TRANSACTION_BYTES;

/// Longest key. Vault's own backends stop at 32 KiB; a path of the API is far below.
pub const MAX_KEY_BYTES: usize = 32 * 1024;

/// Position of a committed transaction: rises by at least one with each, except that those which became visible at the
/// same moment may share it. An empty store is at 0, or where its group was founded.
pub type CommitIndex = u64;

/// A value and the index of the transaction that wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    pub version: CommitIndex,
    pub value: Bytes,
}

/// A consistent view of the whole store at one index. Reading never waits for a writer.
pub trait Snapshot: Send + Sync + fmt::Debug {
    /// The last transaction this view contains.
    fn index(&self) -> CommitIndex;

    /// # Errors
    /// The store cannot be read or is damaged.
    fn get(&self, key: &str) -> Result<Option<Stored>, StorageError>;

    /// The children of `prefix` (which is empty or ends in `/`) after `after`, at most `limit`, in byte order: a key's
    /// next segment, with a `/` behind it where more follows. `after` is a child as returned before, or empty.
    ///
    /// # Errors
    /// The store cannot be read or is damaged.
    fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError>;

    /// Every key that starts with `prefix`, after the whole key `after`, at most `limit`, in byte order.
    ///
    /// # Errors
    /// The store cannot be read or is damaged.
    fn keys(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError>;
}

/// What must hold for a transaction to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub key: String,
    /// [`Stored::version`] as read; `None`: the key is absent.
    pub version: Option<CommitIndex>,
}

/// One change of one key.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    Put {
        key: String,
        value: Bytes,
    },
    /// Deleting an absent key is no error.
    Delete {
        key: String,
    },
}

/// A transaction: all of it or nothing. A key is written at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The index of the snapshot they come from: where the store was replaced since, they are a [`CommitError::Conflict`].
    /// `None`: they come from none.
    pub seen: Option<CommitIndex>,
    pub expect: Vec<Expectation>,
    pub writes: Vec<Write>,
}

/// Told of every transaction after it is visible and before its writer hears of it, in order of the index, from the
/// store's own thread: it must not block. This is how every cache above learns, on every node, by one path.
pub trait Observer: Send + Sync + fmt::Debug {
    /// `keys` changed at `index`; `None`: anything may have (a snapshot was installed).
    fn changed(&self, index: CommitIndex, keys: Option<&[String]>);
}

/// A boxed future of a commit.
pub type Committing<'a> = Pin<Box<dyn Future<Output = Result<CommitIndex, CommitError>> + Send + 'a>>;

/// See the module.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The store as of the last committed transaction this node knows. Cheap: no I/O, no lock held afterwards.
    fn snapshot(&self) -> Arc<dyn Snapshot>;

    /// Makes the changes durable (as durable as the store is) and visible. Dropping the future does not undo them.
    fn commit(&self, changes: Changes) -> Committing<'_>;

    /// At most a handful, added while the node is built.
    fn observe(&self, observer: Arc<dyn Observer>);

    /// `raft`, `file` or `inmem`: `storage_type` of `sys/seal-status`.
    fn kind(&self) -> &'static str;

    /// Whether the store can be shared by several nodes (high availability).
    fn is_replicated(&self) -> bool;
}

/// Reading failed.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// A checksum, a format or the database's own check says no. Not to be retried.
    #[error("storage is damaged: {0}")]
    Damaged(String),
    #[error("storage cannot be read: {0}")]
    Io(String),
}

/// A commit did not happen, or may not have.
#[derive(Debug, Clone, Error)]
pub enum CommitError {
    /// Somebody changed what this transaction had read. Run it again.
    #[error("a concurrent change came first")]
    Conflict,
    /// A key or the whole transaction is over its bound.
    #[error("{what} of {got} bytes is over the limit of {max}")]
    TooLarge { what: &'static str, got: usize, max: usize },
    /// The disk is full. Reads go on; writes recover when space is back.
    #[error("storage is out of space")]
    Full,
    /// This node may not write now: it does not lead, or it is stopping. Certainly not executed.
    #[error("this node cannot write to storage")]
    NotWritable,
    /// The outcome is not known (leadership was lost while it was under way).
    #[error("the outcome of the write is not known")]
    Unknown,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

// === impl Changes ===

impl Changes {
    /// The keys that are written.
    pub(self) fn keys(&self) -> Vec<String> {
        self.writes.iter().map(|write| write.key().to_owned()).collect()
    }
}

// === impl Write ===

impl Write {
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// Values are ciphertext, but still nothing to print.
impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value } => write!(f, "Put({key}, {} bytes)", value.len()),
            Self::Delete { key } => write!(f, "Delete({key})"),
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored(version {}, {} bytes)", self.version, self.value.len())
    }
}
