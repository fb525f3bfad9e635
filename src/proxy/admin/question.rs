//! Endpoints that answer a question and change nothing: explain a request, check a candidate configuration.

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::json;

use crate::proxy::snapshot::Snapshot;

use super::answer::{Handled, Refusal, ok};
use super::state::{AdminState, ExplainAsk};
use super::{body, query};

const MAX_EXPLAIN_HEADERS: usize = 32;

pub(super) async fn explain(state: &AdminState, snapshot: &Snapshot, request: Request<Incoming>) -> Handled {
    let ask = match *request.method() {
        Method::POST => body::json(request).await?,
        _ => ExplainAsk {
            method: query::value(request.uri().query(), "method").unwrap_or_else(|| "GET".into()),
            path: query::value(request.uri().query(), "path").unwrap_or_default(),
            headers: Vec::new(),
        },
    };
    if ask.path.is_empty() || ask.headers.len() > MAX_EXPLAIN_HEADERS {
        let sentence = "give a `path` (with or without /v1/), a `method`, and at most 32 headers";
        return Err(Refusal::bad_request(sentence));
    }
    let explained = state.insight.explain(snapshot, &ask);
    explained.map(|value| ok(&value)).map_err(Refusal::bad_request)
}

pub(super) async fn config_check(request: Request<Incoming>) -> Handled {
    let body = body::read(request).await?;
    let text =
        std::str::from_utf8(&body).map_err(|_| Refusal::bad_request("the candidate is not UTF-8 text"))?;
    let loaded = crate::config::parse(text, "candidate");
    Ok(ok(&json!({ "valid": loaded.config.is_some(), "findings": loaded.findings })))
}
