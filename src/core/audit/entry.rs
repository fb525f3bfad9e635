//! One event of the audit log before it is hidden, as every device is given it.

use serde_json::{Map, Value};

/// Request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
}

/// See the module.
#[derive(Clone)]
pub struct Entry {
    pub kind: Kind,
    /// RFC 3339 with nanoseconds.
    pub time: String,
    pub auth: AuthEntry,
    pub request: RequestEntry,
    pub response: Option<ResponseEntry>,
    /// The outcome in the server's words; values of requests never are in it.
    pub error: String,
    /// Names that stay readable in the request's and the response's data.
    pub clear_request: Vec<String>,
    pub clear_response: Vec<String>,
}

/// What policies said of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyResults {
    pub allowed: bool,
    /// Names of the policies that grant it.
    pub granting: Vec<String>,
}

/// Who asked, or who was granted a token.
#[derive(Clone, Default)]
pub struct AuthEntry {
    pub client_token: String,
    pub accessor: String,
    pub display_name: String,
    pub policies: Vec<String>,
    pub token_policies: Vec<String>,
    pub identity_policies: Vec<String>,
    /// `None`: nobody asked the policies.
    pub policy_results: Option<PolicyResults>,
    pub metadata: Map<String, Value>,
    /// Of a token just made.
    pub num_uses: u64,
    /// Of the token shown.
    pub remaining_uses: u64,
    pub entity_id: String,
    /// Whether this login made the entity.
    pub entity_created: bool,
    /// `service` or `batch`; empty: there is no token.
    pub token_type: &'static str,
    pub token_ttl: u64,
    /// RFC 3339 in whole seconds.
    pub token_issue_time: String,
}

/// The mount that serves the request; all empty where none does.
#[derive(Debug, Clone, Default)]
pub struct MountEntryInfo {
    pub point: String,
    pub kind: String,
    /// Empty until the request has come to the mount.
    pub accessor: String,
    /// `secret` or `auth`.
    pub class: &'static str,
    /// Of the code that serves the mount.
    pub version: &'static str,
}

/// What was asked.
#[derive(Clone, Default)]
pub struct RequestEntry {
    pub id: String,
    /// Who asks, as clients are counted: the entity, else a hash of the policies.
    pub client_id: String,
    pub operation: &'static str,
    pub mount: MountEntryInfo,
    pub client_token: String,
    pub client_token_accessor: String,
    pub path: String,
    pub data: Map<String, Value>,
    pub remote_address: String,
    pub remote_port: u16,
    /// Seconds; 0: not wrapped.
    pub wrap_ttl: u64,
    pub headers: Vec<AuditedHeader>,
}

/// A header an operator wants to see (`sys/config/auditing/request-headers`).
#[derive(Clone)]
pub struct AuditedHeader {
    /// In lower case.
    pub name: String,
    pub values: Vec<String>,
    pub is_hidden: bool,
}

/// What is answered.
#[derive(Clone, Default)]
pub struct ResponseEntry {
    pub auth: Option<AuthEntry>,
    pub mount: MountEntryInfo,
    pub data: Map<String, Value>,
    /// `None`: the answer has neither a lease nor a lease's duration.
    pub lease_id: Option<String>,
    pub warnings: Vec<String>,
    /// Already in its wire shape; its token and accessors are hidden with the line.
    pub wrap_info: Option<Map<String, Value>>,
}

impl Entry {
    /// The line a new device is tried out with.
    #[must_use]
    pub fn test(id: String, time: String) -> Self {
        Self {
            kind: Kind::Request,
            time,
            auth: AuthEntry::default(),
            request: RequestEntry {
                id,
                operation: "update",
                path: "sys/audit/test".to_owned(),
                ..RequestEntry::default()
            },
            response: None,
            error: String::new(),
            clear_request: Vec::new(),
            clear_response: Vec::new(),
        }
    }
}

/// Tokens and data are in it before it is hidden.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({:?} {})", self.kind, self.request.id)
    }
}

impl std::fmt::Debug for AuthEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthEntry({})", self.entity_id)
    }
}

impl std::fmt::Debug for RequestEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestEntry({})", self.id)
    }
}

impl std::fmt::Debug for AuditedHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl std::fmt::Debug for ResponseEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseEntry")
    }
}
