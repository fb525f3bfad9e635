//! What workers and probers tell the cluster owner. Sent over a bounded channel; a full channel drops and counts,
//! because every fact here is seen again by the next probe or answer.

use std::sync::Arc;

use super::learn::ShapeKey;
use super::snapshot::ServerId;

/// One fact seen from the outside.
#[derive(Debug, Clone)]
pub enum Observation {
    /// The server answered as only a non-active node does (307, "not active"); re-probe at once.
    NotLeader { server: ServerId, leader_hint: Option<Arc<str>> },
    /// Connect failure, reset, timeout or gateway error of a live request.
    Failure { server: ServerId, kind: FailureKind },
    /// A request went well after failures (ends the streak).
    Success { server: ServerId },
    /// A read of this shape sent to a standby was forwarded by it (`true`) or answered locally (`false`).
    Forwarded { shape: ShapeKey, forwarded: bool },
    /// The server's answer carried an index header of this dialect.
    Dialect { server: ServerId, dialect: super::snapshot::Dialect },
    /// A floor no standby has reached yet: chase the standbys' indexes.
    IndexWanted { index: u64 },
    /// Writes wait for a leader: probe fast.
    LeaderWanted,
}

/// Label set of `ejections_total{reason}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    Connect,
    Reset,
    Timeout,
    Gateway,
    Garbage,
}
