//! One admin request: who, what, then the handler. Handlers read the snapshot or send a command.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::proxy::AdminToken;
use crate::proxy::decisions::BadSide;
use crate::proxy::metrics::{CertificateExpiry, CertificateOwner};
use crate::proxy::snapshot::{self, ServerView, Snapshot};
use crate::telemetry;

use super::access::{self, Denied, Reach};
use super::answer::{self, Answer, bytes, error_json, ok};
use super::route::{Endpoint, INDEX};
use super::state::{AdminState, ControlCommand, ExplainAsk, Reply};
use super::{config_view, node, query, status};

/// The largest configuration that can be checked; everything else is smaller.
const MAX_BODY_BYTES: usize = 1 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an owner may take to carry out a command: a reload opens files and binds, a probe has its own timeout.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_DECISIONS: usize = 100;
const MAX_DECISIONS: usize = 4096;
const MAX_EXPLAIN_HEADERS: usize = 32;
const MAX_GRACE_S: u64 = 3600;
/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Early ends carry the answer.
type Handled = Result<Answer, Answer>;

pub(super) async fn answer(state: &AdminState, reach: Reach, request: Request<Incoming>) -> Answer {
    handle(state, reach, request).await.unwrap_or_else(|early| early)
}

async fn handle(state: &AdminState, reach: Reach, request: Request<Incoming>) -> Handled {
    let snapshot = state.snapshot.load_full();
    let (metrics_path, tokens) = settings(&snapshot);
    let path = request.uri().path().to_owned();
    let endpoint = Endpoint::of(&path, metrics_path)
        .ok_or_else(|| error_json(StatusCode::NOT_FOUND, "no such endpoint; GET / lists them"))?;
    endpoint.takes(request.method()).map_err(answer::method_not_allowed)?;
    access::check(reach, tokens, request.headers(), endpoint.needs(request.method())).map_err(denied)?;
    match endpoint {
        Endpoint::Node(name) => node::pass(&snapshot, find(&snapshot, name)?, request).await,
        Endpoint::Explain => explain(state, &snapshot, request).await,
        Endpoint::ServerState(name) => server_state(state, find(&snapshot, name)?, request).await,
        Endpoint::ConfigCheck => config_check(request).await,
        Endpoint::LogLevel => log_level(state, request).await,
        other => match *request.method() {
            Method::POST => command(state, &snapshot, other, request.uri().query()).await,
            _ => read(state, &snapshot, other, request.uri().query()),
        },
    }
}

fn settings(snapshot: &Snapshot) -> (&str, &[AdminToken]) {
    snapshot.config.admin.as_ref().map_or(("/metrics", &[]), |admin| (&admin.metrics_path, &admin.tokens))
}

fn denied(why: Denied) -> Answer {
    match why {
        Denied::NoToken | Denied::WrongToken => answer::unauthorized(why.sentence()),
        Denied::NeedsOperator | Denied::NoTokensConfigured | Denied::HostName | Denied::ForeignOrigin => {
            error_json(StatusCode::FORBIDDEN, why.sentence())
        }
    }
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a ServerView, Answer> {
    snapshot.servers.iter().find(|server| &*server.name == name).ok_or_else(|| {
        let known: Vec<&str> = snapshot.servers.iter().map(|server| &*server.name).collect();
        error_json(StatusCode::NOT_FOUND, &format!("no such server; there are: {}", known.join(", ")))
    })
}

// === reading ===

fn read(state: &AdminState, snapshot: &Snapshot, endpoint: Endpoint<'_>, query: Option<&str>) -> Handled {
    match endpoint {
        Endpoint::Index => Ok(bytes(StatusCode::OK, answer::TEXT, INDEX)),
        Endpoint::Live => Ok(bytes(StatusCode::OK, answer::TEXT, "live\n")),
        Endpoint::Ready => ready(state, snapshot, query),
        Endpoint::Metrics => metrics(state, snapshot),
        Endpoint::Status => Ok(ok(&status::status(state, snapshot, Instant::now()))),
        Endpoint::Servers => Ok(ok(&json!({ "servers": status::servers(state, snapshot) }))),
        Endpoint::Server(name) => Ok(ok(&status::server(state, snapshot, find(snapshot, name)?))),
        Endpoint::Decisions => decisions(state, query),
        Endpoint::Errors => Ok(errors(state)),
        Endpoint::Learned => Ok(ok(&state.insight.learned(snapshot))),
        Endpoint::Config => config(state, snapshot),
        Endpoint::Certificates => Ok(certificates(state)),
        Endpoint::Reload
        | Endpoint::Drain
        | Endpoint::Shutdown
        | Endpoint::ServerState(_)
        | Endpoint::ServerProbe(_)
        | Endpoint::Explain
        | Endpoint::LearnedReset
        | Endpoint::ConfigCheck
        | Endpoint::LogLevel
        | Endpoint::Node(_) => Err(answer::method_not_allowed("POST")),
    }
}

fn ready(state: &AdminState, snapshot: &Snapshot, query: Option<&str>) -> Handled {
    let require_active = match query::value(query, "require").as_deref() {
        None | Some("") => false,
        Some("active") => true,
        Some(_) => return Err(error_json(StatusCode::BAD_REQUEST, "`require` can only be `active`")),
    };
    if status::is_ready(state, snapshot, require_active) {
        return Ok(ok(&json!({ "ready": true })));
    }
    let why = match (state.drain.has_begun(), require_active) {
        (true, _) => "draining",
        (false, true) => "no active server is known and usable",
        (false, false) => "no server is usable",
    };
    Ok(answer::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "ready": false, "error": why })))
}

fn metrics(state: &AdminState, snapshot: &Snapshot) -> Handled {
    match state.metrics.render(snapshot) {
        Ok(text) => Ok(bytes(StatusCode::OK, EXPOSITION, text)),
        Err(error) => Err(error_json(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot encode: {error}"))),
    }
}

fn decisions(state: &AdminState, query: Option<&str>) -> Handled {
    let last = match query::value(query, "last") {
        None => DEFAULT_DECISIONS,
        Some(text) => text.parse().map_err(|_| {
            error_json(StatusCode::BAD_REQUEST, "`last` must be a number of decisions, like `last=100`")
        })?,
    };
    Ok(ok(&json!({ "decisions": state.decisions.last(last.min(MAX_DECISIONS)) })))
}

fn errors(state: &AdminState) -> Answer {
    let (requests, answers) = (state.malformed.last(BadSide::Client), state.malformed.last(BadSide::Server));
    ok(&json!({ "requests": requests, "answers": answers }))
}

fn config(state: &AdminState, snapshot: &Snapshot) -> Handled {
    let tree = config_view::blanked(&state.config_text.load())
        .map_err(|sentence| error_json(StatusCode::INTERNAL_SERVER_ERROR, &sentence))?;
    Ok(ok(&json!({ "generation": snapshot.generation, "config": tree })))
}

fn certificates(state: &AdminState) -> Answer {
    let all: Vec<Value> = state.metrics.certificates().iter().map(certificate).collect();
    ok(&json!({ "certificates": all }))
}

fn certificate(expiry: &CertificateExpiry) -> Value {
    let (kind, name) = match &expiry.owner {
        CertificateOwner::Listener(name) => ("listener", name),
        CertificateOwner::Server(name) => ("server", name),
    };
    json!({ kind: name, "certificate": expiry.certificate, "not_after_unix": expiry.not_after })
}

// === commanding ===

async fn command(
    state: &AdminState,
    snapshot: &Snapshot,
    endpoint: Endpoint<'_>,
    query: Option<&str>,
) -> Handled {
    match endpoint {
        Endpoint::Reload => {
            let generation = ask(state, ControlCommand::Reload).await?;
            Ok(ok(&json!({ "generation": generation })))
        }
        Endpoint::Drain => accepted(state, ControlCommand::Drain),
        Endpoint::Shutdown => accepted(state, ControlCommand::Shutdown { grace: grace(query)? }),
        Endpoint::ServerProbe(name) => {
            let server = find(snapshot, name)?.id;
            Ok(ok(&ask(state, |reply| ControlCommand::Probe { server, reply }).await?))
        }
        Endpoint::LearnedReset => {
            let forgotten = ask(state, ControlCommand::ResetLearned).await?;
            Ok(ok(&json!({ "forgotten": forgotten })))
        }
        Endpoint::Index
        | Endpoint::Live
        | Endpoint::Ready
        | Endpoint::Metrics
        | Endpoint::Status
        | Endpoint::Servers
        | Endpoint::Server(_)
        | Endpoint::ServerState(_)
        | Endpoint::Decisions
        | Endpoint::Errors
        | Endpoint::Explain
        | Endpoint::Learned
        | Endpoint::Config
        | Endpoint::ConfigCheck
        | Endpoint::Certificates
        | Endpoint::LogLevel
        | Endpoint::Node(_) => Err(answer::method_not_allowed("GET, HEAD")),
    }
}

fn accepted(state: &AdminState, command: ControlCommand) -> Handled {
    send(state, command)?;
    Ok(answer::json(StatusCode::ACCEPTED, &json!({ "accepted": true })))
}

fn send(state: &AdminState, command: ControlCommand) -> Result<(), Answer> {
    state.control.try_send(command).map_err(|_full| {
        error_json(
            StatusCode::SERVICE_UNAVAILABLE,
            "the proxy is busy with other commands or going down; try again",
        )
    })
}

/// Sends a command and waits for its end. What the owner refuses is the operator's to mend: 422.
async fn ask<T>(state: &AdminState, make: impl FnOnce(Reply<T>) -> ControlCommand) -> Result<T, Answer> {
    let (reply, end) = oneshot::channel();
    send(state, make(reply))?;
    match tokio::time::timeout(REPLY_TIMEOUT, end).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(sentence))) => Err(error_json(StatusCode::UNPROCESSABLE_ENTITY, &sentence)),
        Ok(Err(_gone)) => {
            Err(error_json(StatusCode::SERVICE_UNAVAILABLE, "the command was dropped: going down"))
        }
        Err(_late) => Err(error_json(
            StatusCode::GATEWAY_TIMEOUT,
            "no result yet; the command may still be carried out",
        )),
    }
}

/// `grace=30` or `grace=30s`: whole seconds, at most an hour.
fn grace(query: Option<&str>) -> Result<Option<Duration>, Answer> {
    let Some(text) = query::value(query, "grace") else { return Ok(None) };
    let seconds =
        text.strip_suffix('s').unwrap_or(&text).parse().ok().filter(|seconds| *seconds <= MAX_GRACE_S);
    let seconds = seconds.ok_or_else(|| {
        error_json(StatusCode::BAD_REQUEST, "`grace` must be whole seconds up to 3600, like `grace=30`")
    })?;
    Ok(Some(Duration::from_secs(seconds)))
}

// === with a body ===

async fn explain(state: &AdminState, snapshot: &Snapshot, request: Request<Incoming>) -> Handled {
    let ask = match *request.method() {
        Method::POST => body_json(request).await?,
        _ => ExplainAsk {
            method: query::value(request.uri().query(), "method").unwrap_or_else(|| "GET".into()),
            path: query::value(request.uri().query(), "path").unwrap_or_default(),
            headers: Vec::new(),
        },
    };
    if ask.path.is_empty() || ask.headers.len() > MAX_EXPLAIN_HEADERS {
        let sentence = "give a `path` (with or without /v1/), a `method`, and at most 32 headers";
        return Err(error_json(StatusCode::BAD_REQUEST, sentence));
    }
    let explained = state.insight.explain(snapshot, &ask);
    explained.map(|value| ok(&value)).map_err(|sentence| error_json(StatusCode::BAD_REQUEST, &sentence))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedState {
    state: StateWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateWord {
    Ready,
    Drain,
    Maint,
}

async fn server_state(state: &AdminState, server: &ServerView, request: Request<Incoming>) -> Handled {
    let wanted: WantedState = body_json(request).await?;
    let (word, wanted) = match wanted.state {
        StateWord::Ready => ("ready", snapshot::AdminState::Ready),
        StateWord::Drain => ("drain", snapshot::AdminState::Drain),
        StateWord::Maint => ("maint", snapshot::AdminState::Maint),
    };
    ask(state, |reply| ControlCommand::SetServerState { server: server.id, state: wanted, reply }).await?;
    Ok(ok(&json!({ "server": &*server.name, "state": word })))
}

async fn config_check(request: Request<Incoming>) -> Handled {
    let body = body(request).await?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| error_json(StatusCode::BAD_REQUEST, "the candidate is not UTF-8 text"))?;
    let loaded = crate::config::parse(text, "candidate");
    Ok(ok(&json!({ "valid": loaded.config.is_some(), "findings": loaded.findings })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedLevel {
    level: String,
}

async fn log_level(state: &AdminState, request: Request<Incoming>) -> Handled {
    let log = state
        .log
        .as_ref()
        .ok_or_else(|| error_json(StatusCode::NOT_FOUND, "this process has no log of its own"))?;
    if *request.method() == Method::PUT {
        let wanted: WantedLevel = body_json(request).await?;
        let refused = |error: telemetry::LogError| error_json(StatusCode::BAD_REQUEST, &error.to_string());
        let level = telemetry::level(&wanted.level).map_err(refused)?;
        log.set_level(level).map_err(refused)?;
        tracing::warn!(level = log.level(), "the log level was changed by an operator");
    }
    Ok(ok(&json!({ "level": log.level() })))
}

async fn body_json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Answer> {
    let body = body(request).await?;
    serde_json::from_slice(&body).map_err(|error| {
        error_json(StatusCode::BAD_REQUEST, &format!("the body is not the JSON expected: {error}"))
    })
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let collected = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(error_json(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"))
        }
        Ok(Err(_)) => Err(error_json(StatusCode::BAD_REQUEST, "the body ended early or is malformed")),
        Err(_) => Err(error_json(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 10 seconds")),
    }
}
