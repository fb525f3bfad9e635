//! One admin request: what is asked, who asks, then the endpoint's own function.

use std::time::Instant;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::config::proxy::AdminToken;
use crate::proxy::snapshot::{ServerView, Snapshot};

use super::access::{self, Denied, Reach};
use super::answer::{self, Answer, Handled, Refusal, bytes, ok};
use super::route::{Endpoint, INDEX};
use super::state::AdminState;
use super::{command, node, question, read, status};

pub(super) async fn answer(state: &AdminState, reach: Reach, request: Request<Incoming>) -> Answer {
    handle(state, reach, request).await.unwrap_or_else(Refusal::into_answer)
}

async fn handle(state: &AdminState, reach: Reach, request: Request<Incoming>) -> Handled {
    let snapshot = state.snapshot.load_full();
    let (metrics_path, tokens) = settings(&snapshot);
    let path = request.uri().path().to_owned();
    let endpoint = Endpoint::of(&path, metrics_path)
        .ok_or_else(|| Refusal::not_found("no such endpoint; GET / lists them"))?;
    endpoint.takes(request.method()).map_err(Refusal::method)?;
    access::check(reach, tokens, request.headers(), endpoint.needs(request.method())).map_err(denied)?;
    perform(state, &snapshot, endpoint, request).await
}

fn settings(snapshot: &Snapshot) -> (&str, &[AdminToken]) {
    snapshot.config.admin.as_ref().map_or(("/metrics", &[]), |admin| (&admin.metrics_path, &admin.tokens))
}

fn denied(why: Denied) -> Refusal {
    let status = match why {
        Denied::NoToken | Denied::WrongToken => StatusCode::UNAUTHORIZED,
        Denied::NeedsOperator | Denied::NoTokensConfigured | Denied::HostName | Denied::ForeignOrigin => {
            StatusCode::FORBIDDEN
        }
    };
    Refusal::new(status, why.sentence())
}

/// The method was checked before.
async fn perform(
    state: &AdminState,
    snapshot: &Snapshot,
    endpoint: Endpoint<'_>,
    request: Request<Incoming>,
) -> Handled {
    let query = request.uri().query();
    match endpoint {
        Endpoint::Index => Ok(bytes(StatusCode::OK, answer::TEXT, INDEX)),
        Endpoint::Live => Ok(bytes(StatusCode::OK, answer::TEXT, "live\n")),
        Endpoint::Ready => read::ready(state, snapshot, query),
        Endpoint::Metrics => read::metrics(state, snapshot),
        Endpoint::Status => Ok(ok(&status::status(state, snapshot, Instant::now()))),
        Endpoint::Servers => Ok(ok(&json!({ "servers": status::servers(state, snapshot) }))),
        Endpoint::Server(name) => Ok(ok(&status::server(state, snapshot, find(snapshot, name)?))),
        Endpoint::Decisions => read::decisions(state, query),
        Endpoint::Errors => Ok(read::errors(state)),
        Endpoint::Learned => Ok(ok(&state.insight.learned(snapshot))),
        Endpoint::Config => read::config(state, snapshot),
        Endpoint::Certificates => Ok(read::certificates(state)),
        Endpoint::Explain => question::explain(state, snapshot, request).await,
        Endpoint::ConfigCheck => question::config_check(request).await,
        Endpoint::Reload => command::reload(state).await,
        Endpoint::Drain => command::drain(state),
        Endpoint::Shutdown => command::shutdown(state, query),
        Endpoint::ServerState(name) => command::server_state(state, find(snapshot, name)?, request).await,
        Endpoint::ServerProbe(name) => command::probe(state, find(snapshot, name)?).await,
        Endpoint::LearnedReset => command::reset_learned(state).await,
        Endpoint::LogLevel => command::log_level(state, request).await,
        Endpoint::Node(name) => node::pass(snapshot, find(snapshot, name)?, request).await,
    }
}

fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a ServerView, Refusal> {
    snapshot.servers.iter().find(|server| &*server.name == name).ok_or_else(|| {
        let known: Vec<&str> = snapshot.servers.iter().map(|server| &*server.name).collect();
        Refusal::not_found(format!("no such server; there are: {}", known.join(", ")))
    })
}
