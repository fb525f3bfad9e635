//! The one pure table that says what a request needs: (method, canonical path, query, headers, mount type) → [`Classified`].
//! Shared with the node; it knows Vault's wire and nothing of who is up.
//!
//! ```text
//!  headers that force the active node ─┐
//!  operation (help, OPTIONS, odd verbs)┤
//!                 sys/…  → sys         ├→ Classified
//!  path ─ family ─ auth/… → auth       │
//!                 identity/…, cubbyhole/…
//!                 <mount>/… → engine   ┘   by type: known, customary name, or the shape of the path
//! ```
//!
//! The rows are those of vault-semantics §4, one function a family. Two rules hold in every row: a DELETE or PATCH never
//! goes to a standby (it would be judged on stale data and lost), and a guess is marked `learnable` only where being
//! wrong costs one forwarding hop.

pub(crate) mod family;
mod verdict;

use http::HeaderMap;

use super::header;
use super::mount::MountType;
use super::operation::Operation;

/// What the request needs, before any rule or learning is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Answered alike by every unsealed node (unauthenticated status, openapi).
    AnyNode,
    /// A read: a performance standby that is fresh enough answers it.
    Standby,
    /// A write, or a read whose side effect belongs to the active node.
    Active,
    /// Node-local: the answer or effect differs per node (`sys/seal`, `sys/metrics`, ...).
    ThisNode,
    /// `sys/health`, `sys/leader`, `sys/seal-status`: the proxy answers for the cluster.
    Cluster,
}

/// The label value of metrics and rules: what the operation is, not where it goes. A read that only the active
/// node answers (`sys/ha-status`) is still `Read`; a GET that makes credentials is `Write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Read,
    Write,
    Local,
    Unknown,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Rule,
    Builtin,
    Learned,
    Header,
    Fallback,
}

/// The verdict on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    pub needs: Needs,
    pub class: Class,
    pub source: Source,
    /// One sentence for `explain`, never built from request data.
    pub reason: &'static str,
    pub traits: Traits,
}

/// Facts about the operation that later steps read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// Unbounded body or answer: no request timeout, no body limit (snapshots, monitor, events, pprof).
    pub streaming: bool,
    /// May be sent again after a reset (GET/HEAD/LIST/SCAN that consume nothing).
    pub idempotent: bool,
    /// A success changes mounts, auth mounts, policies or namespaces: opens the mount-change window.
    pub changes_mounts: bool,
    /// A login or anything else that hands out a new token.
    pub mints_token: bool,
    /// Writes only the first time (`transit/encrypt/<new key>` upsert, `transit/wrapping_key`): `needs` says what holds
    /// afterwards; until a success of it was seen it belongs to the active node.
    pub first_touch: bool,
    /// The verdict is a guess from the path's shape: learning may overrule it.
    pub learnable: bool,
}

/// What `classify` looks at; borrowed from the request.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    pub operation: Operation,
    /// Canonical path without the leading `/v1/`; namespace prefix still inside.
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// Non-zero `X-Vault-Wrap-TTL`.
    pub wraps: bool,
    /// `X-Vault-MFA` present.
    pub mfa: bool,
    /// `X-Vault-Forward: active-node`.
    pub forward_active: bool,
    /// `X-Vault-Inline-Auth-*` present.
    pub inline_auth: bool,
    pub mount_type: Option<MountType>,
    /// Bytes of `path` that are the mount's (and a namespace's in front of it), as [`MountTable::lookup`] gives them.
    /// 0 when the type is not known.
    ///
    /// [`MountTable::lookup`]: super::mount::MountTable::lookup
    pub mount_len: usize,
}

impl<'a> Shape<'a> {
    /// A request without special headers, query or known mount.
    #[must_use]
    pub fn plain(operation: Operation, path: &'a str) -> Self {
        Self {
            operation,
            path,
            query: None,
            wraps: false,
            mfa: false,
            forward_active: false,
            inline_auth: false,
            mount_type: None,
            mount_len: 0,
        }
    }

    /// Reads what matters from the headers; `mount` is the answer of the mount table.
    #[must_use]
    pub fn of(
        operation: Operation,
        path: &'a str,
        query: Option<&'a str>,
        headers: &HeaderMap,
        mount: Option<(usize, MountType)>,
    ) -> Self {
        Self {
            operation,
            path,
            query,
            wraps: header::wrap_ttl(headers) == header::WrapTtl::NonZero,
            mfa: headers.contains_key(&header::X_VAULT_MFA),
            forward_active: header::forwards_to_active(headers),
            inline_auth: header::has_inline_auth(headers),
            mount_type: mount.map(|(_, kind)| kind),
            mount_len: mount.map_or(0, |(length, _)| length),
        }
    }
}

/// What the request needs. Pure; allocates nothing.
#[must_use]
pub fn classify(shape: &Shape<'_>) -> Classified {
    by_method(shape.operation)
}

/// A path that is not clean: servers differ in what they make of it, so it is never predicted.
#[must_use]
pub fn unclean() -> Classified {
    verdict::unknown("the path is not clean, so it is not predicted")
}

fn by_method(operation: Operation) -> Classified {
    match operation {
        Operation::Read | Operation::List | Operation::Scan | Operation::Head => {
            verdict::read("reads by its verb")
        }
        Operation::Write | Operation::Patch | Operation::Delete => verdict::write("writes by its verb"),
        Operation::Help => verdict::active_read("help on a standby can fail with 500"),
        Operation::Options => verdict::any_node("CORS preflight"),
        Operation::Other => verdict::unknown("a verb this API does not have"),
    }
}
