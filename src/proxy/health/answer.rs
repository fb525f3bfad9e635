//! What a probe's answers say: sys/health and sys/leader bodies → facts about one node.
//! Decided by JSON fields, never by the status code. It does not judge whether to believe them (`endpoint` does).

use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::health::{Condition, HealthBody, LeaderBody};
use crate::proxy::snapshot::{Dialect, Role};

/// Both answers together, as far as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    pub role: Role,
    pub cluster_id: Option<Arc<str>>,
    pub cluster_name: Option<Arc<str>>,
    pub version: Option<Arc<str>>,
    pub leader: Option<LeaderFacts>,
}

/// Who leads, as this node sees it, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaderFacts {
    pub ha_enabled: bool,
    pub is_self: bool,
    pub active_time: Option<OffsetDateTime>,
    /// `api_addr` of the leader; on the leader itself its own.
    pub leader_address: Arc<str>,
    pub leader_cluster_address: Arc<str>,
    /// Highest index the node knows to be committed.
    pub committed: Option<u64>,
    /// Highest index the node has applied: what its index header carries.
    pub applied: Option<u64>,
}

/// Does this node answer a logical request itself?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capability {
    Yes,
    No,
    /// Never asked, or the answer said nothing (quota, not ready): an earlier verdict stays.
    #[default]
    Unknown,
}

/// The role this node claims by its own words.
#[must_use]
pub fn claimed_role(health: &HealthBody, leader: Option<&LeaderBody>) -> Role {
    match health.condition() {
        Condition::Uninitialized => Role::Uninitialized,
        Condition::Removed => Role::Removed,
        Condition::Sealed => Role::Sealed,
        Condition::Unhealthy => Role::Unhealthy,
        Condition::DrSecondary => Role::DrSecondary,
        Condition::PerfStandby => Role::PerfStandby,
        Condition::Standby => Role::Standby,
        // "standby": false without "is_self": true is a node between two roles: not yet, or no longer, the active.
        Condition::Active if leader.is_some_and(|leader| leader.ha_enabled && !leader.is_self) => {
            Role::Standby
        }
        Condition::Active => Role::Active,
    }
}

impl NodeFacts {
    #[must_use]
    pub fn new(health: &HealthBody, leader: Option<&LeaderBody>) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        Self {
            role: claimed_role(health, leader),
            cluster_id: health.cluster_id.as_deref().and_then(text),
            cluster_name: health.cluster_name.as_deref().and_then(text),
            version: text(&health.version),
            leader: leader.map(|leader| LeaderFacts::new(leader, health.last_wal)),
        }
    }
}

impl LeaderFacts {
    /// Vault Enterprise counts in WAL entries where OpenBao and Understudy count in raft entries: whichever the
    /// node's index header uses is what must be compared.
    #[must_use]
    pub fn new(leader: &LeaderBody, health_last_wal: Option<u64>) -> Self {
        let last_wal = leader.last_wal.or(health_last_wal).filter(|wal| *wal > 0);
        let wal = last_wal.or(leader.performance_standby_last_remote_wal.filter(|wal| *wal > 0));
        Self {
            ha_enabled: leader.ha_enabled,
            is_self: leader.is_self,
            active_time: OffsetDateTime::parse(&leader.active_time, &Rfc3339).ok(),
            leader_address: leader.leader_address.to_ascii_lowercase().into(),
            leader_cluster_address: leader.leader_cluster_address.to_ascii_lowercase().into(),
            committed: wal.or(leader.raft_committed_index),
            applied: wal.or(leader.raft_applied_index),
        }
    }
}

/// Verdict of the capability probe (vault-semantics §9): only a node that processed the request itself says 200.
/// 429 is a quota and says nothing; any other answer means that it does not serve reads now.
#[must_use]
pub fn capability(status: u16) -> Capability {
    match status {
        200 => Capability::Yes,
        429 => Capability::Unknown,
        _ => Capability::No,
    }
}

/// Which dialect an `X-Vault-Index` value is in, by its first bytes: base64 of `{"` or of `v1:`.
#[must_use]
pub fn dialect(index_header: &[u8]) -> Option<Dialect> {
    if index_header.starts_with(b"eyJ") {
        Some(Dialect::OpenBao)
    } else if index_header.starts_with(b"djE6") {
        Some(Dialect::Vault)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(json: &str) -> HealthBody {
        serde_json::from_str(json).unwrap()
    }

    fn leader(json: &str) -> LeaderBody {
        serde_json::from_str(json).unwrap()
    }

    const BAO: &str = r#"{"initialized":true,"sealed":false,"standby":STANDBY,"replication_performance_mode":"primary","replication_dr_mode":"disabled","server_time_utc":1795374528,"version":"2.7.2","cluster_name":"vault-cluster-0905d80f","cluster_id":"9dcf58f7"}"#;
    const ENT: &str = r#"{"initialized":true,"sealed":false,"standby":true,"performance_standby":PERF,"replication_performance_mode":"primary","replication_dr_mode":"DR","server_time_utc":1,"version":"1.19.0+ent","enterprise":true,"cluster_name":"c","cluster_id":"x","echo_duration_ms":1,"clock_skew_ms":0,"replication_primary_canary_age_ms":20,"removed_from_cluster":REMOVED,"ha_connection_healthy":HEALTHY,"last_request_forwarding_heartbeat_ms":900}"#;

    fn enterprise(perf: &str, dr: &str, removed: &str, healthy: &str) -> Role {
        let body = ENT
            .replace("PERF", perf)
            .replace("DR\"", &format!("{dr}\""))
            .replace("REMOVED", removed)
            .replace("HEALTHY", healthy);
        claimed_role(&health(&body), None)
    }

    #[test]
    fn openbao_bodies() {
        let uninit = r#"{"initialized":false,"sealed":true,"standby":true,"version":"2.7.2"}"#;
        let sealed = r#"{"initialized":true,"sealed":true,"standby":true,"version":"2.7.2"}"#;
        assert_eq!(claimed_role(&health(uninit), None), Role::Uninitialized);
        assert_eq!(claimed_role(&health(sealed), None), Role::Sealed);
        assert_eq!(claimed_role(&health(&BAO.replace("STANDBY", "false")), None), Role::Active);
        assert_eq!(claimed_role(&health(&BAO.replace("STANDBY", "true")), None), Role::Standby);
    }

    #[test]
    fn vault_enterprise_bodies() {
        assert_eq!(enterprise("true", "disabled", "false", "true"), Role::PerfStandby); // 473
        assert_eq!(enterprise("false", "disabled", "false", "true"), Role::Standby); // 429
        assert_eq!(enterprise("true", "secondary", "false", "true"), Role::DrSecondary); // 472
        assert_eq!(enterprise("true", "disabled", "false", "false"), Role::Unhealthy); // 474 before 473
        assert_eq!(enterprise("true", "secondary", "true", "false"), Role::Removed); // 530 before all
    }

    #[test]
    fn active_without_is_self_is_between_roles() {
        let body = health(&BAO.replace("STANDBY", "false"));
        let not_self = leader(r#"{"ha_enabled":true,"is_self":false,"leader_address":"http://b:1"}"#);
        let no_ha = leader(r#"{"ha_enabled":false}"#);
        assert_eq!(claimed_role(&body, Some(&not_self)), Role::Standby);
        assert_eq!(claimed_role(&body, Some(&no_ha)), Role::Active);
    }

    #[test]
    fn indexes_are_in_the_unit_of_the_index_header() {
        let raft = leader(
            r#"{"ha_enabled":true,"is_self":false,"leader_address":"HTTP://A:1","leader_cluster_address":"https://a:2","raft_committed_index":12,"raft_applied_index":11}"#,
        );
        let facts = LeaderFacts::new(&raft, None);
        assert_eq!((facts.committed, facts.applied), (Some(12), Some(11)));
        assert_eq!(&*facts.leader_address, "http://a:1");
        let wal = leader(
            r#"{"ha_enabled":true,"is_self":false,"performance_standby":true,"performance_standby_last_remote_wal":7,"raft_committed_index":12,"raft_applied_index":11}"#,
        );
        assert_eq!(LeaderFacts::new(&wal, None).applied, Some(7));
        let active = leader(
            r#"{"ha_enabled":true,"is_self":true,"active_time":"2026-11-22T19:08:05.537220968Z","last_wal":9,"raft_committed_index":12}"#,
        );
        let facts = LeaderFacts::new(&active, None);
        assert_eq!(facts.committed, Some(9));
        assert!(facts.active_time.is_some());
    }

    #[test]
    fn capability_table() {
        for (status, expected) in [
            (200, Capability::Yes),
            (307, Capability::No),
            (503, Capability::No),
            (500, Capability::No),
            (429, Capability::Unknown),
        ] {
            assert_eq!(capability(status), expected, "{status}");
        }
    }

    #[test]
    fn dialect_table() {
        assert_eq!(dialect(b"eyJjbHVzdGVyIjoiYSJ9"), Some(Dialect::OpenBao));
        assert_eq!(dialect(b"djE6YTpiOmM="), Some(Dialect::Vault));
        assert_eq!(dialect(b"x"), None);
    }
}
