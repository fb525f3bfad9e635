//! Endpoints that only look: snapshot, counters and rings as JSON.

use http::StatusCode;
use serde_json::{Value, json};

use crate::proxy::decisions::BadSide;
use crate::proxy::metrics::{CertificateExpiry, CertificateOwner};
use crate::proxy::snapshot::Snapshot;

use super::answer::{self, Answer, Handled, Refusal, bytes, ok};
use super::state::AdminState;
use super::{config_view, query, status};

const DEFAULT_DECISIONS: usize = 100;
const MAX_DECISIONS: usize = 4096;
/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn ready(state: &AdminState, snapshot: &Snapshot, query: Option<&str>) -> Handled {
    let require_active = match query::value(query, "require").as_deref() {
        None | Some("") => false,
        Some("active") => true,
        Some(_) => return Err(Refusal::bad_request("`require` can only be `active`")),
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

pub(super) fn metrics(state: &AdminState, snapshot: &Snapshot) -> Handled {
    match state.metrics.render(snapshot) {
        Ok(text) => Ok(bytes(StatusCode::OK, EXPOSITION, text)),
        Err(error) => Err(Refusal::internal(format!("cannot encode: {error}"))),
    }
}

pub(super) fn decisions(state: &AdminState, query: Option<&str>) -> Handled {
    let last = match query::value(query, "last") {
        None => DEFAULT_DECISIONS,
        Some(text) => text
            .parse()
            .map_err(|_| Refusal::bad_request("`last` must be a number of decisions, like `last=100`"))?,
    };
    Ok(ok(&json!({ "decisions": state.decisions.last(last.min(MAX_DECISIONS)) })))
}

pub(super) fn errors(state: &AdminState) -> Answer {
    let (requests, answers) = (state.malformed.last(BadSide::Client), state.malformed.last(BadSide::Server));
    ok(&json!({ "requests": requests, "answers": answers }))
}

pub(super) fn config(state: &AdminState, snapshot: &Snapshot) -> Handled {
    let tree = config_view::blanked(&state.config_text.load()).map_err(Refusal::internal)?;
    Ok(ok(&json!({ "generation": snapshot.generation, "config": tree })))
}

pub(super) fn certificates(state: &AdminState) -> Answer {
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
