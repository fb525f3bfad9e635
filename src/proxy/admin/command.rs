//! Endpoints that change something: a command to the owner, and what came of it.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use crate::proxy::snapshot::{self, ServerView};
use crate::telemetry;

use super::answer::{self, Handled, Refusal, ok};
use super::body;
use super::query;
use super::state::{AdminState, ControlCommand, Reply};

/// How long an owner may take to carry out a command: a reload opens files and binds, a probe has its own timeout.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_GRACE_S: u64 = 3600;

pub(super) async fn reload(state: &AdminState) -> Handled {
    let generation = ask(state, ControlCommand::Reload).await?;
    Ok(ok(&json!({ "generation": generation })))
}

pub(super) fn drain(state: &AdminState) -> Handled {
    accepted(state, ControlCommand::Drain)
}

pub(super) fn shutdown(state: &AdminState, query: Option<&str>) -> Handled {
    accepted(state, ControlCommand::Shutdown { grace: grace(query)? })
}

pub(super) async fn probe(state: &AdminState, server: &ServerView) -> Handled {
    let server = server.id;
    Ok(ok(&ask(state, |reply| ControlCommand::Probe { server, reply }).await?))
}

pub(super) async fn reset_learned(state: &AdminState) -> Handled {
    let forgotten = ask(state, ControlCommand::ResetLearned).await?;
    Ok(ok(&json!({ "forgotten": forgotten })))
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

pub(super) async fn server_state(
    state: &AdminState,
    server: &ServerView,
    request: Request<Incoming>,
) -> Handled {
    let wanted: WantedState = body::json(request).await?;
    let (word, wanted) = match wanted.state {
        StateWord::Ready => ("ready", snapshot::AdminState::Ready),
        StateWord::Drain => ("drain", snapshot::AdminState::Drain),
        StateWord::Maint => ("maint", snapshot::AdminState::Maint),
    };
    ask(state, |reply| ControlCommand::SetServerState { server: server.id, state: wanted, reply }).await?;
    Ok(ok(&json!({ "server": &*server.name, "state": word })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedLevel {
    level: String,
}

pub(super) async fn log_level(state: &AdminState, request: Request<Incoming>) -> Handled {
    let log = state.log.as_ref().ok_or_else(|| Refusal::not_found("this process has no log of its own"))?;
    if *request.method() == Method::PUT {
        let wanted: WantedLevel = body::json(request).await?;
        let refused = |error: telemetry::LogError| Refusal::bad_request(error.to_string());
        let level = telemetry::level(&wanted.level).map_err(refused)?;
        log.set_level(level).map_err(refused)?;
        tracing::warn!(level = log.level(), "the log level was changed by an operator");
    }
    Ok(ok(&json!({ "level": log.level() })))
}

fn accepted(state: &AdminState, command: ControlCommand) -> Handled {
    send(state, command)?;
    Ok(answer::json(StatusCode::ACCEPTED, &json!({ "accepted": true })))
}

fn send(state: &AdminState, command: ControlCommand) -> Result<(), Refusal> {
    state.control.try_send(command).map_err(|_full| {
        Refusal::unavailable("the proxy is busy with other commands or going down; try again")
    })
}

/// Sends a command and waits for its end. What the owner refuses is the operator's to mend: 422.
async fn ask<T>(state: &AdminState, make: impl FnOnce(Reply<T>) -> ControlCommand) -> Result<T, Refusal> {
    let (reply, end) = oneshot::channel();
    send(state, make(reply))?;
    match tokio::time::timeout(REPLY_TIMEOUT, end).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(sentence))) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, sentence)),
        Ok(Err(_gone)) => Err(Refusal::unavailable("the command was dropped: going down")),
        Err(_late) => Err(Refusal::new(
            StatusCode::GATEWAY_TIMEOUT,
            "no result yet; the command may still be carried out",
        )),
    }
}

/// `grace=30` or `grace=30s`: whole seconds, at most an hour.
fn grace(query: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let Some(text) = query::value(query, "grace") else { return Ok(None) };
    let seconds =
        text.strip_suffix('s').unwrap_or(&text).parse().ok().filter(|seconds| *seconds <= MAX_GRACE_S);
    let seconds = seconds
        .ok_or_else(|| Refusal::bad_request("`grace` must be whole seconds up to 3600, like `grace=30`"))?;
    Ok(Some(Duration::from_secs(seconds)))
}
