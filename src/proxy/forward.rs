//! One attempt: dress the request for the server, send it, read what came back. Whether to try again is `retry`'s
//! word and `service`'s deed.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Uri};

use crate::api::classify::Class;
use crate::api::header::{X_VAULT_INCONSISTENT, X_VAULT_INDEX, X_VAULT_NO_REQUEST_FORWARDING};
use crate::net::body::{RequestBody, RequestBodyError, StreamBody};
use crate::net::client::ConnectError;
use crate::net::codec::Garbage;
use crate::net::pool::{PoolError, Reuse};
use crate::net::upstream::{Answer, ExchangeError, ExtraLine, RequestHead, exchange};

use super::attempts::{Fate, Terms};
use super::error::Refusal;
use super::guard::GuardedRequest;
use super::metrics::label::{ConnectResult, OverflowKind};
use super::retry::Ended;
use super::snapshot::{Dialect, ServerView};
use super::worker::{Upstream, Worker};

/// The names of our own lines, as they are written.
const INDEX_LINE: &str = "x-vault-index";
const INCONSISTENT_LINE: &str = "x-vault-inconsistent";
const NO_FORWARDING_LINE: &str = "x-vault-no-request-forwarding";

/// A client's request, guarded and ready to be sent any number of times (or once, with a streamed body).
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: OutgoingBody,
    pub(super) class: Class,
    /// What the client itself said about indexes, put back for the active node.
    client_index: Option<HeaderValue>,
    /// The client says itself what a server behind its index shall do.
    client_decides: bool,
    client_no_forwarding: bool,
    /// The index line of the next attempt. Beside the map, where setting and removing a line for every attempt costs
    /// more than writing it.
    index: Option<HeaderValue>,
    /// The index is ours and is followed by what a server shall do that is behind it.
    verifies: bool,
    /// The next attempt tells the server not to forward.
    stays: bool,
    upgrade: Option<HeaderValue>,
}

/// The body, and whether it is still there.
pub(super) enum OutgoingBody {
    Empty,
    Kept(Bytes),
    Once(Option<Box<StreamBody>>),
}

/// How an attempt went.
#[derive(Debug)]
pub(super) enum Attempted {
    Answered(Box<Answer>),
    Ended(Ended),
    /// The client's own fault, or gone: nothing to try again.
    Refused(Refusal),
}

/// Which index line a server gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verify<'a> {
    /// The cluster the floor belongs to.
    pub(super) cluster: &'a str,
    /// 0: nothing to verify.
    pub(super) floor: u64,
    /// Asked because it leads. A standby that was chosen as one may forward.
    pub(super) leads: bool,
}

impl std::fmt::Debug for Outgoing {
    /// Neither headers nor path nor body: all of them hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut outgoing = f.debug_struct("Outgoing");
        outgoing.field("method", &self.method).field("class", &self.class).finish_non_exhaustive()
    }
}

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(
        method: Method,
        uri: Uri,
        mut headers: HeaderMap,
        body: RequestBody,
        class: Class,
        guarded: &GuardedRequest,
    ) -> Self {
        headers.remove(CONTENT_LENGTH);
        headers.remove(http::header::HOST);
        let client_index = if guarded.plain { None } else { headers.remove(X_VAULT_INDEX) };
        let client_decides = !guarded.plain && headers.contains_key(X_VAULT_INCONSISTENT);
        let client_no_forwarding = !guarded.plain && headers.contains_key(X_VAULT_NO_REQUEST_FORWARDING);
        let body = match body {
            RequestBody::Empty => OutgoingBody::Empty,
            RequestBody::Full(bytes) => OutgoingBody::Kept(bytes),
            RequestBody::Stream(stream) => OutgoingBody::Once(Some(stream)),
        };
        Self {
            method,
            uri,
            headers,
            body,
            class,
            client_index,
            client_decides,
            client_no_forwarding,
            index: None,
            verifies: false,
            stays: false,
            upgrade: guarded.upgrade.clone(),
        }
    }

    /// The request can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        !matches!(self.body, OutgoingBody::Once(None))
    }

    pub(super) fn has_no_body(&self) -> bool {
        matches!(self.body, OutgoingBody::Empty)
    }

    /// Nothing of the client's own says how fresh an answer must be.
    pub(super) fn client_index(&self) -> Option<&HeaderValue> {
        self.client_index.as_ref()
    }

    pub(super) fn body_bytes(&self) -> u64 {
        match &self.body {
            OutgoingBody::Kept(bytes) => bytes.len() as u64,
            OutgoingBody::Once(Some(stream)) => stream.length.unwrap_or(0),
            OutgoingBody::Empty | OutgoingBody::Once(None) => 0,
        }
    }

    fn take_body(&mut self) -> RequestBody {
        match &mut self.body {
            OutgoingBody::Empty => RequestBody::Empty,
            OutgoingBody::Kept(bytes) => RequestBody::Full(bytes.clone()),
            OutgoingBody::Once(stream) => stream.take().map_or(RequestBody::Empty, RequestBody::Stream),
        }
    }

    /// Adds what makes the server itself hold the floor: the index, and what to do when it is behind. The active
    /// node looks at none of it, but the node believed to be active may have stepped down a moment ago: a standby
    /// that is behind would answer a read with the past and let a delete do nothing (vault-semantics §0.1).
    /// `None`: the answer depends on no floor.
    ///
    /// A standby answers 307 also when its forward to the active node broke half way (vault-semantics §3.2), and
    /// then the write may have run. Told not to forward, its 307 proves that nothing ran, and the write may be sent
    /// again. Only OpenBao is told: behind Vault Enterprise's replication the active node itself forwards.
    pub(super) fn dress(&mut self, worker: &Worker, server: &ServerView, verify: Option<Verify<'_>>) {
        let verify = verify.filter(|_| server.dialect == Dialect::OpenBao);
        let floor = verify.filter(|verify| verify.floor > 0);
        let index = floor.and_then(|verify| worker.index_header(verify.cluster, verify.floor));
        self.verifies = index.is_some();
        self.index = index.or_else(|| self.client_index.clone());
        self.stays = self.class != Class::Read && verify.is_some_and(|verify| verify.leads);
        self.dress_upgrade();
    }

    /// The next attempt carries an index: the server verifies it before it answers.
    pub(super) fn carries_index(&self) -> bool {
        self.index.is_some()
    }

    /// The lines of the next attempt that are not in the map. The client's own words win over ours; the two words on
    /// what to do must be separate lines (vault-semantics §5.2).
    fn extra_lines<'a>(&'a self, lines: &'a mut [ExtraLine<'a>; 4]) -> &'a [ExtraLine<'a>] {
        let says = self.verifies && !self.client_decides;
        let wanted = [
            self.index.as_ref().map(|index| (INDEX_LINE, index.as_bytes())),
            (says && self.class == Class::Read).then_some((INCONSISTENT_LINE, &b"await-state"[..])),
            says.then_some((INCONSISTENT_LINE, &b"forward-active-node"[..])),
            (self.stays && !self.client_no_forwarding).then_some((NO_FORWARDING_LINE, &b"true"[..])),
        ];
        let mut count = 0;
        for line in wanted.into_iter().flatten() {
            lines[count] = line;
            count += 1;
        }
        &lines[..count]
    }

    fn dress_upgrade(&mut self) {
        if let Some(upgrade) = &self.upgrade {
            self.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            self.headers.insert(UPGRADE, upgrade.clone());
        }
    }
}

/// Counts an attempt as in flight for as long as it is.
struct InFlight<'a> {
    worker: &'a Worker,
    upstream: &'a Upstream,
}

impl<'a> InFlight<'a> {
    fn new(worker: &'a Worker, upstream: &'a Upstream) -> Self {
        upstream.in_flight.set(upstream.in_flight.get() + 1);
        worker.metrics.in_flight_started(upstream.slot);
        Self { worker, upstream }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.upstream.in_flight.set(self.upstream.in_flight.get() - 1);
        self.worker.metrics.in_flight_ended(self.upstream.slot);
    }
}

/// Sends the request to one server and reads the head of its answer (and a small body). Also says how long that
/// took since `started`: a clock is not free, so it is read once.
pub(super) async fn attempt(
    worker: &Worker,
    upstream: &Rc<Upstream>,
    outgoing: &mut Outgoing,
    terms: Terms,
    reuse: Reuse,
    started: Instant,
) -> (Attempted, Duration) {
    let _in_flight = InFlight::new(worker, upstream);
    let sent = Cell::new(false);
    let body = outgoing.take_body();
    let target = outgoing.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut lines = Default::default();
    let extra = outgoing.extra_lines(&mut lines);
    let exchanged = pin!(async {
        let lease = upstream.pool.acquire(reuse, started).await.map_err(Failed::Pool)?;
        count_connect(worker, upstream, lease.reused);
        let head = RequestHead {
            method: &outgoing.method,
            path_and_query: target,
            host: upstream.host.as_bytes(),
            headers: &outgoing.headers,
            extra,
        };
        exchange(lease, head, body, worker.spare_maps.take(), &sent).await.map_err(Failed::Exchange)
    });
    let exchanged = worker.attempts.run(terms, exchanged).await;
    let ended_at = match &exchanged {
        Ok(Ok(answer)) => answer.at,
        Ok(Err(_)) | Err(_) => Instant::now(),
    };
    let took = ended_at.saturating_duration_since(started);
    let attempted = match exchanged {
        Ok(Ok(answer)) => {
            worker.metrics.upstream_answered(upstream.slot, outgoing.class, took);
            note_time(upstream, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            Attempted::Answered(answer)
        }
        Ok(Err(failed)) => ended(worker, upstream, &failed, sent.get()),
        Err(Fate::TimedOut) => Attempted::Ended(Ended::TimedOut { sent: sent.get() }),
        Err(Fate::ServerLost) => Attempted::Ended(Ended::Broken { sent: sent.get() }),
    };
    (attempted, took)
}

enum Failed {
    Pool(PoolError),
    Exchange(ExchangeError),
}

fn count_connect(worker: &Worker, upstream: &Upstream, reused: bool) {
    if reused {
        worker.metrics.upstream_reused(upstream.slot);
    } else {
        worker.metrics.upstream_connect(upstream.slot, ConnectResult::Ok);
    }
}

fn ended(worker: &Worker, upstream: &Upstream, failed: &Failed, sent: bool) -> Attempted {
    match failed {
        Failed::Pool(PoolError::Overflow) => {
            worker.metrics.overflow(upstream.slot, OverflowKind::Pending);
            Attempted::Ended(Ended::Overflow)
        }
        Failed::Pool(PoolError::Connect(error)) => {
            worker.metrics.upstream_connect(upstream.slot, connect_result(error));
            tracing::debug!(%error, server = ?upstream.name, "connect failed");
            Attempted::Ended(Ended::Connect)
        }
        Failed::Exchange(ExchangeError::Broken(_)) => Attempted::Ended(Ended::Broken { sent }),
        Failed::Exchange(ExchangeError::Garbage(kind)) => {
            garbage(worker, upstream, *kind);
            Attempted::Ended(Ended::Garbage)
        }
        Failed::Exchange(ExchangeError::RequestBody(RequestBodyError::TooLarge)) => {
            Attempted::Refused(Refusal::BodyTooLarge)
        }
        Failed::Exchange(ExchangeError::RequestBody(RequestBodyError::Aborted)) => {
            Attempted::Refused(Refusal::BodyAborted)
        }
    }
}

fn garbage(worker: &Worker, upstream: &Upstream, kind: Garbage) {
    let server = upstream.name.to_str().unwrap_or_default();
    tracing::warn!(server, error = %kind, "a server's answer could not be understood");
    worker.shared.malformed.record(
        super::decisions::BadSide::Server,
        server,
        &kind.to_string(),
        b"",
        super::service::unix_ms(),
    );
}

fn connect_result(error: &ConnectError) -> ConnectResult {
    match error {
        ConnectError::Timeout => ConnectResult::Timeout,
        ConnectError::Tls(_) => ConnectResult::Tls,
        ConnectError::Tcp(source) if source.kind() == std::io::ErrorKind::ConnectionRefused => {
            ConnectResult::Refused
        }
        ConnectError::Tcp(_) | ConnectError::Resolve(_) => ConnectResult::Other,
    }
}

/// Peak-EWMA: a slower answer counts at once, faster ones only bit by bit.
fn note_time(upstream: &Upstream, took_us: u64) {
    let known = upstream.ewma_us.get();
    let next = if took_us >= known { took_us } else { known - (known - took_us) / 8 };
    upstream.ewma_us.set(next);
}
