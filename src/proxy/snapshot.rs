//! What every worker reads: one immutable picture of configuration, roles and eligibility, published by the cluster owner.
//!
//! Invariant: a `Snapshot` is never changed after it is published; the only moving parts are the monotonic
//! numbers in [`ServerLive`], which many threads may raise and nobody may lower.
//! It does not know how the picture was made (that is `cluster`) nor what is done with it (`service`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::config::proxy::{ProxyConfig, ServerAddress};

/// Position in [`Snapshot::servers`]; stable within one configuration generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ServerId(pub u16);

impl ServerId {
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a backend is, by its own health answer. The label set of `server_role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Active,
    /// Unsealed standby; whether it serves reads is `ServerView::reads`.
    Standby,
    PerfStandby,
    DrSecondary,
    Sealed,
    Uninitialized,
    /// 474: a standby that lost the active.
    Unhealthy,
    Removed,
    /// Belongs to another cluster: never used.
    Foreign,
    Unreachable,
    Unknown,
}

/// Which index header the server speaks (vault-semantics §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// None seen: older OpenBao, Vault CE.
    #[default]
    None,
    /// base64 of JSON `{"cluster","value"}`.
    OpenBao,
    /// base64 of `v1:cluster:local:replicated:hmac`.
    Vault,
}

/// The operator's word on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AdminState {
    #[default]
    Ready,
    /// Finishes what it has, gets nothing new.
    Drain,
    /// As drain, and not probed for a leader hint.
    Maint,
}

/// The numbers of one server that move between snapshots. Owned by nobody, raised by all.
#[derive(Debug, Default)]
pub struct ServerLive {
    applied_index: AtomicU64,
}

impl ServerLive {
    /// Highest applied index this server was seen to have.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Acquire)
    }

    /// Raises the index; a lower value is ignored. The load keeps the steady state free of shared writes.
    pub fn raise_applied_index(&self, index: u64) {
        if index > self.applied_index.load(Ordering::Relaxed) {
            self.applied_index.fetch_max(index, Ordering::AcqRel);
        }
    }

    /// A node that came back with less (restored, rebuilt) must not keep its old number.
    pub fn reset_applied_index(&self, index: u64) {
        self.applied_index.store(index, Ordering::Release);
    }
}

/// One server as the workers see it.
#[derive(Debug, Clone)]
pub struct ServerView {
    pub id: ServerId,
    pub name: Arc<str>,
    pub address: Arc<ServerAddress>,
    pub zone: Option<Arc<str>>,
    pub weight: u32,
    pub role: Role,
    /// Reachable, right cluster, unsealed, not drained: may get requests any node can answer.
    pub usable: bool,
    /// May get reads now: capability, freshness gate, lag, ejection and operator state all agree.
    pub reads: bool,
    /// One plain word why `reads` is what it is: `ok`, `lagging`, `ejected`, `no_standby_reads`, ...
    pub reads_reason: &'static str,
    pub dialect: Dialect,
    /// Names its answers carry in `X-Vault-Raft-Node-Id` / `X-Vault-Hostname`, when the operator enabled them.
    pub node_id: Option<Arc<str>>,
    pub hostname: Option<Arc<str>>,
    /// Since when it may get reads: slow start counts from here.
    pub ready_since: Option<Instant>,
    /// For servers without an index header: every write acknowledged before this proxy-clock moment
    /// (milliseconds of the process's `clock::Clock`) has been applied here.
    pub caught_up_to_ms: u64,
    /// How long this standby usually needs to show an index the active has shown (EWMA, microseconds; 0: not known yet).
    pub catch_up_us: u64,
    pub live: Arc<ServerLive>,
}

/// The picture.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Configuration generation, 1 for the first.
    pub generation: u64,
    pub config: Arc<ProxyConfig>,
    pub servers: Vec<ServerView>,
    /// Who takes writes. `None`: unknown or disputed; writes are held.
    pub active: Option<ServerId>,
    /// The cluster's id once a majority-independent first answer named it.
    pub cluster_id: Option<Arc<str>>,
    pub cluster_name: Option<Arc<str>>,
    /// Mount path → engine type, as far as known.
    pub mounts: Arc<crate::api::mount::MountTable>,
    /// Shapes learned to be forwarded.
    pub learned: Arc<super::learn::Learned>,
    /// Index from which the servers of a *new* cluster count (floors older than this epoch are void).
    pub epoch: u64,
}

impl Snapshot {
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<&ServerView> {
        self.servers.get(id.index())
    }

    #[must_use]
    pub fn active_server(&self) -> Option<&ServerView> {
        self.active.and_then(|id| self.server(id))
    }
}
