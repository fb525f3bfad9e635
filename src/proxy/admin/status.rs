//! `/v1/status` and `/v1/servers`: the snapshot and the counters as JSON.

use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::proxy::metrics::label::Label as _;
use crate::proxy::snapshot::{Dialect, ServerView, Snapshot};
use crate::telemetry::BUILD;

use super::state::AdminState;

pub(super) fn status(state: &AdminState, snapshot: &Snapshot, now: Instant) -> Value {
    json!({
        "version": BUILD.version,
        "commit": BUILD.commit,
        "uptime_seconds": now.saturating_duration_since(state.started).as_secs(),
        "generation": snapshot.generation,
        "draining": state.drain.has_begun(),
        "ready": is_ready(state, snapshot, false),
        "cluster": {
            "name": snapshot.config.cluster.name,
            "reported_name": snapshot.cluster_name.as_deref(),
            "id": snapshot.cluster_id.as_deref(),
            "epoch": snapshot.epoch,
        },
        "active": snapshot.active_server().map(|server| &*server.name),
        "servers": servers(state, snapshot),
    })
}

/// Configured, not draining, and a server (or the active one) can be used.
pub(super) fn is_ready(state: &AdminState, snapshot: &Snapshot, require_active: bool) -> bool {
    let served = match require_active {
        true => snapshot.active_server().is_some_and(|server| server.usable),
        false => snapshot.servers.iter().any(|server| server.usable),
    };
    served && !state.drain.has_begun()
}

pub(super) fn servers(state: &AdminState, snapshot: &Snapshot) -> Vec<Value> {
    snapshot.servers.iter().map(|view| server(state, snapshot, view)).collect()
}

pub(super) fn server(state: &AdminState, snapshot: &Snapshot, view: &ServerView) -> Value {
    let mut object = identity(view);
    object.extend(position(snapshot, view));
    let used = state.metrics.server_use(view.id);
    object.insert("in_flight".into(), used.in_flight.into());
    object.insert("pending".into(), used.pending.into());
    object.insert(
        "connections".into(),
        json!({ "active": used.connections_active, "idle": used.connections_idle }),
    );
    object.extend(state.insight.server(snapshot, view.id));
    Value::Object(object)
}

fn identity(view: &ServerView) -> Map<String, Value> {
    let scheme = if view.address.tls { "https" } else { "http" };
    let pairs = [
        ("name", json!(&*view.name)),
        ("address", json!(format!("{scheme}://{}:{}", view.address.host, view.address.port))),
        ("zone", json!(view.zone.as_deref())),
        ("weight", json!(view.weight)),
        ("role", json!(view.role.word())),
        ("up", json!(view.usable)),
        ("reads", json!(view.reads)),
        ("reads_reason", json!(view.reads_reason)),
        ("node_id", json!(view.node_id.as_deref())),
        ("hostname", json!(view.hostname.as_deref())),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn position(snapshot: &Snapshot, view: &ServerView) -> Map<String, Value> {
    let index = view.live.applied_index();
    let lead = snapshot.active_server().map_or(0, |active| active.live.applied_index());
    let lag = (lead > 0 && index > 0).then(|| lead.saturating_sub(index));
    let pairs = [
        ("leads", json!(snapshot.active == Some(view.id))),
        ("index_dialect", json!(dialect(view.dialect))),
        ("applied_index", json!((index > 0).then_some(index))),
        ("lag_entries", json!(lag)),
        ("catch_up_us", json!((view.catch_up_us > 0).then_some(view.catch_up_us))),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::None => "none",
        Dialect::OpenBao => "openbao",
        Dialect::Vault => "vault",
    }
}
