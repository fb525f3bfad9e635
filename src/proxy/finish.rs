//! The end of a request: what is counted, logged and kept of it, when its last byte is on the way.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Response, Uri};
use http_body::{Body, Frame, SizeHint};

use crate::api::classify::{Class, Source};
use crate::api::header::{self, namespace};
use crate::api::operation::Operation;
use crate::api::template;
use crate::net::body::{AnswerBody, AnswerCut};
use crate::path::{PathView, api_path, canonical};

use super::access_log::{AccessRecord, LoggedPath, Wrote};
use super::answer::Asked;
use super::attempts::Terms;
use super::client::Client;
use super::error::Refusal;
use super::guard::request_id::X_REQUEST_ID;
use super::metrics::Finished;
use super::metrics::label::{
    ConsistencyOutcome, Dropped, MethodLabel, PredictionOutcome, Rejected, RetryOutcome, RetryReason,
    RoleLabel,
};
use super::service::unix_ms;
use super::snapshot::{Role, ServerId, ServerView};
use super::verdict::Verdict;
use super::worker::Worker;

/// Of plain successful reads every so many enters the decision ring; everything else always does.
const DECISION_EVERY: u64 = 16;

/// What becomes known of a request on its way.
pub(super) struct Record {
    pub(super) started: Instant,
    method: Method,
    uri: Uri,
    operation: Option<Operation>,
    class: Class,
    source: Source,
    reason: &'static str,
    server: Option<Arc<str>>,
    role: RoleLabel,
    pub(super) upstream: Duration,
    /// When the answer to pass on had been read, as far as it is not streamed.
    pub(super) answered: Option<Instant>,
    retries: u32,
    retry_reason: Option<RetryReason>,
    pub(super) prediction: Option<PredictionOutcome>,
    pub(super) consistency: Option<ConsistencyOutcome>,
    pub(super) in_doubt: bool,
    pub(super) rejected: Option<Rejected>,
    pub(super) bytes_in: u64,
    /// Add `X-Understudy-*` to the answer.
    pub(super) answer_headers: bool,
    /// The client's connection cannot carry another request.
    pub(super) close: bool,
    /// How long the server may be silent in the middle of an answer; `None`: as long as it likes (streams).
    pub(super) patience: Option<Duration>,
    /// `timeouts.tunnel` of the listener.
    pub(super) tunnel_idle: Duration,
    request_id: Option<HeaderValue>,
    namespace: Option<HeaderValue>,
}

/// Status of a request whose client left before there was an answer (nginx's number for it): counted, never sent.
const CLIENT_LEFT: u16 = 499;

/// A request that has no answer yet. Dropped without [`Underway::finish`], its client went away: it is counted and
/// logged all the same, and the connection's and worker's tallies stay true.
#[derive(Debug)]
pub(super) struct Underway {
    inner: Option<(Rc<Worker>, Rc<Client>, Record)>,
}

/// An answer's body that knows when it is over.
#[derive(Debug)]
pub struct ClientBody {
    body: AnswerBody,
    open: Option<Box<Open>>,
}

/// A request whose answer is still being streamed.
#[derive(Debug)]
struct Open {
    worker: Rc<Worker>,
    client: Rc<Client>,
    record: Record,
    status: u16,
    bytes_out: u64,
    /// Listed among the worker's attempts while the next piece is awaited.
    waiting: Option<usize>,
}

impl std::fmt::Debug for Record {
    /// Without the path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut record = f.debug_struct("Record");
        record.field("method", &self.method).field("class", &self.class).finish_non_exhaustive()
    }
}

// === impl Record ===

impl Record {
    pub(super) fn new(started: Instant, method: &Method, uri: &Uri) -> Self {
        Self {
            started,
            method: method.clone(),
            uri: uri.clone(),
            operation: None,
            class: Class::Unknown,
            source: Source::Fallback,
            reason: "refused before it was classified",
            server: None,
            role: RoleLabel::None,
            upstream: Duration::ZERO,
            answered: None,
            retries: 0,
            retry_reason: None,
            prediction: None,
            consistency: None,
            in_doubt: false,
            rejected: None,
            bytes_in: 0,
            answer_headers: false,
            close: false,
            patience: None,
            tunnel_idle: Duration::ZERO,
            request_id: None,
            namespace: None,
        }
    }

    pub(super) fn described(&mut self, operation: Operation, headers: &http::HeaderMap, plain: bool) {
        self.operation = Some(operation);
        self.request_id = headers.get(X_REQUEST_ID).cloned();
        if !plain && !namespace(headers).is_empty() {
            self.namespace = headers.get(header::X_VAULT_NAMESPACE).cloned();
        }
    }

    pub(super) fn judged(&mut self, verdict: &Verdict) {
        self.class = verdict.class;
        self.source = verdict.source;
        self.reason = verdict.reason;
        self.patience = verdict.timeout;
    }

    pub(super) fn asked(&mut self, server: &ServerView, asked_of: Asked) {
        self.server = Some(Arc::clone(&server.name));
        self.role = match (asked_of, server.role) {
            (Asked::Active, _) => RoleLabel::Active,
            (Asked::Standby, Role::PerfStandby) => RoleLabel::PerfStandby,
            (Asked::Standby, Role::DrSecondary) => RoleLabel::DrSecondary,
            (Asked::Standby, _) => RoleLabel::Standby,
        };
    }

    pub(super) fn retried(&mut self, reason: RetryReason) {
        self.retries += 1;
        self.retry_reason = Some(reason);
    }

    /// The proxy answers instead of a server.
    pub(super) fn refused(&mut self, refusal: Refusal) -> Response<AnswerBody> {
        self.server = None;
        self.role = RoleLabel::None;
        self.in_doubt |= refusal.is_in_doubt();
        self.close |= refusal.ends_connection();
        if matches!(refusal, Refusal::BodyTooLarge) {
            self.rejected = Some(Rejected::TooLarge);
        }
        refusal.answer()
    }

    /// The client left: a write that was on its way to a server may have run.
    fn abandoned(&mut self) {
        self.in_doubt |= self.class != Class::Read && self.server.is_some();
    }

    fn is_plain(&self, status: u16) -> bool {
        let routine = matches!(
            self.prediction,
            None | Some(PredictionOutcome::Correct | PredictionOutcome::Unverifiable)
        );
        status < 400 && self.retries == 0 && routine && self.class == Class::Read
    }
}

// === impl Underway ===

impl Underway {
    pub(super) fn new(worker: Rc<Worker>, client: Rc<Client>, record: Record) -> Self {
        Self { inner: Some((worker, client, record)) }
    }

    pub(super) fn parts(&mut self) -> (&Rc<Worker>, &Rc<Client>, &mut Record) {
        let (worker, client, record) =
            self.inner.as_mut().expect("taken only by finish, which consumes it, and by drop");
        (worker, client, record)
    }

    pub(super) fn finish(mut self, answer: Response<AnswerBody>) -> Response<ClientBody> {
        let (worker, client, record) =
            self.inner.take().expect("taken only here, where self ends, and by drop");
        finish(worker, client, answer, record)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some((worker, client, mut record)) = self.inner.take() {
            record.abandoned();
            conclude(&worker, &client, &record, CLIENT_LEFT, 0);
        }
    }
}

/// Hands the answer over. A body that is already here is as good as sent; another one is followed to its end.
fn finish(
    worker: Rc<Worker>,
    client: Rc<Client>,
    mut answer: Response<AnswerBody>,
    record: Record,
) -> Response<ClientBody> {
    if (record.close || client.state.closes_after_next()) && !client.is_h2 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = answer.status().as_u16();
    answer.map(|body| match body {
        AnswerBody::Stream(_) => {
            let record = Record { answered: None, ..record };
            let open = Open { worker, client, record, status, bytes_out: 0, waiting: None };
            ClientBody { body, open: Some(Box::new(open)) }
        }
        AnswerBody::Empty | AnswerBody::Full(_) => {
            let bytes_out = body.size_hint().exact().unwrap_or(0);
            conclude(&worker, &client, &record, status, bytes_out);
            ClientBody { body, open: None }
        }
    })
}

fn conclude(worker: &Worker, client: &Client, record: &Record, status: u16, bytes_out: u64) {
    let ended = record.answered.unwrap_or_else(Instant::now);
    let total = ended.saturating_duration_since(record.started);
    let listener = client.listener.borrow();
    worker.requests.set(worker.requests.get() - 1);
    client.state.request_ended();
    worker.metrics.finished(&Finished {
        listener: listener.slot,
        class: record.class,
        role: record.role,
        status,
        method: method_label(&record.method),
        total,
        upstream: record.upstream,
    });
    if let Some(reason) = record.rejected {
        worker.metrics.rejected(listener.slot, reason);
    }
    if let Some(reason) = record.retry_reason {
        let outcome = if status < 500 { RetryOutcome::Ok } else { RetryOutcome::Failed };
        worker.metrics.retry(reason, record.class, outcome);
    }
    let keep = !record.is_plain(status) || worker.turn.get().is_multiple_of(DECISION_EVERY);
    let log = worker.access_log.borrow();
    if keep || log.is_some() {
        write_down(worker, client, &listener.config.name, record, (status, bytes_out, total), keep);
    }
}

/// The access log line and the decision.
fn write_down(
    worker: &Worker,
    client: &Client,
    listener: &str,
    record: &Record,
    (status, bytes_out, total): (u16, u64, Duration),
    keep: bool,
) {
    let view = canonical(record.uri.path());
    let full = match &view {
        PathView::Clean(clean) => api_path(clean).unwrap_or_default(),
        PathView::Unclean(_) | PathView::Invalid(_) => "",
    };
    let mut template = worker.scratch.borrow_mut();
    template.clear();
    if let Some(operation) = record.operation {
        template::render(full, operation, &mut template);
    }
    let text =
        |value: &Option<HeaderValue>| value.as_ref().and_then(|value| value.to_str().ok().map(str::to_owned));
    let (request_id, space) = (text(&record.request_id), text(&record.namespace));
    let snapshot = &worker.view().snapshot;
    let mount = snapshot.mounts.lookup(space.as_deref().unwrap_or_default(), full);
    let line = AccessRecord {
        time_unix_ms: unix_ms(),
        request_id: request_id.as_deref().unwrap_or_default(),
        listener,
        client: client.address,
        method: record.method.as_str(),
        path: LoggedPath {
            template: &template,
            mount: mount.and_then(|(length, _)| full.get(..length)),
            full,
        },
        namespace: space.as_deref().unwrap_or_default(),
        class: record.class,
        source: record.source,
        reason: record.reason,
        server: record.server.as_deref(),
        role: record.role,
        status,
        bytes_in: record.bytes_in,
        bytes_out,
        total,
        upstream: record.upstream,
        retries: record.retries,
        prediction: record.prediction,
        consistency: record.consistency,
        outcome_unknown: record.in_doubt,
        tls: client.tls,
    };
    if keep {
        worker.decisions.record(&line);
    }
    if let Some(log) = &*worker.access_log.borrow()
        && log.write(&line) == Wrote::Dropped
    {
        worker.metrics.dropped(Dropped::AccessLog);
    }
}

fn method_label(method: &Method) -> MethodLabel {
    match method.as_str() {
        "GET" => MethodLabel::Get,
        "PUT" => MethodLabel::Put,
        "POST" => MethodLabel::Post,
        "DELETE" => MethodLabel::Delete,
        "LIST" => MethodLabel::List,
        "PATCH" => MethodLabel::Patch,
        "HEAD" => MethodLabel::Head,
        "SCAN" => MethodLabel::Scan,
        _ => MethodLabel::Other,
    }
}

// === impl ClientBody ===

impl Body for ClientBody {
    type Data = Bytes;
    type Error = AnswerCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerCut>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let Some(open) = &mut this.open else { return polled };
        match &polled {
            Poll::Pending if open.is_stalled(cx) => {
                // With the body goes the connection to the server, with the error the one to the client.
                this.body = AnswerBody::Empty;
                return Poll::Ready(Some(Err(AnswerCut)));
            }
            Poll::Pending => {}
            Poll::Ready(ready) => open.moved(ready.as_ref()),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Open ===

impl Open {
    /// The server was silent for longer than the request's time.
    fn is_stalled(&mut self, cx: &Context<'_>) -> bool {
        let Some(patience) = self.record.patience else { return false };
        let terms = || Terms {
            deadline_ms: self.worker.shared.sessions.ms(Instant::now() + patience),
            server: ServerId::default(),
            movable: false,
        };
        let stalled = self.worker.attempts.wait(&mut self.waiting, terms, cx.waker()).is_some();
        if stalled {
            self.worker.attempts.waited(&mut self.waiting);
            tracing::warn!(
                server = self.record.server.as_deref(),
                "a server stopped in the middle of an answer"
            );
        }
        stalled
    }

    fn moved(&mut self, piece: Option<&Result<Frame<Bytes>, AnswerCut>>) {
        self.worker.attempts.waited(&mut self.waiting);
        let data = piece.and_then(|piece| piece.as_ref().ok()?.data_ref());
        self.bytes_out += data.map_or(0, Bytes::len) as u64;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.attempts.waited(&mut self.waiting);
        conclude(&self.worker, &self.client, &self.record, self.status, self.bytes_out);
    }
}
