//! What the audit log is told of one request: who asked, what policies said, what came of it. The pipeline reports as it
//! goes; lines are made only when there are devices to write them.
//!
//! ```text
//!   about ─> judged ─> request line (once, however often the request is run) ─> backend ─> commit ─> response line
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::answer;
use super::audit::{
    AuditError, AuthEntry, Broker, Entry, Kind, MountEntryInfo, PolicyResults, RequestEntry, ResponseEntry,
};
use super::incoming::Incoming;
use super::mount::{RUNNING_VERSION, Table};
use super::router::Mounted;
use super::token_store::TokenEntry;
use crate::logical::{Body, Fault, Granted, Operation, Raw, Response};

/// Why policies decided as they did; asked only for the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grounds {
    /// Policies the token has through its entity and groups.
    pub identity_policies: Vec<String>,
    /// Policies that grant the request.
    pub granting: Vec<String>,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Trail {
    broker: Arc<Broker>,
    incoming: Arc<Incoming>,
    /// The moment of the request.
    pub(super) now: OffsetDateTime,
    pub(super) started: Instant,
    /// As it turned out to be: a write may create or update.
    pub(super) operation: Operation,
    token: Option<Arc<TokenEntry>>,
    mounted: Option<Arc<Mounted>>,
    /// Anybody may ask: logins.
    is_open: bool,
    policies: Option<PolicyResults>,
    identity_policies: Vec<String>,
    /// Whether the backend was asked anything.
    is_routed: bool,
    /// Refused before policies or a backend were asked: little is told of it.
    is_unread: bool,
    is_written: bool,
}

/// What a fault comes to in the log: the error in the server's words, and the text that is hidden.
struct Failure {
    error: String,
    data: Option<String>,
}

// === impl Trail ===

impl Trail {
    pub(super) fn new(
        broker: &Arc<Broker>,
        incoming: &Arc<Incoming>,
        operation: Operation,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            broker: Arc::clone(broker),
            incoming: Arc::clone(incoming),
            now,
            started: Instant::now(),
            operation,
            token: None,
            mounted: None,
            is_open: false,
            policies: None,
            identity_policies: Vec::new(),
            is_routed: false,
            is_unread: false,
            is_written: false,
        }
    }

    pub(super) fn request_id(&self) -> &str {
        &self.incoming.id
    }

    /// Whether nobody listens, so that grounds need not be asked for.
    pub(super) fn is_silent(&self) -> bool {
        self.broker.is_silent()
    }

    pub(super) fn about(
        &mut self,
        mounted: Option<&Arc<Mounted>>,
        is_open: bool,
        token: Option<&Arc<TokenEntry>>,
    ) {
        self.mounted = mounted.map(Arc::clone);
        self.token = token.map(Arc::clone);
        self.is_open = is_open;
        self.policies = is_open.then(|| PolicyResults { allowed: true, granting: Vec::new() });
        self.is_routed = false;
    }

    pub(super) fn judged(&mut self, allowed: bool, grounds: Grounds) {
        let granting = if allowed { grounds.granting } else { Vec::new() };
        self.policies = Some(PolicyResults { allowed, granting });
        self.identity_policies = grounds.identity_policies;
    }

    /// The mount is asked something.
    pub(super) fn routed(&mut self) {
        self.is_routed = true;
    }

    /// Writes the request's line, before anything of it is done.
    ///
    /// # Errors
    /// No device took it: the request must not happen.
    pub(super) fn request(&mut self, refusal: Option<&Fault>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.is_written, true) || self.is_silent() {
            return Ok(());
        }
        let error = refusal.map(request_error).unwrap_or_default();
        self.log(Kind::Request, self.auth(), None, error).map_err(|AuditError| internal_error())
    }

    /// Writes the only line of a request that was refused before policies or a backend were asked.
    ///
    /// # Errors
    /// No device took it.
    pub(super) fn unread(&mut self, fault: &Fault) -> Result<(), Fault> {
        (self.is_unread, self.policies) = (true, None);
        self.request(Some(fault))
    }

    /// Writes the response's line, after its changes are committed.
    ///
    /// # Errors
    /// No device took it: the answer must not be given.
    pub(super) fn response(&self, outcome: &Result<Response, Fault>) -> Result<(), AuditError> {
        if self.is_silent() {
            return Ok(());
        }
        let mount = self.mount();
        match outcome {
            Ok(response) => {
                let login = response.granted.as_deref().or(response.wrapped_grant.as_deref());
                let login = login.filter(|_| self.is_open).map(logged_in);
                let granted = response.granted.as_deref().map(granted);
                let data = self.answered(response, outcome);
                let entry = ResponseEntry { auth: granted, mount, data, ..response_entry(response) };
                let auth = login.unwrap_or_else(|| self.auth());
                self.log(Kind::Response, auth, Some(entry), String::new())
            }
            Err(fault) => {
                let Failure { error, data } = failure(fault, self.is_login());
                let data = data.map(|text| Map::from_iter([("error".to_owned(), Value::String(text))]));
                let data = data.or_else(|| self.told_beside(outcome)).unwrap_or_default();
                let entry = ResponseEntry { mount, data, ..ResponseEntry::default() };
                let is_wrong = self.is_login() && matches!(fault, Fault::WrongCredentials(_));
                let auth = if is_wrong { AuthEntry::default() } else { self.auth() };
                self.log(Kind::Response, auth, Some(entry), error)
            }
        }
    }

    /// What is told beside a 404 is an HTTP answer of the backend's own.
    fn told_beside(&self, outcome: &Result<Response, Fault>) -> Option<Map<String, Value>> {
        matches!(outcome, Err(Fault::NotFoundWith(_))).then(|| self.as_http(outcome))
    }

    /// So is what has a status of its own.
    fn answered(&self, response: &Response, outcome: &Result<Response, Fault>) -> Map<String, Value> {
        if response.status.is_some() { self.as_http(outcome) } else { data(&response.body) }
    }

    fn as_http(&self, outcome: &Result<Response, Fault>) -> Map<String, Value> {
        let answered = answer::of(self.operation, self.request_id(), outcome);
        http(answered.status, answered.content_type, &answered.body)
    }

    pub(super) fn is_login(&self) -> bool {
        self.is_open && self.mounted.as_ref().is_some_and(|mounted| mounted.table == Table::Auth)
    }

    fn log(
        &self,
        kind: Kind,
        auth: AuthEntry,
        response: Option<ResponseEntry>,
        error: String,
    ) -> Result<(), AuditError> {
        let config = self.mounted.as_ref().map(|mounted| &mounted.entry.config);
        let moment = self.now + self.started.elapsed();
        self.broker.log(&Entry {
            kind,
            time: moment.format(&Rfc3339).unwrap_or_default(),
            auth,
            request: self.request_entry(),
            response,
            error,
            clear_request: config
                .map(|config| config.audit_non_hmac_request_keys.clone())
                .unwrap_or_default(),
            clear_response: config
                .map(|config| config.audit_non_hmac_response_keys.clone())
                .unwrap_or_default(),
        })
    }

    fn request_entry(&self) -> RequestEntry {
        let incoming = &self.incoming;
        RequestEntry {
            id: incoming.id.to_string(),
            client_id: self.read_token().map(TokenEntry::client_id).unwrap_or_default(),
            operation: self.operation.as_str(),
            mount: self.mount(),
            client_token: incoming.token.as_ref().map(|text| text.to_string()).unwrap_or_default(),
            client_token_accessor: self
                .token
                .as_ref()
                .map(|token| token.accessor.clone())
                .unwrap_or_default(),
            path: incoming.path.clone(),
            data: Map::clone(&incoming.data),
            remote_address: incoming.client.address.map(|address| address.to_string()).unwrap_or_default(),
            remote_port: incoming.client.port,
            wrap_ttl: incoming.wrap.map(|wrap| wrap.ttl.as_secs()).unwrap_or_default(),
            headers: self.broker.headers().get().of(&incoming.headers),
        }
    }

    /// The token of a request that was looked into.
    fn read_token(&self) -> Option<&TokenEntry> {
        self.token.as_deref().filter(|_| !self.is_unread)
    }

    /// The accessor is known once the mount was asked something: whether a write creates, or the request itself.
    fn mount(&self) -> MountEntryInfo {
        let Some(mounted) = &self.mounted else { return MountEntryInfo::default() };
        let point = mounted.info.path.clone();
        if self.is_unread {
            return MountEntryInfo { point, ..MountEntryInfo::default() };
        }
        MountEntryInfo {
            point,
            kind: mounted.info.kind.clone(),
            accessor: if self.is_routed { mounted.info.accessor.clone() } else { String::new() },
            class: match mounted.table {
                Table::Secret => "secret",
                Table::Auth => "auth",
            },
            version: RUNNING_VERSION,
        }
    }

    /// No more than that there is a token.
    fn shown_auth(&self) -> AuthEntry {
        AuthEntry {
            client_token: self.incoming.token.as_ref().map(|text| text.to_string()).unwrap_or_default(),
            accessor: self.token.as_ref().map(|token| token.accessor.clone()).unwrap_or_default(),
            ..AuthEntry::default()
        }
    }

    fn auth(&self) -> AuthEntry {
        if self.is_unread {
            return self.shown_auth();
        }
        let Some(token) = self.token.as_deref().filter(|_| !self.is_login()) else {
            return AuthEntry { policy_results: self.policies.clone(), ..AuthEntry::default() };
        };
        let mut policies = token.policies.clone();
        policies.extend(self.identity_policies.iter().filter(|one| !token.policies.contains(one)).cloned());
        AuthEntry {
            client_token: self.incoming.token.as_ref().map(|text| text.to_string()).unwrap_or_default(),
            accessor: token.accessor.clone(),
            display_name: token.display_name.clone(),
            policies,
            token_policies: token.policies.clone(),
            identity_policies: self.identity_policies.clone(),
            policy_results: self.policies.clone(),
            metadata: token.metadata.iter().map(|(key, value)| (key.clone(), json!(value))).collect(),
            num_uses: 0,
            remaining_uses: u64::try_from(token.num_uses).unwrap_or_default(),
            entity_id: token.entity_id.clone(),
            entity_created: false,
            token_type: token.type_name(),
            token_ttl: token.ttl_secs,
            token_issue_time: whole_seconds(token.creation_time),
        }
    }
}

fn whole_seconds(unix: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

fn granted(granted: &Granted) -> AuthEntry {
    let metadata = granted.metadata.iter().flatten();
    AuthEntry {
        client_token: granted.client_token.to_string(),
        accessor: granted.accessor.clone(),
        display_name: granted.display_name.clone(),
        policies: granted.policies.clone(),
        token_policies: granted.token_policies.clone(),
        identity_policies: granted.identity_policies.clone(),
        metadata: metadata.map(|(key, value)| (key.clone(), json!(value))).collect(),
        num_uses: granted.num_uses,
        entity_id: granted.entity_id.clone(),
        token_type: if granted.token_type == "batch" { "batch" } else { "service" },
        token_ttl: granted.lease_duration,
        ..AuthEntry::default()
    }
}

/// Who a login made of its client.
fn logged_in(login: &Granted) -> AuthEntry {
    AuthEntry { entity_created: login.entity_created, ..granted(login) }
}

fn response_entry(response: &Response) -> ResponseEntry {
    let has_lease = !response.lease_id.is_empty() || response.lease_duration_secs > 0;
    let wrap_info = response.wrapped.as_ref().and_then(|wrapped| serde_json::to_value(wrapped).ok());
    ResponseEntry {
        lease_id: has_lease.then(|| response.lease_id.clone()),
        warnings: response.warnings.clone(),
        wrap_info: wrap_info.map(object),
        ..ResponseEntry::default()
    }
}

fn data(body: &Body) -> Map<String, Value> {
    match body {
        Body::None => Map::new(),
        Body::Map(data) => data.clone(),
        Body::Encoded(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        Body::Raw(raw) => unwrapped(raw).unwrap_or_else(|| http(raw.status, raw.content_type, &raw.body)),
        Body::Stream(stream) => http(200, stream.content_type, &[]),
    }
}

/// An answer that is a whole envelope, as `sys/wrapping/unwrap` gives it, is shown as what is in it.
fn unwrapped(raw: &Raw) -> Option<Map<String, Value>> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        #[serde(rename = "request_id")]
        _request_id: String,
        data: Option<Map<String, Value>>,
    }
    let envelope: Envelope = serde_json::from_slice(&raw.body).ok()?;
    Some(envelope.data.unwrap_or_default())
}

fn http(status: u16, content_type: &str, body: &[u8]) -> Map<String, Value> {
    let mut data = object(json!({ "http_content_type": content_type, "http_status_code": status }));
    if !body.is_empty() {
        data.insert("http_raw_body".to_owned(), json!(String::from_utf8_lossy(body)));
    }
    data
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// What a client is told when no device could write.
pub(super) fn internal_error() -> Fault {
    Fault::Status { status: 500, text: "internal error".to_owned() }
}

fn one_error(text: &str) -> String {
    format!("1 error occurred:\n\t* {text}\n\n")
}

/// A request that is refused before it comes to its mount.
fn request_error(fault: &Fault) -> String {
    match fault {
        Fault::Denied => one_error("permission denied"),
        Fault::Status { .. }
        | Fault::NeedsActive
        | Fault::Invalid(_)
        | Fault::InvalidWith { .. }
        | Fault::WrongCredentials(_)
        | Fault::NotFound(_)
        | Fault::NotFoundWith(_)
        | Fault::UnsupportedPath
        | Fault::UnsupportedOperation
        | Fault::Conflict(_)
        | Fault::TooMany(_)
        | Fault::Internal(_) => fault.to_string(),
    }
}

/// What a login fails of is told plainly; elsewhere the server makes a list of it.
fn failure(fault: &Fault, is_login: bool) -> Failure {
    let invalid = || if is_login { "invalid credentials".to_owned() } else { one_error("invalid request") };
    let text = fault.to_string();
    match fault {
        Fault::NotFound(text) if text.is_empty() => Failure { error: String::new(), data: None },
        Fault::NotFoundWith(_) => Failure { error: String::new(), data: None },
        Fault::UnsupportedPath | Fault::UnsupportedOperation => {
            Failure { error: one_error(&text), data: None }
        }
        Fault::NotFound(_) => Failure { error: one_error("unsupported path"), data: Some(text) },
        Fault::Denied | Fault::Status { status: 403, .. } => {
            Failure { error: one_error("permission denied"), data: Some(text) }
        }
        Fault::Invalid(_)
        | Fault::InvalidWith { .. }
        | Fault::WrongCredentials(_)
        | Fault::Conflict(_)
        | Fault::TooMany(_) => Failure { error: invalid(), data: Some(text) },
        Fault::NeedsActive | Fault::Status { .. } | Fault::Internal(_) if is_login => {
            Failure { error: text, data: None }
        }
        Fault::NeedsActive | Fault::Status { .. } | Fault::Internal(_) => {
            Failure { error: one_error(&text), data: Some(text) }
        }
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trail({})", self.incoming.id)
    }
}
