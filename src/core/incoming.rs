//! A request as it comes from the wire, before anybody knows who asks and which mount answers.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::api::operation::Operation;
use crate::logical::Client;

/// See the module.
pub struct Incoming {
    /// UUID, made at the door.
    pub id: String,
    pub operation: Operation,
    /// Canonical, without `v1/`.
    pub path: String,
    pub data: Map<String, Value>,
    pub token: Option<Zeroizing<String>>,
    pub client: Client,
    pub wrap: Option<Wrap>,
    /// All request headers a mount may ask for, lower-case names; not the token's.
    pub headers: Vec<(String, String)>,
}

/// `X-Vault-Wrap-TTL` and `X-Vault-Wrap-Format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrap {
    pub ttl: Duration,
    pub jwt: bool,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({} {:?})", self.id, self.operation)
    }
}
