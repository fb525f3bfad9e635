//! A request as a backend sees it: parsed, authenticated, relative to its mount.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::stream::Stream;

/// What is done to the path. The names are those of ACL capabilities where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Update,
    Patch,
    Read,
    List,
    /// Recursive list (OpenBao).
    Scan,
    Delete,
    Help,
}

/// One request, relative to the mount that serves it.
#[derive(Clone)]
pub struct Request {
    /// UUID; in the envelope and the audit log.
    pub id: Arc<str>,
    pub operation: Operation,
    /// Relative to the mount, decoded once; may end in `/` for lists.
    pub path: String,
    /// The parsed JSON body, or the query of a read.
    pub data: Arc<Map<String, Value>>,
    /// The text `data` was parsed from; empty where it came from the query. For what must come back as it was written:
    /// `data` holds numbers as machine words.
    pub body: Bytes,
    /// A body that is no JSON and has no bound: it comes while the handler runs.
    pub upload: Option<Stream>,
    /// `None` on endpoints that need no token.
    pub caller: Option<Arc<Caller>>,
    /// Whether a token was shown, good or not: some endpoints that need none refuse a bad one.
    pub shows_token: bool,
    pub client: Client,
    /// `X-Vault-Wrap-TTL`, when not zero.
    pub wrap_ttl: Option<Duration>,
    /// Headers the mount asked to see (`passthrough_request_headers`), lower-case names.
    pub headers: Vec<(String, String)>,
}

/// Where the request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// After `X-Forwarded-For` of trusted proxies was taken into account. `None`: a unix socket.
    pub address: Option<IpAddr>,
    pub port: u16,
}

/// Who asks: what backends may know of the token. Its text is not among it but for the token store's own endpoints.
#[derive(Clone, Default)]
pub struct Caller {
    pub accessor: String,
    pub display_name: String,
    pub policies: Vec<String>,
    pub entity_id: String,
    /// Where the token's cubbyhole is; random, secret, not the token.
    pub cubbyhole: String,
    /// Storage id of the token (a salted hash): for the token's own endpoints.
    pub token_key: String,
    /// The token's text: set only for the token store's own endpoints, which show it to who holds it.
    pub token_text: Option<Arc<zeroize::Zeroizing<String>>>,
    pub is_root: bool,
    pub is_batch: bool,
    /// The entity's policies are not the token's.
    pub no_identity_policies: bool,
}

/// The mount a request arrived at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountInfo {
    /// Ends in `/`: `secret/`, `auth/userpass/`.
    pub path: String,
    pub kind: String,
    pub accessor: String,
    pub uuid: String,
    /// Options of the mount (`version` of kv).
    pub options: std::collections::BTreeMap<String, String>,
    /// Effective bounds for leases of this mount.
    pub default_ttl: Duration,
    pub max_ttl: Duration,
    /// `default-service`, `default-batch`, `service`, `batch` of auth mounts.
    pub token_type: String,
}

// === impl Operation ===

impl Operation {
    /// As audit logs and OpenAPI spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Delete => "delete",
            Self::Help => "help",
        }
    }
}

/// Paths, bodies and header values stay out.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {:?})", self.id, self.operation)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({})", self.accessor)
    }
}
