//! The owner's state as an operator sees it: `/v1/status` and `/v1/servers`. Made on demand, changes nothing.

use std::time::Instant;

use serde::Serialize;

use crate::clock::whole_ms;
use crate::proxy::health::CheckResult;
use crate::proxy::health::answer::Capability;
use crate::proxy::snapshot::{AdminState, Dialect};

use super::decide::server_id;
use super::state::{ClusterState, role_word};

/// The cluster as this proxy sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// Of the configuration.
    pub generation: u64,
    pub cluster: String,
    pub cluster_id: Option<String>,
    /// How often the servers turned out to belong to another cluster than before.
    pub epoch: u64,
    /// Name of the server that takes writes.
    pub active: Option<String>,
    /// Several servers claim to be active and nothing tells who is right: writes are held.
    pub disputed: bool,
    /// Milliseconds since an active node was last visible; `None`: never.
    pub leader_seen_ms_ago: Option<u64>,
    pub learned_shapes: usize,
    pub servers: Vec<ServerStatus>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerStatus {
    pub name: String,
    pub address: String,
    pub zone: Option<String>,
    pub weight: u32,
    pub role: &'static str,
    pub admin: &'static str,
    pub usable: bool,
    pub reads: bool,
    /// Why `reads` is what it is.
    pub reason: &'static str,
    /// Whether it answers reads itself: `yes`, `no`, `unknown`.
    pub capability: &'static str,
    pub index_dialect: &'static str,
    pub applied_index: u64,
    pub lag_entries: Option<u64>,
    pub lag_ms: u64,
    /// Usual time from an index's appearance on the active to its appearance here; 0: not measured.
    pub catch_up_us: u64,
    pub cluster_id: Option<String>,
    pub version: Option<String>,
    pub node_id: Option<String>,
    /// Whom it names as leader.
    pub leader_address: Option<String>,
    /// Milliseconds until an ejection ends by time.
    pub ejected_for_ms: Option<u64>,
    pub check: Option<CheckStatus>,
}

/// The newest health check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckStatus {
    pub ms_ago: u64,
    pub took_us: u64,
    pub result: &'static str,
    pub failures_in_a_row: u32,
}

pub(super) fn of(state: &ClusterState, now: Instant) -> ClusterStatus {
    let ago = |then: Instant| whole_ms(now.saturating_duration_since(then));
    ClusterStatus {
        generation: state.generation,
        cluster: state.config.cluster.name.clone(),
        cluster_id: state.memory.cluster_id.as_deref().map(str::to_owned),
        epoch: state.epoch,
        active: state.decision.active.map(|id| state.endpoints[id.index()].name.to_string()),
        disputed: state.decision.disputed,
        leader_seen_ms_ago: state.memory.leader_seen.map(ago),
        learned_shapes: state.learning.len(),
        servers: (0..state.endpoints.len()).map(|at| server(state, at, now)).collect(),
    }
}

fn server(state: &ClusterState, at: usize, now: Instant) -> ServerStatus {
    let endpoint = &state.endpoints[at];
    let verdict = &state.decision.verdicts[at];
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let address = &endpoint.address;
    let remaining = |until: Instant| whole_ms(until.saturating_duration_since(now));
    debug_assert_eq!(server_id(at).index(), at);
    ServerStatus {
        name: endpoint.name.to_string(),
        address: format!(
            "{}://{}:{}",
            if address.tls { "https" } else { "http" },
            address.host,
            address.port
        ),
        zone: text(endpoint.zone.as_deref()),
        weight: endpoint.weight,
        role: role_word(verdict.role),
        admin: admin_word(endpoint.admin),
        usable: verdict.usable,
        reads: verdict.reads,
        reason: verdict.reason,
        capability: capability_word(endpoint.capability),
        index_dialect: dialect_word(endpoint.dialect),
        applied_index: endpoint.live.applied_index(),
        lag_entries: verdict.lag.entries,
        lag_ms: whole_ms(verdict.lag.time),
        catch_up_us: endpoint.catch_up_us,
        cluster_id: text(endpoint.cluster_id().map(|id| &**id)),
        version: text(endpoint.facts.as_ref().and_then(|facts| facts.version.as_deref())),
        node_id: text(endpoint.node_id.as_deref()),
        leader_address: text(endpoint.leader().map(|leader| &*leader.leader_address)),
        ejected_for_ms: endpoint.outlier.ejected_until().map(remaining),
        check: endpoint.last_check.map(|check| CheckStatus {
            ms_ago: whole_ms(now.saturating_duration_since(check.at)),
            took_us: u64::try_from(check.took.as_micros()).unwrap_or(u64::MAX),
            result: result_word(check.result),
            failures_in_a_row: endpoint.failures,
        }),
    }
}

/// The word of an operator state, as the admin API takes and shows it.
#[must_use]
pub fn admin_word(state: AdminState) -> &'static str {
    match state {
        AdminState::Ready => "ready",
        AdminState::Drain => "drain",
        AdminState::Maint => "maint",
    }
}

fn capability_word(capability: Capability) -> &'static str {
    match capability {
        Capability::Yes => "yes",
        Capability::No => "no",
        Capability::Unknown => "unknown",
    }
}

fn dialect_word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::None => "none",
        Dialect::OpenBao => "openbao",
        Dialect::Vault => "vault",
    }
}

fn result_word(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Ok => "ok",
        CheckResult::BadStatus => "bad_status",
        CheckResult::Timeout => "timeout",
        CheckResult::Connect => "connect",
        CheckResult::Tls => "tls",
        CheckResult::Parse => "parse",
    }
}
