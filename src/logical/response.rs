//! What a handler gives back, or why it did not.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

use super::stream::Stream;
use crate::barrier::StoreError;

/// The `data` of an answer.
#[derive(Clone, Default)]
pub enum Body {
    /// No data: 204 for a write, 404 for a read or list.
    #[default]
    None,
    Map(Map<String, Value>),
    /// A JSON object already written: what kv hands out as it was stored.
    Encoded(Zeroizing<Vec<u8>>),
    /// Not the envelope at all: a snapshot, a certificate, metrics.
    Raw(Raw),
    /// Not the envelope, and not at hand yet.
    Stream(Streamed),
}

/// An answer outside the envelope whose bytes come while it is written.
#[derive(Debug, Clone)]
pub struct Streamed {
    /// Empty: it is not said.
    pub content_type: &'static str,
    pub stream: Stream,
}

/// An answer outside the envelope.
#[derive(Clone)]
pub struct Raw {
    pub status: u16,
    pub content_type: &'static str,
    pub body: bytes::Bytes,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub body: Body,
    pub warnings: Vec<String>,
    /// A login or a new token: the pipeline makes the token.
    pub auth: Option<Box<Auth>>,
    /// A dynamic secret: the pipeline registers the lease.
    pub lease: Option<Box<LeaseRequest>>,
    /// The backend asks for wrapping bounds of its own.
    pub wrap: Option<WrapRequest>,
    /// The finished `auth` block, once the token exists.
    pub granted: Option<Box<Granted>>,
    /// The finished `wrap_info` block; the rest of the envelope stays empty beside it.
    pub wrapped: Option<Box<WrapInfo>>,
    /// For the audit log only: the token of a login whose answer is wrapped.
    pub wrapped_grant: Option<Box<Granted>>,
    /// The registered lease's id; empty: none.
    pub lease_id: String,
    pub lease_renewable: bool,
    /// The keys of `data` appear at the top level of the envelope too (an older form some clients still read).
    pub injected: bool,
    /// `None`: 200, 204 or 404 by operation and body.
    pub status: Option<u16>,
    /// `lease_duration` of the envelope in seconds: the lease's, or a hint where there is none (kv v1: 2764800).
    pub lease_duration_secs: u64,
}

/// A login's outcome, before the token exists. Durations in seconds, 0 is "not set".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Auth {
    pub display_name: String,
    pub policies: Vec<String>,
    pub metadata: BTreeMap<String, String>,
    pub ttl_secs: u64,
    pub max_ttl_secs: u64,
    pub explicit_max_ttl_secs: u64,
    pub period_secs: u64,
    pub num_uses: u64,
    pub renewable: bool,
    pub no_default_policy: bool,
    pub bound_cidrs: Vec<String>,
    pub kind: TokenKind,
    /// Who logged in, for identity.
    pub alias: Option<Alias>,
    /// Names of the groups the method says they are in.
    pub group_aliases: Vec<String>,
    /// Kept with the token for renewal; never shown.
    pub internal: Map<String, Value>,
}

/// The `auth` block of the envelope: a token that now exists.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Granted {
    pub client_token: Zeroizing<String>,
    pub accessor: String,
    /// For the audit log only.
    #[serde(skip)]
    pub display_name: String,
    pub policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identity_policies: Vec<String>,
    /// `null` on the wire when there is none.
    pub metadata: Option<BTreeMap<String, String>>,
    pub lease_duration: u64,
    pub renewable: bool,
    pub entity_id: String,
    /// For the audit log only: this login made the entity.
    #[serde(skip)]
    pub entity_created: bool,
    pub token_type: String,
    pub orphan: bool,
    pub mfa_requirement: Option<Value>,
    pub num_uses: u64,
}

/// The `wrap_info` block of the envelope.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WrapInfo {
    pub token: Zeroizing<String>,
    pub accessor: String,
    pub ttl: u64,
    /// RFC 3339 with nanoseconds.
    pub creation_time: String,
    pub creation_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wrapped_accessor: String,
}

/// An identity alias as an auth method names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alias {
    pub name: String,
    pub metadata: BTreeMap<String, String>,
}

/// The kind of token a login asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// What the mount is tuned to.
    #[default]
    Default,
    Service,
    Batch,
    DefaultService,
    DefaultBatch,
}

/// A lease to be registered. Durations in seconds, 0: the mount's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeaseRequest {
    pub ttl_secs: u64,
    pub max_ttl_secs: u64,
    pub renewable: bool,
    /// Given back on renew and revoke.
    pub internal: Map<String, Value>,
}

/// Wrapping the backend wants for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapRequest {
    pub ttl_secs: u64,
}

/// Why there is no answer. One variant a status; the text is the client's.
#[derive(Clone, Error)]
pub enum Fault {
    /// Forward it: this node may not write, or only the active one knows.
    #[error("please forward to the active node")]
    NeedsActive,
    /// 400
    #[error("{0}")]
    Invalid(String),
    /// 400: a login that proves nothing. It is counted against its name.
    #[error("{0}")]
    WrongCredentials(String),
    /// 400 with data beside the text: what the caller must decide.
    #[error("{text}")]
    InvalidWith { text: String, data: Value },
    /// 403 `permission denied`
    #[error("permission denied")]
    Denied,
    /// 404; an empty text gives an empty error list.
    #[error("{0}")]
    NotFound(String),
    /// 404 with data and perhaps warnings (a deleted version of kv v2).
    #[error("not found")]
    NotFoundWith(Box<Response>),
    /// The mount has such a path or operation not: 404 `unsupported path`, 405 `unsupported operation`.
    #[error("unsupported path")]
    UnsupportedPath,
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// 409
    #[error("{0}")]
    Conflict(String),
    /// 429
    #[error("{0}")]
    TooMany(String),
    /// Any other status with Vault's text.
    #[error("{text}")]
    Status { status: u16, text: String },
    /// 500; the text goes to the client as Vault's does, so it must not hold a secret.
    #[error("{0}")]
    Internal(String),
}

// === impl Response ===

impl Response {
    /// Nothing to say: 204 for writes.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn of(data: Map<String, Value>) -> Self {
        Self { body: Body::Map(data), ..Self::default() }
    }

    /// `data` from a `json!` object; anything else is no data.
    #[must_use]
    pub fn json(data: Value) -> Self {
        match data {
            Value::Object(data) => Self::of(data),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Self::empty()
            }
        }
    }

    /// JSON outside the envelope.
    #[must_use]
    pub fn raw_json(body: &Value) -> Self {
        let body = bytes::Bytes::from(body.to_string());
        let raw = Raw { status: 200, content_type: "application/json", body };
        Self { body: Body::Raw(raw), ..Self::default() }
    }

    /// The answer to a list: `keys`; nothing when there are none, which is a 404.
    #[must_use]
    pub fn keys(keys: Vec<String>) -> Self {
        if keys.is_empty() {
            return Self::empty();
        }
        Self::json(serde_json::json!({ "keys": keys }))
    }

    /// Whether there is something to show: data, or a token.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.granted.is_some() || matches!(self.body, Body::Map(_) | Body::Encoded(_))
    }

    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}

// === impl Fault ===

impl Fault {
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// 404 with an empty error list.
    #[must_use]
    pub fn missing() -> Self {
        Self::NotFound(String::new())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ReadOnly => Self::NeedsActive,
            StoreError::TooLarge { .. }
            | StoreError::TooMany
            | StoreError::Barrier(_)
            | StoreError::Format(_)
            | StoreError::Storage(_) => Self::Internal(error.to_string()),
        }
    }
}

/// The texts of faults are for clients and may name paths; logs get the kind.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeedsActive => "NeedsActive",
            Self::Invalid(_) => "Invalid",
            Self::InvalidWith { .. } => "InvalidWith",
            Self::WrongCredentials(_) => "WrongCredentials",
            Self::Denied => "Denied",
            Self::NotFound(_) => "NotFound",
            Self::NotFoundWith(_) => "NotFoundWith",
            Self::UnsupportedPath => "UnsupportedPath",
            Self::UnsupportedOperation => "UnsupportedOperation",
            Self::Conflict(_) => "Conflict",
            Self::TooMany(_) => "TooMany",
            Self::Status { .. } => "Status",
            Self::Internal(_) => "Internal",
        })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Map(map) => write!(f, "Map({} keys)", map.len()),
            Self::Encoded(bytes) => write!(f, "Encoded({} bytes)", bytes.len()),
            Self::Raw(raw) => write!(f, "Raw({}, {} bytes)", raw.status, raw.body.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Granted({})", self.accessor)
    }
}

impl fmt::Debug for WrapInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrapInfo({})", self.accessor)
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({})", self.status)
    }
}
