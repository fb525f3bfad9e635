//! What this release calls itself on the wire.

/// `version` of `sys/health` and `sys/seal-status`. Clients compare it with the release a feature came with, so it begins
/// with the API it speaks, that of OpenBao; who it is follows as build metadata, which comparisons leave out.
pub const VERSION: &str = concat!("2.7.2+understudy.", env!("CARGO_PKG_VERSION"));

/// `commit_date` of `sys/seal-status`: the day of this release.
pub const RELEASED: &str = "2026-11-24T00:00:00Z";
