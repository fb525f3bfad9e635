//! THE story of a request: guard → verdict → floor → route → attempt (→ retry) → observe → answer → count.
//!
//! ```text
//!   head ──guard──> verdict ──┬── deny, cluster answer ───────────────────────────────┐
//!                             └── floor ──> route ──> attempt ──> read the answer ─────┴─> client
//!                                             ^  hold / wait        │ not leader, stale, lost
//!                                             └──────── retry ──────┘
//! ```

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use http::{Request, Response};
use hyper::body::Incoming;

use crate::api::header;
use crate::api::operation;
use crate::config::proxy::ConsistencyMode;
use crate::net::body::{AnswerBody, RequestBody, read_request_body};
use crate::net::serve::BodyWatch;
use crate::path::{PathView, api_path, canonical};

use super::affinity::{Floor, SessionKey};
use super::attempts::Terms;
use super::client::Client;
use super::cluster_answer;
use super::error::Refusal;
use super::finish::{ClientBody, Record, Underway};
use super::forward::Outgoing;
use super::guard::{self, Allowed, GuardedRequest, RejectReason};
use super::metrics::label::Rejected;
use super::pursue::{Asked, pursue};
use super::rate::Verdict as RateVerdict;
use super::snapshot::ServerId;
use super::verdict::{Destination, Knowledge, Question, Verdict, judge};
use super::worker::{View, Worker};

/// Answers one request. Never fails: what goes wrong becomes an answer.
pub(super) async fn handle(
    worker: Rc<Worker>,
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, Infallible> {
    let started = Instant::now();
    worker.set_clock(started);
    worker.requests.set(worker.requests.get() + 1);
    client.state.request_started();
    let record = Record::new(started, request.method(), request.uri());
    let mut underway = Underway::new(worker, client, record);
    let (worker, client, record) = underway.parts();
    let answer = match answer(worker, client, request, record).await {
        Ok(answer) => answer,
        Err(refusal) => record.refused(refusal),
    };
    Ok(underway.finish(answer))
}

async fn answer(
    worker: &Rc<Worker>,
    client: &Rc<Client>,
    request: Request<Incoming>,
    record: &mut Record,
) -> Result<Response<AnswerBody>, Refusal> {
    let view = worker.view();
    let (mut parts, incoming) = request.into_parts();
    let upgrading = super::tunnel::on_upgrade(&mut parts);
    let guarded = guard(worker, client, &view, &mut parts, record)?;
    // hyper offers it for every `Connection: upgrade`; a 101 nobody was asked for opens no tunnel.
    let upgrading = upgrading.filter(|_| guarded.upgrade.is_some());
    limit_rate(client, &guarded, record)?;
    let verdict = decide(worker, &view, &parts, &guarded, record)?;
    record.judged(&verdict);
    worker.metrics.classification(verdict.source, verdict.class);
    match verdict.destination {
        Destination::Deny { status } => return Err(Refusal::Denied { status }),
        Destination::Cluster => {
            if let Some(answer) =
                cluster_answer::answer(&view.snapshot, &parts, client.tls.is_some(), unix_ms() / 1000)
            {
                return Ok(answer);
            }
        }
        Destination::Servers(_) => {}
    }
    let session = header::session_token(&parts.headers).map(|token| worker.shared.sessions.key(token));
    let floor = floor(worker, &verdict, session);
    let body = receive(worker, client, &view, &verdict, &guarded, incoming, record).await?;
    let outgoing =
        Box::new(Outgoing::new(parts.method, parts.uri, parts.headers, body, verdict.class, &guarded));
    record.bytes_in = outgoing.body_bytes();
    let asked = Asked { verdict, session, floor, upgrading };
    pursue(worker, outgoing, asked, record).await
}

// --- guard ---

fn guard(
    worker: &Worker,
    client: &Client,
    view: &View,
    parts: &mut http::request::Parts,
    record: &mut Record,
) -> Result<GuardedRequest, Refusal> {
    let config = &view.snapshot.config;
    let listener = Rc::clone(&client.listener.borrow());
    record.answer_headers = listener.config.answer_headers;
    record.tunnel_idle = listener.config.timeouts.tunnel;
    let allowed = Allowed {
        upgrade: !listener.upgrades.is_empty() && may_upgrade(&listener.upgrades, parts.uri.path()),
        trace: config.observability.propagate_trace,
        consistency: config.consistency.request_override,
    };
    guard::check_request(parts, &client.peer, &listener.config, allowed).map_err(|rejection| {
        record.rejected = Some(match rejection.reason {
            RejectReason::BadRequest => Rejected::BadRequest,
            RejectReason::TooLarge => Rejected::TooLarge,
        });
        let malformed = &worker.shared.malformed;
        malformed.record_request(&listener.config.name, rejection.message, parts, unix_ms());
        Refusal::BadRequest { status: rejection.status, message: rejection.message }
    })
}

fn may_upgrade(globs: &[super::rules::Glob], path: &str) -> bool {
    let PathView::Clean(clean) = canonical(path) else { return false };
    api_path(&clean).is_some_and(|path| globs.iter().any(|glob| glob.matches(path)))
}

fn limit_rate(client: &Client, guarded: &GuardedRequest, record: &mut Record) -> Result<(), Refusal> {
    let listener = client.listener.borrow();
    let Some(rates) = &listener.rates else { return Ok(()) };
    match rates.lock().admit(guarded.client, record.started) {
        RateVerdict::Admitted => Ok(()),
        RateVerdict::Limited { .. } => {
            record.rejected = Some(Rejected::Rate);
            Err(Refusal::RateLimited)
        }
    }
}

// --- verdict ---

/// Reads path, operation and namespace and asks for the verdict.
fn decide(
    worker: &Worker,
    view: &View,
    parts: &http::request::Parts,
    guarded: &GuardedRequest,
    record: &mut Record,
) -> Result<Verdict, Refusal> {
    let bad = |message| Refusal::BadRequest { status: http::StatusCode::BAD_REQUEST, message };
    let view_of_path = canonical(parts.uri.path());
    let (path, outside_api, unclean) = match &view_of_path {
        PathView::Clean(clean) => match api_path(clean) {
            Some(path) => (Some(path), None, false),
            None => (None, Some(&**clean), false),
        },
        PathView::Unclean(_) => (None, None, true),
        PathView::Invalid(_) => return Err(bad("the path is not valid")),
    };
    let operation = operation::of(&parts.method, parts.uri.query())
        .map_err(|_| bad("`list`, `scan` or `help` in the query is not a boolean, or they contradict"))?;
    record.described(operation, &parts.headers, guarded.plain);
    let question = Question {
        method: &parts.method,
        operation,
        path,
        unclean,
        outside_api,
        query: parts.uri.query(),
        namespace: if guarded.plain { "" } else { header::namespace(&parts.headers) },
        headers: &parts.headers,
        plain: guarded.plain,
        consistency: guarded.consistency,
    };
    Ok(judge(&question, &knowledge(worker, view, record.started)))
}

fn knowledge<'a>(worker: &'a Worker, view: &'a View, now: Instant) -> Knowledge<'a> {
    Knowledge {
        snapshot: &view.snapshot,
        rules: &view.rules,
        mount_changes: &worker.shared.mount_changes,
        first_touch: &worker.shared.first_touch,
        now,
        roll: if view.snapshot.learned.is_empty() { 1.0 } else { worker.rng.borrow_mut().f64() },
    }
}

// --- floor ---

/// What a read of this session must be at or past. A session nobody knows yet takes `first_seen`; a request
/// without a token cannot be told from its neighbours and takes the global floor.
fn floor(worker: &Worker, verdict: &Verdict, session: Option<SessionKey>) -> Floor {
    let sessions = &worker.shared.sessions;
    match verdict.mode {
        ConsistencyMode::Eventual => Floor::default(),
        // Strong goes to the active node whatever the floor; it is there in case that node has just stepped down.
        ConsistencyMode::Strong | ConsistencyMode::Global => sessions.global(),
        ConsistencyMode::Session => match session.map(|key| sessions.floor(key)) {
            Some(Some(floor)) => floor,
            Some(None) | None => first_seen(worker),
        },
    }
}

fn first_seen(worker: &Worker) -> Floor {
    use crate::config::proxy::FirstSeen;
    match worker.view().snapshot.config.consistency.first_seen {
        FirstSeen::Global => worker.shared.sessions.global(),
        // No standby can be known to be at the last possible index, so the active node answers.
        FirstSeen::Active => Floor { wrote: u64::MAX, seen: u64::MAX, written_ms: u64::MAX },
        FirstSeen::None => Floor::default(),
    }
}

// --- body ---

/// Reads a small body whole, so that it can be sent again; a larger one becomes a stream.
async fn receive(
    worker: &Worker,
    client: &Client,
    view: &View,
    verdict: &Verdict,
    guarded: &GuardedRequest,
    incoming: Incoming,
    record: &mut Record,
) -> Result<RequestBody, Refusal> {
    match guarded.body {
        guard::RequestBody::Empty => return Ok(RequestBody::Empty),
        // Not sent on, so the rest of the connection means nothing.
        guard::RequestBody::Discard => {
            record.close = true;
            return Ok(RequestBody::Empty);
        }
        guard::RequestBody::Length(_) | guard::RequestBody::Streamed => {}
    }
    let limit = verdict.max_body_bytes.unwrap_or(client.listener.borrow().config.limits.max_body_bytes);
    let limit = if limit == 0 { u64::MAX } else { limit };
    let keep = view.snapshot.config.retry.buffer_bytes;
    let reading = pin!(read_request_body(incoming, keep, limit, BodyWatch::new(&client.state)));
    // A client that sends a byte now and then is not stalled, but it does not get longer than a request gets.
    let deadline = verdict.timeout.map(|timeout| worker.shared.sessions.ms(record.started + timeout));
    let terms =
        Terms { deadline_ms: deadline.unwrap_or(u64::MAX), server: ServerId::default(), movable: false };
    let body = worker.attempts.run(terms, reading).await.map_err(|_| Refusal::BodyTimeout)?;
    body.map_err(|error| match error {
        crate::net::body::RequestBodyError::TooLarge => Refusal::BodyTooLarge,
        crate::net::body::RequestBodyError::Aborted => Refusal::BodyAborted,
    })
}

/// Milliseconds since the Unix epoch, for logs.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
