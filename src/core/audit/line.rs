//! An [`Entry`] as one device writes it: the real server's fields in its order, hidden by the device's salt.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::entry::{AuthEntry, Entry, Kind, MountEntryInfo, RequestEntry, ResponseEntry};
use super::hash::Salt;

/// How a device shows things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Nothing is hidden (`log_raw`).
    pub(super) is_raw: bool,
    /// Accessors are hidden too (`hmac_accessor`).
    pub(super) hides_accessor: bool,
    /// Lists are shown as their lengths (`elide_list_responses`).
    pub(super) elides_lists: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { is_raw: false, hides_accessor: true, elides_lists: false }
    }
}

/// What hides.
#[derive(Clone, Copy)]
struct Veil<'s> {
    salt: &'s Salt,
    shape: Shape,
}

#[derive(Serialize)]
struct Line<'e> {
    time: &'e str,
    #[serde(rename = "type")]
    kind: &'static str,
    auth: AuthLine<'e>,
    request: RequestLine<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ResponseLine<'e>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'e str,
}

#[derive(Serialize)]
struct AuthLine<'e> {
    #[serde(skip_serializing_if = "String::is_empty")]
    client_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    accessor: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    display_name: &'e str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policies: &'e [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    token_policies: &'e [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    identity_policies: &'e [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_results: Option<PolicyLine<'e>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: &'e Map<String, Value>,
    #[serde(skip_serializing_if = "is_zero")]
    num_uses: u64,
    #[serde(skip_serializing_if = "is_zero")]
    remaining_uses: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    entity_id: &'e str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    entity_created: bool,
    token_type: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    token_ttl: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    token_issue_time: &'e str,
}

#[derive(Serialize)]
struct PolicyLine<'e> {
    allowed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    granting_policies: Vec<Granting<'e>>,
}

#[derive(Serialize)]
struct Granting<'e> {
    name: &'e str,
    namespace_id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Namespace {
    id: &'static str,
}

#[derive(Serialize)]
struct RequestLine<'e> {
    id: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_id: &'e str,
    operation: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_point: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_type: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_accessor: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_running_version: &'e str,
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'e str, Vec<String>>,
}

#[derive(Serialize)]
struct ResponseLine<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthLine<'e>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_point: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_type: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_accessor: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mount_running_plugin_version: &'e str,
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
    #[serde(skip_serializing_if = "str::is_empty")]
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

/// The line for one device, with its line feed.
///
/// # Errors
/// Never for the types above; serde's signature.
pub(super) fn write(entry: &Entry, salt: &Salt, shape: Shape) -> Result<Vec<u8>, serde_json::Error> {
    let veil = Veil { salt, shape };
    let elided = shape.elides_lists && matches!(entry.request.operation, "list" | "scan");
    let line = Line {
        time: &entry.time,
        kind: match entry.kind {
            Kind::Request => "request",
            Kind::Response => "response",
        },
        auth: veil.auth(&entry.auth),
        request: veil.request(&entry.request, &entry.clear_request),
        response: entry.response.as_ref().map(|one| veil.response(one, &entry.clear_response, elided)),
        error: &entry.error,
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

// === impl Veil ===

impl Veil<'_> {
    /// No text stays none.
    fn text(self, text: &str) -> String {
        if self.shape.is_raw || text.is_empty() { text.to_owned() } else { self.salt.hide(text) }
    }

    fn accessor(self, text: &str) -> String {
        if self.shape.hides_accessor { self.text(text) } else { text.to_owned() }
    }

    fn map(self, map: &Map<String, Value>, clear: &[String]) -> Map<String, Value> {
        if self.shape.is_raw { map.clone() } else { self.salt.hide_map(map, clear) }
    }

    fn auth(self, auth: &AuthEntry) -> AuthLine<'_> {
        AuthLine {
            client_token: self.text(&auth.client_token),
            accessor: self.accessor(&auth.accessor),
            display_name: &auth.display_name,
            policies: &auth.policies,
            token_policies: &auth.token_policies,
            identity_policies: &auth.identity_policies,
            policy_results: auth.policy_results.as_ref().map(|results| PolicyLine {
                allowed: results.allowed,
                granting_policies: results.granting.iter().map(|name| granting(name)).collect(),
            }),
            metadata: &auth.metadata,
            num_uses: auth.num_uses,
            remaining_uses: auth.remaining_uses,
            entity_id: &auth.entity_id,
            entity_created: auth.entity_created,
            token_type: if auth.token_type.is_empty() { "default" } else { auth.token_type },
            token_ttl: auth.token_ttl,
            token_issue_time: &auth.token_issue_time,
        }
    }

    fn request<'e>(self, request: &'e RequestEntry, clear: &[String]) -> RequestLine<'e> {
        let MountEntryInfo { point, kind, accessor, class, version } = &request.mount;
        let headers = request.headers.iter().map(|header| {
            let show = |value: &String| if header.is_hidden { self.text(value) } else { value.clone() };
            (header.name.as_str(), header.values.iter().map(show).collect())
        });
        RequestLine {
            id: &request.id,
            client_id: &request.client_id,
            operation: request.operation,
            mount_point: point,
            mount_type: kind,
            mount_accessor: accessor,
            mount_running_version: version,
            mount_class: class,
            client_token: self.text(&request.client_token),
            client_token_accessor: self.accessor(&request.client_token_accessor),
            namespace: Namespace { id: "root" },
            path: &request.path,
            data: self.map(&request.data, clear),
            remote_address: &request.remote_address,
            remote_port: request.remote_port,
            wrap_ttl: request.wrap_ttl,
            headers: headers.collect(),
        }
    }

    fn response<'e>(self, response: &'e ResponseEntry, clear: &[String], elided: bool) -> ResponseLine<'e> {
        let MountEntryInfo { point, kind, accessor, class, version } = &response.mount;
        let data =
            if elided { self.map(&lengths(&response.data), clear) } else { self.map(&response.data, clear) };
        ResponseLine {
            auth: response.auth.as_ref().map(|auth| self.auth(auth)),
            mount_point: point,
            mount_type: kind,
            mount_accessor: accessor,
            mount_running_plugin_version: version,
            mount_class: class,
            secret: response.lease_id.as_ref().map(|lease_id| SecretLine { lease_id }),
            data,
            warnings: &response.warnings,
            wrap_info: response.wrap_info.as_ref().map(|wrap| self.wrap_info(wrap)),
        }
    }

    /// Of a wrapping, the token and the accessors are secret; time and path are not.
    fn wrap_info(self, wrap: &Map<String, Value>) -> Map<String, Value> {
        let show = |(name, value): (&String, &Value)| {
            let text = value.as_str().unwrap_or_default();
            let shown = match name.as_str() {
                "token" => json!(self.text(text)),
                "accessor" | "wrapped_accessor" => json!(self.accessor(text)),
                _ => value.clone(),
            };
            (name.clone(), shown)
        };
        wrap.iter().map(show).collect()
    }
}

fn granting(name: &str) -> Granting<'_> {
    Granting { name, namespace_id: "root", kind: "acl" }
}

/// `keys` and `key_info` of a list as how many they are.
fn lengths(data: &Map<String, Value>) -> Map<String, Value> {
    let length = |(name, value): (&String, &Value)| {
        let shown = match (name.as_str(), value) {
            ("keys", Value::Array(keys)) => json!(keys.len()),
            ("key_info", Value::Object(infos)) => json!(infos.len()),
            _ => value.clone(),
        };
        (name.clone(), shown)
    };
    data.iter().map(length).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::audit::entry::{AuditedHeader, PolicyResults};

    pub(in crate::core::audit) fn sample() -> Entry {
        let mount = MountEntryInfo {
            point: "kv1/".to_owned(),
            kind: "kv".to_owned(),
            accessor: "kv_6c5f1c03".to_owned(),
            class: "secret",
            version: "v1",
        };
        let header = |name: &str, is_hidden| AuditedHeader {
            name: name.to_owned(),
            values: vec![if is_hidden { "canary-header" } else { "open" }.to_owned()],
            is_hidden,
        };
        Entry {
            kind: Kind::Response,
            time: "2026-11-23T02:54:22.07Z".to_owned(),
            auth: AuthEntry {
                client_token: "s.canary-token".to_owned(),
                accessor: "canary-accessor".to_owned(),
                display_name: "root".to_owned(),
                policy_results: Some(PolicyResults { allowed: true, granting: vec!["root".to_owned()] }),
                token_type: "service",
                ..AuthEntry::default()
            },
            request: RequestEntry {
                id: "id".to_owned(),
                operation: "list",
                mount: mount.clone(),
                client_token: "s.canary-token".to_owned(),
                path: "kv1/a".to_owned(),
                data: json!({"password": "canary-value"}).as_object().unwrap().clone(),
                remote_address: "127.0.0.1".to_owned(),
                remote_port: 1,
                headers: vec![header("x-foo", true), header("x-bar", false)],
                ..RequestEntry::default()
            },
            response: Some(ResponseEntry {
                mount,
                data: json!({"keys": ["canary-a", "canary-b"]}).as_object().unwrap().clone(),
                wrap_info: json!({"token": "s.canary-wrap", "ttl": 60}).as_object().cloned(),
                lease_id: Some(String::new()),
                ..ResponseEntry::default()
            }),
            error: String::new(),
            clear_request: Vec::new(),
            clear_response: Vec::new(),
        }
    }

    fn line(shape: Shape) -> String {
        String::from_utf8(write(&sample(), &Salt::new(b"k"), shape).unwrap()).unwrap()
    }

    #[test]
    fn a_line_holds_nothing_secret_and_everything_else() {
        let line = line(Shape::default());
        assert!(!line.contains("canary") && !format!("{:?}", sample()).contains("canary"));
        assert!(
            line.ends_with('\n')
                && line.starts_with("{\"time\":\"2026-11-23T02:54:22.07Z\",\"type\":\"response\",\"auth\":{")
        );
        let value: Value = serde_json::from_str(&line).unwrap();
        let hidden = |text| json!(Salt::new(b"k").hide(text));
        for (pointer, shown) in [
            ("/auth/policy_results/granting_policies/0/name", json!("root")),
            ("/request/path", json!("kv1/a")),
            ("/request/namespace/id", json!("root")),
            ("/request/data/password", hidden("canary-value")),
            ("/request/headers/x-foo/0", hidden("canary-header")),
            ("/request/headers/x-bar/0", json!("open")),
            ("/response/wrap_info/ttl", json!(60)),
            ("/response/secret", json!({})),
            ("/response/data/keys/1", hidden("canary-b")),
        ] {
            assert_eq!(value.pointer(pointer), Some(&shown), "{pointer}");
        }
        assert!(value.get("error").is_none() && value["request"].get("wrap_ttl").is_none());
    }

    #[test]
    fn a_device_may_show_more_or_less() {
        let shown = line(Shape { hides_accessor: false, ..Shape::default() });
        assert!(shown.contains("\"accessor\":\"canary-accessor\"") && !shown.contains("canary-token"));
        let raw = line(Shape { is_raw: true, ..Shape::default() });
        assert!(raw.contains("canary-value") && raw.contains("s.canary-wrap"));
        let elided = line(Shape { elides_lists: true, ..Shape::default() });
        assert!(elided.contains("\"data\":{\"keys\":2}"));
    }
}
