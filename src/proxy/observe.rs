//! What an answer teaches: indexes, floors, who forwarded, which prefixes changed. It tells the cluster owner and
//! the session store; it changes no answer.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};

use crate::api::classify::Class;
use crate::api::header::{self, X_VAULT_INDEX};
use crate::api::operation::{self, Operation};
use crate::config::proxy::ConsistencyMode;
use crate::index::{self, IndexDialect};
use crate::path::{PathView, api_path, canonical};

use super::affinity::{Floor, SessionKey};
use super::answer::Asked;
use super::forward::Outgoing;
use super::learn::ShapeKey;
use super::observation::Observation;
use super::route::{Wants, satisfies};
use super::snapshot::{Dialect, ServerId, ServerView, Snapshot};
use super::verdict::Verdict;
use super::worker::Worker;

/// How often a waiting read looks whether a standby has arrived.
const LOOK: Duration = Duration::from_millis(2);

/// An index of this cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenIndex {
    pub(super) value: u64,
    pub(super) dialect: Dialect,
}

/// The request behind an answer.
pub(super) struct Seen<'a> {
    pub(super) outgoing: &'a Outgoing,
    pub(super) verdict: &'a Verdict,
    pub(super) session: Option<SessionKey>,
    pub(super) floor: Floor,
    pub(super) asked_of: Asked,
    pub(super) index: Option<SeenIndex>,
    /// The server that was asked answered itself; `None`: not known.
    pub(super) itself: Option<bool>,
    /// The standby was asked to wait for an index: that it forwarded says nothing of the request's shape.
    pub(super) waited: bool,
    pub(super) now: Instant,
}

/// Takes in the client's own index: this request's floor rises with it. One beyond everything this proxy has seen is
/// for the active node, which never makes anybody wait (a client could park requests otherwise).
pub(super) fn with_client_index(
    worker: &Worker,
    snapshot: &Snapshot,
    outgoing: &Outgoing,
    floor: Floor,
    wants: Wants,
) -> (Floor, Wants) {
    let Some(sent) = outgoing.client_index() else { return (floor, wants) };
    let Some(sent) = read_index(snapshot, sent.as_bytes()) else { return (floor, wants) };
    let beyond = sent.value > worker.shared.sessions.global().index()
        && !snapshot.servers.iter().any(|server| server.live.applied_index() >= sent.value);
    let wants = if beyond && wants == Wants::Fresh { Wants::Active } else { wants };
    (floor.max(Floor { wrote: sent.value, ..Floor::default() }), wants)
}

/// Waits until some read-serving standby is known to be at the floor, at most `limit`.
pub(super) async fn until_reached(snapshot: &Snapshot, floor: Floor, limit: Duration) {
    let reached = async {
        while !snapshot.servers.iter().any(|server| server.reads && satisfies(server, floor)) {
            tokio::time::sleep(LOOK).await;
        }
    };
    // Reached or not, the caller asks for a route again.
    drop(tokio::time::timeout(limit, reached).await);
}

/// The index an answer carries, when it belongs to this cluster. The last value of this worker is remembered,
/// because between two writes all answers carry the same.
pub(super) fn index_of(worker: &Worker, snapshot: &Snapshot, headers: &HeaderMap) -> Option<SeenIndex> {
    let value = headers.get(X_VAULT_INDEX)?;
    let mut last = worker.last_index.borrow_mut();
    if let Some((known, index)) = last.as_ref()
        && known == value
    {
        return *index;
    }
    let index = read_index(snapshot, value.as_bytes());
    *last = Some((value.clone(), index));
    index
}

fn read_index(snapshot: &Snapshot, value: &[u8]) -> Option<SeenIndex> {
    let parsed = index::parse(value).ok()?;
    let ours = snapshot.cluster_id.as_deref() == Some(parsed.cluster());
    let dialect = match parsed.dialect() {
        IndexDialect::OpenBao => Dialect::OpenBao,
        IndexDialect::Vault => Dialect::Vault,
    };
    ours.then_some(SeenIndex { value: parsed.value(), dialect })
}

/// The server itself checked the floor before it answered, also where its answer carries no index (404s).
pub(super) fn verified_by_server(server: &ServerView, outgoing: &Outgoing) -> bool {
    server.dialect == Dialect::OpenBao && outgoing.carries_index()
}

/// The server of this cluster at an authority (`host:port`), as redirects and `leader_address` name it.
pub(super) fn server_at(snapshot: &Snapshot, authority: &str) -> Option<ServerId> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok()),
        None => (authority, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_at = |server: &&ServerView| {
        let standard = if server.address.tls { 443 } else { 80 };
        server.address.host.eq_ignore_ascii_case(host) && server.address.port == port.unwrap_or(standard)
    };
    snapshot.servers.iter().find(is_at).map(|server| server.id)
}

/// Notes everything one accepted answer teaches.
pub(super) fn learn(
    worker: &Worker,
    snapshot: &Snapshot,
    status: StatusCode,
    server: &ServerView,
    seen: &Seen<'_>,
) {
    // What was asked under an earlier epoch speaks of indexes that mean nothing any more.
    let current = worker.view().snapshot.epoch == snapshot.epoch;
    let index = seen.index.filter(|_| current);
    if let Some(index) = index {
        raise_server(snapshot, server, seen, index);
        if server.dialect != index.dialect {
            worker.observe(Observation::Dialect { server: server.id, dialect: index.dialect });
        }
    }
    let wrote = seen.outgoing.class != Class::Read && status.is_success();
    raise_floors(worker, index, wrote, seen);
    if status.is_success() {
        note_success(worker, snapshot, index, seen);
    }
    note_forwarding(worker, seen);
}

/// A forwarded answer carries the active node's index, not that of the standby that was asked.
fn raise_server(snapshot: &Snapshot, server: &ServerView, seen: &Seen<'_>, index: SeenIndex) {
    let forwarded = was_forwarded(seen, index.dialect);
    let owner = if forwarded { snapshot.active_server() } else { Some(server) };
    if let Some(owner) = owner {
        owner.live.raise_applied_index(index.value);
    }
}

/// Where servers do not say who did the work: no standby writes, and Vault's index is only on answers to writes.
fn was_forwarded(seen: &Seen<'_>, dialect: Dialect) -> bool {
    let wrote = seen.outgoing.class != Class::Read || dialect == Dialect::Vault;
    seen.itself.map_or(seen.asked_of == Asked::Standby && wrote, |itself| !itself)
}

fn raise_floors(worker: &Worker, index: Option<SeenIndex>, wrote: bool, seen: &Seen<'_>) {
    if seen.verdict.mode == ConsistencyMode::Eventual && !wrote {
        return;
    }
    let sessions = &worker.shared.sessions;
    let monotonic = wrote || worker.view().snapshot.config.consistency.monotonic;
    let at = index.map_or(0, |index| index.value);
    let reached = Floor {
        wrote: if wrote { at } else { 0 },
        seen: at,
        // Now, not when the request came in: what another answer showed meanwhile is behind this write.
        written_ms: if wrote { sessions.ms(Instant::now()) } else { 0 },
    };
    if !wrote && at <= seen.floor.seen && seen.session_known(worker) {
        return;
    }
    sessions.raise_global(reached);
    if let Some(session) = seen.session.filter(|_| monotonic) {
        sessions.raise(session, reached);
    }
}

impl Seen<'_> {
    /// A session whose floor was already at the answer's index has nothing to gain, once it is in the store.
    fn session_known(&self, worker: &Worker) -> bool {
        self.session.is_none_or(|session| worker.shared.sessions.floor(session).is_some())
    }
}

fn note_success(worker: &Worker, snapshot: &Snapshot, index: Option<SeenIndex>, seen: &Seen<'_>) {
    let traits = seen.verdict.traits;
    if !traits.changes_mounts && !traits.first_touch && seen.outgoing.method != http::Method::DELETE {
        return;
    }
    with_path(seen.outgoing, |namespace, path, operation| {
        if traits.changes_mounts {
            let window = snapshot.config.consistency.mount_change_window;
            let index = index.map_or(0, |index| index.value);
            worker.shared.mount_changes.changed(path, index, seen.now, window);
        }
        if traits.first_touch {
            worker.shared.first_touch.succeeded(namespace, path);
        }
        let removes = operation == Operation::Delete && path.contains("keys/");
        if removes || traits.changes_mounts {
            worker.shared.first_touch.forget();
        }
    });
}

/// Reports a forwarded read whose shape was a guess, and every read of a shape that is being watched.
fn note_forwarding(worker: &Worker, seen: &Seen<'_>) {
    if seen.asked_of != Asked::Standby || seen.outgoing.class != Class::Read || seen.waited {
        return;
    }
    let Some(itself) = seen.itself else { return };
    if seen.verdict.watch || (!itself && seen.verdict.traits.learnable) {
        with_path(seen.outgoing, |namespace, path, operation| {
            let shape = ShapeKey::of(namespace, path, operation);
            worker.observe(Observation::Forwarded { shape, forwarded: !itself });
        });
    }
}

fn with_path(outgoing: &Outgoing, then: impl FnOnce(&str, &str, Operation)) {
    let PathView::Clean(clean) = canonical(outgoing.uri.path()) else { return };
    let Ok(operation) = operation::of(&outgoing.method, outgoing.uri.query()) else { return };
    if let Some(path) = api_path(&clean) {
        then(header::namespace(&outgoing.headers), path, operation);
    }
}
