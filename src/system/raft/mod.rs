//! `sys/storage/raft/*`: the group behind the store, and snapshots of it. Only where the store is `raft`.
//!
//! A group of one: what would take another member away or give it a vote finds nobody.

mod restore;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{Tabled, whole};
use crate::barrier::Transaction;
use crate::duration::go_string;
use crate::logical::Access::{Open, Token};
use crate::logical::field::Fields;
use crate::logical::{
    Answer, Body, Call, Effect, Fault, Field, FieldKind, Method, Raw, Response, Route, Routes, WRITE,
};
use crate::raft::{Member, Status};
use crate::storage::raft::RaftStorage;
use crate::telemetry::BUILD;

/// Where the autopilot's configuration is kept.
const AUTOPILOT_KEY: &str = "core/raft/autopilot/configuration";
/// Snapshots read at the same time.
const SNAPSHOTS: usize = 4;
/// Fewest voters that must stay when dead servers are removed.
const LEAST_QUORUM: u64 = 3;
const LEAST_DEAD_THRESHOLD: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub struct RaftEndpoints {
    storage: Arc<RaftStorage>,
    /// Since when this node has been what it is.
    since: OffsetDateTime,
    snapshots: Arc<Semaphore>,
    /// Held while a snapshot is uploaded and restored.
    restoring: Mutex<()>,
    routes: Routes<Self>,
}

/// Stored as JSON; a field that is not there has its default. Durations in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Autopilot {
    cleanup_dead_servers: bool,
    dead_server_last_contact_threshold: u64,
    last_contact_threshold: u64,
    max_trailing_logs: u64,
    min_quorum: u64,
    server_stabilization_time: u64,
}

const SERVER: &[Field] = &[
    Field { name: "server_id", kind: FieldKind::String, description: "The node id of the server." },
    Field { name: "dr_operation_token", kind: FieldKind::String, description: "Accepted for compatibility." },
];

const AUTOPILOT: &[Field] = &[
    Field {
        name: "cleanup_dead_servers",
        kind: FieldKind::Bool,
        description: "Whether servers that are gone are removed.",
    },
    Field {
        name: "last_contact_threshold",
        kind: FieldKind::DurationSecs,
        description: "How long a healthy server may go without contact.",
    },
    Field {
        name: "dead_server_last_contact_threshold",
        kind: FieldKind::DurationSecs,
        description: "How long until a server counts as gone; at least a minute.",
    },
    Field {
        name: "max_trailing_logs",
        kind: FieldKind::Int,
        description: "How many entries a healthy server may be behind.",
    },
    Field {
        name: "min_quorum",
        kind: FieldKind::Int,
        description: "How many servers must stay when dead ones are removed; at least 3.",
    },
    Field {
        name: "server_stabilization_time",
        kind: FieldKind::DurationSecs,
        description: "How long a new server must be healthy before it has a vote.",
    },
];

const ROUTES: &[Route<RaftEndpoints>] = &[
    Route::new(
        "storage/raft/configuration",
        Token,
        &[Method::read(RaftEndpoints::configuration)],
        &[],
        "The members of the raft cluster.",
    ),
    Route::new(
        "storage/raft/autopilot/state",
        Token,
        &[Method::read(RaftEndpoints::autopilot_state)],
        &[],
        "How healthy the members are.",
    ),
    Route::new(
        "storage/raft/autopilot/configuration",
        Token,
        &[Method::read(RaftEndpoints::autopilot), Method::write(RaftEndpoints::set_autopilot)],
        AUTOPILOT,
        "What the autopilot goes by.",
    ),
    Route::new(
        "storage/raft/remove-peer",
        Token,
        &[Method::write(RaftEndpoints::remove)],
        SERVER,
        "Remove a member.",
    ),
    Route::new(
        "storage/raft/promote",
        Token,
        &[Method::write(RaftEndpoints::promote)],
        SERVER,
        "Give a member a vote.",
    ),
    Route::new(
        "storage/raft/demote",
        Token,
        &[Method::write(RaftEndpoints::demote)],
        SERVER,
        "Take a member's vote.",
    ),
    Route::new("storage/raft/join", Open, &[Method::asks(RaftEndpoints::join)], &[], "Join a raft cluster."),
    Route::new(
        "storage/raft/snapshot",
        Token,
        &[Method::read(RaftEndpoints::snapshot), Method::heavy(WRITE, Effect::Write, RaftEndpoints::restore)],
        &[],
        "A snapshot of the store; one of this cluster takes the store's place.",
    ),
    Route::new(
        "storage/raft/snapshot-force",
        Token,
        &[Method::heavy(WRITE, Effect::Write, RaftEndpoints::restore_any)],
        &[],
        "Put a snapshot in the store's place, whatever keys it is under.",
    ),
];

// === impl RaftEndpoints ===

impl RaftEndpoints {
    #[must_use]
    pub fn new(storage: Arc<RaftStorage>, since: OffsetDateTime) -> Self {
        Self {
            storage,
            since,
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS)),
            restoring: Mutex::new(()),
            routes: Routes::new(ROUTES),
        }
    }

    fn configuration(&self, _call: &mut Call<'_>) -> Answer {
        let status = self.storage.status();
        let servers: Vec<Value> = status.members.iter().map(|member| server(member, &status)).collect();
        // The real server always says 0 here.
        Ok(Response::json(json!({ "config": { "servers": servers, "index": 0 } })))
    }

    fn autopilot_state(&self, _call: &mut Call<'_>) -> Answer {
        let status = self.storage.status();
        let since = self.since.format(&Rfc3339).map_err(|error| Fault::Internal(error.to_string()))?;
        Ok(Response::json(autopilot_state(&status, &since)))
    }

    fn autopilot(&self, call: &mut Call<'_>) -> Answer {
        let autopilot = Autopilot::load(whole(call)?)?;
        let text = |seconds| go_string(Duration::from_secs(seconds));
        Ok(Response::json(json!({
            "cleanup_dead_servers": autopilot.cleanup_dead_servers,
            "dead_server_last_contact_threshold": text(autopilot.dead_server_last_contact_threshold),
            "last_contact_threshold": text(autopilot.last_contact_threshold),
            "max_trailing_logs": autopilot.max_trailing_logs,
            "min_quorum": autopilot.min_quorum,
            "server_stabilization_time": text(autopilot.server_stabilization_time),
        })))
    }

    fn set_autopilot(&self, call: &mut Call<'_>) -> Answer {
        let data = Arc::clone(&call.request.data);
        let tx = whole(call)?;
        let changed = Autopilot::load(tx)?.with(&data)?;
        changed.store(tx)?;
        Ok(Response::empty())
    }

    /// Removing who is not there is no error.
    fn remove(&self, call: &mut Call<'_>) -> Answer {
        let (id, status) = (server_id(call)?, self.storage.status());
        match find(&status, &id) {
            Err(_) => Ok(Response::empty()),
            Ok(_) => Err(refused("the only voter of a cluster cannot be removed")),
        }
    }

    fn promote(&self, call: &mut Call<'_>) -> Answer {
        let (id, status) = (server_id(call)?, self.storage.status());
        find(&status, &id)?;
        Err(refused("server is not a non-voter"))
    }

    fn demote(&self, call: &mut Call<'_>) -> Answer {
        let (id, status) = (server_id(call)?, self.storage.status());
        find(&status, &id)?;
        Err(refused("the only voter of a cluster cannot be demoted"))
    }

    /// Whoever answers here has an open barrier, so it belongs to a cluster already.
    fn join(&self, _call: &mut Call<'_>) -> Answer {
        let body = Bytes::from_static(b"{\"joined\":true}\n");
        let raw = Raw { status: 200, content_type: "application/json", body };
        Ok(Response { body: Body::Raw(raw), ..Response::empty() })
    }
}

impl Tabled for RaftEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}

fn server(member: &Member, status: &Status) -> Value {
    json!({
        "node_id": member.id.as_str(),
        "address": member.address,
        "leader": status.leader.as_ref() == Some(&member.id),
        "protocol_version": "3",
        "voter": member.is_voter,
    })
}

/// The state of a group of which only this node is known.
fn autopilot_state(status: &Status, since: &str) -> Value {
    let healthy = status.stopped.is_none() && status.leader.is_some();
    let role = |member: &Member| match (status.leader.as_ref() == Some(&member.id), member.is_voter) {
        (true, _) => "leader",
        (false, true) => "voter",
        (false, false) => "non-voter",
    };
    let state = |member: &Member| {
        json!({
            "id": member.id.as_str(),
            "name": member.id.as_str(),
            "address": member.address,
            "node_status": "alive",
            "last_contact": "0s",
            "last_term": status.term,
            "last_index": status.applied,
            "healthy": healthy,
            "stable_since": since,
            "status": role(member),
            "version": BUILD.version,
            "node_type": if member.is_voter { "voter" } else { "non-voter" },
        })
    };
    let servers: Map<String, Value> =
        status.members.iter().map(|member| (member.id.to_string(), state(member))).collect();
    let voters: Vec<&str> =
        status.members.iter().filter(|member| member.is_voter).map(|member| member.id.as_str()).collect();
    json!({
        "failure_tolerance": voters.len().saturating_sub(1) / 2,
        "healthy": healthy,
        "leader": status.leader.as_ref().map_or("", |leader| leader.as_str()),
        "servers": servers,
        "voters": voters,
    })
}

fn server_id(call: &Call<'_>) -> Result<String, Fault> {
    let id = Fields::new(&call.request.data).text("server_id")?.unwrap_or_default();
    if id.is_empty() { Err(Fault::invalid("no server id provided")) } else { Ok(id) }
}

fn find<'s>(status: &'s Status, id: &str) -> Result<&'s Member, Fault> {
    let found = status.members.iter().find(|member| member.id.as_str() == id);
    found.ok_or_else(|| refused(&format!("server {id} not found in raft configuration")))
}

/// An error of the store, as the real server tells it.
fn refused(text: &str) -> Fault {
    Fault::Internal(text.to_owned())
}

// === impl Autopilot ===

impl Default for Autopilot {
    fn default() -> Self {
        Self {
            cleanup_dead_servers: false,
            dead_server_last_contact_threshold: 24 * 60 * 60,
            last_contact_threshold: 10,
            max_trailing_logs: 1000,
            min_quorum: 0,
            server_stabilization_time: 10,
        }
    }
}

impl Autopilot {
    fn load(tx: &mut Transaction) -> Result<Self, Fault> {
        match tx.get(AUTOPILOT_KEY)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| Fault::Internal(error.to_string())),
            None => Ok(Self::default()),
        }
    }

    fn store(&self, tx: &mut Transaction) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(self).map_err(|error| Fault::Internal(error.to_string()))?;
        Ok(tx.put(AUTOPILOT_KEY, Zeroizing::new(bytes))?)
    }

    /// With what a request gives, checked as a whole.
    fn with(mut self, data: &Map<String, Value>) -> Result<Self, Fault> {
        let fields = Fields::new(data);
        let number = |name| Ok::<_, Fault>(fields.int(name)?.map(|n| u64::try_from(n).unwrap_or_default()));
        let set = |slot: &mut u64, given: Option<u64>| *slot = given.unwrap_or(*slot);
        self.cleanup_dead_servers = fields.flag("cleanup_dead_servers")?.unwrap_or(self.cleanup_dead_servers);
        set(&mut self.last_contact_threshold, fields.seconds("last_contact_threshold")?);
        set(
            &mut self.dead_server_last_contact_threshold,
            fields.seconds("dead_server_last_contact_threshold")?,
        );
        set(&mut self.max_trailing_logs, number("max_trailing_logs")?);
        set(&mut self.min_quorum, number("min_quorum")?);
        set(&mut self.server_stabilization_time, fields.seconds("server_stabilization_time")?);
        self.check()
    }

    fn check(self) -> Result<Self, Fault> {
        if self.dead_server_last_contact_threshold < LEAST_DEAD_THRESHOLD.as_secs() {
            return Err(Fault::invalid(format!(
                "dead_server_last_contact_threshold should not be set to less than 1m; received: {}",
                self.dead_server_last_contact_threshold
            )));
        }
        if self.cleanup_dead_servers && self.min_quorum < LEAST_QUORUM {
            return Err(Fault::invalid(format!(
                "min_quorum must be set when cleanup_dead_servers is set and it should at least be \
                 {LEAST_QUORUM}; cleanup_dead_servers: true, min_quorum: {:#x}",
                self.min_quorum
            )));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::raft::{self, Options};

    fn changed(from: Autopilot, data: Value) -> Result<Autopilot, String> {
        let Value::Object(data) = data else { panic!("an object") };
        from.with(&data).map_err(|fault| fault.to_string())
    }

    /// The words are the real server's.
    #[test]
    fn the_autopilot_is_checked_as_a_whole() {
        let begin = Autopilot::default;
        let cleanup = changed(begin(), json!({"cleanup_dead_servers": true, "min_quorum": 3})).unwrap();
        assert!(cleanup.cleanup_dead_servers);
        assert_eq!(changed(begin(), json!({"max_trailing_logs": 500})).unwrap().max_trailing_logs, 500);
        let quorum = "min_quorum must be set when cleanup_dead_servers is set and it should at least be 3; \
                      cleanup_dead_servers: true, min_quorum: ";
        for (from, data, text) in [
            (begin(), json!({"cleanup_dead_servers": true}), format!("{quorum}0x0")),
            (cleanup, json!({"min_quorum": 2}), format!("{quorum}0x2")),
            (
                begin(),
                json!({"dead_server_last_contact_threshold": "5s"}),
                "dead_server_last_contact_threshold should not be set to less than 1m; received: 5"
                    .to_owned(),
            ),
        ] {
            assert_eq!(changed(from, data).unwrap_err(), text);
        }
    }

    #[test]
    fn one_member_is_the_leader() {
        let scratch = tempfile::tempdir().unwrap();
        let options = Options { node_id: Some("n1".into()), ..Options::default() };
        let status = raft::open(scratch.path(), options).unwrap().status();
        let expected = json!({
            "node_id": "n1", "address": "127.0.0.1:8201", "leader": true, "protocol_version": "3", "voter": true
        });
        assert_eq!(server(&status.members[0], &status), expected);
        let state = autopilot_state(&status, "2026-11-24T06:46:35Z");
        assert_eq!(state["healthy"], true);
        assert_eq!((&state["voters"], &state["leader"]), (&json!(["n1"]), &json!("n1")));
        assert_eq!(state["servers"]["n1"]["status"], "leader");
        assert_eq!(find(&status, "n2").unwrap_err().to_string(), "server n2 not found in raft configuration");
    }
}
