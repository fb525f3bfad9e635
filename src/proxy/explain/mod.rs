//! Why a request goes where it goes: the same reading, the same rules and the same verdict as on the way of a live
//! request, written down instead of acted on.
//!
//! Pure: `understudy explain` calls it with a configuration alone, the admin address with the live picture. An
//! explanation shows the path it was asked about; who may ask is decided by its callers.

mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use thiserror::Error;

use crate::api::classify::Traits;
use crate::api::{header, operation, template};
use crate::config::proxy::{ConsistencyMode, ProxyConfig};
use crate::path::{PathView, api_path, canonical};

use super::cluster::state::role_word;
use super::first_touch::FirstTouch;
use super::mount_change::MountChanges;
use super::route::Wants;
use super::rules::{CompiledRules, RuleInput};
use super::snapshot::{Role, ServerView, Snapshot};
use super::verdict::{Destination, Knowledge, Question, Verdict, judge};

/// The request to be explained.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    /// Path and query as they would stand on the request line; without a leading slash, `/v1/` is put in front.
    pub target: String,
    pub headers: HeaderMap,
}

/// A question that is no request. Values are not repeated: they may be tokens.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError {
    #[error("`{0}` is not a method name")]
    Method(String),
    #[error("`{0}` is not a header name")]
    HeaderName(String),
    #[error("the value of header `{0}` has characters no header can carry")]
    HeaderValue(String),
}

/// Everything about one decision. The JSON form is the answer of the admin's `/v1/explain`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub method: String,
    /// As asked, query included.
    pub target: String,
    pub path: PathExplanation,
    /// Set when the proxy itself refuses the request before any rule is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// One entry a server; absent without live state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<Candidate>>,
}

/// How the path is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PathExplanation {
    /// `clean`, `unclean` or `invalid`.
    pub view: &'static str,
    /// What rules and the table see: decoded once, without `/v1/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<String>,
    /// Why it is not clean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What logs and decisions show instead of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub status: u16,
    pub why: String,
}

/// The verdict in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    pub operation: &'static str,
    /// `read`, `write`, `local`, `unknown`.
    pub class: &'static str,
    /// `standby`, `active`, `any`, `status` (whoever can speak for the cluster), `cluster` (the proxy answers) or `deny`.
    pub goes_to: &'static str,
    /// The status of a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `rule`, `builtin`, `learned`, `header`, `fallback`.
    pub source: &'static str,
    pub reason: &'static str,
    /// The first rule that matches, also one that only sets limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// `eventual`, `session`, `global`, `strong`.
    pub consistency: &'static str,
    /// Milliseconds; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<&'static str>,
}

/// One server and whether it could answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    pub server: String,
    pub role: &'static str,
    pub candidate: bool,
    pub why: &'static str,
    pub applied_index: u64,
}

/// What a live proxy knows beyond its snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Live<'a> {
    pub snapshot: &'a Snapshot,
    pub mount_changes: &'a MountChanges,
    pub first_touch: &'a FirstTouch,
}

/// Explains from the live picture. A first-seen session's floor is not part of it: the servers are listed with
/// their indexes instead.
#[must_use]
pub fn live(asked: &Asked, live: &Live<'_>, now: Instant) -> Explanation {
    let mut explanation = explain(asked, live, now);
    let wants = explanation.decision.as_ref().and_then(|decided| wanted(decided.goes_to));
    explanation.servers = wants.map(|wants| candidates(live.snapshot, wants));
    explanation
}

/// Explains from a configuration alone: no mounts but the configured ones, nothing learned, no servers.
#[must_use]
pub fn offline(asked: &Asked, config: Arc<ProxyConfig>, now: Instant) -> Explanation {
    let mounts = crate::api::mount::MountTable::from_entries(
        config.routing.mount_discovery.types.iter().map(|(path, kind)| (path.as_str(), kind.as_str())),
    );
    let snapshot = Snapshot {
        generation: 1,
        config,
        servers: Vec::new(),
        active: None,
        cluster_id: None,
        cluster_name: None,
        mounts: Arc::new(mounts),
        learned: Arc::default(),
        epoch: 0,
    };
    let (mount_changes, first_touch) = (MountChanges::default(), FirstTouch::default());
    explain(
        asked,
        &Live { snapshot: &snapshot, mount_changes: &mount_changes, first_touch: &first_touch },
        now,
    )
}

fn explain(asked: &Asked, live: &Live<'_>, now: Instant) -> Explanation {
    let target = rooted(&asked.target);
    let (raw_path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_str(), None),
    };
    let view = canonical(raw_path);
    let operation = operation::of(&asked.method, query);
    let refused = refusal(&view, operation.err());
    let path = path_explanation(&view, operation.unwrap_or(operation::Operation::Other));
    let decision = match (&refused, operation) {
        (None, Ok(operation)) => Some(decide(asked, &view, operation, query, live, now)),
        _ => None,
    };
    Explanation { method: asked.method.to_string(), target, path, refused, decision, servers: None }
}

fn rooted(target: &str) -> String {
    if target.starts_with('/') { target.to_owned() } else { format!("/v1/{target}") }
}

fn refusal(view: &PathView<'_>, query: Option<operation::BadQuery>) -> Option<Refused> {
    let why = match (view, query) {
        (PathView::Invalid(why), _) => why.to_string(),
        (_, Some(why)) => why.to_string(),
        (PathView::Clean(_) | PathView::Unclean(_), None) => return None,
    };
    Some(Refused { status: 400, why })
}

fn path_explanation(view: &PathView<'_>, operation: operation::Operation) -> PathExplanation {
    let none = PathExplanation { view: "clean", canonical: None, why: None, template: None };
    match view {
        PathView::Clean(path) => {
            let path = api_path(path);
            PathExplanation {
                canonical: path.map(ToOwned::to_owned),
                template: path.map(|path| rendered(path, operation)),
                why: path.is_none().then(|| "the path is outside the API (`/v1/`)".to_owned()),
                ..none
            }
        }
        PathView::Unclean(why) => PathExplanation { view: "unclean", why: Some(why.to_string()), ..none },
        PathView::Invalid(why) => PathExplanation { view: "invalid", why: Some(why.to_string()), ..none },
    }
}

fn rendered(path: &str, operation: operation::Operation) -> String {
    let mut out = String::new();
    template::render(path, operation, &mut out);
    out
}

fn decide(
    asked: &Asked,
    view: &PathView<'_>,
    operation: operation::Operation,
    query: Option<&str>,
    live: &Live<'_>,
    now: Instant,
) -> Decided {
    let (path, outside_api) = match view {
        PathView::Clean(path) => (api_path(path), api_path(path).is_none().then_some(&**path)),
        PathView::Unclean(_) | PathView::Invalid(_) => (None, None),
    };
    let config = &live.snapshot.config;
    let rules = CompiledRules::compile(&config.routing.rules);
    let question = Question {
        method: &asked.method,
        operation,
        path,
        unclean: matches!(view, PathView::Unclean(_)),
        outside_api,
        query,
        namespace: header::namespace(&asked.headers),
        headers: &asked.headers,
        plain: false,
        consistency: asked_consistency(&asked.headers).filter(|_| config.consistency.request_override),
    };
    // A roll of 1.0 never explores: the explanation is what usually happens.
    let known = Knowledge {
        snapshot: live.snapshot,
        rules: &rules,
        mount_changes: live.mount_changes,
        first_touch: live.first_touch,
        now,
        roll: 1.0,
    };
    let verdict = judge(&question, &known);
    let rule = rules.first_match(&RuleInput {
        path,
        method: &asked.method,
        namespace: question.namespace,
        class: verdict.class,
        headers: &asked.headers,
    });
    decided(operation, &verdict, rule.map(|rule| rule.name.clone()))
}

fn decided(operation: operation::Operation, verdict: &Verdict, rule: Option<String>) -> Decided {
    let (goes_to, status) = match verdict.destination {
        // Strong reads are the active node's until a standby can prove that it is up to date.
        Destination::Servers(Wants::Fresh) if verdict.mode == ConsistencyMode::Strong => ("active", None),
        Destination::Servers(Wants::Fresh) => ("standby", None),
        Destination::Servers(Wants::Active) => ("active", None),
        Destination::Servers(Wants::Any) => ("any", None),
        Destination::Servers(Wants::Status) => ("status", None),
        Destination::Cluster => ("cluster", None),
        Destination::Deny { status } => ("deny", Some(status)),
    };
    Decided {
        operation: operation.as_str(),
        class: verdict.class.as_str(),
        goes_to,
        status,
        source: verdict.source.as_str(),
        reason: verdict.reason,
        rule,
        consistency: mode_word(verdict.mode),
        timeout_ms: verdict.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        traits: traits(verdict.traits),
    }
}

fn asked_consistency(headers: &HeaderMap) -> Option<ConsistencyMode> {
    let word = headers.get(&header::X_UNDERSTUDY_CONSISTENCY)?.as_bytes();
    MODES.into_iter().find(|&mode| mode_word(mode).as_bytes() == word)
}

const MODES: [ConsistencyMode; 4] =
    [ConsistencyMode::Eventual, ConsistencyMode::Session, ConsistencyMode::Global, ConsistencyMode::Strong];

fn mode_word(mode: ConsistencyMode) -> &'static str {
    match mode {
        ConsistencyMode::Eventual => "eventual",
        ConsistencyMode::Session => "session",
        ConsistencyMode::Global => "global",
        ConsistencyMode::Strong => "strong",
    }
}

fn traits(traits: Traits) -> Vec<&'static str> {
    let all = [
        (traits.streaming, "streaming"),
        (traits.idempotent, "idempotent"),
        (traits.changes_mounts, "changes_mounts"),
        (traits.mints_token, "mints_token"),
        (traits.first_touch, "first_touch"),
        (traits.learnable, "learnable"),
    ];
    all.into_iter().filter_map(|(set, word)| set.then_some(word)).collect()
}

// --- servers ---

fn wanted(goes_to: &str) -> Option<Wants> {
    match goes_to {
        "standby" => Some(Wants::Fresh),
        "active" => Some(Wants::Active),
        "any" => Some(Wants::Any),
        "status" => Some(Wants::Status),
        _ => None,
    }
}

fn candidates(snapshot: &Snapshot, wants: Wants) -> Vec<Candidate> {
    snapshot.servers.iter().map(|server| candidate(snapshot, server, wants)).collect()
}

fn candidate(snapshot: &Snapshot, server: &ServerView, wants: Wants) -> Candidate {
    let is_active = snapshot.active == Some(server.id);
    let (candidate, why) = match wants {
        Wants::Active if is_active => (true, "it leads"),
        Wants::Active if snapshot.active.is_none() => (false, "nobody is known to lead: the request is held"),
        Wants::Active => (false, "it does not lead"),
        Wants::Status if is_active => (true, "it leads, and speaks for the cluster"),
        Wants::Status if server.role == Role::Unreachable => (false, "it cannot be reached"),
        Wants::Status => (true, "asked when the active node cannot be"),
        Wants::Any if server.usable => (true, "it is up"),
        Wants::Any => (false, "it is not usable"),
        Wants::Fresh if is_active => (false, "it leads: asked only when no standby is fresh enough"),
        Wants::Fresh if !server.usable => (false, "it is not usable"),
        Wants::Fresh => (server.reads, server.reads_reason),
    };
    Candidate {
        server: server.name.to_string(),
        role: role_word(server.role),
        candidate,
        why,
        applied_index: server.live.applied_index(),
    }
}

// === impl Asked ===

impl Asked {
    /// A question from words, as the command line and the admin address get them.
    ///
    /// # Errors
    /// A method, header name or header value that cannot stand in a request.
    pub fn parse(method: &str, target: &str, headers: &[(String, String)]) -> Result<Self, AskError> {
        let unknown = || AskError::Method(method.to_owned());
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| unknown())?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let bad_name = |_| AskError::HeaderName(name.clone());
            let bad_value = |_| AskError::HeaderValue(name.clone());
            let value = HeaderValue::from_str(value.trim()).map_err(bad_value)?;
            map.append(HeaderName::from_bytes(name.trim().as_bytes()).map_err(bad_name)?, value);
        }
        Ok(Self { method, target: target.to_owned(), headers: map })
    }
}
