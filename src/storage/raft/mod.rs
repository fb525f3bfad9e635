//! `storage "raft"`: transactions agreed on by a group of nodes, applied to the table of each.
//!
//! The index of a transaction is its index in the log. Preconditions travel with it and are checked where it is
//! applied, so every node comes to the same outcome. A transaction is acknowledged when it is durable on a majority and
//! visible on this node.
//!
//! ```text
//!   <path>/node-id           the name of this node
//!   <path>/raft/*.wal        the log
//!   <path>/understudy.redb   the table: durable at checkpoints, between them the log is what survives
//! ```

mod identity;
mod machine;
mod record;
mod restore;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use self::restore::Replacing;
pub use self::restore::{RestoreError, StoredEntries, entries_of};
use super::image::StoreImage;
use super::open::{self, OpenError};
use super::space::Space;
use super::table::{Table, check_bounds};
use super::{Changes, CommitError, CommitIndex, Committing, Observer, Snapshot, Storage};
use crate::raft::{self, Image, Node, Peer, ProposeError, StartError, Status, Verdict};

/// The table below the path.
const TABLE: &str = "understudy.redb";

/// What the configuration says about this node.
#[derive(Debug, Clone)]
pub struct Options {
    /// `node_id`; where it is not set the store names the node itself, once.
    pub node_id: Option<String>,
    /// `host:port` of the cluster port as the other nodes reach it.
    pub cluster_address: String,
    /// Whether a store that belongs to no group yet founds one, with this node as its only voter.
    pub bootstrap: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { node_id: None, cluster_address: "127.0.0.1:8201".to_owned(), bootstrap: true }
    }
}

/// See the module.
#[derive(Debug)]
pub struct RaftStorage {
    path: PathBuf,
    table: Arc<Table>,
    node: Node,
    space: Space,
    replacing: Replacing,
}

/// Opens or creates the store of this node below the directory `path`, and waits until it has applied what its log
/// holds for certain: for a lone node that is all that was ever acknowledged.
///
/// # Errors
/// The path cannot be used, another process has the store, or it is damaged: see [`OpenError`].
pub fn open(path: &Path, options: Options) -> Result<Arc<RaftStorage>, OpenError> {
    open_on(Space::below(path.to_owned()), path, options)
}

fn open_on(space: Space, path: &Path, options: Options) -> Result<Arc<RaftStorage>, OpenError> {
    open::directory(path)?;
    let table = Arc::new(super::file::table_at(&path.join(TABLE))?);
    let node_id = identity::node_id(path, options.node_id.as_deref())?;
    let peer = Peer { address: options.cluster_address };
    let options = raft::Options { path: path.to_owned(), node_id, peer, bootstrap: options.bootstrap };
    let machine = Box::new(machine::TableMachine(Arc::clone(&table)));
    let node = raft::start(options, machine).map_err(not_started)?;
    Ok(Arc::new(RaftStorage { path: path.to_owned(), table, node, space, replacing: Replacing::default() }))
}

fn not_started(error: StartError) -> OpenError {
    match error {
        StartError::Io { path, error } => OpenError::Path { path, reason: error.to_string() },
        StartError::Locked { path } => OpenError::Locked { path },
        StartError::Damaged { path, reason } => OpenError::Damaged { path, reason },
    }
}

// === impl RaftStorage ===

impl RaftStorage {
    /// This node in its group: who leads, how far it is, who belongs to it.
    #[must_use]
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// The store as it is now, to be read while it goes on.
    #[must_use]
    pub fn image(&self) -> (CommitIndex, Box<dyn Image>) {
        let view = self.table.view();
        (view.index(), Box::new(StoreImage(view)))
    }

    /// The group's side of the store.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    async fn run(&self, changes: Changes) -> Result<CommitIndex, CommitError> {
        check_bounds(&changes)?;
        let _unreplaced = self.replacing.admit(changes.seen).await?;
        self.agree(record::encode(&changes)).await
    }

    async fn agree(&self, command: Bytes) -> Result<CommitIndex, CommitError> {
        if !self.space.has(command.len()) {
            return Err(CommitError::Full);
        }
        match self.node.propose(command).await {
            Ok(done) if done.verdict == Verdict::Accepted => Ok(done.index),
            Ok(_) => Err(CommitError::Conflict),
            Err(ProposeError::NotLeader { .. }) => Err(CommitError::NotWritable),
            Err(ProposeError::Unknown) => Err(CommitError::Unknown),
        }
    }
}

impl Storage for RaftStorage {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.table.view()
    }

    fn commit(&self, changes: Changes) -> Committing<'_> {
        Box::pin(self.run(changes))
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.table.observe(observer);
    }

    fn kind(&self) -> &'static str {
        "raft"
    }

    fn is_replicated(&self) -> bool {
        true
    }
}
