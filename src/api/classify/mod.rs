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

mod auth;
mod crypto;
mod dynamic;
mod engine;
pub(crate) mod family;
mod identity;
mod sys;
#[cfg(test)]
mod table_tests;
mod verdict;

use http::HeaderMap;

use super::header;
use super::mount::MountType;
use super::operation::Operation;
use family::{Family, anchor};

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
    match shape.operation {
        Operation::Options => verdict::any_node("a CORS preflight"),
        Operation::Other => verdict::unknown("a verb this API does not have"),
        // A standby answers 500 to a help request without a token, and some releases to any (openbao#2548).
        Operation::Help => verdict::active_read("help fails on some standbys"),
        Operation::Read
        | Operation::List
        | Operation::Scan
        | Operation::Head
        | Operation::Write
        | Operation::Patch
        | Operation::Delete => with_headers(shape, by_path(shape)),
    }
}

/// A path that is not clean: servers differ in what they make of it, so it is never predicted.
#[must_use]
pub fn unclean() -> Classified {
    verdict::unknown("the path is not clean, so it is not predicted")
}

/// A clean path outside `/v1/`: the UI's files are the same at every node, an ACME challenge is answered where the order
/// was placed, anything else is unknown. `path` is canonical and begins with a slash.
#[must_use]
pub fn outside_api(operation: Operation, path: &str) -> Classified {
    let is_below =
        |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    let gets = matches!(operation, Operation::Read | Operation::Head);
    if gets && (path == "/" || is_below("/ui")) {
        verdict::any_node("a file of the UI")
    } else if gets && is_below("/.well-known/acme-challenge") {
        verdict::active_read("ACME challenges belong to the active node")
    } else if operation.is_read() {
        verdict::unknown("outside the API")
    } else {
        verdict::write("a change outside the API")
    }
}

fn by_path(shape: &Shape<'_>) -> Classified {
    match known_mount(shape) {
        Some((kind, inside)) => by_mount(shape, kind, inside),
        None => by_family(shape.operation, shape.path),
    }
}

fn by_mount(shape: &Shape<'_>, kind: MountType, inside: &str) -> Classified {
    let operation = shape.operation;
    match kind {
        MountType::System => sys::classify(operation, inside, shape.mount_len > "sys/".len()),
        MountType::Identity => identity::identity(operation, inside),
        MountType::Cubbyhole => identity::cubbyhole(operation, inside),
        MountType::Token | MountType::Approle | MountType::Oidc | MountType::Auth => {
            auth::classify(operation, "", Some((kind, inside)))
        }
        MountType::Kv1
        | MountType::Kv2
        | MountType::Transit
        | MountType::Pki
        | MountType::Ssh
        | MountType::Totp
        | MountType::Dynamic
        | MountType::Other => engine::classify(operation, shape.path, Some((kind, inside))),
    }
}

fn by_family(operation: Operation, path: &str) -> Classified {
    let found = anchor(path);
    match found.family {
        Family::Sys => sys::classify(operation, found.rest, found.namespaced),
        Family::Auth => auth::classify(operation, found.rest, None),
        Family::Identity => identity::identity(operation, found.rest),
        Family::Cubbyhole => identity::cubbyhole(operation, found.rest),
        Family::Engine => engine::classify(operation, path, None),
        Family::Ambiguous if operation.is_read() => verdict::unknown("the path can be read in two ways"),
        Family::Ambiguous => verdict::write("a change, to a path that can be read in two ways"),
    }
}

/// The mount's type and what follows it in the path.
fn known_mount<'a>(shape: &Shape<'a>) -> Option<(MountType, &'a str)> {
    let kind = shape.mount_type?;
    // A caller that knows the type but not the length: the first segment, two of them for an auth method.
    let segments = if kind.is_auth() { 2 } else { 1 };
    let inside = match shape.mount_len {
        0 => shape.path.splitn(segments + 1, '/').nth(segments),
        length => shape.path.get(length..),
    };
    Some((kind, inside.unwrap_or_default()))
}

/// Headers that make a request the active node's (vault-semantics §4.4 rule 2). What one node alone can answer stays
/// with that node.
fn with_headers(shape: &Shape<'_>, verdict: Classified) -> Classified {
    if matches!(verdict.needs, Needs::ThisNode | Needs::Cluster) {
        return verdict;
    }
    if shape.wraps {
        // Wrapping stores the answer: the request writes, whatever it was (and on a standby it may fail with 500).
        return verdict.at_active(Class::Write, "the answer is to be wrapped, which writes").mints_token();
    }
    if shape.forward_active {
        return verdict.at_active(verdict.class, "the client asks for the active node");
    }
    if shape.mfa {
        return verdict.at_active(verdict.class, "used MFA codes are kept by the active node").once_only();
    }
    verdict
}

impl Classified {
    fn at_active(self, class: Class, reason: &'static str) -> Self {
        let traits = Traits { learnable: false, first_touch: false, ..self.traits };
        let at_active = Self { needs: Needs::Active, class, source: Source::Header, reason, traits };
        if class == Class::Write { at_active.once_only() } else { at_active }
    }
}

// === impl Needs, Class, Source ===

impl Needs {
    /// Lower-case word for logs and `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnyNode => "any_node",
            Self::Standby => "standby",
            Self::Active => "active",
            Self::ThisNode => "this_node",
            Self::Cluster => "cluster",
        }
    }
}

impl Class {
    /// The metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Local => "local",
            Self::Unknown => "unknown",
        }
    }
}

impl Source {
    /// Lower-case word for logs and `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Builtin => "builtin",
            Self::Learned => "learned",
            Self::Header => "header",
            Self::Fallback => "fallback",
        }
    }
}
