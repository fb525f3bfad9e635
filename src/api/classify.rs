//! The one pure table that says what a request needs: (method, canonical path, query, headers, mount type) → [`Classified`].
//! Shared with the node; it knows Vault's wire and nothing of who is up.

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

/// The label value of metrics and rules.
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Writes only the first time (`transit/encrypt/<new key>` upsert, `transit/wrapping_key`): active until seen to succeed.
    pub first_touch: bool,
    /// The verdict is a guess from the path's shape: learning may overrule it.
    pub learnable: bool,
}

/// What `classify` looks at; borrowed from the request.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    pub operation: super::operation::Operation,
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
    pub mount_type: Option<super::mount::MountType>,
}
