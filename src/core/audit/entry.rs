//! One line of the audit log, in the real server's fields and order.

use serde::Serialize;
use serde_json::{Map, Value};

use super::hash::Salt;

/// Request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Request,
    Response,
}

/// A line before it is hidden: what every device is given.
#[derive(Clone)]
pub struct Entry {
    pub kind: Kind,
    /// RFC 3339 with nanoseconds.
    pub time: String,
    pub auth: AuthEntry,
    pub request: RequestEntry,
    pub response: Option<ResponseEntry>,
    /// The outcome in words; paths and values of requests never are in it.
    pub error: String,
    /// Names that stay readable in the request's and the response's data.
    pub clear_request: Vec<String>,
    pub clear_response: Vec<String>,
}

/// Who asked.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(default)]
pub struct AuthEntry {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub accessor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identity_policies: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub entity_id: String,
    /// `default` where there is no token.
    pub token_type: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub token_ttl: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token_issue_time: String,
}

/// The mount that serves the request.
#[derive(Debug, Clone, Default)]
pub struct MountEntryInfo {
    pub point: String,
    pub kind: String,
    pub accessor: String,
    /// `secret` or `auth`.
    pub class: &'static str,
}

/// What was asked.
#[derive(Clone, Default)]
pub struct RequestEntry {
    pub id: String,
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
}

/// What is answered.
#[derive(Clone, Default)]
pub struct ResponseEntry {
    pub auth: Option<AuthEntry>,
    pub mount: MountEntryInfo,
    pub data: Map<String, Value>,
    pub lease_id: String,
    pub warnings: Vec<String>,
    /// Already in its wire shape; its token and accessor are hidden here.
    pub wrap_info: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct Line<'e> {
    time: &'e str,
    #[serde(rename = "type")]
    kind: Kind,
    auth: AuthEntry,
    request: RequestLine<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ResponseLine<'e>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'e str,
}

#[derive(Serialize)]
struct Namespace {
    id: &'static str,
}

#[derive(Serialize)]
struct RequestLine<'e> {
    id: &'e str,
    operation: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_point: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_type: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_accessor: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_class: &'e str,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_token_accessor: String,
    namespace: Namespace,
    path: &'e str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
    #[serde(skip_serializing_if = "str::is_empty")]
    remote_address: &'e str,
    #[serde(skip_serializing_if = "is_no_port")]
    remote_port: u16,
    #[serde(skip_serializing_if = "is_zero")]
    wrap_ttl: u64,
}

#[derive(Serialize)]
struct ResponseLine<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthEntry>,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_point: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_type: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_accessor: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_class: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<SecretLine<'e>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'e [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    wrap_info: Option<Map<String, Value>>,
}

#[derive(Serialize)]
struct SecretLine<'e> {
    lease_id: &'e str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references to skip_serializing_if")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references to skip_serializing_if")]
fn is_no_port(port: &u16) -> bool {
    *port == 0
}

// === impl Entry ===

impl Entry {
    /// The line for one device, with its line feed.
    ///
    /// # Errors
    /// Never for the types above; serde's signature.
    pub fn line(&self, salt: &Salt) -> Result<Vec<u8>, serde_json::Error> {
        let line = Line {
            time: &self.time,
            kind: self.kind,
            auth: self.auth.hidden(salt),
            request: self.request.line(salt, &self.clear_request),
            response: self.response.as_ref().map(|response| response.line(salt, &self.clear_response)),
            error: &self.error,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl AuthEntry {
    fn hidden(&self, salt: &Salt) -> Self {
        let mut hidden = self.clone();
        hidden.client_token = salt.hide(&self.client_token);
        hidden.accessor = salt.hide(&self.accessor);
        hidden
    }
}

impl RequestEntry {
    fn line(&self, salt: &Salt, clear: &[String]) -> RequestLine<'_> {
        RequestLine {
            id: &self.id,
            operation: self.operation,
            mount_point: &self.mount.point,
            mount_type: &self.mount.kind,
            mount_accessor: &self.mount.accessor,
            mount_class: self.mount.class,
            client_token: salt.hide(&self.client_token),
            client_token_accessor: salt.hide(&self.client_token_accessor),
            namespace: Namespace { id: "root" },
            path: &self.path,
            data: salt.hide_map(&self.data, clear),
            remote_address: &self.remote_address,
            remote_port: self.remote_port,
            wrap_ttl: self.wrap_ttl,
        }
    }
}

impl ResponseEntry {
    fn line(&self, salt: &Salt, clear: &[String]) -> ResponseLine<'_> {
        let secret = (!self.lease_id.is_empty()).then_some(SecretLine { lease_id: &self.lease_id });
        ResponseLine {
            auth: self.auth.as_ref().map(|auth| auth.hidden(salt)),
            mount_point: &self.mount.point,
            mount_type: &self.mount.kind,
            mount_accessor: &self.mount.accessor,
            mount_class: self.mount.class,
            secret,
            data: salt.hide_map(&self.data, clear),
            warnings: &self.warnings,
            wrap_info: self.wrap_info.as_ref().map(|wrap| hide_wrap(salt, wrap)),
        }
    }
}

/// Of a wrapping, the token and the accessors are secret; time and path are not.
fn hide_wrap(salt: &Salt, wrap: &Map<String, Value>) -> Map<String, Value> {
    let secret = |name: &str| matches!(name, "token" | "accessor" | "wrapped_accessor");
    let hide = |(name, value): (&String, &Value)| {
        let shown = if secret(name) { salt.hide_value(value) } else { value.clone() };
        (name.clone(), shown)
    };
    wrap.iter().map(hide).collect()
}

/// Tokens and data are in it before it is hidden.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({:?} {})", self.kind, self.request.id)
    }
}

impl std::fmt::Debug for RequestEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestEntry({})", self.id)
    }
}

impl std::fmt::Debug for ResponseEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseEntry")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::core::audit) fn sample() -> Entry {
        let mount = MountEntryInfo {
            point: "kv1/".to_owned(),
            kind: "kv".to_owned(),
            accessor: "kv_6c5f1c03".to_owned(),
            class: "secret",
        };
        Entry {
            kind: Kind::Response,
            time: "2026-11-23T02:54:22.07Z".to_owned(),
            auth: AuthEntry {
                client_token: "s.canary-token".to_owned(),
                accessor: "canary-accessor".to_owned(),
                display_name: "root".to_owned(),
                token_type: "service".to_owned(),
                ..AuthEntry::default()
            },
            request: RequestEntry {
                id: "id".to_owned(),
                operation: "update",
                mount: mount.clone(),
                client_token: "s.canary-token".to_owned(),
                path: "kv1/a".to_owned(),
                data: json!({"password": "canary-value"}).as_object().unwrap().clone(),
                remote_address: "127.0.0.1".to_owned(),
                remote_port: 1,
                ..RequestEntry::default()
            },
            response: Some(ResponseEntry {
                mount,
                wrap_info: json!({"token": "s.canary-wrap", "ttl": 60}).as_object().cloned(),
                ..ResponseEntry::default()
            }),
            error: String::new(),
            clear_request: Vec::new(),
            clear_response: Vec::new(),
        }
    }

    #[test]
    fn a_line_holds_nothing_secret_and_everything_else() {
        let entry = sample();
        let line = String::from_utf8(entry.line(&Salt::new(b"k")).unwrap()).unwrap();
        assert!(!line.contains("canary") && !format!("{entry:?}").contains("canary"));
        assert!(
            line.ends_with('\n')
                && line.starts_with("{\"time\":\"2026-11-23T02:54:22.07Z\",\"type\":\"response\",\"auth\":{")
        );
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["request"]["path"], "kv1/a");
        assert_eq!(value["request"]["namespace"]["id"], "root");
        assert_eq!(value["response"]["wrap_info"]["ttl"], 60);
        assert_eq!(value["request"]["data"]["password"], json!(Salt::new(b"k").hide("canary-value")));
        assert!(value.get("error").is_none() && value["request"].get("wrap_ttl").is_none());
    }
}
