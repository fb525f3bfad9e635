//! A request as it comes from the wire, before anybody knows who asks and which mount answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::api::operation::Operation;
use crate::logical::{Client, Stream};

/// See the module.
#[derive(Clone)]
pub struct Incoming {
    /// UUID, made at the door.
    pub id: Arc<str>,
    pub operation: Operation,
    /// Canonical, without `v1/`.
    pub path: String,
    pub data: Arc<Map<String, Value>>,
    /// The text `data` was parsed from; empty where it came from the query.
    pub body: Bytes,
    /// A body that is no JSON: see [`Request::upload`](crate::logical::Request::upload).
    pub upload: Option<Stream>,
    pub token: Option<Zeroizing<String>>,
    pub client: Client,
    pub wrap: Option<Wrap>,
    /// All that a mount may ask for; not the token's.
    pub headers: HeaderMap,
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
